"""Connections that go on while something else has the main thread: a debugger, which asks for what people look at."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog

from sojourn.cli.versions import RemoteReader
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.record import AgentRecord

__all__ = ["Background", "BackgroundReader", "background"]

T = TypeVar("T")


class Background:
    """An event loop in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have work done on a loop that runs."""
        self._loop = loop

    def perform(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done there, and wait for it. Raises what it raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def background() -> Iterator[Background]:
    """Run an event loop beside this thread; what the transport logs is not for this terminal."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sojourn-background", daemon=True)
    thread.start()
    try:
        yield Background(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class BackgroundReader:
    """A record of an agent, and its blocks, which are fetched in the background when they are not at hand."""

    def __init__(self, reader: RemoteReader, behind: Background) -> None:
        """Read what `reader` reads, on the loop where its connections are."""
        self._reader, self._behind = reader, behind

    @property
    def record(self) -> AgentRecord:
        """The record."""
        return self._reader.record

    @property
    def blocks(self) -> "BackgroundReader":
        """All blocks."""
        return self

    def get(self, named: bytes) -> bytes:
        """Return a block, however long that takes. Raises `Unreachable` for one that no anchor has."""
        try:
            return self._reader.blocks.get(named)
        except MissingBlock:
            self._behind.perform(self._reader.fetch([named]))
            return self._reader.blocks.get(named)

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Bring blocks to hand."""
        for named in digests:
            self.get(named)
