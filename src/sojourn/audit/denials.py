"""What was denied or refused the agent, and who says so."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from sojourn.audit import proving
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import DenialLine
from sojourn.core.protocol.assessment import Assessment
from sojourn.runtime.records import Barred, Considered, Denial, Outcome, Settled

__all__ = ["denial_lines"]

_CAUSES: Final = frozenset({"denied", "exhausted"})


class _No(msgspec.Struct, frozen=True):
    """One denial of the journal, at an index."""

    index: int
    kind: Literal["effect", "execute", "step", "place", "move"]
    what: str
    zone_name: str
    reason: str
    at_ms: int | None = None
    version: int | None = None
    times: int = 1


def denial_lines(evidence: Evidence) -> Iterator[DenialLine]:
    """Yield what zones refused, which is certified; then, in the journal's order, what it tells of."""
    for chapter in evidence.verified.capsule.chapters:
        if chapter.refusal is not None:
            done = chapter.refusal
            line = f"denial-t{done.certificate.slot.term}"
            yield DenialLine(
                line=line,
                kind="admission",
                what="travel",
                zone_name=evidence.name_of(done.certificate.slot.group),
                reason=done.transition.reason,
                at_ms=done.transition.at_ms,
                version=done.record.version,
                documents=evidence.titles(done.record.governance.documents),
                times=1,
                proof=proving.by_transition(line, done),
            )
    for number, no in enumerate(_joined(_told(evidence)), 1):
        line = f"denial-{number}"
        yield DenialLine(
            line=line,
            kind=no.kind,
            what=no.what,
            zone_name=no.zone_name,
            reason=no.reason,
            at_ms=no.at_ms,
            version=no.version,
            documents=() if no.version is None else evidence.ruling_at(no.version),
            times=no.times,
            proof=proving.by_journal(line, evidence, no.index),
        )


def _told(evidence: Evidence) -> Iterator[_No]:
    ruled: set[tuple[int, bytes]] = set()
    for index, record in evidence.own_records():
        match record:
            case Denial():
                ruled.add((record.call, record.arguments))
                zone = evidence.name_of(record.zone)
                what = f"{record.action} by step {record.step}"
                yield _No(index, "effect", what, zone, record.reason, record.at_ms, record.version)
            case Barred():
                zone = evidence.name_of(record.zone)
                at_ms, version = record.at_ms, record.version
                yield _No(index, "execute", "execute", zone, record.reason, at_ms, version)
            case Outcome() if record.failure is not None and record.failure.cause in _CAUSES:
                if (record.call, record.arguments) in ruled:  # the gate's answer, told to the code
                    ruled.discard((record.call, record.arguments))
                else:
                    yield _No(index, "step", f"step {record.step}", "", record.failure.message)
            case Considered():
                yield from (_place(index, each) for each in record.places if not each.eligible)
            case Settled() if not record.moved and record.reason:
                yield _No(index, "move", "travel", evidence.name_of(record.zone), record.reason)


def _place(index: int, place: Assessment) -> _No:
    questions = (
        ("governance", place.governance),
        ("capability", place.capability),
        ("trust", place.trust),
    )
    against = [f"{name}: {'; '.join(f.reasons)}" for name, f in questions if not f.passes]
    what = "execute" if place.current else "travel"
    return _No(index, "place", what, place.name, " | ".join(against))


def _joined(told: Iterator[_No]) -> Iterator[_No]:
    """Yield denials; judgements of one place that say the same time after time become one, where the first stood."""
    found: list[_No] = []
    newest: dict[str, int] = {}
    for no in told:
        at = newest.get(no.zone_name) if no.kind == "place" else None
        if at is not None and (found[at].what, found[at].reason) == (no.what, no.reason):
            found[at] = msgspec.structs.replace(found[at], times=found[at].times + 1)
            continue
        if no.kind == "place":
            newest[no.zone_name] = len(found)
        found.append(no)
    return iter(found)
