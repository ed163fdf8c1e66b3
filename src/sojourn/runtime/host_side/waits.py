"""What an agent's side waits for, at the host's: a time, a message, a place; until it is forgotten."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from sojourn.runtime.ports import Custodian
from sojourn.runtime.questions import Answer, Done, Listen, Mail, Places, Seek, Sleep

if TYPE_CHECKING:
    from sojourn.runtime.frames import Open
    from sojourn.runtime.questions import Question

__all__ = ["Waits"]

T = TypeVar("T")
Waited: TypeAlias = Sleep | Listen | Seek


class Waits:
    """The waits of one execution, by the number of the question."""

    def __init__(self, custodian: Custodian) -> None:
        self._custodian = custodian
        self._under_way: dict[int, asyncio.Task[None]] = {}

    def begin(self, question: "Question | Open", task: asyncio.Task[None]) -> None:
        """Note the task that answers a question, if that waits."""
        if isinstance(question, Waited):
            self._under_way[question.ask] = task

    def forget(self, asked: int) -> None:
        """Answer this question no more; nothing happens if it is being answered, or was no wait."""
        task = self._under_way.pop(asked, None)
        if task is not None:
            task.cancel()

    async def answer(self, question: Waited) -> Answer:
        """Wait for what is asked, and return it; from then on it is too late to forget it."""
        custodian = self._custodian
        answer: Answer
        match question:
            case Sleep():
                await custodian.sleep_until(question.until_ms)
                answer = Done()
            case Listen():
                receiving = custodian.receive(
                    question.index, question.answers, question.asked or b"", calls=question.calls
                )
                cycle = None if question.asked is None else self._cycle(question, question.asked)
                message = await self._until(receiving, question.until_ms, cycle)
                is_over = message is None and bool(question.answers)
                waits = await custodian.waits(question.asked) if is_over else ""
                answer = Mail(message=message, waits=waits)
            case Seek():
                seeking = custodian.seek(question.sought)
                found = await self._until(seeking, question.until_ms)
                answer = Places(places=() if found is None else (found,))
        self._under_way.pop(question.ask, None)
        return answer

    async def _cycle(self, question: Listen, asked: bytes) -> None:
        """Wait until agents are known to wait for each other, and the question wants to know."""
        await self._custodian.sleep_until(question.cycles_ms)
        await self._custodian.cycle(asked)

    async def _until(
        self, coming: Awaitable[T], until_ms: int | None, ends: Awaitable[None] | None = None
    ) -> T | None:
        """Return what comes, or None when the time is up, or something else `ends` the wait."""
        if until_ms is None and ends is None:
            return await coming
        awaited = asyncio.ensure_future(coming)
        others = [] if ends is None else [asyncio.ensure_future(ends)]
        if until_ms is not None:
            others.append(asyncio.ensure_future(self._custodian.sleep_until(until_ms)))
        try:
            await asyncio.wait((awaited, *others), return_when=asyncio.FIRST_COMPLETED)
            if not awaited.done():
                _raise_failed(others)
            return awaited.result() if awaited.done() else None
        finally:
            for task in (awaited, *others):
                task.cancel()
            await asyncio.gather(awaited, *others, return_exceptions=True)


def _raise_failed(tasks: "Iterable[asyncio.Future[None]]") -> None:
    """Raise what a task has raised that has ended."""
    for task in tasks:
        if task.done():
            task.result()
