"""Nothing outside a lease (P4): no effect by a host once another fence may have been decided."""

from sojourn.core.agent.transition import TransitionKind
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]

_FENCING = frozenset({TransitionKind.BIND, TransitionKind.ADMIT, TransitionKind.RETURN})


def check(decisions: Decisions) -> list[Violation]:
    """Return effects of honest hosts that came after a later fence of the agent was decided."""
    fences: dict[bytes, list[tuple[tuple[int, int], float]]] = {}
    for values in decisions.decided.values():
        for value, at_ms in values.items():
            proposal = decisions.history.proposals.get(value)
            if proposal is not None and proposal.transition.kind in _FENCING:
                record = proposal.transition.record
                fences.setdefault(record.agent_id, []).append((record.custody.fence, at_ms))
    return [
        Violation(
            "nothing outside a lease",
            f"{fact.key} under fence {fact.fence} at {fact.at_ms:.1f} ms, "
            f"fence {fence} decided at {at_ms:.1f} ms",
        )
        for fact in decisions.history.performed
        if fact.is_honest
        for fence, at_ms in fences.get(fact.agent, [])
        if fence > fact.fence and at_ms < fact.at_ms
    ]
