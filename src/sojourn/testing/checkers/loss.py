"""No loss (P2): what was decided stays decided, every version follows from the one before, and memory is stored."""

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]


def check(decisions: Decisions) -> list[Violation]:
    """Return versions that do not follow from what was decided before them, and heads whose memory is gone."""
    return [*_chains(decisions), *_memory(decisions)]


def _chains(decisions: Decisions) -> list[Violation]:
    records: dict[tuple[bytes, int], AgentRecord] = {
        (done.record.agent_id, done.record.version): done.record
        for done in decisions.applied.values()
        if done.transition.kind is not TransitionKind.REFUSE
    }
    found = []
    for (agent, version), record in records.items():
        before = records.get((agent, version - 1))
        if before is not None and record.parent != before.digest:
            problem = f"version {version} does not follow from version {version - 1}"
            found.append(Violation("no loss", problem, agent, version))
    return found


def _memory(decisions: Decisions) -> list[Violation]:
    """An agent's newest head must have its memory with more anchors than may lie, or one liar could hold it back."""
    newest: dict[bytes, AgentRecord] = {}
    for fact in decisions.history.stood:
        if fact.head is None:
            continue
        known = newest.get(fact.agent)
        if known is None or fact.head.record.version > known.version:
            newest[fact.agent] = fact.head.record
    found = []
    for agent, record in newest.items():
        manifest = decisions.manifests[record.custody.zone]
        holders = sum(
            record.memory.journal in fact.blocks
            for fact in decisions.history.stood
            if (fact.zone, fact.agent) == (record.custody.zone, agent)
        )
        needed = manifest.committee.quorum - manifest.f - _retired(decisions, record.custody.zone)
        if any(record.memory.journal) and holders < max(1, needed):
            problem = (
                f"the memory of version {record.version} is stored {holders} times, {needed} needed"
            )
            found.append(Violation("no loss", problem, agent, record.version))
    return found


def _retired(decisions: Decisions, zone: bytes) -> int:
    """Return how many anchors of a zone have nothing to show at the end: liars, and those that were retired."""
    manifest = decisions.manifests[zone]
    standing = {fact.anchor for fact in decisions.history.stood if fact.zone == zone}
    return max(0, len(manifest.anchors) - len(standing) - manifest.f)
