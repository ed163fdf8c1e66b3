"""Conditions that code waits for: looked at whenever the code comes to rest.

Between two rests only the code itself changes what it can see: its memory, and what it holds. So whether a
condition has come to hold is a function of the records handed to the code, and needs no record of its own.
"""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Final

from sojourn.core.base.errors import Misused

__all__ = ["Conditions"]

CONDITIONS_MAX: Final = 1_000
"""Each is looked at whenever the code comes to rest."""


class Conditions:
    """What the code of one loop waits for to hold."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], object], asyncio.Future[None]]] = []

    async def wait(self, holds: Any) -> None:
        """Wait until `holds()` is true; raises what it raises, and `Misused` for what is no condition."""
        if not callable(holds):
            problem = f"ctx.until was given {holds!r}, which cannot be called"
            raise Misused(problem, remedy='Write ctx.until(lambda: ctx.memory["x"]["done"])')
        if _is_true(holds):
            return
        if len(self._waiting) >= CONDITIONS_MAX:
            problem = f"run waits for {CONDITIONS_MAX} conditions already"
            raise Misused(problem, remedy="Wait for one that holds when any of them does")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (holds, future)
        self._waiting.append(entry)
        try:
            await future
        finally:
            self._waiting.remove(entry)

    def look(self) -> bool:
        """Look at all; tell whether some code may go on. On the loop, with nothing ready."""
        before = [entry for entry in self._waiting if not entry[1].done()]
        for holds, future in before:
            try:
                if _is_true(holds):
                    future.set_result(None)
            except Exception as error:  # it is the code's own, and goes to whoever waits
                future.set_exception(error)
        return any(future.done() for _, future in before)


def _is_true(holds: Callable[[], object]) -> bool:
    found = holds()
    if inspect.isawaitable(found):
        if inspect.iscoroutine(found):
            found.close()
        problem = "the condition of ctx.until has to be awaited"
        raise Misused(problem, remedy="Give it a plain function of memory and variables")
    return bool(found)
