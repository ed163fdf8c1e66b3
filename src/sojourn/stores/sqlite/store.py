"""The store in one SQLite file: `chain` says what binds its rows, `writer` how they are written."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import apsw

from sojourn.core.base.errors import Misused, SojournError, StoreFailed
from sojourn.runtime.processes.files import make_directories
from sojourn.runtime.store import CODECS, Block, Change, RowPlace, Store
from sojourn.stores.sqlite import schema, wal
from sojourn.stores.sqlite.audit import audit, row_damaged
from sojourn.stores.sqlite.chain import Link, is_intact
from sojourn.stores.sqlite.failures import Damaged, damaged, failure, opening_failure
from sojourn.stores.sqlite.group import CODEC, Commit
from sojourn.stores.sqlite.lock import StoreLock
from sojourn.stores.sqlite.mark import MARK_NAME, Mark
from sojourn.stores.sqlite.suspicion import Suspicion
from sojourn.stores.sqlite.writer import Writer

__all__ = ["DATABASE_NAME", "SqliteStore"]

DATABASE_NAME: Final = "store.sqlite"
LOCK_NAME: Final = "store.lock"

_ROWS: Final = "FROM rows LEFT JOIN contents USING (place)"
_GET: Final = f"SELECT mark, value {_ROWS} WHERE tbl = ? AND key = ?"
_SCAN: Final = f"SELECT key, mark, value {_ROWS} WHERE tbl = ? AND key >= ? ORDER BY key LIMIT ?"
_SCAN_BELOW: Final = _SCAN.replace("ORDER", "AND key < ? ORDER")
_MARKS: Final = "SELECT key, mark FROM rows WHERE tbl = ? AND key > ? ORDER BY key LIMIT ?"
_CHECK: Final = (
    f"SELECT tbl, key, mark, value {_ROWS} WHERE (tbl, key) > (?, ?) ORDER BY tbl, key LIMIT ?"
)
_COUNT: Final = "SELECT count(*) FROM rows WHERE tbl = ?"
_BLOCK_NAMES: Final = "SELECT digest FROM blocks WHERE digest > ? ORDER BY digest LIMIT ?"
_GET_BLOCK: Final = "SELECT codec, data FROM blocks WHERE digest = ?"


class SqliteStore(Store):
    """Rows and blocks in a directory of a local disk. `open` is how to get one."""

    def __init__(
        self,
        path: Path,
        lock: StoreLock,
        mark: Mark,
        writing: apsw.Connection,
        reading: apsw.Connection,
        newest: Link,
        suspicion: Suspicion,
    ) -> None:
        super().__init__()
        self._path = path
        self._lock = lock
        self._mark, self._suspicion = mark, suspicion
        self._writing = writing
        self._reading = reading
        self._writer = Writer(writing, newest, mark, self._fail_with)

    @classmethod
    def open(cls, directory: Path, *, create: bool = False) -> Self:
        """Open the store in `directory` and verify it as `audit` does; `create` it if there is none.

        Blocks meanwhile: about 0.5 s for 100,000 rows of 1 KB, 1 s for 700,000 in a file too large to be read.
        Raises `Misused` for a store that does not exist, is in use, has another format or may not be written to,
        and `StoreFailed` for one that is damaged.
        """
        schema.check_library()
        path = directory / DATABASE_NAME
        if not create and not path.exists():
            raise Misused(f"there is no store in {directory}", remedy="Create one first")
        with ExitStack() as undo:
            try:
                make_directories(directory)
                lock = StoreLock(directory / LOCK_NAME)
                undo.callback(lock.release)
                if not path.exists():
                    schema.create(path)
                suspicion = Suspicion(directory)
                writing, newest = _open_verified(path, undo, is_suspect=suspicion.is_noted())
                mark = Mark(directory / MARK_NAME)
                undo.callback(mark.release)
                mark.check(newest.seq, path)
                # Only now: a store that is found damaged keeps its log, so that it stays found.
                writing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                mark.write(newest.seq)
                suspicion.lift()
                reading = schema.connect(path, read_only=True)
            except SojournError:
                raise
            except (apsw.Error, OSError, UnicodeDecodeError) as error:
                raise opening_failure(error, path) from error
            undo.pop_all()
        return cls(path, lock, mark, writing, reading, newest, suspicion)

    def _get(self, table: str, key: bytes) -> bytes | None:
        for mark, value in self._read(_GET, (table, key)):
            return self._verified(table, key, mark, value)
        return None

    def _scan(
        self, table: str, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        first, end = max(prefix, after + b"\0"), _prefix_end(prefix)
        if end is None:
            rows = self._read(_SCAN, (table, first, limit))
        else:
            rows = self._read(_SCAN_BELOW, (table, first, end, limit))
        return [(row[0], self._verified(table, *row)) for row in rows]

    def _marks(self, table: str, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return [(key, mark) for key, mark in self._read(_MARKS, (table, after, limit))]

    def _check_rows(self, after: RowPlace | None, limit: int) -> RowPlace | None:
        rows = self._read(_CHECK, (*(after or ("", b"")), limit))
        for row in rows:
            self._verified(*row)
        return rows[-1][:2] if rows else None

    def _count(self, table: str) -> int:
        [(count,)] = self._read(_COUNT, (table,))
        return int(count)

    def _get_block(self, digest: bytes) -> Block | None:
        for codec, data in self._read(_GET_BLOCK, (digest,)):
            if codec in CODECS and isinstance(data, bytes):
                return Block(codec, data)
            raise self._fail_with(damaged(self._path, f"the record of block {digest.hex()}"))
        return None

    def _present_blocks(self, digests: Collection[bytes]) -> Collection[bytes]:
        try:
            found = self._reading.executemany(CODEC, [(digest,) for digest in digests])
            return {present for present, _ in found}
        except (apsw.Error, UnicodeDecodeError) as error:
            raise self._fail_with(error) from error

    def _block_names(self, after: bytes, limit: int) -> list[bytes]:
        return [bytes(named) for (named,) in self._read(_BLOCK_NAMES, (after, limit))]

    async def _commit(self, changes: Sequence[Change]) -> None:
        commit = Commit(changes)
        self._writer.submit(commit)
        await commit.waiter

    def _close(self) -> None:
        had_failed = self._failure is not None
        self._writer.finish()
        try:
            self._reading.close()
            if self._failure is None:
                self._writing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._writing.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            self._writing.close()
        except apsw.Error as error:
            raise self._fail_with(error) from error
        finally:
            self._mark.release()
            self._lock.release()
        if self._failure is not None and not had_failed:
            raise self._fail(self._failure)  # a commit that was under way

    def _read(self, sql: str, values: Sequence[str | bytes | int]) -> list[tuple[Any, ...]]:
        try:
            # To the end: a statement left in the middle would keep the log from being reset.
            return self._reading.execute(sql, values).fetchall()
        except (apsw.Error, UnicodeDecodeError) as error:
            raise self._fail_with(error) from error

    def _verified(self, table: str, key: bytes, mark: Any, value: Any) -> bytes:
        if not is_intact(table, key, mark, value):
            raise self._fail_with(row_damaged(self._path, table, key))
        return bytes(value)

    def _fail_with(self, error: BaseException) -> StoreFailed:
        found = failure(error, self._path)
        if isinstance(found, Damaged):
            self._suspicion.note(found.problem)
        return self._fail(found)


def _open_verified(
    path: Path, undo: ExitStack, *, is_suspect: bool
) -> tuple[apsw.Connection, Link]:
    """Return a connection to write with and the newest link, the log and the rows verified."""
    log = path.with_name(path.name + "-wal")
    if wal.header_is_damaged(log):
        raise damaged(path, "the header of its write-ahead log is not what was written")
    ends = wal.commit_frames(log)
    database = schema.connect(path)
    undo.callback(database.close)
    schema.check_format(database, path)
    frames, _ = database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    lost = sum(end > frames for end in ends)
    if lost > 1:
        raise damaged(path, f"its write-ahead log breaks off {lost} commits before its end")
    return database, audit(database, path, is_suspect=is_suspect)


def _prefix_end(prefix: bytes) -> bytes | None:
    """Return the first key after all that start with `prefix`; None if there can be none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
