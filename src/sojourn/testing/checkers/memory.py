"""Memory is the journal's replay (P7): every version's journal is the one before, with what the version says."""

from collections.abc import Callable

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]

_WRITING = frozenset(
    {
        TransitionKind.STEP,
        TransitionKind.ADOPT,
        TransitionKind.INTEND,
        TransitionKind.ASK,
        TransitionKind.SPAWN,
    }
)


def check(decisions: Decisions, replayed: Callable[[bytes, int], bytes]) -> list[Violation]:
    """Return versions whose memory is not what a replay arrives at.

    `replayed(root, version)` returns the journal's root after a step to `version` from a journal with `root`.
    """
    done = [
        each
        for each in decisions.applied.values()
        if each.transition.kind is not TransitionKind.REFUSE
    ]
    records: dict[tuple[bytes, int], AgentRecord] = {
        (each.record.agent_id, each.record.version): each.record for each in done
    }
    found = []
    for each in done:
        record = each.record
        before = records.get((record.agent_id, record.version - 1))
        if before is None:
            continue
        root = before.memory.journal
        expected = replayed(root, record.version) if each.transition.kind in _WRITING else root
        if record.memory.journal != expected:
            problem = f"version {record.version} ({each.transition.kind}) is not the replay of its journal"
            found.append(
                Violation("memory is the replay", problem, record.agent_id, record.version)
            )
    return found
