"""Which of the loop and the writer's thread does what, who waits for whom, and what either says when it fails."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest

from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Change, Put
from sojourn.stores.sqlite import SqliteStore, writer
from sojourn.stores.sqlite.chain import Link
from sojourn.stores.sqlite.group import Commit, begin_group
from sojourn.stores.sqlite.store import DATABASE_NAME
from tests.unit.stores.sqlite.disks import (
    FlakyDisk,
    HeldDisk,
    UnsyncingDisk,
    WatchedDisk,
    mounted,
)

WRITER = "store-writer"


def put(key: bytes, value: bytes = b"1") -> list[Change]:
    return [Put("a", key, value)]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def at_the_thread(store: SqliteStore, key: bytes) -> asyncio.Task[None]:
    """Start on a commit of one row, and return once its group is the thread's."""
    task = asyncio.create_task(store.commit(put(key)))
    await turns(2)
    return task


# Who does it


@pytest.mark.parametrize("is_bulk", [False, True])
def test_bulk_is_filled_on_the_thread_and_what_is_less_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_bulk: bool
) -> None:
    def noting(database: apsw.Connection, newest: Link, commits: Sequence[Commit]) -> Link:
        threads.append(threading.current_thread())
        return begin_group(database, newest, commits)

    threads: list[threading.Thread] = []
    monkeypatch.setattr(writer, "begin_group", noting)
    store = SqliteStore.open(tmp_path, create=True)
    value = bytes(writer.BULK_BYTES if is_bulk else writer.BULK_BYTES - 1)
    asyncio.run(store.commit(put(b"a", value)))
    assert [is_bulk] == [thread is not threading.main_thread() for thread in threads]
    store.close()


def test_no_process_waits_at_its_end_for_a_thread_that_nobody_ended(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(store.commit(put(b"a")))
    assert [True] == [thread.daemon for thread in threading.enumerate() if thread.name == WRITER]
    store.close()


def test_a_store_that_is_closed_has_no_thread_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would use files that have been let go of, and perhaps opened by another."""

    class Lingering(threading.Thread):
        def run(self) -> None:
            super().run()
            joined.wait(10)

        def join(self, timeout: float | None = None) -> None:
            joined.set()
            super().join(timeout)

    joined = threading.Event()
    monkeypatch.setattr(writer, "Thread", Lingering)
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(store.commit(put(b"a")))
    store.close()
    assert [] == [thread for thread in threading.enumerate() if thread.name == WRITER]


# The log


def log_pages_after_one_commit(directory: Path) -> int:
    store = SqliteStore.open(directory, create=True)
    asyncio.run(store.commit(put(b"a")))
    pages = ((directory / f"{DATABASE_NAME}-wal").stat().st_size - 32) // (4096 + 24)
    store.close()
    return pages


@pytest.mark.parametrize("is_long", [False, True])
def test_a_log_is_copied_once_it_is_long_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool
) -> None:
    pages = log_pages_after_one_commit(tmp_path / "measured")
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", pages if is_long else pages + 1)
    with mounted(WatchedDisk()) as disk:
        store = SqliteStore.open(tmp_path / "store", create=True)
        disk.synced.clear()
        asyncio.run(store.commit(put(b"a")))
        store._writer.finish()
        assert is_long == (DATABASE_NAME in disk.synced)
        store.close()


def test_nobody_waits_for_a_log_to_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever commits is released before: the log is on disk."""

    async def run(store: SqliteStore) -> None:
        await store.commit(put(b"a"))
        disk.released.set()

    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 1)
    with mounted(HeldDisk(".sqlite")) as disk:
        store = SqliteStore.open(tmp_path, create=True)
        disk.holding = True
        asyncio.run(run(store))
        store.close()
    assert store.failed is None


def test_trap_6_what_is_said_of_a_commit_that_failed_does_not_hang_on_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 0)
    with mounted(UnsyncingDisk("-wal")) as disk:
        store = SqliteStore.open(tmp_path, create=True)
        disk.failing = True
        with pytest.raises(StoreFailed, match="fails: planted"):
            asyncio.run(store.commit(put(b"a")))
        store.close()


# After a failure


