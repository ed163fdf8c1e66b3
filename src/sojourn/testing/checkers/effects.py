"""No effect twice (P6): each key at most once, and only after its intent was decided."""

from collections import Counter

from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]


def check(decisions: Decisions) -> list[Violation]:
    """Return effects of honest hosts that happened twice, or without a decided intent."""
    history = decisions.history
    honest = [fact for fact in history.performed if fact.is_honest]
    times = Counter(fact.key for fact in honest)
    agents = {fact.key: fact.agent for fact in honest}
    found = [
        Violation("no effect twice", f"{key} happened {count} times", agents[key])
        for key, count in times.items()
        if count > 1
    ]
    intended = _intended(decisions)
    for fact in honest:
        decided_ms = intended.get(fact.key)
        if decided_ms is None or decided_ms > fact.at_ms:
            problem = f"{fact.key} happened without an intent"
            found.append(Violation("no effect twice", problem, fact.agent))
    return found


def _intended(decisions: Decisions) -> dict[str, float]:
    """Return when the intent of each key was decided."""
    found = {}
    for values in decisions.decided.values():
        for value, at_ms in values.items():
            proposal = decisions.history.proposals.get(value)
            if proposal is not None and proposal.evidence.intent is not None:
                found[proposal.evidence.intent.key] = at_ms
    return found
