"""The full check when a file is opened: every row, every block's entry, and the chain's tail.

Rows are read by way of the index, as they are read in service, so that the index is checked with
them. The bytes of blocks are not read: each read verifies them, and they may be gigabytes. So the
check costs about 5 µs for a row of 1 KB and 1 µs for a block.
"""

from pathlib import Path
from typing import Final

import apsw

from sojourn.runtime.store import CODECS
from sojourn.stores.sqlite.chain import TOTAL_MODULUS, Link, as_number, block_mark, is_intact
from sojourn.stores.sqlite.failures import damaged

__all__ = ["audit"]

STRUCTURE_PAGES_MAX: Final = 65_536
"""256 MiB. The structure of a larger file is not checked as a whole: that would read every page."""

_ROWS: Final = (
    "SELECT tbl, key, seq, digest, value FROM rows INDEXED BY rows_by_key ORDER BY tbl, key"
)
_BLOCKS: Final = "SELECT digest, codec FROM blocks INDEXED BY blocks_by_digest ORDER BY digest"
_CHAIN: Final = "SELECT seq, previous, changes, total, digest FROM chain ORDER BY seq"


def audit(database: apsw.Connection, path: Path) -> Link:
    """Verify the whole file; return its newest link.

    Raises `StoreFailed`, which names the row where one is to blame, and `apsw.Error`.
    """
    _audit_structure(database, path)
    newest = _audit_chain(database, path)
    found = (_audit_rows(database, path) + _audit_blocks(database, path)) % TOTAL_MODULUS
    if found != as_number(newest.total):
        raise damaged(path, "rows or blocks are missing, or older ones have come back")
    return newest


def _audit_structure(database: apsw.Connection, path: Path) -> None:
    """Have SQLite check its trees and its list of free pages, which it would write over."""
    if database.pragma("page_count") <= STRUCTURE_PAGES_MAX:
        [(found,)] = database.execute("PRAGMA quick_check(1)").fetchall()
        if found != "ok":
            raise damaged(path, " ".join(str(found).split()))


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
    before = ("", b"")
    for table, key, seq, digest, value in database.execute(_ROWS):
        if not is_intact(table, key, seq, digest, value) or (table, key) <= before:
            raise damaged(path, f"row {key!r:.80} of table {table!r:.80} is not what was written")
        total += as_number(digest)
        before = (table, key)
    return total


def _audit_blocks(database: apsw.Connection, path: Path) -> int:
    total = 0
    before = b""
    for digest, codec in database.execute(_BLOCKS):
        if not isinstance(digest, bytes) or codec not in CODECS or digest <= before:
            raise damaged(path, f"the entry of block {digest!r:.80} is not what was written")
        total += as_number(block_mark(codec, digest))
        before = digest
    return total
