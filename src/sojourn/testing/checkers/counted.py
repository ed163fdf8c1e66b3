"""Nothing is counted but what happened, and all that did (protocol §4, Trust): every decision, counted once more.

By its own reading of what happened, not by the product's: a return is a visa that its target did not honour; a bind
by another host breaks the lease of one that had taken the last step of an active agent.
"""

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.events import Events
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.custody import Certified
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]

_PROMISE = "counted"
_BY_ITS_HOST = frozenset(
    {
        TransitionKind.STEP,
        TransitionKind.ADOPT,
        TransitionKind.INTEND,
        TransitionKind.ASK,
        TransitionKind.SPAWN,
        TransitionKind.BIND,
        TransitionKind.ADMIT,
    }
)
_BY_EVIDENCE = frozenset({TransitionKind.ACCUSE, TransitionKind.FORGIVE})


def check(decisions: Decisions) -> list[Violation]:
    """Return decisions after which an agent counts something else than happened."""
    done = [
        each
        for each in decisions.applied.values()
        if each.transition.kind not in _BY_EVIDENCE | {TransitionKind.REFUSE}
    ]
    parents = {each.record.digest: each for each in decisions.applied.values()}
    found = []
    for each in done:
        parent = parents.get(each.transition.parent)
        if parent is None or _tallies(each.record) == _expected(each, parent):
            continue
        problem = f"version {each.record.version} ({each.transition.kind}) counts what did not happen, or less"
        found.append(Violation(_PROMISE, problem, each.record.agent_id, each.record.version))
    return found


def _expected(done: Certified, parent: Certified) -> dict[str, tuple[int, int]]:
    counts = _tallies(parent.record)
    before, kind = parent.record, done.transition.kind
    if kind is TransitionKind.RETURN and before.migration is not None:
        zone = before.migration.to_zone.hex()
        refused, broken = counts.get(zone, (0, 0))
        counts[zone] = refused + 1, broken
    was_at_work = (
        before.eligibility.status is Status.ACTIVE and parent.transition.kind in _BY_ITS_HOST
    )
    if kind is TransitionKind.BIND and was_at_work:
        zone = before.custody.zone.hex()
        refused, broken = counts.get(zone, (0, 0))
        if done.record.custody.host != before.custody.host:
            counts[zone] = refused, broken + 1
    return counts


def _tallies(record: AgentRecord) -> dict[str, tuple[int, int]]:
    """Return how often each zone refused, and broke a lease; a schedule is too short for more zones than fit."""
    counted: dict[str, Events] = record.trust.events
    return {zone: (known.refused, known.broken) for zone, known in counted.items()}
