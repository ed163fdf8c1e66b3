"""Group commit: who waits is served together, who comes alone at once."""

import asyncio
from pathlib import Path

import apsw
import pytest

from sojourn.core.base.digests import digest
from sojourn.runtime.store import Change, Put, PutBlock
from sojourn.stores.sqlite import SqliteStore, group, writer
from sojourn.stores.sqlite.store import DATABASE_NAME


def groups(store: SqliteStore) -> int:
    """Return how many transactions have been made since the store was made."""
    [(newest,)] = store._reading.execute("SELECT max(seq) FROM chain").fetchall()
    assert isinstance(newest, int)
    return newest


async def commit_all(store: SqliteStore, commits: list[list[Change]]) -> None:
    await asyncio.gather(*(store.commit(changes) for changes in commits))


def rows(count: int) -> list[list[Change]]:
    return [[Put("a", b"%d" % number, b"1")] for number in range(count)]


def test_those_who_wait_share_a_transaction(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(commit_all(store, rows(100)))
    assert groups(store) == 1
    store.close()


def test_a_lone_commit_has_a_transaction_of_its_own(tmp_path: Path) -> None:
    async def run() -> None:
        for changes in rows(5):
            await store.commit(changes)

    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(run())
    assert groups(store) == 5
    store.close()


def test_a_group_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP_COMMITS_MAX", 10)
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(commit_all(store, rows(101)))
    assert groups(store) == 11
    store.close()


@pytest.mark.parametrize("size", [500, 600, 999])
def test_the_commit_that_crosses_a_groups_size_is_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(writer, "GROUP_BYTES_MAX", 1000)
    store = SqliteStore.open(tmp_path, create=True)
    data = [bytes([number]) * size for number in range(20)]
    asyncio.run(commit_all(store, [[PutBlock(digest(block), "raw", block)] for block in data]))
    assert groups(store) == 10
    store.close()


def test_those_who_were_released_share_the_next_transaction(tmp_path: Path) -> None:
    async def commit_thrice(store: SqliteStore, key: bytes) -> None:
        for number in range(3):
            await store.commit([Put("a", key, b"%d" % number)])

    async def run(store: SqliteStore) -> None:
        await asyncio.gather(*(commit_thrice(store, b"%d" % number) for number in range(50)))

    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(run(store))
    assert groups(store) == 3
    store.close()


def test_bulk_and_single_rows_take_their_turns(tmp_path: Path) -> None:
    async def run(store: SqliteStore) -> None:
        bulk = bytes(writer.BULK_BYTES)
        tasks = []
        for number in range(20):
            value = bulk if number % 3 == 0 else b"small"
            tasks.append(
                asyncio.create_task(store.commit([Put("a", b"a", value + b"%d" % number)]))
            )
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(run(store))
    assert store.get("a", b"a") == b"small19"
    store.close()
    SqliteStore.open(tmp_path).close()


def test_a_loop_that_never_rests_lets_the_thread_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> int:
        turns = 0
        store = SqliteStore.open(tmp_path, create=True)
        for changes in rows(20):
            task = asyncio.create_task(store.commit(changes))
            while not task.done():
                turns += 1
                await asyncio.sleep(0)
        store.close()
        return turns

    monkeypatch.setattr(writer, "PATIENCE_S", 0)
    monkeypatch.setattr(writer, "PAUSE_S", 60)
    assert asyncio.run(run()) <= 20 * 6


def test_a_caller_whose_loop_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    async def leave() -> None:
        tasks.append(asyncio.ensure_future(store.commit([Put("a", b"left", b"1")])))
        await asyncio.sleep(0)

    tasks: list[asyncio.Future[None]] = []
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(leave())
    asyncio.run(store.commit([Put("a", b"stays", b"1")]))
    assert store.count("a") == 2
    assert store.failed is None
    store.close()


def test_a_long_log_is_copied_and_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        for number in range(200):
            await store.commit([Put("a", b"%d" % number, bytes(2000))])

    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 50)
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(run())
    assert (tmp_path / f"{DATABASE_NAME}-wal").stat().st_size < 100 * 4200
    assert store.count("a") == 200
    store.close()
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".lock", ".mark", ".sqlite"]


def test_old_links_are_dropped_and_the_rest_still_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        for number in range(57):
            await store.commit([Put("a", b"%d" % (number % 7), b"%d" % number)])

    monkeypatch.setattr(group, "CHAIN_LINKS_KEPT", 20)
    monkeypatch.setattr(group, "_PRUNE_EVERY", 10)
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(run())
    store.close()
    database = apsw.Connection(str(tmp_path / DATABASE_NAME))
    kept = database.execute("SELECT min(seq), max(seq), count(*) FROM chain").fetchall()
    database.close()
    assert kept == [(31, 57, 27)]
    store = SqliteStore.open(tmp_path)
    assert store.get("a", b"0") == b"56"
    store.close()
