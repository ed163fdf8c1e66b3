"""The file's format: tables, version, and how it is opened.

Rows stand in a tree by (table, key) with the marks of their values, and the values in a table of
their own, by number: so all rows can be held against the chain without reading what they hold, 100
bytes a row (ADR 0055). In one tree by key, values of 1 KB take three times the space and a fifth of
the speed. Pages are small, because a commit writes whole pages: at 4 KiB, 64 rows under random keys
take 1.5 ms, at 8 KiB 1.8 ms, while blocks gain little from bigger ones.
"""

import os
from pathlib import Path
from typing import Final

import apsw

from sojourn.core.base.errors import Misused
from sojourn.runtime.processes.files import sync_directory
from sojourn.stores.sqlite.chain import GENESIS
from sojourn.stores.sqlite.failures import damaged

__all__ = ["INSERT_LINK", "check_format", "check_library", "connect", "create"]

FORMAT_VERSION: Final = 2
LIBRARY_MIN: Final = (3, 51, 3)
"""Below it a reset of the write-ahead log can corrupt the file (architecture §7)."""

_APPLICATION_ID: Final = 0x534A524E  # "SJRN"
_PAGE_BYTES: Final = 4096
_CACHE_KIB: Final = 16 * 1024
_LOG_BYTES_KEPT: Final = 64 * 1024 * 1024
_BUSY_MS: Final = 1_000
"""Who waits here waits for a person with a database tool: other processes meet our own lock."""

_TABLES: Final = (
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    """CREATE TABLE rows (tbl TEXT NOT NULL, key BLOB NOT NULL, seq INTEGER NOT NULL, mark BLOB NOT NULL,
        place INTEGER NOT NULL, PRIMARY KEY (tbl, key)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE contents (place INTEGER NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT""",
    "CREATE TABLE blocks (digest BLOB NOT NULL, codec TEXT NOT NULL, data BLOB NOT NULL) STRICT",
    # The codec is in the index so that the audit never touches the blocks themselves.
    "CREATE UNIQUE INDEX blocks_by_digest ON blocks (digest, codec)",
    """CREATE TABLE chain (seq INTEGER NOT NULL PRIMARY KEY, previous BLOB NOT NULL,
        changes BLOB NOT NULL, total BLOB NOT NULL, digest BLOB NOT NULL) STRICT""",
)

INSERT_LINK: Final = (
    "INSERT INTO chain (seq, previous, changes, total, digest) VALUES (?, ?, ?, ?, ?)"
)


def check_library() -> None:
    """Raise `Misused` if the SQLite that `apsw` brings is too old to be trusted."""
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < LIBRARY_MIN:
        needed = ".".join(map(str, LIBRARY_MIN))
        raise Misused(
            f"SQLite {version} can corrupt a write-ahead log",
            remedy=f"Install apsw {needed} or later",
        )


def create(path: Path) -> None:
    """Make an empty store at `path`: whole, or not at all. Raises `apsw.Error` or `OSError`."""
    draft = path.with_name(path.name + ".new")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    database = apsw.Connection(str(draft))
    try:
        database.execute(f"PRAGMA page_size = {_PAGE_BYTES}; PRAGMA journal_mode = MEMORY")
        database.execute("BEGIN")
        database.execute(";".join(_TABLES))
        database.execute("INSERT INTO meta (name, value) VALUES ('format', ?)", (FORMAT_VERSION,))
        database.execute(INSERT_LINK, (*GENESIS, GENESIS.digest))
        database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode = WAL")  # kept in the file
    finally:
        database.close()
    draft.replace(path)
    sync_directory(path.parent)


def connect(path: Path, *, read_only: bool = False) -> apsw.Connection:
    """Open a connection that loses nothing it has committed. Raises `apsw.Error`."""
    mode = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
    database = apsw.Connection(str(path), flags=mode)
    database.set_busy_timeout(_BUSY_MS)
    # A store that is found damaged keeps its log, so that it is found damaged the next time too.
    database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    settings = {
        "synchronous": "FULL",  # NORMAL loses acknowledged commits at a power cut
        "fullfsync": "ON",
        "checkpoint_fullfsync": "ON",
        "cache_size": -_CACHE_KIB,
        "journal_size_limit": _LOG_BYTES_KEPT,
        "cell_size_check": "ON",
        "trusted_schema": "OFF",
    }
    for name, value in settings.items():
        database.execute(f"PRAGMA {name} = {value}")
    assert database.pragma("synchronous") == 2  # FULL
    return database


def check_format(database: apsw.Connection, path: Path) -> None:
    """Check that the file is a store of this format version.

    Raises `Misused` if it is something else or of another version, `StoreFailed` if it is damaged.
    """
    application, stated = database.pragma("application_id"), database.pragma("user_version")
    recorded = _recorded_version(database)
    if application != _APPLICATION_ID and recorded is None:
        raise Misused(f"{path} is not a Sojourn store", remedy="Name the directory of a store")
    if application != _APPLICATION_ID or stated != recorded:
        raise damaged(path, f"its header says format {stated}, its content {recorded}")
    if stated != FORMAT_VERSION:
        raise Misused(
            f"the store {path} has format {stated}; this version reads format {FORMAT_VERSION}",
            remedy="Use the version of sojourn that wrote it",
        )
    if _schema(database) != set(_TABLES):
        raise damaged(path, "its tables are not those of its format")
    if (database.pragma("journal_mode"), database.pragma("auto_vacuum")) != ("wal", 0):
        raise damaged(path, "its header is not that of its format")


def _recorded_version(database: apsw.Connection) -> object:
    try:
        found = database.execute("SELECT value FROM meta WHERE name = 'format'").fetchall()
    except apsw.SQLError:
        return None
    return found[0][0] if found else None


def _schema(database: apsw.Connection) -> set[object]:
    texts = database.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {text for (text,) in texts}
