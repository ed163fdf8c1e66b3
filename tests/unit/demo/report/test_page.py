"""The page: complete, self-contained, and safe from what it shows."""

import re

import pytest
from msgspec.structs import replace

from sojourn.demo.report import ReportData, render_report
from sojourn.demo.report.data import Finding
from tests.unit.pages.reading import Page

NASTY = """"><script>alert('x')</script><img src=x onerror="a&b">"""


@pytest.fixture(scope="module")
def page(sample: ReportData) -> Page:
    return Page(render_report(sample))


def test_page_needs_nothing_but_itself(sample: ReportData, page: Page) -> None:
    fetching = {"script", "link", "img", "iframe", "object", "embed", "use", "image", "a", "base"}
    assert set() == fetching & {element.tag for element in page.elements}
    names = {name for element in page.elements for name in element.attributes}
    assert set() == names & {"src", "href", "xlink:href", "srcset", "action", "style", "onload"}
    assert "@import" not in page.sheet
    assert "url(" not in page.sheet
    html = render_report(sample)
    assert re.findall(r"url\((?!#)", html) == []
    assert re.findall(r"[a-z]+://", html) == []


def test_page_points_only_at_what_it_has_and_has_it_once(page: Page) -> None:
    identifiers = [
        element.attributes["id"] for element in page.elements if "id" in element.attributes
    ]
    pointed = {
        found
        for element in page.elements
        for value in element.attributes.values()
        for found in re.findall(r"url\(#(.+?)\)", value)
    }
    assert len(set(identifiers)) == len(identifiers)
    assert pointed == set(identifiers)


def test_page_says_everything(sample: ReportData, page: Page) -> None:
    told = [sample.agent, sample.agent_identifier, sample.schedule_note, sample.started]
    told += [zone.name for zone in sample.zones]
    told += [zone.price_source for zone in sample.zones]
    told += [zone.position_source for zone in sample.zones]
    told += [move.why for move in sample.migrations]
    told += [loss.note for loss in sample.losses]
    told += [entry.kind for entry in sample.certificates]
    told += [entry.digest[-12:] for entry in sample.certificates]
    told += [
        finding.text
        for entry in sample.assessments
        for finding in (entry.governance, entry.capability, entry.trust)
    ]
    told += [*sample.capsule.checks, sample.capsule.file, sample.history.source]
    told += ["Kupiec", "Christoffersen", "Acerbi–Székely", "Basel", "recorded schedule"]
    assert [] == [text for text in told if text not in page.text]


def test_summary_says_what_happened(page: Page) -> None:
    assert "risk-desk moved four times, each time of its own accord" in page.texts
    lead = next(text for text in page.texts if text.startswith("In "))
    assert "one anchor and one host were killed without warning; it went on" in lead
    assert "It never entered aws-us-east-1, the cheapest of all" in lead


def test_every_chart_is_drawn_for_wide_and_for_narrow_screens(page: Page) -> None:
    assert ["map", "map", "chart", "chart", "chart", "chart"] == [
        element.attributes["class"] for element in page.elements if element.tag == "svg"
    ]
    widths = [
        element.attributes["viewbox"].split()[2]
        for element in page.elements
        if element.tag == "svg"
    ]
    assert ["1100", "420"] * 3 == widths


def test_sheet_knows_dark_and_print(page: Page) -> None:
    assert "prefers-color-scheme: dark" in page.sheet
    assert "@media print" in page.sheet
    used = set(re.findall(r"var\((--[a-z0-9-]+)", page.sheet))
    assert used <= set(re.findall(r"(--[a-z0-9-]+):", page.sheet))


def test_classes_of_the_page_are_known_to_the_sheet(page: Page) -> None:
    used = {
        name for element in page.elements for name in element.attributes.get("class", "").split()
    }
    states = {"here", "chosen", "passed-over", "not-eligible", "zones", "launch", "chart"}
    assert set() == {name for name in used if f".{name}" not in page.sheet} - states


