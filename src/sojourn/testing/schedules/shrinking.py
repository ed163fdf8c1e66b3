"""Shrinking: from a seed that breaks a promise to a small plan that still breaks it, and its transcript.

Whatever a plan can do without is taken out, until nothing can be: mishaps, liars and their lies, the length of the
storm, agents, zones, anchors, the weather, what agents like to do; last, each single message that the network lost,
repeated or kept. Where a smaller plan makes for another future, that is tried with some other luck, too, before it is
given up.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules.plan import Disturbed, Plan, draw
from sojourn.testing.schedules.profile import PROFILES
from sojourn.testing.schedules.running import Failure, run_plan
from sojourn.testing.schedules.transcript import focus_of, transcript

__all__ = ["WITHIN_S", "Shrunk", "shrink"]

WITHIN_S: Final = 45.0
"""How long a seed is shrunk for."""
_FOR_THE_PLAN: Final = 0.7
"""This part of it goes into a smaller plan, the rest into a shorter transcript."""
_LUCKS: Final = 3
_LUCKS_AT_LAST: Final = 16
_SIZES: Final = (1, 4, 7, 10)


T = TypeVar("T")


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a failing seed."""

    failure: Failure
    plan: Plan
    tries: int
    """So many plans were run on the way."""
    took_s: float
    transcript: tuple[str, ...]


def shrink(failure: Failure, *, within_s: float = WITHIN_S) -> Shrunk:
    """Return the smallest plan found in time that breaks the same promise as a failing seed.

    Two runs of one seed that differ cannot be shrunk: that no one run shows. Their transcript is empty.
    """
    shrinking = _Shrinking(failure, within_s)
    shrinking.shrink()
    return Shrunk(
        failure=failure,
        plan=shrinking.plan,
        tries=shrinking.tries,
        took_s=round(shrinking.took_s, 1),
        transcript=tuple(shrinking.shortest()),
    )


