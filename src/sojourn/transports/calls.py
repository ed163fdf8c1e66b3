"""The calls that one end has made and that have no answer yet."""

import asyncio
from collections import deque
from typing import Any

from sojourn.core.base.errors import SojournError, Unreachable
from sojourn.transports.frames import CORRELATION_MAX

__all__ = ["Calls"]


class Calls:
    """A bounded number of calls under way, each known by its correlation.

    A call takes a turn, is opened, and gives its turn back when it is answered: also when nobody
    waits for the answer any more, because the other end was at work until then.
    """

    def __init__(self, count: int) -> None:
        """Let `count` calls be under way at a time."""
        self._free = count
        self._turn_waiters: deque[asyncio.Future[None]] = deque()
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._last = 0

    @property
    def awaited(self) -> set[asyncio.Future[bytes]]:
        """The answers that somebody still waits for."""
        return {answer for answer in self._answers.values() if not answer.done()}

    async def take_turn(self) -> None:
        """Take a turn, in the order asked for. Raises `Unreachable` if `fail` comes first."""
        if self._free:
            self._free -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._turn_waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # The turn may have been handed over in the same turn of the loop as the cancellation.
            if not waiter.cancelled() and waiter.exception() is None:
                self.give_turn_back()
            raise

    def give_turn_back(self) -> None:
        """Hand a turn to the first who waits for one."""
        while self._turn_waiters:
            waiter = self._turn_waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def open(self) -> tuple[int, asyncio.Future[bytes]]:
        """Return an unused correlation and the answer to come. The caller has taken a turn."""
        correlation = self._last % CORRELATION_MAX + 1
        while correlation in self._answers:
            correlation = correlation % CORRELATION_MAX + 1
        self._last = correlation
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[correlation] = answer
        return correlation, answer

    def answer(self, correlation: int, result: bytes | SojournError) -> bool:
        """Give a call its answer. Returns whether there is such a call."""
        answer = self._answers.pop(correlation, None)
        if answer is None:
            return False
        self.give_turn_back()
        if not answer.done():
            if isinstance(result, SojournError):
                _raise_in(answer, result)
            else:
                answer.set_result(result)
        return True

    def fail(self, problem: str) -> None:
        """Raise `Unreachable` for every call, those that wait for a turn among them."""
        waiting: list[asyncio.Future[Any]] = [*self._turn_waiters, *self._answers.values()]
        self._turn_waiters.clear()
        self._answers.clear()
        for waiter in waiting:
            if not waiter.done():
                _raise_in(waiter, Unreachable(problem))


def _raise_in(waiter: asyncio.Future[Any], error: SojournError) -> None:
    waiter.set_exception(error)
    # Looked at here, because its caller may be cancelled before it looks; asyncio would complain.
    waiter.exception()
