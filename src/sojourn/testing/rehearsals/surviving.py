"""What an agent survives: its host killed, or itself sent on, at every point of its journal and of its children's.

It is rehearsed once undisturbed, and then once for each point, with a kill or a move there: of the host of whoever
comes to it. Each of these has to come to the same, and effects have to be had as their kinds promise (protocol §10):

    idempotent    as often as undisturbed, counted by key
    once          never more often than undisturbed; less often only where the agent was told `UncertainOutcome`
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sojourn.core.base.errors import Misused, SojournError
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.records import Outcome
from sojourn.testing.rehearsals.agent import Rehearsed
from sojourn.testing.rehearsals.rehearsing import Rehearsal, rehearse

__all__ = ["NotSurvived", "Survived", "survives_kills", "survives_moves"]

Same = Callable[[Rehearsal], Any]
Prepare = Callable[[Rehearsal], object]


class NotSurvived(AssertionError):
    """An agent did not come to the same when its host was killed, or it moved, at some point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What an agent came through: the points tried, in order, and at which of them an outcome was uncertain."""

    points: tuple[int, ...]
    uncertain: tuple[int, ...]


def survives_kills(
    agent: type[Agent] | str,
    *arguments: Any,
    prepare: Prepare = lambda _rehearsal: None,
    same: Same | None = None,
    check: Prepare = lambda _rehearsal: None,
    at: Iterable[int] | None = None,
    **options: Any,
) -> Survived:
    """Rehearse an agent with its host killed at every point of its journal (or those in `at`), one by one.

    `arguments` and `options` are those of `rehearse`. `prepare` makes each rehearsal ready: stand-ins, messages,
    approvals. `same` returns what has to be the same as undisturbed: how `run` ended and all memory, of the agent and
    of each child, if it is not given. Where an outcome was uncertain that is left out: what the agent makes of it is
    its own matter, and `check`, which is called at the end of each rehearsal, can look at it.

    Raises `NotSurvived` with the point, what lay there, and how to have it again; and what `check` raises.
    """
    return _survives("kill_at", agent, arguments, prepare, same, check, at, options)


def survives_moves(
    agent: type[Agent] | str,
    *arguments: Any,
    prepare: Prepare = lambda _rehearsal: None,
    same: Same | None = None,
    check: Prepare = lambda _rehearsal: None,
    at: Iterable[int] | None = None,
    **options: Any,
) -> Survived:
    """Do the same with the agent going on in the next of its places from each point, its host there killed.

    Raises `Misused` without a second place.
    """
    if len(options.get("places", (1, 2))) == 1:
        problem = "an agent with one place cannot move"
        raise Misused(problem, remedy="Give two: places=[Place('home'), Place('elsewhere')]")
    return _survives("move_at", agent, arguments, prepare, same, check, at, options)


def _survives(
    how: Literal["kill_at", "move_at"],
    agent: type[Agent] | str,
    arguments: tuple[Any, ...],
    prepare: Prepare,
    same: Same | None,
    check: Prepare,
    at: Iterable[int] | None,
    options: dict[str, Any],
) -> Survived:
    look = _ending if same is None else same

    def play(**disturbed: Any) -> tuple[Rehearsal, Any]:
        rehearsal = rehearse(agent, *arguments, **options, **disturbed)
        prepare(rehearsal)
        found = look(rehearsal.run())
        check(rehearsal)
        return rehearsal, found

    undisturbed, expected = play()
    count = len(undisturbed.points)
    points = tuple(range(count)) if at is None else tuple(at)
    if beyond := [point for point in points if not 0 <= point < count]:
        problem = f"there is no point {beyond[0]}: this agent comes through {count}"
        raise Misused(problem, remedy="See rehearsal.points")
    uncertain = []
    for point in points:
        where = f"{how}={point} ({undisturbed.points[point]})"
        try:
            rehearsal, found = play(**{how: point})
        except (SojournError, AssertionError) as error:
            error.add_note(f"in the rehearsal with {where}")
            raise
        is_uncertain = _is_uncertain(rehearsal)
        if is_uncertain:
            uncertain.append(point)
        elif found != expected:
            problem = f"it came to {found!r}, and undisturbed to {expected!r}"
            raise NotSurvived(f"with {where}: {problem}")
        _check_effects(where, undisturbed, rehearsal, is_uncertain=is_uncertain)
    return Survived(points=points, uncertain=tuple(uncertain))


def _ending(rehearsal: Rehearsal) -> Any:
    """Return how `run` ended, and all memory; for an agent that waits, that and what it waits for.

    Of a family that of each, children by what they are, since which of them is born first may be left to chance.
    """
    first, *children = map(_ending_of, rehearsal.family)
    return (first, *sorted(children, key=repr)) if children else first


def _ending_of(agent: Rehearsed) -> Any:
    ended = agent.outcome if agent.has_ended else str(agent.record.eligibility.wake)
    memory = {name: agent.memory(name) for name in agent.compartments}
    return (agent.record.capabilities.entry, ended, memory) if agent.name else (ended, memory)


def _is_uncertain(rehearsal: Rehearsal) -> bool:
    records = (each for agent in rehearsal.family for each in agent.journal())
    outcomes = (each for each in records if isinstance(each, Outcome))
    return any(each.failure is not None and each.failure.cause == "uncertain" for each in outcomes)


def _check_effects(
    where: str, undisturbed: Rehearsal, rehearsal: Rehearsal, *, is_uncertain: bool
) -> None:
    """Check that effects were had as often as they may be."""
    for effect in ("idempotent", "once"):
        expected, found = undisturbed.ledger.counts(effect), rehearsal.ledger.counts(effect)
        if is_uncertain:  # what it does then is its own matter, but not what it must not do again
            too_often = found - expected if effect == "once" else Counter[str]()
            is_kept = not (too_often.keys() & expected.keys())
        else:
            is_kept = expected == found
        if not is_kept:
            problem = f"effects {effect!r} were had {dict(found)}, and undisturbed {dict(expected)}"
            raise NotSurvived(f"with {where}: {problem}")
