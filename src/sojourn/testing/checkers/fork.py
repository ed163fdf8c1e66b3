"""No fork (P1): one decision in each slot, one record of each version of an agent, and chains that hold together."""

from sojourn.core.agent.transition import TransitionKind
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]


def check(decisions: Decisions) -> list[Violation]:
    """Return where two values of one slot were decided, or two records of one version applied."""
    return [*_slots(decisions), *_applied(decisions), *_versions(decisions)]


def _slots(decisions: Decisions) -> list[Violation]:
    return [
        Violation(
            "no fork",
            f"{slot.describe()}: {_named(values)} are decided",
            slot.agent,
            slot.version,
        )
        for slot, values in decisions.decided.items()
        if len(values) > 1
    ]


def _applied(decisions: Decisions) -> list[Violation]:
    """Return what an honest anchor applied though no quorum can have decided it in this run."""
    begun = {fact.vote.ballot.slot for fact in decisions.history.cast}
    return [
        Violation(
            "no fork",
            f"{done.certificate.slot.describe()}: an undecided value is applied",
            done.certificate.slot.agent,
            done.certificate.slot.version,
        )
        for value, done in decisions.applied.items()
        if done.certificate.slot in begun
        and value not in decisions.decided.get(done.certificate.slot, {})
    ]


def _versions(decisions: Decisions) -> list[Violation]:
    """A refusal is no version of the agent: it says what does not follow."""
    known: dict[tuple[bytes, int], bytes] = {}
    found = []
    for done in decisions.applied.values():
        if done.transition.kind is TransitionKind.REFUSE:
            continue
        record = done.record
        key = (record.agent_id, record.version)
        if known.setdefault(key, record.digest) != record.digest:
            problem = f"two records of version {record.version}: {done.transition.kind} is one"
            found.append(Violation("no fork", problem, *key))
    return found


def _named(values: dict[bytes, float]) -> str:
    return " and ".join(sorted(value.hex()[:8] for value in values))