def test_what_comes_from_the_run_is_escaped(sample: ReportData) -> None:
    nasty = Finding(answer="no", reasons=(NASTY,))
    entry = replace(
        sample.assessments[-1], governance=nasty, capability=nasty, trust=nasty, why=NASTY
    )
    zones = tuple(
        replace(zone, identifier=NASTY, location=NASTY, country=NASTY, price_source=NASTY)
        for zone in sample.zones
    )
    page = Page(
        render_report(
            replace(
                sample,
                agent=NASTY,
                policy=NASTY,
                software=NASTY,
                schedule_note=NASTY,
                zones=zones,
                assessments=(*sample.assessments, entry),
                migrations=tuple(replace(move, why=NASTY) for move in sample.migrations),
                losses=tuple(replace(loss, name=NASTY, note=NASTY) for loss in sample.losses),
                certificates=tuple(
                    replace(one, kind=NASTY, digest=NASTY) for one in sample.certificates
                ),
                capsule=replace(sample.capsule, file=NASTY, checks=(NASTY,)),
            )
        )
    )
    assert set() == {"script", "img"} & {element.tag for element in page.elements}
    assert not any("onerror" in element.attributes for element in page.elements)
    assert NASTY in page.texts


def test_names_are_escaped_wherever_they_stand(sample: ReportData) -> None:
    def renamed(name: str) -> str:
        return NASTY if name == "onprem-frankfurt" else name

    changes = {
        field: tuple(replace(one, zone=renamed(one.zone)) for one in getattr(sample, field))
        for field in ("prices", "capacities", "stays", "losses", "assessments", "certificates")
    }
    zones = tuple(replace(zone, name=renamed(zone.name)) for zone in sample.zones)
    moves = tuple(
        replace(move, from_zone=renamed(move.from_zone), to_zone=renamed(move.to_zone))
        for move in sample.migrations
    )
    page = Page(render_report(replace(sample, zones=zones, migrations=moves, **changes)))
    assert set() == {"script", "img"} & {element.tag for element in page.elements}
    assert NASTY in page.texts


def test_same_run_same_page(sample: ReportData) -> None:
    assert render_report(sample) == render_report(sample)


def test_page_is_small_enough_to_send(sample: ReportData) -> None:
    assert len(render_report(sample)) < 400_000


def test_refused_migration_is_shown_and_is_no_move(sample: ReportData) -> None:
    first, *rest = sample.migrations
    refused = replace(first, refusal="the zone is full")
    page = Page(render_report(replace(sample, migrations=(refused, *rest))))
    assert "refused: the zone is full" in page.text
    assert "risk-desk moved three times, each time of its own accord" in page.texts
    assert 1 == len(page.having("refused", "li"))


def test_quiet_run_is_shown(sample: ReportData) -> None:
    """One zone, no move, no loss, no price: nothing on the page may depend on there being any."""
    zone = replace(sample.zones[0], list_price_micros=None)
    stay = replace(sample.stays[0], from_s=0, to_s=sample.duration_s, window_to=21)
    prices = (replace(sample.prices[0], price_micros=None),)
    quiet = replace(
        sample,
        zones=(zone,),
        prices=prices,
        capacities=(),
        stays=(stay,),
        migrations=(),
        losses=(),
        assessments=(),
        certificates=sample.certificates[:1],
        memory=(),
    )
    page = Page(render_report(quiet))
    assert "unknown" in page.text
    assert [] == page.having("badge")
    assert [] == page.having("loss")


def test_capsule_that_fails_is_not_hidden(sample: ReportData) -> None:
    capsule = replace(sample.capsule, verified=False)
    text = Page(render_report(replace(sample, capsule=capsule))).text
    assert "capsule NOT verified" in text
    assert "did NOT verify" in text


def test_assessments_that_came_out_alike_are_one_row(sample: ReportData, page: Page) -> None:
    rows = [
        row
        for state in ("here", "chosen", "passed-over", "not-eligible")
        for row in page.having(state, "tr")
    ]
    assert len(rows) < len(sample.assessments) / 3
    assert len(sample.migrations) == len(page.having("chosen", "tr"))
    virginia = [entry for entry in sample.assessments if entry.zone == "aws-us-east-1"]
    assert {"not eligible"} == {entry.outcome for entry in virginia}
    assert f"{len(virginia)} times alike" in page.texts


def test_rows_of_a_table_have_a_label_in_every_cell(page: Page) -> None:
    cells = [element for element in page.elements if element.tag == "td"]
    assert all(cell.attributes["data-label"] for cell in cells)


def test_signers_are_shown_one_by_one(sample: ReportData, page: Page) -> None:
    assert sum(len(entry.signers) for entry in sample.certificates) == len(page.having("signed"))