class _Shrinking:
    def __init__(self, failure: Failure, within_s: float) -> None:
        self._failure, self._within_s = failure, within_s
        self._profile = PROFILES[failure.profile]
        self._began_s = time.monotonic()
        self.plan = draw(failure.seed, self._profile)
        self.tries = 0

    @property
    def took_s(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began_s

    def shrink(self) -> None:
        """Take out of the plan what it can do without, until that is nothing or the time is up."""
        before = None
        while before != self.plan and not self._is_late:
            before = self.plan
            self._drop(before.mishaps, lambda rest: replace(self.plan, mishaps=rest))
            self._drop(before.liars, lambda rest: replace(self.plan, liars=rest))
            for part in (_events, _places, _lies, _weather, _wishes):
                self._lessen(part)
            self._name_disturbed()
            disturbed = self.plan.disturbed
            self._drop(disturbed, lambda rest: replace(self.plan, disturbed=rest))

    @property
    def _is_late(self) -> bool:
        return self.took_s > self._within_s * _FOR_THE_PLAN

    def _drop(self, things: tuple[T, ...], left: Callable[[tuple[T, ...]], Plan]) -> None:
        """Leave out all of some things that can be left out: first many at once, then one by one."""
        length = len(things)
        while length > 0 and not self._is_late:
            at = 0
            while at < len(things) and not self._is_late:
                rest = (*things[:at], *things[at + length :])
                if self._is_enough(left(rest), 1):
                    things = rest
                else:
                    at += length
            length //= 2

    def _lessen(self, part: Callable[[Plan], Iterator[Plan]]) -> None:
        """Take smaller plans of one kind for as long as there is one that will do."""
        while any(not self._is_late and self._is_enough(less, _LUCKS) for less in part(self.plan)):
            pass

    def _is_enough(self, candidate: Plan, lucks: int) -> bool:
        """Tell whether a smaller plan breaks the same promise, with some luck; if so, it is the plan."""
        for more in range(lucks):
            tried = replace(candidate, luck=candidate.luck + more)
            if self._breaks(tried):
                self.plan = tried
                return True
        return False

    def _name_disturbed(self) -> None:
        """Let the weather be good, and those messages fare badly that did: then each can be left out."""
        plan, failure = self.plan, self._failure
        if not (plan.loss or plan.repeat or plan.slow):
            return
        schedule, _ = run_plan(failure.seed, self._profile, plan, real=failure.is_real)
        disturbed = tuple(Disturbed(*each) for each in schedule.simulator.disturbed)
        named = replace(plan, loss=0.0, repeat=0.0, slow=0.0, disturbed=disturbed)
        self._is_enough(named, 1)

    def _breaks(self, plan: Plan) -> bool:
        self.tries += 1
        failure = self._failure
        _, found = run_plan(failure.seed, self._profile, plan, real=failure.is_real)
        return _first(found, failure) is not None

    def shortest(self) -> list[str]:
        """Return the transcript of the plan, with the luck that makes it shortest."""
        best: list[str] = []
        first = self.plan.luck
        for luck in range(first, first + _LUCKS_AT_LAST):
            if best and self.took_s > self._within_s:
                break
            plan = replace(self.plan, luck=luck)
            lines = self._told(plan)
            if lines and (not best or len(lines) < len(best)):
                best, self.plan = lines, plan
        return best

    def _told(self, plan: Plan) -> list[str]:
        failure = self._failure
        schedule, found = run_plan(
            failure.seed, self._profile, plan, real=failure.is_real, tells=True
        )
        broken = _first(found, failure)
        if broken is None:
            return []
        return transcript(schedule, [broken], focus_of(broken))


def _first(found: Sequence[Violation], failure: Failure) -> Violation | None:
    promise = failure.violations[0].promise
    return next((each for each in found if each.promise == promise), None)


# --- what can be less ---------------------------------------------------------------------------------


def _events(plan: Plan) -> Iterator[Plan]:
    for shorter in dict.fromkeys((plan.events // 2, plan.events * 4 // 5, plan.events - 5)):
        if 0 < shorter < plan.events:
            yield replace(plan, events=shorter)


def _places(plan: Plan) -> Iterator[Plan]:
    for agents in range(1, plan.agents):
        yield replace(plan, agents=agents)
    if plan.zones > 1:
        wishes = {wish: weight for wish, weight in plan.wishes.items() if wish != "travel"}
        yield replace(plan, zones=1, wishes=wishes)  # nowhere to go
    for zones in range(2, plan.zones):
        yield replace(plan, zones=zones)
    for size in _SIZES:
        if size < plan.size:
            smaller = replace(plan, size=size)
            if _beyond(smaller) <= _beyond(plan):  # liars that are too many prove nothing
                yield smaller


def _beyond(plan: Plan) -> int:
    """Return how many more anchors lie, in some zone, than it tolerates."""
    lying = Counter(x.zone for x in plan.liars if not x.is_host and x.index < plan.size)
    return max(0, max(lying.values(), default=0) - (plan.size - 1) // 3)


def _lies(plan: Plan) -> Iterator[Plan]:
    """Each liar without one of its lies."""
    for i, liar in enumerate(plan.liars):
        for lie in liar.lies if len(liar.lies) > 1 else ():
            fewer = replace(liar, lies=tuple(each for each in liar.lies if each != lie))
            yield replace(plan, liars=(*plan.liars[:i], fewer, *plan.liars[i + 1 :]))
    if plan.overhears:
        yield replace(plan, overhears=False)


def _weather(plan: Plan) -> Iterator[Plan]:
    if plan.drifts:
        yield replace(plan, drifts=False)
    for what in ("slow", "repeat", "loss"):
        if getattr(plan, what):
            yield replace(plan, **{what: 0.0})


def _wishes(plan: Plan) -> Iterator[Plan]:
    """Without what agents like to do, but for steps: in the calm each must make one."""
    for wish in plan.wishes:
        if wish != "step":
            rest = {each: weight for each, weight in plan.wishes.items() if each != wish}
            yield replace(plan, wishes=rest)
