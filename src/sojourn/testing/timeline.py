"""Virtual time: what happens in a simulated world, one thing after another, chosen by a seed.

    ready callbacks ──► one loop, chosen by chance ──► all that it had ready, in its order
          ▲                                                        │
          └──── timers of the next instant ◄──── nothing is ready ─┘

Rules:

1. Time stands still while anything is ready, and then leaps to the next timer: nothing ever waits for real.
2. Within a loop callbacks run in the order they became ready, as asyncio promises. Which of several loops goes
   first is left to chance, that is to the seed.
3. A loop that is held up (a process that is paused, a thread that waits) keeps what is ready, and its timers
   run on: its clock goes on without it.
4. A loop that has ended drops everything, and whatever comes later.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any, Final, Protocol

from sojourn.testing.crew import Crew

__all__ = ["NS_PER_MS", "NS_PER_S", "Timeline", "Timer"]

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
_TURNS_MAX: Final = 200_000
"""Turns of loops without time going on. More means that something spins."""


class Runnable(Protocol):
    """Something with callbacks that are ready."""

    def run_ready(self) -> None:
        """Run what was ready when this was called."""

    @property
    def wants_turn(self) -> bool:
        """Whether something is ready and may run."""


Goal = tuple[Callable[[], bool], int]
"""When it is enough, and until when at most."""


def _never() -> bool:
    return False


class Timer:
    """Something to be done at an instant of the timeline, unless it is cancelled before."""

    __slots__ = ("_action", "_arguments")

    def __init__(self, action: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self._action: Callable[..., object] | None = action
        self._arguments = arguments

    @property
    def is_cancelled(self) -> bool:
        """Whether it will not be done."""
        return self._action is None

    def cancel(self) -> None:
        """Do not do it, if it is not done yet."""
        self._action, self._arguments = None, ()

    def fire(self) -> None:
        """Do it."""
        assert self._action is not None
        self._action(*self._arguments)


class Timeline:
    """The one order of everything in a world. Times are nanoseconds since it began."""

    def __init__(self, chance: random.Random) -> None:
        """Begin at 0; `chance` chooses who goes first."""
        self.now_ns = 0
        self.turns = 0
        self._chance = chance
        self._waiting: list[Runnable] = []
        self._timers: list[tuple[int, int, Timer]] = []
        self._numbers = itertools.count()
        self._turns_here = 0
        self._after_turn: list[Callable[[], object]] = []
        self._turn_of: Runnable | None = None
        self._goal: Goal = (_never, 0)
        self._is_met = False
        self.crew = Crew()

    @property
    def now_ms(self) -> float:
        """The time in milliseconds."""
        return self.now_ns / NS_PER_MS

    @property
    def is_still(self) -> bool:
        """Whether nothing is ready and nothing is timed: nothing will happen by itself any more."""
        return not self._waiting and all(timer.is_cancelled for _, _, timer in self._timers)

    def at(self, when_ns: int, action: Callable[..., object], *arguments: Any) -> Timer:
        """Do something at a time, or now if that is over."""
        timer = Timer(action, arguments)
        heapq.heappush(self._timers, (max(when_ns, self.now_ns), next(self._numbers), timer))
        return timer

    def after(self, delay_ns: int, action: Callable[..., object], *arguments: Any) -> Timer:
        """Do something after so many nanoseconds."""
        return self.at(self.now_ns + delay_ns, action, *arguments)

    def wants_turn(self, loop: Runnable) -> None:
        """Take note that a loop has something ready. It is not to be told twice before its turn."""
        self._waiting.append(loop)

    def after_turn(self, action: Callable[[], object]) -> None:
        """Do something when nobody's callback is running: at once, or after the turn that is under way."""
        if self._turn_of is not None:
            self._after_turn.append(action)
        else:
            action()

    def run(self, is_enough: Callable[[], bool], until_ns: int) -> bool:
        """Let things happen until it is enough, or until a time; tell whether it was enough.

        Raises `RuntimeError` when something spins without time going on.
        """
        self._goal = (is_enough, until_ns)
        self.crew.lead(self._go_on)
        return self._is_met

    def _go_on(self) -> None:
        """Go on towards the goal, on whatever thread; one that was replaced ends after its turn."""
        try:
            is_enough, until_ns = self._goal
            while not (met := is_enough()):
                if not self._waiting:
                    if not self._leap(until_ns):
                        met = is_enough()
                        break
                elif not self._take_turn():
                    return
        except BaseException as error:
            self.crew.finish(error)
        else:
            self._is_met = met
            self.crew.finish()

    def _take_turn(self) -> bool:
        """Let a loop have its turn; return False if another thread goes on in this one's place."""
        waiting = self._waiting
        index = int(self._chance.random() * len(waiting)) if len(waiting) > 1 else 0
        loop = waiting[index]
        waiting[index] = waiting[-1]
        waiting.pop()
        self._turns_here += 1
        if self._turns_here > _TURNS_MAX:
            raise RuntimeError(
                f"{_TURNS_MAX} turns at {self.now_ms} ms, and no end: something spins"
            )
        self.turns += 1
        self._turn_of = loop
        error: BaseException | None = None
        try:
            loop.run_ready()
        except BaseException as raised:
            error = raised
        if self.crew.was_replaced:
            self.crew.leave(error)
            return False
        self._end_turn()
        if error is not None:
            raise error
        return True

    def step_aside(self) -> None:
        """End the turn that is under way, and wait in the midst of it until `resume`: others go on."""
        self._end_turn()
        self.crew.step_aside(self._go_on)

    def _end_turn(self) -> None:
        loop, self._turn_of = self._turn_of, None
        if loop is not None and loop.wants_turn:
            self._waiting.append(loop)
        while self._after_turn:
            self._after_turn.pop(0)()

    def _leap(self, until_ns: int) -> bool:
        """Go on to the next instant at which there is something to do, but not beyond a time."""
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heapq.heappop(timers)
        if not timers or timers[0][0] > until_ns:
            self.now_ns = max(self.now_ns, until_ns)
            return False
        self.now_ns = timers[0][0]
        self._turns_here = 0
        while timers and timers[0][0] == self.now_ns:
            _, _, timer = heapq.heappop(timers)
            if not timer.is_cancelled:
                timer.fire()
        return True
