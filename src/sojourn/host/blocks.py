"""The blocks a host has at hand: a bounded cache of what its anchors store, and the way to fill it."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Unreachable
from sojourn.runtime.clients.zone_client import ZoneClient

__all__ = ["BlockCache", "HostBlocks"]

BYTES_MAX: Final = 128 * 1024 * 1024
"""A host is to have room for a hundred thousand sleepers in 512 MiB; what is dropped is fetched again."""
_FETCH_MAX: Final = 256

T = TypeVar("T")


class BlockCache:
    """Blocks by digest, the least recently used dropped first. Everything in it is verified."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        """Keep at most so many bytes."""
        self._blocks: OrderedDict[bytes, bytes] = OrderedDict()
        self._size, self._bytes_max = 0, bytes_max

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes. Raises `MissingBlock`."""
        data = self._blocks.get(named)
        if data is None:
            raise MissingBlock(named)
        self._blocks.move_to_end(named)
        return data

    def __contains__(self, named: object) -> bool:
        return named in self._blocks

    def add(self, blocks: Iterable[bytes]) -> set[bytes]:
        """Keep blocks under the digest of their bytes; return those digests."""
        added = set()
        for data in blocks:
            named = digest(data)
            added.add(named)
            if named not in self._blocks:
                self._size += len(data)
            self._blocks[named] = data
            self._blocks.move_to_end(named)
        while self._size > self._bytes_max:
            _, dropped = self._blocks.popitem(last=False)
            self._size -= len(dropped)
        return added


class HostBlocks(BlockCache):
    """The cache of a host, filled from its zone's anchors."""

    def __init__(self, zone: ZoneClient, bytes_max: int = BYTES_MAX) -> None:
        """Fetch from the anchors of `zone`."""
        super().__init__(bytes_max)
        self._zone = zone

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Bring blocks to hand. Raises `MissingBlock` for one that no anchor has, or none that answers."""
        wanted = list(dict.fromkeys(named for named in digests if named not in self))
        while wanted:
            try:
                found = self.add(await self._zone.fetch(wanted[:_FETCH_MAX]))
            except Unreachable:
                raise MissingBlock(wanted[0]) from None
            wanted = [named for named in wanted if named not in found]

    async def read(self, what: Callable[[], T]) -> T:
        """Return what `what` returns, fetching the blocks it misses on the way."""
        while True:
            try:
                return what()
            except MissingBlock as missing:
                await self.fetch([missing.digest])
