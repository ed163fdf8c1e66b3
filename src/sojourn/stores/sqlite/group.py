"""A group of commits as one transaction: what it comes to, and what it does to the total."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import apsw

from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Change, Codec, Delete, Put, PutBlock, RowPlace, merge_codecs
from sojourn.stores.sqlite.chain import Link, as_number, block_mark, change_mark, row_term
from sojourn.stores.sqlite.schema import INSERT_LINK

__all__ = ["CODEC", "Commit", "begin_group"]

CHAIN_LINKS_KEPT: Final = 10_000
_PRUNE_EVERY: Final = 1_000

CODEC: Final = "SELECT digest, codec FROM blocks WHERE digest = ?"
_STORED: Final = "SELECT tbl, key, seq, mark, place FROM rows WHERE tbl = ? AND key = ?"
_LAST_PLACE: Final = "SELECT coalesce(max(place), 0) FROM contents"
_DELETE: Final = "DELETE FROM rows WHERE tbl = ? AND key = ?"
_PUT: Final = (
    "INSERT INTO rows (tbl, key, seq, mark, place) VALUES (?, ?, ?, ?, ?) ON CONFLICT (tbl, key)"
    " DO UPDATE SET seq = excluded.seq, mark = excluded.mark"
)
_DELETE_CONTENT: Final = "DELETE FROM contents WHERE place = ?"
_PUT_CONTENT: Final = (
    "INSERT INTO contents (place, value) VALUES (?, ?) ON CONFLICT (place)"
    " DO UPDATE SET value = excluded.value"
)
_DELETE_BLOCK: Final = "DELETE FROM blocks WHERE digest = ?"
_INSERT_BLOCK: Final = "INSERT INTO blocks (digest, codec, data) VALUES (?, ?, ?)"
_DROP_LINKS: Final = "DELETE FROM chain WHERE seq <= ?"

_Stored = tuple[str, bytes, int, bytes, int]
"""A row as it stands in the file, without its value."""


class Commit:
    """The changes of one caller, the marks of them, and the future that the caller awaits."""

    __slots__ = ("changes", "loop", "marks", "size", "waiter")

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = tuple(changes)
        self.marks = [change_mark(change) for change in changes]
        self.size = sum(map(_size, changes))
        self.loop = asyncio.get_running_loop()
        self.waiter: asyncio.Future[None] = self.loop.create_future()

    def settle(self, failed: StoreFailed | None) -> None:
        """Let the caller go on: its changes are durable, or may not be."""
        if failed is None:
            self.waiter.set_result(None)
        else:
            self.waiter.set_exception(StoreFailed(failed.problem, remedy=failed.remedy))


def _size(change: Change) -> int:
    if isinstance(change, Put):
        return len(change.value)
    return len(change.data) if isinstance(change, PutBlock) else 0


@dataclass(slots=True)
class _Plan:
    """What a group comes to once later changes have replaced earlier ones."""

    rows: dict[RowPlace, tuple[bytes, bytes] | None] = field(default_factory=dict)
    """The mark and value of each row to be set; None for each to be removed."""
    dropped: set[bytes] = field(default_factory=set)
    """Blocks to remove, before any is kept: one that is in both is written anew."""
    kept: dict[bytes, tuple[Codec, bytes]] = field(default_factory=dict)

    def add(self, change: Change, mark: bytes) -> None:
        if isinstance(change, Put):
            self.rows[change.table, change.key] = (mark, change.value)
        elif isinstance(change, Delete):
            self.rows[change.table, change.key] = None
        elif isinstance(change, PutBlock):
            before = self.kept.get(change.digest)
            codec = merge_codecs(before[0], change.codec) if before else change.codec
            self.kept[change.digest] = (codec, change.data)
        else:
            self.dropped.add(change.digest)
            self.kept.pop(change.digest, None)


def begin_group(database: apsw.Connection, newest: Link, commits: Sequence[Commit]) -> Link:
    """Open a transaction that makes all the changes; return the link that ends with it.

    The caller commits it. Raises `apsw.Error`.
    """
    plan = _Plan()
    for commit in commits:
        for change, mark in zip(commit.changes, commit.marks, strict=True):
            plan.add(change, mark)
    database.execute("BEGIN IMMEDIATE")
    added = _write_rows(database, plan, newest.seq + 1) + _write_blocks(database, plan)
    link = newest.next([mark for commit in commits for mark in commit.marks], added)
    database.execute(INSERT_LINK, (*link, link.digest))
    if link.seq % _PRUNE_EVERY == 0:
        database.execute(_DROP_LINKS, (link.seq - CHAIN_LINKS_KEPT,))
    return link


def _write_rows(database: apsw.Connection, plan: _Plan, seq: int) -> int:
    """Set and remove rows; return what that adds to the total."""
    stored = cast("list[_Stored]", list(database.executemany(_STORED, plan.rows)))
    places = {(table, key): place for table, key, _, _, place in stored}
    [(last,)] = database.execute(_LAST_PLACE)
    rows: list[_Stored] = []
    contents: list[tuple[int, bytes]] = []
    for (table, key), new in plan.rows.items():
        if new is not None:
            place = places.pop((table, key), 0) or (last := cast("int", last) + 1)
            rows.append((table, key, seq, new[0], place))
            contents.append((place, new[1]))
    removed = [place for place, new in plan.rows.items() if new is None]
    database.executemany(_DELETE, removed)
    database.executemany(_DELETE_CONTENT, [(place,) for place in places.values()])
    database.executemany(_PUT, rows)
    database.executemany(_PUT_CONTENT, contents)
    return sum(row_term(*row) for row in rows) - sum(row_term(*row) for row in stored)


def _write_blocks(database: apsw.Connection, plan: _Plan) -> int:
    """Remove and keep blocks; return what that adds to the total."""
    touched = [(digest,) for digest in plan.dropped | plan.kept.keys()]
    stored = cast("dict[bytes, Codec]", dict(database.executemany(CODEC, touched)))
    outdated = plan.dropped & stored.keys()
    fresh: list[tuple[bytes, Codec, bytes]] = []
    for digest, (codec, data) in plan.kept.items():
        before = None if digest in plan.dropped else stored.get(digest)
        if before is None or merge_codecs(before, codec) != before:
            outdated |= {digest} & stored.keys()
            fresh.append((digest, codec, data))
    database.executemany(_DELETE_BLOCK, [(digest,) for digest in outdated])
    database.executemany(_INSERT_BLOCK, fresh)
    lost = sum(as_number(block_mark(stored[digest], digest)) for digest in outdated)
    return sum(as_number(block_mark(codec, digest)) for digest, codec, _ in fresh) - lost
