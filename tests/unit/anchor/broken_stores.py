"""Stores that are slow or broken on purpose."""

import asyncio
from collections.abc import Sequence

from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Block, Change
from sojourn.stores.memory import MemoryStore

__all__ = ["DamagedStore", "FailingStore", "GatedStore"]


class GatedStore(MemoryStore):
    """Commits wait while its gate is closed; `waiting` is set when one does."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.waiting = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.commits: list[int] = []

    async def _commit(self, changes: Sequence[Change]) -> None:
        self.commits.append(len(changes))
        self.waiting.set()
        await self.gate.wait()
        await super()._commit(changes)


class FailingStore(MemoryStore):
    """Its disk is full from the moment it is told so."""

    is_full = False

    def _apply(self, changes: Sequence[Change]) -> None:
        if self.is_full:
            raise StoreFailed("the disk is full")
        super()._apply(changes)


class DamagedStore(MemoryStore):
    """One block of it reads back as other bytes until it is written anew."""

    def damage(self, named: bytes) -> None:
        """Flip a bit in a block."""
        block = self._blocks[named]
        self._blocks[named] = Block(block.codec, block.data[:-1] + bytes([block.data[-1] ^ 1]))
