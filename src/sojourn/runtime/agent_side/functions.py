"""The steps of one agent that are functions: each runs in a thread, which nobody can stop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any

__all__ = ["Functions"]


class Functions:
    """The functions that an agent has under way in the threads of `pool`, which other agents use as well."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._under_way: set[Future[Any]] = set()

    def begin(self, function: Callable[[], None]) -> None:
        """Have a function run, in the context of the caller."""
        future = self._pool.submit(copy_context().run, function)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)

    async def end(self) -> None:
        """Let none begin that waits for a thread, and wait for those that run.

        Only then may the agent run anew in this process: what runs on would act beside its own successor.
        """
        for future in list(self._under_way):
            future.cancel()
        if running := [asyncio.wrap_future(future) for future in list(self._under_way)]:
            await asyncio.wait(running)
