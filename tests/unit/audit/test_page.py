"""The page: complete, self-contained, and safe from what agents and zones call themselves."""

import json
import re
from functools import cache
from typing import Any

import msgspec
import pytest

from sojourn.audit.deriving import derive
from sojourn.audit.page import render_page
from sojourn.audit.report import Report, proofs_in
from sojourn.audit.verifying import to_json
from tests.unit.audit.scene import drilled, evidence, lean_evidence
from tests.unit.pages.reading import Page

NASTY = (
    """"></title></style></svg><script>alert('x')</script><img src=x onerror="a&b">\u202e\x1b[31m"""
)


@cache
def report() -> Report:
    return derive(evidence(), drilled())


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_page(report()))


def test_it_needs_nothing_but_itself(page: Page) -> None:
    fetching = {"script", "link", "img", "iframe", "object", "embed", "use", "image", "a", "base"}
    assert set() == fetching & {element.tag for element in page.elements}
    names = {name for element in page.elements for name in element.attributes}
    assert set() == names & {"src", "href", "xlink:href", "srcset", "action", "style", "onload"}
    assert "@import" not in page.sheet
    assert "url(" not in page.sheet
    assert re.findall(r"[a-z]+://", render_page(report())) == []


def test_it_names_every_line_and_its_proof(page: Page) -> None:
    for line, proof in proofs_in(report()).items():
        assert line in page.texts
        assert (proof.digest or proof.lines[0]) in page.text


def test_it_says_what_a_reader_must_know(page: Page) -> None:
    told = [report().agent.agent, report().capsule.sha256, "orders stand", "client-confidential"]
    told += [*report().not_proved, *report().proved, *[rule.cedar for rule in report().rules]]
    assert report().drill is not None
    told += [*report().drill.does_not_show, *report().drill.shows]  # type: ignore[union-attr]
    for text in told:
        assert text in page.text


def test_it_says_what_an_exit_drill_found(page: Page) -> None:
    """Back in a, what stayed behind there is at home again: nothing would be left, though the capsule lacks it."""
    tags = [text for text in page.texts if text.startswith(("could", "would leave", "its capsule"))]
    assert tags == [
        "could leave its zone",
        "could not leave its provider",
        "could leave with all its data",
        "its capsule lacks what stayed behind",
    ]


def test_it_begins_with_what_has_to_be_looked_into() -> None:
    lean = render_page(derive(lean_evidence()))
    assert lean.index("To be looked into") < lean.index("Where it was")
    assert "nothing contradicts" in render_page(report())


def spoilt(value: Any, path: tuple[str, ...] = ()) -> Any:
    """Return a report in which every text that is free is hostile."""
    if isinstance(value, dict):
        return {name: spoilt(part, (*path, name)) for name, part in value.items()}
    if isinstance(value, list):
        return [spoilt(part, path) for part in value]
    chosen = {"by", "how", "kind", "attested", "format", "statements"}
    is_free = isinstance(value, str) and value and path[-1] not in chosen
    return value + NASTY if is_free else value


def test_nothing_that_came_from_an_agent_or_a_zone_becomes_markup(page: Page) -> None:
    text = json.dumps(spoilt(json.loads(to_json(report()))))
    nasty = Page(render_page(msgspec.json.decode(text, type=Report)))
    assert [element.tag for element in page.elements] == [e.tag for e in nasty.elements]
    assert [set(e.attributes) for e in page.elements] == [set(e.attributes) for e in nasty.elements]
    assert page.sheet == nasty.sheet
    assert "alert('x')" in nasty.text


def test_nothing_hides_or_turns_round_what_is_shown() -> None:
    text = json.dumps(spoilt(json.loads(to_json(report()))))
    page = Page(render_page(msgspec.json.decode(text, type=Report)))
    shown = page.text + "".join(v for e in page.elements for v in e.attributes.values())
    assert not [c for c in set(shown) if not c.isprintable() and c != "\n"]
    assert "\\u202e" in shown


def test_times_that_no_calendar_has_are_shown_as_numbers() -> None:
    text = to_json(report()).replace(b'"from_ms": 18', b'"from_ms": 99999999918')
    assert Page(render_page(msgspec.json.decode(text, type=Report))).texts
