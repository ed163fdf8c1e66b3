"""The family of an agent: who spawned it, up to the one that officers launched, and whom it spawned itself.

Its ancestors' spawns are in the capsule, proved from officers' seals on (`core.protocol.kinship`). A child is known
by the digest of its genesis, which is its identifier, and which the transition to spawn names. What became of it is
in its own capsule.
"""

from collections.abc import Iterator

from msgspec import UNSET

from sojourn.audit import proving
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import FamilyLine
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text

__all__ = ["family_lines"]


def family_lines(evidence: Evidence) -> Iterator[FamilyLine]:
    """Yield what it was forked from, its ancestors from the first on, and its children as far as they are shown."""
    yield from _origin(evidence)
    named = evidence.record.eligibility.ancestors
    parents = {each.shown.record.agent_id: each for each in evidence.verified.parents}
    for number, ancestor in enumerate(named):
        done, line = parents[ancestor.agent].shown, f"ancestor-{number}"
        yield FamilyLine(
            line=line,
            relation="ancestor",
            agent=cid_text(ancestor.agent),
            zone_name=evidence.name_of(done.record.custody.zone),
            version=done.record.version,
            at_ms=done.transition.at_ms,
            outlives=ancestor.outlives,
            is_suspended=ancestor.is_suspended,
            is_quarantined=ancestor.is_quarantined,
            proof=proving.by_transition(line, done),
        )
    for done in evidence.decided:
        if done.transition.kind is TransitionKind.SPAWN:
            line = f"child-v{done.record.version}"
            yield FamilyLine(
                line=line,
                relation="child",
                agent=cid_text(done.record.eligibility.last_decision or b""),
                zone_name=evidence.name_of(done.record.custody.zone),
                version=done.record.version,
                at_ms=done.transition.at_ms,
                proof=proving.by_transition(line, done),
            )


def _origin(evidence: Evidence) -> Iterator[FamilyLine]:
    fork, first = evidence.record.lineage.forked, evidence.verified.capsule.chapters[0]
    if fork is UNSET:
        return
    seals = first.warrant.genesis if first.warrant is not None else ()
    yield FamilyLine(
        line="origin",
        relation="origin",
        agent=cid_text(fork.agent),
        zone_name=evidence.name_of(first.opened.record.custody.zone),
        version=fork.version,
        at_ms=first.opened.transition.at_ms,
        authorised_by=tuple(seal.signer.hex() for seal in seals),
        proof=proving.by_transition("origin", first.opened),
    )
