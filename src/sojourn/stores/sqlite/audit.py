"""The check when a file is opened: every row's place, mark and commit, every block's entry, and the chain's tail.

So no row is missing, stands elsewhere or is older than the last commit to it, whatever its size. What
rows hold is read as well where the file is small; of a larger one it would take a minute, so it is
held against its mark whenever it is read, and by a check in the background (`SqliteStore.check_rows`).
The bytes of blocks are never read here. It costs about 1 µs for a row or block, 5 for a row of 1 KB
that is read.
"""

import struct
from pathlib import Path
from typing import Any, Final

import apsw

from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import CODECS, RowPlace
from sojourn.stores.sqlite.chain import (
    TOTAL_MODULUS,
    Link,
    as_number,
    block_mark,
    is_intact,
    row_term,
)
from sojourn.stores.sqlite.failures import damaged

__all__ = ["audit", "row_damaged"]

WHOLE_PAGES_MAX: Final = 65_536
"""256 MiB. The structure of a larger file, and what its rows hold, is not checked: that would read every page."""

_ROWS: Final = "SELECT tbl, key, seq, mark, place FROM rows ORDER BY tbl, key"
_CONTENTS: Final = (
    "SELECT tbl, key, mark, value FROM rows LEFT JOIN contents USING (place) ORDER BY tbl, key"
)
_BLOCKS: Final = "SELECT digest, codec FROM blocks INDEXED BY blocks_by_digest ORDER BY digest"
_CHAIN: Final = "SELECT seq, previous, changes, total, digest FROM chain ORDER BY seq"


def audit(database: apsw.Connection, path: Path, *, is_suspect: bool = False) -> Link:
    """Verify the file, all of it if it is small or `is_suspect`; return its newest link.

    Raises `StoreFailed`, which names the row where one is to blame, and `apsw.Error`.
    """
    is_whole = is_suspect or database.pragma("page_count") <= WHOLE_PAGES_MAX
    if is_whole:
        _audit_structure(database, path)
    newest = _audit_chain(database, path)
    if is_whole:
        _audit_contents(database, path)
    found = (_audit_rows(database, path) + _audit_blocks(database, path)) % TOTAL_MODULUS
    if found != as_number(newest.total):
        if not is_whole:
            _audit_contents(
                database, path
            )  # which names the row, if it is one that stands elsewhere
        raise damaged(path, "rows or blocks are missing, or older ones have come back")
    return newest


def _audit_structure(database: apsw.Connection, path: Path) -> None:
    """Have SQLite check its trees and its list of free pages, which it would write over."""
    [(found,)] = database.execute("PRAGMA quick_check(1)").fetchall()
    if found != "ok":
        raise damaged(path, str(found))


def _audit_chain(database: apsw.Connection, path: Path) -> Link:
    newest: Link | None = None
    for *fields, digest in database.execute(_CHAIN):
        link = Link(*fields)
        continues = newest is None or (link.seq, link.previous) == (newest.seq + 1, newest.digest)
        if not continues or not link.is_intact(digest):
            raise damaged(path, f"the chain of commits is broken at {link.seq!r:.80}")
        newest = link
    if newest is None:
        raise damaged(path, "the chain of commits is gone")
    return newest


def _audit_rows(database: apsw.Connection, path: Path) -> int:
    total = 0
    before: RowPlace = ("", b"")
    for row in database.execute(_ROWS):
        try:
            is_next = row[:2] > before
            total += row_term(*row)
        except (TypeError, ValueError, AttributeError, struct.error):
            is_next = False
        if not is_next:
            raise row_damaged(path, *row[:2])
        before = row[:2]
    return total


def _audit_contents(database: apsw.Connection, path: Path) -> None:
    for table, key, mark, value in database.execute(_CONTENTS):
        if not is_intact(table, key, mark, value):
            raise row_damaged(path, table, key)


def row_damaged(path: Path, table: Any, key: Any) -> StoreFailed:
    """Return the `StoreFailed` for a row that is not what was written. Damaged, its place is of any type."""
    return damaged(path, f"row {key!r:.80} of table {table!r:.80} is not what was written")


def _audit_blocks(database: apsw.Connection, path: Path) -> int:
    total = 0
    before = b""
    for digest, codec in database.execute(_BLOCKS):
        if not isinstance(digest, bytes) or codec not in CODECS or digest <= before:
            raise damaged(path, f"the entry of block {digest!r:.80} is not what was written")
        total += as_number(block_mark(codec, digest))
        before = digest
    return total
