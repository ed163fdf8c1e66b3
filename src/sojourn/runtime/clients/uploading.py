"""Storing blocks with an anchor that may lack some: a tree of any size, a few megabytes of it at a time.

An anchor takes a block when it has what the block links to. So the way leads down to what it lacks, some blocks of
a level at once, and back up: what is held meanwhile is one such part for each level, never a whole tree.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sojourn.core.agent.memory.blocks import BlockSource, MissingBlock, links, read_block
from sojourn.runtime.clients.drive import Bring

__all__ = ["Uploading"]

_AT_ONCE: Final = 64
"""Blocks of a level that are held at once: 4 MiB of the chunks of a large value."""
_TRIES: Final = 3
"""What was brought to hand may be dropped again before it is read, where others bring as well."""


@dataclass(slots=True)
class _Level:
    """Blocks that an anchor lacks, and those of them that are put once all below them is stored."""

    lacking: list[bytes]
    held: dict[bytes, bytes] = field(default_factory=dict)


class Uploading:
    """One upload to one anchor: `missing` says what it lacks, `put` stores blocks with it, in this order."""

    def __init__(
        self,
        missing: Callable[[Sequence[bytes]], Awaitable[list[bytes]]],
        put: Callable[[list[bytes]], Awaitable[int]],
        blocks: BlockSource,
        bring: Bring | None,
        *,
        batch_bytes: int,
    ) -> None:
        """Read from `blocks`, into which `bring`, if given, puts what is needed; put `batch_bytes` at once."""
        self._missing, self._put = missing, put
        self._blocks, self._bring = blocks, bring
        self._batch_bytes = batch_bytes
        self._known: set[bytes] = set()
        self._stored: set[bytes] = set()
        self._batch: list[bytes] = []
        self._size = 0

    async def run(self, roots: Iterable[bytes]) -> int:
        """Store all that is lacking under `roots`; return how many bytes that took. Raises `MissingBlock`."""
        total = 0
        way = [_Level(await self._lacking(roots))]
        while way:
            level = way[-1]
            if level.held:
                for named, data in level.held.items():
                    if named not in self._stored:  # two levels may share it
                        self._stored.add(named)
                        total += len(data)
                        await self._send(data)
                level.held = {}
            elif level.lacking:
                below = await self._hold_part(level)
                if below:
                    way.append(_Level(below))
            else:
                way.pop()
        await self._flush()
        return total

    async def _hold_part(self, level: _Level) -> list[bytes]:
        """Take the next blocks of a level in hand; return what the anchor lacks of those below them."""
        part, level.lacking = level.lacking[:_AT_ONCE], level.lacking[_AT_ONCE:]
        level.held = await self._read([named for named in part if named not in self._stored])
        return await self._lacking(below for data in level.held.values() for below in links(data))

    async def _lacking(self, digests: Iterable[bytes]) -> list[bytes]:
        """Return which of these the anchor lacks still; it is asked once for each."""
        wanted = [named for named in dict.fromkeys(digests) if named not in self._stored]
        unknown = [named for named in wanted if named not in self._known]
        if unknown:
            self._known.update(unknown)
            self._stored.update(set(unknown).difference(await self._missing(unknown)))
        return [named for named in wanted if named not in self._stored]

    async def _read(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        for tries_left in reversed(range(_TRIES)):
            if self._bring is not None:
                await self._bring(digests)
            try:
                return {named: read_block(self._blocks, named) for named in digests}
            except MissingBlock:
                if self._bring is None or not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _send(self, data: bytes) -> None:
        if self._batch and self._size + len(data) > self._batch_bytes:
            await self._flush()
        self._batch.append(data)
        self._size += len(data)

    async def _flush(self) -> None:
        """Put what is collected: it is stored before anything is that may link to it and is put later."""
        if self._batch:
            await self._put(self._batch)
            self._batch, self._size = [], 0
