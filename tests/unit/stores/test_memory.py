"""The store in memory: crashes, and stores that are broken on purpose."""

import asyncio
from collections.abc import Sequence

import pytest

from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Change, Delete, DeleteBlock, Put
from sojourn.stores.memory import MemoryStore


class FullDisk(MemoryStore):
    """Takes two commits and has no room for a third."""

    commits = 0

    def _apply(self, changes: Sequence[Change]) -> None:
        self.commits += 1
        if self.commits > 2:
            raise StoreFailed("the disk is full", remedy="Make room")
        super()._apply(changes)


def test_a_crash_loses_what_was_not_acknowledged() -> None:
    async def run() -> None:
        before = MemoryStore()
        await before.commit([Put("a", b"committed", b"1")])
        late = asyncio.create_task(before.commit([Put("a", b"late", b"1")]))
        await asyncio.sleep(0)
        after = before.reopened()
        with pytest.raises(StoreFailed, match="has ended"):
            await late
        with pytest.raises(StoreFailed, match="has ended"):
            before.get("a", b"committed")
        assert after.scan("a", limit=9) == [(b"committed", b"1")]

    asyncio.run(run())


def test_clause_13_a_store_that_failed_answers_nothing_any_more() -> None:
    async def run() -> None:
        store = FullDisk()
        commits = [store.commit([Put("a", bytes([n]), b"1")]) for n in range(4)]
        results = await asyncio.gather(*commits, return_exceptions=True)
        assert [str(result) for result in results] == [
            "None",
            "None",
            *["the disk is full. Make room"] * 2,
        ]
        assert str(store.failed) == "the disk is full. Make room"
        with pytest.raises(StoreFailed, match="the disk is full"):
            store.get("a", b"\0")

    asyncio.run(run())


def test_a_table_that_nobody_wrote_to_is_empty() -> None:
    store = MemoryStore()
    assert ([], 0, None) == (store.scan("a", limit=9), store.count("a"), store.get("a", b"key"))


def test_a_commit_takes_one_turn_of_the_loop_and_no_time() -> None:
    async def run() -> None:
        store = MemoryStore()
        task = asyncio.create_task(store.commit([Put("a", b"key", b"1")]))
        await asyncio.sleep(0)
        assert (None, False) == (store.get("a", b"key"), task.done())
        await asyncio.sleep(0)
        assert (b"1", True) == (store.get("a", b"key"), task.done())

    asyncio.run(run())


def test_removing_what_is_not_there_removes_nothing_else() -> None:
    async def run() -> None:
        store = MemoryStore()
        await store.commit([Put("a", b"a", b"1"), Put("a", b"c", b"3")])
        await store.commit([Delete("a", b"b"), Delete("b", b"a"), DeleteBlock(bytes(32))])
        assert [(b"a", b"1"), (b"c", b"3")] == store.scan("a", limit=9)

    asyncio.run(run())
