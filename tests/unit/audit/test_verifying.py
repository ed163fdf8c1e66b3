"""A report is believed in nothing: what was doctored in it is found, and the line is named."""

import copy
import io
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from sojourn.audit.deriving import derive
from sojourn.audit.evidence import read_evidence
from sojourn.audit.verifying import Difference, check_report, to_json
from sojourn.core.base.errors import Rejected
from tests.unit.audit.scene import drilled, evidence
from tests.unit.core.protocol.capsules import made

Path = tuple[str | int, ...]


@cache
def genuine() -> bytes:
    return to_json(derive(evidence(), drilled()))


def plain() -> Any:
    return json.loads(genuine())


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all values that are no containers, and of empty ones."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in pairs:
            yield from leaves(part, (*path, name))
    else:
        yield path


def at(value: Any, path: Path) -> Any:
    for name in path:
        value = value[name]
    return value


def doctored(path: Path, new: Any) -> bytes:
    value = plain()
    at(value, path[:-1])[path[-1]] = new
    return json.dumps(value).encode()


def other(value: Any) -> Any:
    """Return another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "." if value else "x"
        case None:
            return 0
        case list():
            return ["x"]
        case _:
            return {"x": 1}


def found(data: bytes) -> list[Difference]:
    return check_report(data, evidence())[1]


def test_a_genuine_report_holds() -> None:
    assert [] == found(genuine())
    assert [] == found(json.dumps(plain(), separators=(",", ":")).encode()), "spaces mean nothing"


FIELDS = {
    tuple("#" if isinstance(name, int) else name for name in path): path
    for path in leaves(plain())
    if "statements" not in path
}
"""Every field of every section, once: its path without numbers, and where it stands."""


def test_the_fields_are_those_of_the_whole_report() -> None:
    sections = {path[0] for path in FIELDS}
    assert set(plain()) == sections
    assert len(FIELDS) > 120


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: ".".join(field))
def test_every_doctored_field_is_found_and_its_line_named(field: tuple[str, ...]) -> None:
    path = FIELDS[field]
    data = doctored(path, other(at(plain(), path)))
    if field == ("format",):
        with pytest.raises(Rejected, match="unknown-version"):
            found(data)
        return
    (difference,) = found(data)
    place = "report" + "".join(f"[{n}]" if isinstance(n, int) else f".{n}" for n in path)
    assert difference.place.startswith(place)
    lines = [at(plain(), path[:i]) for i in range(1, len(path))]
    named = [each["line"] for each in lines if isinstance(each, dict) and "line" in each]
    assert (named[-1] if named else "") == difference.line


def test_a_value_of_another_type_that_compares_equal_is_found() -> None:
    for new in (True, 1.0, "1"):
        assert found(doctored(("orders", 0, "needed"), new))


def test_a_line_taken_out_put_in_or_exchanged_is_found() -> None:
    for section in ("stays", "holdings", "actions", "denials", "orders", "zones", "hosts"):
        value = plain()
        dropped, doubled, reversed_ = (copy.deepcopy(value) for _ in range(3))
        del dropped[section][0]
        doubled[section].append(doubled[section][0])
        reversed_[section].reverse()
        for each in (dropped, doubled, reversed_):
            assert found(json.dumps(each).encode()), section


def test_a_field_taken_out_or_put_in_is_found() -> None:
    value = plain()
    del value["orders"][0]["signed_by"]
    assert ["order-v23"] == [each.line for each in found(json.dumps(value).encode())]
    assert found(doctored(("orders", 0, "note"), "approved by the board"))


def test_a_name_that_comes_twice_is_no_report() -> None:
    """A reader may take the first, the last, or both: what was compared must be what is read."""
    data = genuine().replace(b'"act": "suspend"', b'"act": "retire", "act": "suspend"')
    with pytest.raises(Rejected, match="repeated"):
        found(data)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"\xff", b'{"format": 1}', b"[" * 9999]
)
def test_what_is_no_report_is_rejected(data: bytes) -> None:
    with pytest.raises(Rejected):
        found(data)


def test_the_report_on_one_agent_does_not_hold_against_another() -> None:
    foreign = read_evidence(io.BytesIO(made().data))
    with pytest.raises(Rejected, match="realm"):
        check_report(genuine(), foreign)
    differing = check_report(doctored(("drill",), None), foreign)[1]
    assert {"agent", "capsule", "stay-1"} <= {each.line for each in differing}


# --- the drill's statements ------------------------------------------------------------------------------


STATEMENTS: Path = ("drill", "statements")


def test_statements_that_were_tampered_with_are_found_wherever_it_was() -> None:
    text = at(plain(), STATEMENTS)
    for place in range(0, len(text), max(1, len(text) // 60)):
        new = "A" if text[place] != "A" else "B"
        data = doctored(STATEMENTS, text[:place] + new + text[place + 1 :])
        try:
            differing = found(data)
        except Rejected:
            continue
        assert differing, place


@pytest.mark.parametrize("new", ["", "AA==", "no base64!", None, 7, ["x"]])
def test_statements_that_are_none_are_rejected(new: Any) -> None:
    with pytest.raises(Rejected, match=r"statements|drill"):
        found(doctored(STATEMENTS, new))


def test_a_drill_that_is_none_is_rejected_and_one_left_out_is_no_lie() -> None:
    with pytest.raises(Rejected):
        found(doctored(("drill",), "done"))
    assert [] == found(doctored(("drill",), None)), "a report without one says nothing of it"
