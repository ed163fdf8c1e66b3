"""An event loop for agents' code in which nothing happens by itself.

`run` and the tasks it starts are driven by one callback at a time, in the order they became ready, until none
is ready. Outside `drive` nothing of the agent runs. So what an agent does is a function of the results it is
given and of their order, both of which are in the journal: gather, wait and task groups replay exactly.

Time, files, sockets and threads are not there: they belong into steps, which run on the real loop.
"""

import asyncio
import sys
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context
from typing import Any, Final, NoReturn, TypeVar

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.conditions import Conditions

__all__ = ["AgentLoop", "new_loop"]

T = TypeVar("T")

CALLBACKS_MAX: Final = 1_000_000
"""Callbacks in one drive. More means that `run` spins, which would hold up every agent of the thread."""


class AgentLoop(asyncio.AbstractEventLoop):
    """Runs coroutines deterministically, and only while it is driven."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self.conditions = Conditions()
        # In the order they began, so that they are cancelled in the same order everywhere.
        self._tasks: weakref.WeakKeyDictionary[asyncio.Task[Any], None] = (
            weakref.WeakKeyDictionary()
        )

    def drive(self) -> None:
        """Run everything that is ready, and what that makes ready.

        Raises `Misused` when there is no end to it.
        """
        outer, hooks = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._close_generator)
        try:
            self._run_ready()
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)

    def _run_ready(self) -> None:
        ready = self._ready
        for _ in range(CALLBACKS_MAX):
            if not ready and not (self.conditions.look() and ready):
                return
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()
        raise Misused(
            f"run did not come to rest after {CALLBACKS_MAX} callbacks",
            remedy="Wait for a step, a message or ctx.sleep instead of polling",
        )

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        if self.is_running():  # else the code is gone, and its generators with it
            self.create_task(_aclose(generator))

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Make a callback ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """Return a new future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:  # type: ignore[override]
        """Return a task that runs `coro` when the loop is next driven."""
        task = asyncio.Task(coro, loop=self, **options)
        self._tasks[task] = None
        return task

    def cancel_all(self) -> bool:
        """Ask every task that is not done to cancel itself when next driven; tell whether there is any."""
        asked = [task.cancel() for task in list(self._tasks)]
        return any(asked)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore what nobody waits for, as a failed task that is dropped: there is no log to write to."""

    def get_debug(self) -> bool:
        """Return False."""
        return False

    def is_running(self) -> bool:
        """Tell whether it is being driven."""
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        """Return False: there is nothing to close."""
        return False


def new_loop() -> AgentLoop:
    """Return a loop on which nothing is ready."""
    return AgentLoop()  # type: ignore[abstract] # the rest of its methods refuse: see below


async def _aclose(generator: AsyncGenerator[Any, Any]) -> None:
    await generator.aclose()


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise Misused(
            f"run asked its event loop for {name}, which a replay could not repeat",
            remedy="Put I/O, threads and timeouts into a step; wait by ctx.sleep, ctx.receive and ctx.timeout",
        )

    return refuse


for _name in vars(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(AgentLoop):
        setattr(AgentLoop, _name, _refuse(_name))
