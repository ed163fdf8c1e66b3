"""Steps in a queue of the host's, `@step(queue="gpu")`: an attempt begins only when the host lets it.

    agent's side    Enter ─► Done ─► the attempt ─► Leave
    host's side     a place with whoever has custody, until it is left, or the execution is over

No record tells of it: a replay knows no queues, and to wait changes timing alone. The place is asked for when the
gate has permitted the step, and right before the lease is looked at; it is had until the step's function or coroutine
has ended, also one that has timed out. So what a queue of one lets in is never beside another.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.base.errors import Rejected
from sojourn.runtime.ports import Custodian
from sojourn.runtime.questions import Answer, Done, Enter

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Line", "Place", "PlacesHeld"]

STANDING_MAX: Final = 64
"""Calls of one agent that wait at the host; further ones wait here, or they would be more questions than it takes."""
HELD_MAX: Final = 16_384
"""Places that one agent has at once, in queues that let in so many."""


class Line:
    """Calls of one session that want to enter queues, in their order; `STANDING_MAX` of them stand at the host."""

    def __init__(self) -> None:
        self._standing: set[Place] = set()
        self._waiting: deque[Place] = deque()

    def join(self, place: "Place") -> None:
        """Let a call ask for its place, as soon as there are not too many."""
        self._waiting.append(place)
        self._go_on()

    def part(self, place: "Place") -> None:
        """Let a call go, which has its place or wants it no more."""
        if place in self._standing:
            self._standing.remove(place)
        elif place in self._waiting:
            self._waiting.remove(place)
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and len(self._standing) < STANDING_MAX:
            place = self._waiting.popleft()
            self._standing.add(place)
            place.ask()


class Place:
    """The place of one call of a step, which holds it for one attempt at a time. Without a `queue` it has one."""

    def __init__(self, session: "Session", queue: str) -> None:
        self._session, self._queue = session, queue
        self._asked: int | None = None
        self._then: Callable[[], None] | None = None
        self._is_held = self._is_given_up = False

    @property
    def is_held(self) -> bool:
        """Whether an attempt may begin."""
        return self._is_held or not self._queue

    def take(self, then: Callable[[], None]) -> None:
        """Go on with `then` once the place is held; never, if it is given up."""
        if self._is_given_up:
            return
        if self.is_held:
            then()
        else:
            self._then = then
            self._session.line.join(self)

    def ask(self) -> None:
        """Stand at the host."""
        self._asked = self._session.ask(Enter, self._entered, queue=self._queue)

    def leave(self) -> None:
        """Give the place back, if it is held or waited for."""
        waits, self._then, self._is_held = self._then is not None, None, False
        asked, self._asked = self._asked, None
        if asked is not None:
            self._session.leave(asked)
        if waits:
            self._session.line.part(self)

    def give_up(self) -> None:
        """Want it no more: no attempt begins from now on."""
        self._is_given_up = True

    def _entered(self, answer: Answer) -> None:
        assert isinstance(answer, Done)
        then, self._then, self._is_held = self._then, None, True
        assert then is not None, "who leaves is not answered"
        self._session.line.part(self)
        then()


class PlacesHeld:
    """The host's side: the places of one execution, by the number of the question."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._coming: dict[int, asyncio.Task[Any] | None] = {}
        self._held: dict[int, Callable[[], None]] = {}

    async def enter(self, question: Enter) -> Done:
        """Wait for a place, which is held until it is left, or the execution is over.

        Raises `Rejected` for a number that has a place, and for too many.
        """
        asked = question.ask
        if asked in self._coming or asked in self._held:
            problem = f"question {asked} has a place in a queue already"
            raise Rejected(problem, reason="out-of-turn", where="frame")
        if len(self._held) >= HELD_MAX:
            problem = f"more than {HELD_MAX} places in queues at once"
            raise Rejected(problem, reason="too-many", where="frame")
        self._coming[asked] = asyncio.current_task()
        try:
            self._held[asked] = await self._custodian.enter(question.queue)
        finally:
            del self._coming[asked]
        return Done()

    def leave(self, asked: int) -> None:
        """Give a place back, or wait for it no more; nothing happens if there is none."""
        coming = self._coming.get(asked)
        if coming is not None:
            coming.cancel()
        give_back = self._held.pop(asked, None)
        if give_back is not None:
            give_back()

    def close(self) -> None:
        """Give all back: nothing of the agent's runs any more."""
        for asked in list(self._held):
            self.leave(asked)
