"""What a group of commits writes, and what it leaves alone."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.core.base.digests import digest
from sojourn.runtime.store import Change, Codec, Delete, DeleteBlock, Put, PutBlock
from sojourn.stores.sqlite import SqliteStore
from sojourn.stores.sqlite.group import Commit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(tmp_path, create=True)
    yield store
    store.close()
    SqliteStore.open(tmp_path).close()  # all adds up


def put(data: bytes, codec: Codec = "raw") -> PutBlock:
    return PutBlock(digest(data), codec, data)


def commit(store: SqliteStore, *changes: Change) -> None:
    asyncio.run(store.commit(changes))


def blocks(store: SqliteStore) -> list[tuple[object, ...]]:
    """Return the place, name and codec of every block as it stands in the file."""
    return store._reading.execute(
        "SELECT rowid, digest, codec FROM blocks ORDER BY rowid"
    ).fetchall()


def test_a_row_says_which_commit_set_it(store: SqliteStore) -> None:
    commit(store, Put("a", b"1", b""), Put("a", b"2", b""))
    commit(store, Put("a", b"2", b""), Put("a", b"3", b""))
    set_by = store._reading.execute("SELECT key, seq FROM rows ORDER BY key").fetchall()
    assert [(b"1", 1), (b"2", 2), (b"3", 2)] == set_by
    assert [(2,)] == store._reading.execute("SELECT max(seq) FROM chain").fetchall()


def test_a_block_that_is_there_is_not_written_again(store: SqliteStore) -> None:
    one, other = put(b"one"), put(b"other", "dag-cbor")
    commit(store, one, other)
    commit(store, put(b"last"))
    before = blocks(store)
    commit(store, other, one)
    commit(store, put(b"other", "raw"))
    assert before == blocks(store)


def test_a_block_whose_codec_changes_stands_there_once_and_touches_no_other(
    store: SqliteStore,
) -> None:
    kept, gone, changed = put(b"kept"), put(b"gone"), put(b"changed")
    commit(store, kept, gone, changed)
    commit(store, kept, DeleteBlock(gone.digest), put(b"changed", "dag-cbor"))
    assert {(kept.digest, "raw"), (changed.digest, "dag-cbor")} == {
        (name, codec) for _, name, codec in blocks(store)
    }
    assert 2 == len(blocks(store))


def test_a_block_that_is_removed_and_put_is_written_anew(store: SqliteStore) -> None:
    one, other = put(b"one"), put(b"other")
    commit(store, one, other, put(b"last"))
    before = blocks(store)
    commit(store, DeleteBlock(one.digest), one)
    assert {name for _, name, _ in before} == {name for _, name, _ in blocks(store)}
    assert before[1:] == blocks(store)[:2]


def test_the_size_of_a_commit_is_that_of_its_values_and_blocks() -> None:
    async def size(*changes: Change) -> int:
        return Commit(changes).size

    assert 0 == asyncio.run(size(Delete("a", b"key"), DeleteBlock(bytes(32))))
    assert 12 == asyncio.run(size(Put("a", b"key", bytes(5)), put(bytes(7)), Delete("a", b"b")))
