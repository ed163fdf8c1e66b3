"""Nothing outside a lease (P4): no effect by a host, and no two hosts at once, once another may have been bound."""

from sojourn.core.agent.record import Fence
from sojourn.core.agent.transition import TransitionKind
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]

_FENCING = frozenset({TransitionKind.BIND, TransitionKind.ADMIT, TransitionKind.RETURN})
_Fences = dict[bytes, list[tuple[Fence, float]]]


def check(decisions: Decisions) -> list[Violation]:
    """Return what honest hosts did after a later fence of the agent was decided."""
    fences = _fences(decisions)
    return [*_effects(decisions, fences), *_acts(decisions, fences)]


def _fences(decisions: Decisions) -> _Fences:
    """Return the fences of each agent, and when they were decided."""
    found: _Fences = {}
    for values in decisions.decided.values():
        for value, at_ms in values.items():
            proposal = decisions.history.proposals.get(value)
            if proposal is not None and proposal.transition.kind in _FENCING:
                record = proposal.transition.record
                found.setdefault(record.agent_id, []).append((record.custody.fence, at_ms))
    return found


def _effects(decisions: Decisions, fences: _Fences) -> list[Violation]:
    return [
        Violation(
            "nothing outside a lease",
            f"{fact.key} under fence {fact.fence} at {fact.at_ms:.1f} ms, "
            f"fence {fence} decided at {at_ms:.1f} ms",
            fact.agent,
        )
        for fact in decisions.history.performed
        if fact.is_honest
        for fence, at_ms in fences.get(fact.agent, [])
        if fence > fact.fence and at_ms < fact.at_ms
    ]


def _acts(decisions: Decisions, fences: _Fences) -> list[Violation]:
    """A host that waits to hear of its agent's departure is not asked: another term is another zone's lease."""
    return [
        Violation(
            "nothing outside a lease",
            f"a host acts under fence {fact.fence} at {fact.at_ms:.1f} ms, "
            f"fence {fence} decided at {at_ms:.1f} ms",
            fact.agent,
        )
        for fact in decisions.history.acted
        if fact.is_honest
        for fence, at_ms in fences.get(fact.agent, [])
        if fence[0] == fact.fence[0] and fence > fact.fence and at_ms < fact.at_ms
    ]
