"""Sagas: what was done is undone, in reverse, when what was to follow fails.

    body ─► ends: nothing is undone
        └► raises ─► each undo call in turn, the newest first ─► raises the same again, or `UndoFailed`

There is no record of a saga. Its undo calls are the code's own, made anew by every replay in the same order, and the
steps among them are as durable as any: so a saga goes on where its host died, and where its agent has moved to.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.run import Restarting
from sojourn.runtime.errors import UndoFailed

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Saga", "Sagas"]

P = ParamSpec("P")


class _Undo:
    """A call that undoes something; `segment` is that of `run` in which the code asked for it."""

    def __init__(self, name: str, call: Callable[[], Awaitable[object]], segment: int) -> None:
        self.name = name
        self.call = call
        self.segment = segment


class Saga:
    """What `ctx.saga()` gives: `async with ctx.saga() as saga`."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._undos: list[_Undo] = []
        self._undone: list[str] = []
        self._failed: list[tuple[str, Exception]] = []
        self._is_open = False

    def undo(
        self, call: Callable[P, Awaitable[object]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Have this called if the saga fails: `saga.undo(self.cancel, seat)`, once there is what it undoes.

        `call` is a step, or a coroutine function that calls steps. It is called in `run`, like all that is durable.
        Raises `Misused` for a saga that is over, and for what cannot be called.
        """
        self._session.check_in_run()
        given: object = call
        name = getattr(given, "__name__", type(given).__name__)
        if not self._is_open:
            raise Misused(
                f"saga.undo was given {name!r} outside its saga",
                remedy="Call it within `async with ctx.saga() as saga`, before that is left",
            )
        if not callable(given):
            problem = f"saga.undo was given {given!r}, which cannot be called"
            raise Misused(problem, remedy="Write saga.undo(self.cancel, seat): it is called later")
        segment = self._session.course.segment
        self._undos.append(_Undo(name, lambda: call(*args, **kwargs), segment))

    async def __aenter__(self) -> "Saga":
        """Begin it."""
        self._session.check_in_run()
        if self._is_open:
            raise Misused("a saga was entered twice", remedy="Ask ctx.saga() for another one")
        self._is_open = True
        self._session.sagas.open(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it: undo what was done, unless all went well. Raises `UndoFailed`."""
        try:
            if error is not None and not self._is_left_to_others(error):
                await self._undo_all(error)
        finally:
            self._is_open = False
            self._session.sagas.close(self)

    def _is_left_to_others(self, error: BaseException) -> bool:
        """Whether the code was merely dropped here, and another life goes on with the saga; or it begins anew."""
        session = self._session
        is_dropped = session.is_stopped or not session.loop.is_running()
        return is_dropped or isinstance(error, Restarting)

    async def _undo_all(self, error: BaseException) -> None:
        """Undo all, whoever cancels the code meanwhile; what fails holds up nothing that is left."""
        is_cancelled = False
        undoing = asyncio.ensure_future(self._undo_each())
        while not undoing.done():
            try:
                await asyncio.shield(undoing)
            except asyncio.CancelledError:
                is_cancelled = True
        undoing.result()
        if self._failed:
            raise UndoFailed(self._undone, self._failed, error) from error
        if is_cancelled:
            raise asyncio.CancelledError

    async def _undo_each(self) -> None:
        while self._undos:
            undo = self._undos.pop()
            try:
                await undo.call()
            except Exception as error:  # all that `run` may see: denied, failed, uncertain
                self._failed.append((undo.name, error))
            else:
                self._undone.append(undo.name)

    def forgets_at(self, segment: int) -> str | None:
        """Return what it could not undo any more if this segment and those behind it began anew."""
        return next((undo.name for undo in self._undos if undo.segment >= segment), None)


class Sagas:
    """The sagas that a run has open."""

    def __init__(self) -> None:
        self._open: list[Saga] = []

    def open(self, saga: Saga) -> None:
        """Note one that begins."""
        self._open.append(saga)

    def close(self, saga: Saga) -> None:
        """Forget one that is over."""
        self._open.remove(saga)

    def check_restart(self, segment: int, what: str) -> None:
        """Raise `Misused` for a restart point behind which a saga would not know what it has to undo."""
        for saga in self._open:
            name = saga.forgets_at(segment)
            if name is not None:
                raise Misused(
                    f"{what} came within a saga that has {name!r} to undo, which no replay would know of",
                    remedy="Let a saga begin and end within one turn, or around loops that undo nothing",
                )
