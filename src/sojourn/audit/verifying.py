"""Holding a report against a capsule: derived again, and compared line by line, field by field.

Nothing in a report is believed but its choice to have an exit drill, and that drill's statements, which are sealed
by others and judged anew.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from sojourn.audit.deriving import derive
from sojourn.audit.drill import hold_drill
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import FORMAT, Drill, Report
from sojourn.core.base.errors import Misused, Rejected

__all__ = ["REPORT_BYTES_MAX", "Difference", "check_report", "differences", "to_json"]

REPORT_BYTES_MAX: Final = 256 * 1024 * 1024
_SHOWN_CHARS_MAX: Final = 200


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a report says otherwise than the capsule: in which line, at which place of the JSON."""

    line: str
    place: str
    says: str
    derived: str


def to_json(report: Report) -> bytes:
    """Return a report as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def check_report(data: bytes, evidence: Evidence) -> tuple[Report, list[Difference]]:
    """Return the report as the capsule has it, and how the one in `data` differs.

    Raises `Rejected` for what is no report of a known format, or whose drill shows forged statements.
    """
    shown = _parse(data)
    report = derive(evidence, _drill(shown, evidence))
    return report, list(differences(shown, json.loads(to_json(report))))


def _parse(data: bytes) -> Any:
    if len(data) > REPORT_BYTES_MAX:
        problem = f"it has {len(data)} bytes, more than {REPORT_BYTES_MAX}"
        raise Rejected(problem, reason="too-large", where="report")
    try:
        shown = json.loads(data, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"it is no JSON: {error}", reason="malformed", where="report") from None
    found = shown.get("format") if isinstance(shown, dict) else None
    if found != FORMAT:
        problem = f"its format is {str(found)[:40]!a}; this version reads {FORMAT!r}"
        raise Rejected(problem, reason="unknown-version", where="report.format")
    return shown


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: what a reader sees must be what was compared."""
    found = dict(pairs)
    if len(found) != len(pairs):
        problem = "a name is repeated in an object"
        raise ValueError(problem)
    return found


def _no_constant(name: str) -> Any:
    problem = f"{name} is no number"
    raise ValueError(problem)


def _drill(shown: Any, evidence: Evidence) -> Drill | None:
    """Return the drill of a report made again; None if it has none, or none that could be."""
    held = shown.get("drill")
    if held is None:
        return None
    try:
        statements = msgspec.convert(held["statements"], bytes, strict=True)
        return hold_drill(evidence, statements)
    except (KeyError, TypeError, msgspec.ValidationError):
        problem = "it has no statements that a drill could be made with"
        raise Rejected(problem, reason="bad-field", where="report.drill.statements") from None
    except Misused as error:
        raise Rejected(error.problem, reason="bad-field", where="report.drill.statements") from None


def differences(
    shown: Any, derived: Any, place: str = "report", line: str = ""
) -> Iterator[Difference]:
    """Yield where two JSON values differ; 1, 1.0 and true are three values."""
    if isinstance(derived, dict) and isinstance(shown, dict):
        named = derived.get("line", line)
        for name in sorted(derived.keys() | shown.keys()):
            parts = shown.get(name, _NOTHING), derived.get(name, _NOTHING)
            yield from differences(*parts, f"{place}.{name}", named)
    elif isinstance(derived, list) and isinstance(shown, list):
        for index in range(max(len(shown), len(derived))):
            ours = derived[index] if index < len(derived) else _NOTHING
            theirs = shown[index] if index < len(shown) else _NOTHING
            named = ours.get("line", line) if isinstance(ours, dict) else line
            yield from differences(theirs, ours, f"{place}[{index}]", named)
    elif type(shown) is not type(derived) or shown != derived:
        yield Difference(line=line, place=place, says=_brief(shown), derived=_brief(derived))


class _Nothing:
    """What stands where one of two values has nothing."""


_NOTHING: Final = _Nothing()


def _brief(value: Any) -> str:
    if value is _NOTHING:
        return "(nothing)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[: _SHOWN_CHARS_MAX - 1]}…"
