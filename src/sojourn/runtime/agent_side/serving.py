"""The agent's side from its first frame to its last: load the code, resume it, go on until the end."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress

from sojourn.core.base.errors import Misused, Unreachable
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.code import load_agent
from sojourn.runtime.agent_side.functions import Functions
from sojourn.runtime.agent_side.link import Link, Wait
from sojourn.runtime.agent_side.querying import answered
from sojourn.runtime.agent_side.session import Session
from sojourn.runtime.frames import Consult, FromHost, Go, History, Load, Loaded, Start, Unfit
from sojourn.runtime.processes.clock import wall_ms

__all__ = ["Server"]


class Server:
    """Serves one line: made on the agents' loop, fed through `link.feed`, done when `serve` returns.

    `load` finds the agent's class in its source, and `wait` is how the agents' thread waits for a block.
    """

    def __init__(
        self,
        transmit: Callable[[bytes], None],
        pool: Executor,
        *,
        now_ms: Callable[[], int] = wall_ms,
        load: Callable[[str, Mapping[str, bytes]], type[Agent]] = load_agent,
        wait: Wait = Future.result,
    ) -> None:
        self._frames: asyncio.Queue[FromHost | None] = asyncio.Queue()
        self.link = Link(transmit, self._frames.put_nowait, wait)
        self._pool = pool
        self._functions = Functions(pool)
        self._now_ms = now_ms
        self._load_agent = load

    async def serve(self) -> None:
        """Serve the line until it is closed."""
        form = await self._load()
        if form is not None and (session := await self._resume(form)) is not None:
            while await self._frames.get() is not None:
                pass
            session.stop()

    async def wait_until_still(self) -> None:
        """Wait until no step of the agent runs any more, after `serve` has returned."""
        await self._functions.end()

    async def _load(self) -> type[Agent] | None:
        """Load the code that the first frame brings, away from the loop: it may import much."""
        frame = await self._frames.get()
        if frame is None:
            return None
        assert isinstance(frame, Load)
        try:
            form = await asyncio.get_running_loop().run_in_executor(
                self._pool, self._load_agent, frame.entry, frame.source
            )
        except Misused as error:
            self.link.send(Unfit(problem=error.problem, remedy=error.remedy))
            return None
        self.link.send(Loaded())
        return form

    async def _resume(self, form: type[Agent]) -> Session | None:
        start = await self._frames.get()
        if isinstance(start, Consult):
            with suppress(Unreachable):  # nobody waits for it any more
                self.link.send(answered(form, start, self.link))
            return None
        if start is None:
            return None
        assert isinstance(start, Start)
        history: list[list[bytes]] = [[] for _ in start.resume.segments]
        while isinstance(frame := await self._frames.get(), History):
            history[frame.segment] += frame.records
        if not isinstance(frame, Go):
            return None
        session = Session(form, start, history, self.link, self._functions, self._now_ms)
        session.begin()
        return session
