"""The disks of simulated anchors: what is written is there when it was made durable, and not before.

A commit is durable, and visible, when a sync has ended that began after it was asked for; commits that wait for
the same sync share it. A process that dies takes with it what was not durable; of the commits that were on
their way to the disk, some of the first may be there all the same (a commit is atomic, so none is there in
part). What else befalls disks:

    fill, make_room     writing fails, and with it the process (protocol §13); room is made by the operator
    fail_sync           the next sync fails: what it was to make durable may be there or not
    copy, put_back      an old copy of the disk is restored (trap 7)
    damage_row          a row is not what was written: found when the store is opened, as the SQLite store does
    damage_block        a block is not what was written: found when it is read
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Block, Change, Put
from sojourn.stores.memory import MemoryStore
from sojourn.testing.timeline import NS_PER_MS, Timeline

__all__ = ["Disk", "DiskCopy", "DiskStore"]

_SYNC_NS_MIN: Final = NS_PER_MS // 5
_SYNC_NS_MAX: Final = 2 * NS_PER_MS
Rows = dict[str, dict[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class DiskCopy:
    """All that was durable on a disk at some moment."""

    rows: Rows
    blocks: dict[bytes, Block]


@dataclass(slots=True, eq=False)
class _Commit:
    changes: Sequence[Change]
    done: "asyncio.Future[None]"


@dataclass(eq=False)
class Disk:
    """One anchor's disk: it outlives the anchor's processes.

    `on_row` is told of every row that is written: of which table, under which key.
    """

    timeline: Timeline
    chance: random.Random
    on_row: Callable[[str, bytes], None] = lambda _table, _key: None
    slowness: float = 1.0
    """How many times as long as usual a sync takes."""
    is_full: bool = False
    _sync_fails: bool = False
    _store: "DiskStore | None" = None
    _kept: DiskCopy = field(default_factory=lambda: DiskCopy({}, {}))
    _bad_rows: set[tuple[str, bytes]] = field(default_factory=set)

    def open(self) -> "DiskStore":
        """Return the store on this disk, for a process that has just started. Raises `StoreFailed` for damage."""
        assert self._store is None, "one process at a time uses a disk"
        if self._bad_rows:
            table, key = min(self._bad_rows)
            raise StoreFailed(
                f"row {key.hex()[:16]} of {table!r} is damaged",
                remedy="Restore the newest copy of the store",
            )
        self._store = DiskStore(self)
        self._store.fill_from(self._kept)
        return self._store

    def crash(self) -> None:
        """Lose what is not durable, but for some of the first of what was being written."""
        if self._store is not None:
            store, self._store = self._store, None
            store.lose(self.chance)
            self._kept = store.content()

    @property
    def row_count(self) -> int:
        """How many rows are durable here."""
        return sum(len(rows) for rows in self.copy().rows.values())

    def rows(self, table: str) -> list[tuple[bytes, bytes]]:
        """Return the durable rows of a table, by their keys."""
        return sorted(self._content().rows.get(table, {}).items())

    def row(self, table: str, key: bytes) -> bytes | None:
        """Return a durable row."""
        if self._store is not None:
            return self._store._get(table, key)
        return self._kept.rows.get(table, {}).get(key)

    def block(self, named: bytes) -> bytes | None:
        """Return a durable block's bytes, as they are."""
        found = self._store._get_block(named) if self._store else self._kept.blocks.get(named)
        return found.data if found else None

    def _content(self) -> DiskCopy:
        return self._store.content() if self._store is not None else self._kept

    # --- what befalls it ------------------------------------------------------------------------------

    def fill(self) -> None:
        """Have no room: whatever is written fails."""
        self.is_full = True

    def make_room(self) -> None:
        """Have room again."""
        self.is_full = False

    def fail_sync(self) -> None:
        """Fail when something is next to be made durable."""
        self._sync_fails = True

    def repair(self) -> None:
        """Have room, be as fast as usual, and fail no more. A store that has failed stays so."""
        self.is_full = self._sync_fails = False
        self.slowness = 1.0

    @property
    def has_failed(self) -> bool:
        """Whether the store of the process that uses this disk has failed."""
        return self._store is not None and self._store.failed is not None

    def copy(self) -> DiskCopy:
        """Return a copy of all that is durable."""
        content = self._content()
        rows = {table: dict(rows) for table, rows in content.rows.items()}
        return DiskCopy(rows, dict(content.blocks))

    def put_back(self, copy: DiskCopy) -> None:
        """Be as an earlier copy was; nobody uses the disk meanwhile."""
        assert self._store is None, "the process that uses this disk is to be killed first"
        rows = {table: dict(rows) for table, rows in copy.rows.items()}
        self._kept = DiskCopy(rows, dict(copy.blocks))
        self._bad_rows.clear()

    def damage_row(self, table: str, key: bytes) -> None:
        """Let a row be other than what was written. It is not read until the store is opened again."""
        if self.row(table, key) is None:
            raise ValueError(f"there is no row {key.hex()} in {table!r}")
        self._bad_rows.add((table, key))

    def damage_block(self, named: bytes) -> None:
        """Flip a bit of a block."""
        blocks = self._store._blocks if self._store is not None else self._kept.blocks
        codec, data = blocks[named]
        at = self.chance.randrange(len(data))
        flipped = bytes([data[at] ^ 1 << self.chance.randrange(8)])
        blocks[named] = Block(codec, data[:at] + flipped + data[at + 1 :])

    # --- what the store asks --------------------------------------------------------------------------

    def sync_ns(self) -> int:
        """Return how long the next sync takes."""
        return round(self.chance.uniform(_SYNC_NS_MIN, _SYNC_NS_MAX) * self.slowness)

    def check_sync(self) -> None:
        """Raise `StoreFailed` if the sync that ends now fails."""
        if self._sync_fails:
            self._sync_fails = False
            raise StoreFailed("fsync failed: Input/output error", remedy="Replace the disk")

    def check_room(self) -> None:
        """Raise `StoreFailed` if there is no room."""
        if self.is_full:
            raise StoreFailed("the disk is full", remedy="Make room, then start it again")


