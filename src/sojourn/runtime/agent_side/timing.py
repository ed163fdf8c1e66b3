"""Time limits that last: `async with ctx.timeout(...)`, which counts through crashes and moves.

    entered ─► a sleep begins ─┬─ the body ends first ─► the sleep is given up
                               └─ time is up ─► the body is cancelled ─► `TimeoutError`

The limit is a sleep like any other, in the journal with the time at which it ends. So the body is cancelled at the
same point of the code in every replay, and a limit goes on where its agent has moved to.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.durations import milliseconds_of, milliseconds_until
from sojourn.runtime.agent_side.operations import WaitForTime
from sojourn.runtime.records import Sleeping

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Deadline", "TimeLimit", "Timeout", "deadline"]

Deadline = Callable[[], int]
"""When a wait that begins now ends, in milliseconds since 1970. Called live alone: the journal knows it else."""


def deadline(
    session: "Session", seconds: float | None, until: datetime | None, *, what: str
) -> Deadline:
    """Return when a wait of so many seconds, or until a time, ends. Raises `Misused` unless one is given."""
    if (seconds is None) == (until is None):
        problem = f"{what} was given {'no time' if until is None else 'two times'}"
        raise Misused(problem, remedy="Give it seconds, or until=, and not both")
    if until is not None:
        until_ms = milliseconds_until(until, what=what)
        return lambda: until_ms
    assert seconds is not None
    for_ms = milliseconds_of(seconds, what=what)
    return lambda: max(0, session.now_ms()) + for_ms


class TimeLimit(WaitForTime):
    """The sleep behind a time limit: nobody awaits it, and its end cancels the body."""

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: a time limit"


class Timeout:
    """What `ctx.timeout(...)` gives: `async with ctx.timeout(60) as limit`."""

    def __init__(self, session: "Session", ends: Deadline) -> None:
        self._session = session
        self._ends = ends
        self._owner: asyncio.Task[object] | None = None
        self._operation: TimeLimit | None = None
        self._cancelling = 0
        self._has_expired = False

    @property
    def has_expired(self) -> bool:
        """Whether time was up before the body had ended."""
        return self._has_expired

    @property
    def at(self) -> datetime:
        """When it ends (UTC). Raises `Misused` before it was entered."""
        if self._operation is None:
            raise Misused(
                "a time limit has no end before it begins", remedy="Use it in `async with`"
            )
        assert self._operation.until_ms is not None
        return datetime.fromtimestamp(self._operation.until_ms / 1000, UTC)

    async def __aenter__(self) -> "Timeout":
        """Begin to count."""
        session = self._session
        if self._operation is not None:
            raise Misused("a time limit was entered twice", remedy="Ask ctx.timeout for another")
        sleeping = session.note(Sleeping, lambda call: Sleeping(call=call, until_ms=self._ends()))
        self._owner = asyncio.current_task()
        assert self._owner is not None, "run is a task, and so is all that it starts"
        self._cancelling = self._owner.cancelling()
        self._operation = TimeLimit(session, sleeping.call, sleeping.until_ms)
        self._operation.future.add_done_callback(self._expire)
        session.calls.open(self._operation)
        return self

    def _expire(self, future: asyncio.Future[object]) -> None:
        if not future.cancelled() and self._owner is not None:
            self._has_expired = True
            self._owner.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it. Raises `TimeoutError` if the body was cancelled because its time was up."""
        assert self._operation is not None and self._owner is not None
        owner, self._owner = self._owner, None
        calls = self._session.calls
        if calls.has(self._operation):
            calls.let_go(self._operation)
        if not self._has_expired:
            return
        if owner.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
