"""A store in memory: for tests and for the simulator. Nothing in it outlives the process.

To break one on purpose, derive a class with a name that says how, and override `_apply`:

    class FullDisk(MemoryStore):
        def _apply(self, changes):
            raise StoreFailed("the disk is full")
"""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Collection, Sequence
from heapq import nsmallest
from typing import Self

from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import (
    Block,
    Change,
    Delete,
    DeleteBlock,
    Put,
    PutBlock,
    RowPlace,
    Store,
    merge_codecs,
    row_mark,
)

__all__ = ["MemoryStore"]


class _Table:
    """Rows by key, and the keys in order."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []

    def put(self, key: bytes, value: bytes) -> None:
        if key not in self.rows:
            insort(self.keys, key)
        self.rows[key] = value

    def delete(self, key: bytes) -> None:
        if self.rows.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]


_EMPTY = _Table()


class MemoryStore(Store):
    """Rows and blocks in dictionaries. A commit takes effect after one turn of the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[str, _Table] = {}
        self._blocks: dict[bytes, Block] = {}

    def reopened(self) -> Self:
        """Return what a restarted process finds: a store with all that was committed to this one.

        This one serves nothing any more; commits that were under way in it are lost.
        """
        self._fail(StoreFailed("the process that owned this store has ended"))
        successor = type(self)()
        successor._tables, successor._blocks = self._tables, self._blocks
        return successor

    def _get(self, table: str, key: bytes) -> bytes | None:
        return self._tables.get(table, _EMPTY).rows.get(key)

    def _scan(
        self, table: str, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        found = self._tables.get(table, _EMPTY)
        start = bisect_left(found.keys, max(prefix, after + b"\0"))
        keys = found.keys[start : start + limit]
        return [(key, found.rows[key]) for key in keys if key.startswith(prefix)]

    def _marks(self, table: str, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        rows = self._scan(table, b"", after, limit)
        return [(key, row_mark(table, key, value)) for key, value in rows]

    def _check_rows(self, after: RowPlace | None, limit: int) -> RowPlace | None:
        """There is no disk that they could be damaged on."""
        return None

    def _count(self, table: str) -> int:
        return len(self._tables.get(table, _EMPTY).rows)

    def _get_block(self, digest: bytes) -> Block | None:
        return self._blocks.get(digest)

    def _present_blocks(self, digests: Collection[bytes]) -> Collection[bytes]:
        return self._blocks.keys()

    def _block_names(self, after: bytes, limit: int) -> list[bytes]:
        return nsmallest(limit, (named for named in self._blocks if named > after))

    async def _commit(self, changes: Sequence[Change]) -> None:
        ordered = tuple(changes)
        await asyncio.sleep(0)
        if self._failure is not None:
            raise self._fail(self._failure)
        try:
            self._apply(ordered)
        except StoreFailed as failure:
            raise self._fail(failure) from None

    def _apply(self, changes: Sequence[Change]) -> None:
        """Make the changes. This is the place to override for a store that is broken on purpose."""
        for change in changes:
            match change:
                case Put(table, key, value):
                    self._tables.setdefault(table, _Table()).put(key, value)
                case Delete(table, key):
                    self._tables.get(table, _EMPTY).delete(key)
                case PutBlock(digest, codec, data):
                    stored = self._blocks.get(digest)
                    codec = merge_codecs(stored.codec, codec) if stored else codec
                    self._blocks[digest] = Block(codec, data)
                case DeleteBlock(digest):
                    self._blocks.pop(digest, None)

    def _close(self) -> None:
        """There is nothing to let go of."""