def test_trap_6_after_a_sync_that_failed_nothing_is_synced_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next sync may succeed, and the pages that the first one lost are gone."""

    async def run(store: SqliteStore) -> list[BaseException | None]:
        tasks = [store.commit(put(b"%d" % number)) for number in range(30)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    monkeypatch.setattr(writer, "GROUP_COMMITS_MAX", 10)
    with mounted(FlakyDisk()) as disk:
        store = SqliteStore.open(tmp_path, create=True)
        asyncio.run(store.commit(put(b"before")))
        disk.failing = True
        assert {StoreFailed} == {type(result) for result in asyncio.run(run(store))}
        store.close()
        assert ([], False) == (disk.synced, disk.failing)


def test_trap_6_closing_tells_those_in_line_and_its_caller_that_it_failed(tmp_path: Path) -> None:
    async def run(store: SqliteStore) -> None:
        task = asyncio.create_task(store.commit(put(b"a")))
        await turns(1)
        disk.failing = True
        with pytest.raises(StoreFailed, match="fails: planted"):
            store.close()
        with pytest.raises(StoreFailed, match="fails: planted"):
            await task

    with mounted(UnsyncingDisk("-wal")) as disk:
        asyncio.run(run(SqliteStore.open(tmp_path, create=True)))
    SqliteStore.open(tmp_path).close()


# A loop that is never at rest


class CountedEvent(threading.Event):
    """Counts how often it is waited for; with the third time it releases `held`."""

    waits = 0
    held: threading.Event | None = None

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.held is not None and self.waits == 3:
            self.held.set()
        return super().wait(timeout)


def test_a_loop_stands_still_as_often_as_the_disk_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_S", 0)
    monkeypatch.setattr(writer, "PAUSE_S", 0)
    monkeypatch.setattr(writer, "Event", CountedEvent)
    with mounted(HeldDisk("-wal")) as disk:
        store = SqliteStore.open(tmp_path, create=True)
        assert isinstance(store._writer._ended, CountedEvent)
        store._writer._ended.held = disk.released
        disk.holding = True
        asyncio.run(store.commit(put(b"a")))
        store.close()


def test_a_loop_stands_still_for_nobody_who_has_been_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(store: SqliteStore, ended: CountedEvent) -> None:
        await store.commit(put(b"a"))
        waits = ended.waits
        await turns(20)
        assert waits == ended.waits

    monkeypatch.setattr(writer, "PATIENCE_S", 0)
    monkeypatch.setattr(writer, "Event", CountedEvent)
    store = SqliteStore.open(tmp_path, create=True)
    assert isinstance(store._writer._ended, CountedEvent)
    asyncio.run(run(store, store._writer._ended))
    store.close()


def test_a_slow_disk_takes_a_fifth_of_a_loops_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(store: SqliteStore) -> None:
        later = asyncio.get_running_loop().call_later
        monkeypatch.setattr(
            asyncio.get_running_loop(),
            "call_later",
            lambda s, *do: (waits.append(s), later(s, *do)),
        )
        await store.commit(put(b"a"))

    waits: list[float] = []
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(run(store))
    store.close()
    assert {writer.PATIENCE_S} == set(waits)
    assert 4 * writer.PAUSE_S <= writer.PATIENCE_S
    assert writer.PAUSE_S + writer.PATIENCE_S < 0.05


# One loop after the other


def test_a_loop_that_comes_back_late_starts_on_nothing_while_another_waits(tmp_path: Path) -> None:
    """The connection is the thread's: a second group would go into the first one's transaction."""
    with mounted(HeldDisk("-wal")) as disk, asyncio.Runner() as early, asyncio.Runner() as late:
        store = SqliteStore.open(tmp_path, create=True)
        one = early.run(at_the_thread(store, b"1"))
        writing = late.run(start_two(store, disk))
        early.run(turns(3))
        late.run(turns(3))
        disk.released.set()
        assert [None, None] == late.run(gathered(writing))
        assert [None] == early.run(gathered([one]))
        assert [b"0", b"1", b"2", b"3"] == [key for key, _ in store.scan("a", limit=9)]
        store.close()


async def start_two(store: SqliteStore, disk: HeldDisk) -> list[asyncio.Task[None]]:
    """Have one commit at the thread, on a disk that takes its time, and let two more come."""
    store._writer.submit(Commit(put(b"0")))  # now the thread that the loop before had is at its end
    disk.holding = True
    await turns(1)
    return [asyncio.create_task(store.commit(put(key))) for key in (b"2", b"3")]


async def gathered(tasks: list[asyncio.Task[None]]) -> list[BaseException | None]:
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def test_a_loop_that_was_closed_is_told_nothing_and_what_it_wanted_is_done(tmp_path: Path) -> None:
    async def submit_two() -> None:
        for key in (b"1", b"2"):  # one goes to the thread, one stays in line
            commit = Commit(put(key))
            commit.waiter.add_done_callback(print)  # it cannot be called: its loop is closed
            store._writer.submit(commit)
            disk.holding = True
            await turns(1)

    with mounted(HeldDisk("-wal")) as disk:
        store = SqliteStore.open(tmp_path, create=True)
        asyncio.run(submit_two())
        disk.released.set()
        store.close()
    assert store.failed is None
    store = SqliteStore.open(tmp_path)
    assert 2 == store.count("a")
    store.close()
