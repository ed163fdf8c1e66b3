"""Durable loops: `async for item in ctx.turns(items)`, with a restart point before every turn.

After a resume the code before the loop runs again, with its journaled records and the memory of its own
beginning; then memory becomes that of the turn, and the loop goes on at its turn. So what a turn assigns to a
local variable is gone after a resume, unless a later turn assigns it anew: what must survive belongs in memory.

A loop inside a turn of another is a plain loop, replayed with its turn.
"""

import sys
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sojourn.runtime.agent_side.compartments import Used
from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.records import Record, Turn

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Loops", "Turns", "endless"]

T = TypeVar("T")


class Turns(AsyncIterator[T]):
    """The iterator of a durable loop. `items` is None for an endless count from 0."""

    def __init__(self, session: "Session", items: Iterable[T] | AsyncIterable[T]) -> None:
        self._session = session
        self._items = _Items(items)
        self._turn = 0
        self._segment = 0
        self._used_before = Used(frozenset(), frozenset())

    async def __anext__(self) -> T:
        session = self._session
        if not self._segment and session.loops.are_in_another(self):
            return await self._advance()
        await session.listening.still("a restart point")
        if not self._segment:
            session.loops.enter(self)
            self._segment = session.course.segment + 1
            self._used_before = session.memory.used
            if session.is_resuming():
                return await self._resume()
        try:
            item = await self._advance()
        except StopAsyncIteration:
            await self._reach(None)
            session.loops.leave()
            raise
        await self._reach(self._turn)
        self._turn += 1
        return item

    async def _resume(self) -> T:
        """Go on at the turn, or behind the end, that the journal names."""
        session = self._session
        turn = session.course.turn_of(self._segment)
        if turn is None:
            session.enter_segment(self._segment)
            session.loops.leave()
            raise StopAsyncIteration
        try:
            with session.loops.iterating():
                await self._items.skip(turn)
            session.enter_segment(self._segment)
            self._turn = turn + 1
            return await self._advance()
        except StopAsyncIteration:
            raise session.miss_items(self._segment) from None

    async def _advance(self) -> T:
        with self._session.loops.iterating():
            return await self._items.advance()

    async def _reach(self, turn: int | None) -> None:
        reach = _Reach(self._session, self._segment, turn, self._used_before)
        await self._session.perform(reach)


class Loops:
    """Where the code of one run is as to durable loops.

    A loop that was left early is left when its iterator is gone, which is at once.
    """

    def __init__(self) -> None:
        self._active: weakref.ref[Turns[Any]] | None = None
        self.is_iterating = False

    def are_in_another(self, loop: Turns[Any]) -> bool:
        """Tell whether the code is in a turn of another loop."""
        active = self._active() if self._active is not None else None
        return active is not None and active is not loop

    def enter(self, loop: Turns[Any]) -> None:
        """The code enters a loop."""
        self._active = weakref.ref(loop)

    def leave(self) -> None:
        """The loop has come to its end."""
        self._active = None

    @contextmanager
    def iterating(self) -> Iterator[None]:
        """What a loop iterates over is being advanced: no durable calls meanwhile."""
        self.is_iterating = True
        try:
            yield
        finally:
            self.is_iterating = False


class _Reach(Operation):
    """The code has come to a restart point: before a turn, or behind a loop (None).

    What answers it stands before the restart point, so that no replay ever needs it.
    """

    is_sole = True

    def __init__(self, session: "Session", segment: int, turn: int | None, used: Used) -> None:
        session.sagas.check_restart(segment, "a restart point")
        super().__init__(session, session.next_sole_call("a restart point"))
        self._segment = segment
        self._turn = turn
        self._used = used

    def describe(self) -> str:
        """Return a line for people."""
        what = "the end" if self._turn is None else f"turn {self._turn}"
        return f"call {self.call}: {what} of loop {self._segment - 1}"

    def accepts(self, record: Record) -> bool:
        """Return False: a journal that goes on has another segment for it."""
        return False

    def deliver(self, record: Record) -> bool:
        """Put the restart point here and let the turn begin; in a new execution, if it has to forget."""
        session, memory = self.session, self.session.memory
        forgets = memory.begin_turn(self._used)
        session.course.begin_turn(self._segment, self._turn, memory.snapshot())
        if forgets or session.adoption.is_due:
            session.begin_anew()
        else:
            self.future.set_result(None)
        return True

    def begin(self) -> None:
        """Answer it at once: it is the rest that counts."""
        loop, turn = self._segment - 1, self._turn or 0
        self.answer(Turn(loop=loop, turn=turn, ended=self._turn is None))


class _Items(Generic[T]):
    """What a loop iterates over: a sequence by index, anything else one by one."""

    def __init__(self, items: Iterable[T] | AsyncIterable[T]) -> None:
        self._sequence: Sequence[T] | None = None
        self._iterator: Iterator[T] | AsyncIterator[T] | None = None
        self._index = 0
        if isinstance(items, Sequence):
            self._sequence = items
        elif isinstance(items, AsyncIterable):
            self._iterator = aiter(items)
        else:
            self._iterator = iter(items)

    async def advance(self) -> T:
        """Return the next item. Raises `StopAsyncIteration`."""
        if self._sequence is not None:
            if self._index >= len(self._sequence):
                raise StopAsyncIteration
            self._index += 1
            return self._sequence[self._index - 1]
        if isinstance(self._iterator, AsyncIterator):
            return await anext(self._iterator)
        assert self._iterator is not None
        for item in self._iterator:
            return item
        raise StopAsyncIteration

    async def skip(self, count: int) -> None:
        """Pass over items. Raises `StopAsyncIteration` if there are not so many."""
        if self._sequence is not None:
            if count > len(self._sequence):
                raise StopAsyncIteration
            self._index = count
            return
        for _ in range(count):
            await self.advance()


def endless() -> Sequence[int]:
    """Return a count from 0 that nobody will see the end of."""
    return range(sys.maxsize)
