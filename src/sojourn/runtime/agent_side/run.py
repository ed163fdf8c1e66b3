"""One run of an agent's code: from `run` being called to its leaving off, in drives."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from sojourn.runtime.agent_side.loop import new_loop

__all__ = ["Restarting", "Run", "idle_run"]

UNWINDING_DRIVES_MAX: Final = 8
"""How often code that is stopped is driven so that its `finally` blocks run."""


class Restarting(BaseException):
    """Unwinds `run`, which then begins anew with these arguments."""

    def __init__(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        super().__init__("run begins anew")
        self.arguments = (args, kwargs)


class Run:
    """Runs `code` on a loop of its own, as far as it comes in each drive."""

    def __init__(self, code: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self.loop = new_loop()
        self._task = self.loop.create_task(code())
        self._escaped: BaseException | None = None
        self.is_unwinding = False

    def drive(self) -> None:
        """Let the code run until it is at rest."""
        try:
            self.loop.drive()
        except BaseException as error:  # SystemExit in run is the agent's end and not the host's
            self._escaped = error

    @property
    def has_left_off(self) -> bool:
        """Whether the code has come to its end, good or bad."""
        return self._escaped is not None or self._task.done()

    @property
    def error(self) -> BaseException | None:
        """What the code raised, if it has left off by raising."""
        if self._escaped is not None:
            return self._escaped
        if self._task.cancelled():
            return asyncio.CancelledError("run was cancelled")
        return self._task.exception() if self._task.done() else None

    @property
    def result(self) -> Any:
        """What the code returned."""
        return self._task.result()

    def unwind(self) -> None:
        """Cancel the code, and let it run its `finally` blocks, in which nothing durable can be done."""
        self.is_unwinding = True
        for _ in range(UNWINDING_DRIVES_MAX):
            if not self.loop.cancel_all():
                break
            self.drive()


def idle_run() -> Run:
    """Return a run that is over: what a session has before its first."""
    run = Run(_do_nothing)
    run.drive()
    return run


async def _do_nothing() -> None:
    pass
