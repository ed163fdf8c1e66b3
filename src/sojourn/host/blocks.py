"""The blocks a host has at hand: a bounded cache of what its anchors store."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.base.digests import digest

__all__ = ["BlockCache"]

BYTES_MAX: Final = 512 * 1024 * 1024


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