class DiskStore(MemoryStore):
    """A store on a simulated disk, for as long as one process lives."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk
        self._waiting: list[_Commit] = []
        self._syncing: list[_Commit] = []

    def fill_from(self, copy: DiskCopy) -> None:
        """Begin with what is on the disk."""
        puts = [Put(t, key, value) for t, rows in copy.rows.items() for key, value in rows.items()]
        super()._apply(puts)
        self._blocks = dict(copy.blocks)

    def content(self) -> DiskCopy:
        """Return what is durable. It is not a copy: it changes with the store."""
        rows = {name: table.rows for name, table in self._tables.items()}
        return DiskCopy(rows, self._blocks)

    def lose(self, chance: random.Random) -> None:
        """Serve nothing any more; keep some of the first commits under way, as `chance` has it."""
        self._fail(StoreFailed("the process that owned this store has ended"))
        under_way = [*self._syncing, *self._waiting]
        for commit in under_way[: chance.randint(0, len(under_way))]:
            self._apply(commit.changes)
        self._syncing, self._waiting = [], []

    async def _commit(self, changes: Sequence[Change]) -> None:
        commit = _Commit(tuple(changes), asyncio.get_running_loop().create_future())
        self._waiting.append(commit)
        if not self._syncing:
            self._sync()
        await commit.done

    def _sync(self) -> None:
        """Begin to make durable what waits."""
        self._syncing, self._waiting = self._waiting, []
        loop = asyncio.get_running_loop()
        loop.call_later(self._disk.sync_ns() / 1e9, self._synced)

    def _synced(self) -> None:
        if self._failure is not None:
            return
        done, self._syncing = self._syncing, []
        try:
            self._disk.check_room()
            self._disk.check_sync()
        except StoreFailed as failure:
            self._break_off(done, failure)
            return
        for commit in done:
            self._apply(commit.changes)
            if not commit.done.done():
                commit.done.set_result(None)
        if self._waiting:
            self._sync()

    def _break_off(self, under_way: list[_Commit], failure: StoreFailed) -> None:
        """Fail: what was under way may be there, or not."""
        for commit in under_way[: self._disk.chance.randint(0, len(under_way))]:
            if not self._disk.is_full:
                self._apply(commit.changes)
        self._fail(failure)
        for commit in (*under_way, *self._waiting):
            if not commit.done.done():
                commit.done.set_exception(self._fail(failure))
        self._waiting = []

    def _apply(self, changes: Sequence[Change]) -> None:
        super()._apply(changes)
        for change in changes:
            if isinstance(change, Put):
                self._disk.on_row(change.table, change.key)
