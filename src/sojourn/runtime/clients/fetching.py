"""Reading blocks of a zone: from one anchor after another, of which some lack them and some may hang."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from sojourn.runtime.clients.drive import ended

__all__ = ["Fetching"]

PATIENCE_S: Final = 0.5
"""After so long without an answer the next anchor is asked as well: a reply of 2 MiB may take it on a slow line."""

Ask = Callable[[int, tuple[bytes, ...]], Awaitable[dict[bytes, bytes]]]
"""Asks an anchor for blocks, and returns by digest those that it gave: none if it did not answer."""


class Fetching:
    """Blocks that are wanted, those found so far, and the first anchor that gave some."""

    def __init__(self, digests: Collection[bytes], ask: Ask) -> None:
        self.found: dict[bytes, bytes] = {}
        self.giver: int | None = None
        self._wanted = tuple(dict.fromkeys(digests))
        self._ask = ask
        self._asked: set[asyncio.Task[None]] = set()

    async def run(self, anchors: Sequence[int]) -> None:
        """Ask these anchors in turn for what is lacking, until nothing is or all have answered."""
        try:
            for anchor in anchors:
                self._asked.add(asyncio.create_task(self._take_from(anchor)))
                await self._wait(PATIENCE_S)
                if not self._lacking:
                    return
            while self._asked and self._lacking:
                await self._wait(None)
        finally:
            await ended(self._asked)

    @property
    def _lacking(self) -> tuple[bytes, ...]:
        return tuple(named for named in self._wanted if named not in self.found)

    async def _take_from(self, anchor: int) -> None:
        given = await self._ask(anchor, self._lacking)
        if given and self.giver is None:
            self.giver = anchor
        self.found |= given

    async def _wait(self, timeout_s: float | None) -> None:
        """Wait until one that was asked has answered, or the time is up."""
        first = asyncio.FIRST_COMPLETED
        done, self._asked = await asyncio.wait(self._asked, timeout=timeout_s, return_when=first)
        for task in done:
            task.result()
