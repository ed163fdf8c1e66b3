"""Fan-out: many calls at once, so many at a time, and of several the first.

    map     each call in its turn, at most `at_once` under way; results in the order of the items
    race    all at once; the first that comes to an end gives the result, and the others are cancelled
    queue   a door that so many pass at once, or in a while; who came first passes first

Nothing of it is recorded: tasks of the agent's loop run in an order that is a function of the records handed to
them, so a replay makes the same calls in the same order.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.durations import milliseconds_of
from sojourn.runtime.agent_side.operations import WaitForTime
from sojourn.runtime.records import Now, Sleeping

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["AT_ONCE", "FanOut", "Queue"]

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE: Final = 64
"""Calls under way unless the author says otherwise: a batch of records. The host takes 256 questions at once."""
AT_ONCE_MAX: Final = 200
PASSES_MAX: Final = 100_000


class Queue:
    """What `ctx.queue(...)` gives: `async with queue:` around what is to be limited."""

    def __init__(self, session: "Session", at_once: int, rate: int | None, per_ms: int) -> None:
        self._session = session
        self._free = at_once
        self._rate, self._per_ms = rate, per_ms
        self._passed: deque[int] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._door = asyncio.Lock()

    async def __aenter__(self) -> "Queue":
        """Wait for its turn, behind all that came before."""
        self._session.check_in_run()
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._stand()
        try:
            if self._rate is not None:
                async with self._door:  # one by one, in the order in which they came
                    await self._pass(self._rate)
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the next one in."""
        self._leave()

    async def _stand(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was its turn already: somebody else's now
            else:
                self._waiting.remove(turn)
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _pass(self, rate: int) -> None:
        """Pass the door, once fewer than `rate` have in the last while."""
        session = self._session
        while True:
            now_ms = session.note(Now, lambda call: Now(call=call, at_ms=session.now_ms())).at_ms
            while self._passed and self._passed[0] <= now_ms - self._per_ms:
                self._passed.popleft()
            if len(self._passed) < rate:
                self._passed.append(now_ms)
                return
            until_ms = self._passed[0] + self._per_ms
            sleeping = session.note(Sleeping, partial(_sleeping, until_ms))
            await session.perform(WaitForTime(session, sleeping.call, sleeping.until_ms))


class FanOut:
    """The part of a context that does several things at once."""

    _session: "Session"

    @overload
    async def map(
        self, call: Callable[[T], Awaitable[R]], items: Iterable[T], *, at_once: int = AT_ONCE
    ) -> list[R]: ...
    @overload
    async def map(
        self,
        call: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        *,
        at_once: int = AT_ONCE,
        failures: Literal["collect"],
    ) -> list[R | Exception]: ...
    async def map(
        self,
        call: Callable[[T], Awaitable[R]],
        items: Iterable[T],
        *,
        at_once: int = AT_ONCE,
        failures: Literal["raise", "collect"] = "raise",
    ) -> Any:
        """Call `call` with each item, at most `at_once` (200) at a time; return the results in the items' order.

        `call` is a step, or a coroutine function that calls steps. The first that fails cancels the others, and is
        raised when they have ended; with `failures="collect"` what each raised stands in its place. `items` must be
        the same in every replay. Raises `Misused` for numbers and calls that make no sense.
        """
        self._session.check_in_run()
        if failures not in ("raise", "collect"):
            problem = f"ctx.map was given failures={failures!r}"
            raise Misused(problem, remedy='Use "raise" or "collect"')
        _check_count(at_once, AT_ONCE_MAX, "ctx.map was given at_once")
        given: Any = call
        if not callable(given):
            problem = f"ctx.map was given {call!r:.80}, which cannot be called"
            raise Misused(problem, remedy="Write ctx.map(self.fetch, urls)")
        try:
            todo = enumerate(items)
        except TypeError:
            problem = f"ctx.map was given {items!r:.80} for its items"
            raise Misused(problem, remedy="Give it a list of them") from None
        results: dict[int, Any] = {}

        async def work() -> None:
            for number, item in todo:
                try:
                    results[number] = await call(item)
                except Exception as error:
                    if failures == "raise":
                        raise
                    results[number] = error

        first = await _all_or_first([work() for _ in range(at_once)], is_over=_has_failed)
        if first is not None:
            first.result()
        return [results[number] for number in sorted(results)]

    async def race(self, *calls: Awaitable[T]) -> T:
        """Await several at once; return what the first to end returns, or raise what it raises.

        `await ctx.race(self.ask(1), self.ask(2), ctx.receive())`. Of two that end together the one named first
        counts. The others are cancelled, and have ended when it returns. Raises `Misused` for none.
        """
        self._session.check_in_run()
        if not calls:
            raise Misused("ctx.race was given nothing to await", remedy="Name what is to race")
        first = await _all_or_first(calls, is_over=lambda task: True)
        assert first is not None
        return first.result()

    def queue(self, at_once: int = AT_ONCE, *, rate: int | None = None, per: float = 1.0) -> Queue:
        """Return a queue: `async with queue:` lets so many in `at_once`, and so many, `rate`, within `per` seconds.

        Who came first goes in first, so nobody waits for ever. It is this run's own, and begins empty behind a
        restart point. Raises `Misused` for numbers that make no sense.
        """
        self._session.check_in_run()
        _check_count(at_once, PASSES_MAX, "ctx.queue was given at_once")
        if rate is not None:
            _check_count(rate, PASSES_MAX, "ctx.queue was given rate")
        return Queue(self._session, at_once, rate, milliseconds_of(per, what="ctx.queue"))


def _sleeping(until_ms: int, call: int) -> Sleeping:
    return Sleeping(call=call, until_ms=until_ms)


def _has_failed(task: "asyncio.Task[Any]") -> bool:
    return task.cancelled() or task.exception() is not None


async def _all_or_first(
    calls: Iterable[Awaitable[T]], *, is_over: "Callable[[asyncio.Task[T]], bool]"
) -> "asyncio.Task[T] | None":
    """Await all; or, once one has ended of which it `is_over`, cancel the others, await them, and return that one."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    pending = set(tasks)
    first: asyncio.Task[T] | None = None
    try:
        while pending and first is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            first = next((task for task in tasks if task in done and is_over(task)), None)
    except asyncio.CancelledError:
        await _ended([task for task in tasks if task in pending])
        raise
    await _ended([task for task in tasks if task in pending])
    return first


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks, in their order, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _check_count(value: Any, most: int, what: str) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise Misused(f"{what}={value!r}", remedy=f"Use a whole number from 1 to {most}")
