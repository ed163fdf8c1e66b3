"""What an open store does when what it reads is not what was written, and what it lets go of."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Put, PutBlock, Store
from sojourn.stores.sqlite import SqliteStore
from sojourn.stores.sqlite.mark import MARK_NAME, Mark
from sojourn.stores.sqlite.store import DATABASE_NAME
from tests.unit.stores.sqlite.disks import UnsyncingDisk, mounted, open_files

DATA = b"a block"
NAME = digest(DATA)
UNTYPED = """
CREATE TABLE rows (tbl, key, seq, digest, value);
CREATE TABLE blocks (digest, codec, data);
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(store.commit([Put("a", b"key", b"1"), PutBlock(NAME, "raw", DATA)]))
    yield store
    store.close()


def test_trap_7_a_block_of_a_codec_that_nobody_wrote_is_the_stores_failure(
    store: SqliteStore, tmp_path: Path
) -> None:
    store._writing.execute("UPDATE blocks SET codec = 'rax'")
    with pytest.raises(StoreFailed) as raised:
        store.get_block(NAME)
    said = f"is damaged: the record of block {NAME.hex()}"
    assert f"the store {tmp_path / DATABASE_NAME} {said}" == raised.value.problem
    assert store.failed is not None


@pytest.mark.parametrize(("codec", "data"), [("raw", DATA.decode()), ("raw", 7), ("rax", DATA)])
def test_trap_7_a_block_that_is_no_bytes_is_the_stores_failure(
    store: SqliteStore, codec: str, data: object
) -> None:
    """The table is strict, and a damaged record is of whatever types it says."""
    store._reading.close()
    store._reading = apsw.Connection(":memory:")
    store._reading.execute(UNTYPED)
    store._reading.execute("INSERT INTO blocks VALUES (?, ?, ?)", (NAME, codec, data))  # type: ignore[arg-type]
    with pytest.raises(StoreFailed, match="the record of block"):
        store.get_block(NAME)


READS: dict[str, Callable[[Store], object]] = {
    "get": lambda store: store.get("a", b"key"),
    "scan": lambda store: store.scan("a", limit=1),
    "scan of a prefix": lambda store: store.scan("a", prefix=b"k", limit=1),
    "count": lambda store: store.count("a"),
    "get_block": lambda store: store.get_block(NAME),
    "missing_blocks": lambda store: store.missing_blocks([NAME]),
    "block_names": lambda store: store.block_names(limit=1),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_clause_13_3_a_read_that_fails_is_the_end(
    store: SqliteStore, tmp_path: Path, read: Callable[[Store], object]
) -> None:
    store._reading.close()
    store._reading = apsw.Connection(":memory:")
    expected = f"the store {tmp_path / DATABASE_NAME} is damaged: no such table: "
    with pytest.raises(StoreFailed) as raised:
        read(store)
    assert raised.value.problem.startswith(expected)
    assert store.failed is not None
    assert raised.value.problem == store.failed.problem


@pytest.mark.parametrize("prefix", [b"\xffa", b"\xffa\xff", b"a\xff\xff", b"\xff\xffa\xff"])
def test_a_scan_ends_with_its_prefix_wherever_the_highest_byte_stands(
    store: SqliteStore, prefix: bytes
) -> None:
    keys = sorted({prefix, prefix + b"\0", prefix + b"\xff", prefix[:-1], b"a", b"b", b"\xff\xff"})
    asyncio.run(store.commit([Put("b", key, key) for key in keys]))
    found = [key for key, _ in store.scan("b", prefix=prefix, limit=99)]
    assert [key for key in keys if key.startswith(prefix)] == found


# Letting go


def test_a_store_that_is_closed_leaves_no_file_open(tmp_path: Path) -> None:
    before = open_files()
    store = SqliteStore.open(tmp_path, create=True)
    store.close()
    assert before == open_files()
    assert not (tmp_path / f"{DATABASE_NAME}-wal").exists()


def test_a_store_that_is_refused_leaves_no_file_open(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path, create=True).close()
    mark = Mark(tmp_path / MARK_NAME)
    mark.write(7)
    mark.release()
    before = open_files()
    with pytest.raises(
        StoreFailed, match=r"store.sqlite is damaged: .* commit 7 was acknowledged"
    ) as raised:
        SqliteStore.open(tmp_path)
    assert before == open_files()
    assert raised.value.remedy


def test_a_log_that_cannot_be_copied_at_closing_is_said(tmp_path: Path) -> None:
    """It stays where it is, and nothing of it is lost."""
    with mounted(UnsyncingDisk(".sqlite")) as disk:
        store = SqliteStore.open(tmp_path, create=True)
        asyncio.run(store.commit([Put("a", b"key", b"1")]))
        disk.failing = True
        with pytest.raises(StoreFailed, match=r"the disk of the store .* fails: planted"):
            store.close()
        assert store.failed is not None
        disk.failing = False
    store = SqliteStore.open(tmp_path)
    assert b"1" == store.get("a", b"key")
    store.close()
