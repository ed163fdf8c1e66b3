"""Where the agent was, and where its data was, from when to when, under which law."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import msgspec

from sojourn.audit import proving
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import CoverageLine, HoldingLine, LabelLine, StayLine
from sojourn.core.agent.memory.field import Compartment, may_reside
from sojourn.core.base.digests import cid_text
from sojourn.core.protocol.admission import memory_in
from sojourn.core.protocol.custody import Certified

__all__ = ["coverage_lines", "holding_lines", "label_lines", "stay_lines"]

How = Literal["with-agent", "left-behind", "offered"]


def stay_lines(evidence: Evidence) -> Iterator[StayLine]:
    """Yield one line for each term of custody."""
    for number, chapter in enumerate(evidence.verified.capsule.chapters, 1):
        custody, closed = chapter.opened.record.custody, chapter.closed
        manifest = evidence.manifests[custody.zone]
        at = manifest.attributes
        migration = closed.record.migration if closed else None
        line = f"stay-{number}"
        yield StayLine(
            line=line,
            term=custody.term,
            zone=cid_text(custody.zone),
            zone_name=manifest.name,
            provider=at.provider,
            region=at.region,
            country=at.country,
            jurisdiction=at.jurisdiction,
            opened_by=str(chapter.opened.transition.kind),
            from_ms=chapter.opened.transition.at_ms,
            until_ms=closed.transition.at_ms if closed else None,
            left_for=evidence.name_of(migration.to_zone) if migration else "",
            proof=proving.by_transition(line, chapter.opened),
        )


def coverage_lines(evidence: Evidence) -> Iterator[CoverageLine]:
    """Yield, for each term, how many of its versions are shown."""
    chapters = evidence.verified.capsule.chapters
    shown = evidence.versions
    for number, chapter in enumerate(chapters, 1):
        first = chapter.opened.record.version
        last = (chapter.closed or evidence.head).record.version
        count = bisect_right(shown, last) - bisect_left(shown, first)
        line = f"coverage-{number}"
        yield CoverageLine(
            line=line,
            term=chapter.opened.record.custody.term,
            zone_name=evidence.name_of(chapter.opened.record.custody.zone),
            from_version=first,
            to_version=last,
            shown=count,
            is_whole=count == last - first + 1,
            proof=proving.by_capsule(line, evidence),
        )


# --- data --------------------------------------------------------------------------------------------


class _Held(msgspec.Struct, frozen=True):
    """A compartment somewhere, since a transition, until another (None: still)."""

    name: str
    compartment: Compartment
    how: How
    zone: bytes
    since: Certified
    until: Certified | None = None


def holding_lines(evidence: Evidence) -> Iterator[HoldingLine]:
    """Yield where each compartment was, in the order in which it came there."""
    for number, held in enumerate(_holdings(evidence), 1):
        manifest = evidence.manifests.get(held.zone)
        jurisdiction = manifest.attributes.jurisdiction if manifest else ()
        line = f"holding-{number}"
        yield HoldingLine(
            line=line,
            compartment=held.name,
            labels=held.compartment.labels,
            residency=held.compartment.residency,
            how=held.how,
            zone=cid_text(held.zone),
            zone_name=evidence.name_of(held.zone),
            jurisdiction=jurisdiction,
            is_within=may_reside(held.compartment, jurisdiction),
            from_ms=held.since.transition.at_ms,
            until_ms=held.until.transition.at_ms if held.until else None,
            proof=proving.by_transition(line, held.since),
        )


def _holdings(evidence: Evidence) -> list[_Held]:
    """Return all holdings: one ends where a later transition has the compartment elsewhere, or otherwise."""
    done: list[_Held] = []
    current: dict[str, _Held] = {}
    for item in evidence.decided:
        for name, compartment in sorted(item.record.memory.compartments.items()):
            held = _held(item, name, compartment)
            before = current.get(name)
            if before is not None and _is_same(before, held):
                continue
            if before is not None:
                done.append(msgspec.structs.replace(before, until=item))
            current[name] = held
    done += [*current.values(), *_offered(evidence)]
    return sorted(done, key=lambda held: (held.since.record.version, held.name, held.how))


def _held(item: Certified, name: str, compartment: Compartment) -> _Held:
    here = item.record.custody.zone
    holder = compartment.held_by or here
    how: How = "with-agent" if holder == here else "left-behind"
    return _Held(name, compartment, how, holder, item)


def _is_same(before: _Held, after: _Held) -> bool:
    kept = ("labels", "residency")
    same = all(getattr(before.compartment, k) == getattr(after.compartment, k) for k in kept)
    return same and (before.zone, before.how) == (after.zone, after.how)


def _offered(evidence: Evidence) -> Iterator[_Held]:
    """Yield what may have been copied ahead to zones that then refused the agent (protocol §5, step 0)."""
    for before, chapter in pairwise(evidence.verified.capsule.chapters):
        refusal, gone = chapter.refusal, before.closed
        if refusal is None or gone is None:
            continue
        target = evidence.manifests[refusal.certificate.slot.group]
        compartments = gone.record.memory.compartments
        for name, after in sorted(memory_in(gone.record, target).compartments.items()):
            if after.held_by is None and compartments[name].held_by is None:
                yield _Held(name, after, "offered", target.zone_id, gone, refusal)


def label_lines(holdings: tuple[HoldingLine, ...]) -> Iterator[LabelLine]:
    """Yield, for each label, all zones and jurisdictions where its data was, or may have been copied to."""
    labels = sorted({label for held in holdings for label in held.labels})
    for number, label in enumerate(labels, 1):
        mine = [held for held in holdings if label in held.labels]
        line = f"label-{number}"
        yield LabelLine(
            line=line,
            label=label,
            compartments=tuple(sorted({held.compartment for held in mine})),
            zone_names=tuple(dict.fromkeys(held.zone_name for held in mine)),
            jurisdictions=tuple(sorted({law for held in mine for law in held.jurisdiction})),
            proof=proving.by_lines(line, tuple(held.line for held in mine)),
        )
