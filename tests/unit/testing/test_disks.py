"""Simulated disks: what is durable, what a crash leaves, and what befalls them. The store's own suite runs, too."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Put, PutBlock
from sojourn.testing.disks import Disk, DiskStore
from sojourn.testing.life import Life, Machine
from sojourn.testing.timeline import NS_PER_S, Timeline
from tests.conformance.store import MakeStore, StoreConformance


class TestConformance(StoreConformance):
    """The suite of the storage port, on a real event loop: a disk needs no more of one than timers."""

    def make(self, directory: Path) -> MakeStore:
        disk = Disk(Timeline(random.Random(1)), random.Random(1))

        def make() -> DiskStore:
            disk.crash()
            return disk.open()

        return make


class Scene:
    """One disk, and a process that uses it."""

    def __init__(self, seed: int = 1) -> None:
        self.timeline = Timeline(random.Random(seed))
        self.life = Life(Machine("a/anchor/0", self.timeline, "seed"), lambda _what, _error: None)
        self.disk = Disk(self.timeline, random.Random(seed))

    def do(self, work: Callable[[], Coroutine[Any, Any, Any]], seconds: float = 1.0) -> list[Any]:
        """Let the process do some work; return what it returned, or raised."""
        done: list[Any] = []

        async def noted() -> None:
            try:
                done.append(await work())
            except StoreFailed as failure:
                done.append(failure)

        def begin() -> None:
            self.life.main = self.life.loop.create_task(noted())

        self.life.post(begin)
        until_ns = self.timeline.now_ns + round(seconds * NS_PER_S)
        self.timeline.run(lambda: False, until_ns)
        return done

    def end(self) -> None:
        """End the process, and with it what was not durable."""
        self.life.end()
        self.disk.crash()
        self.timeline.crew.close()


def put(number: int) -> Put:
    return Put("rows", number.to_bytes(4, "big"), b"value")


def count(disk: Disk) -> int:
    return len(disk.rows("rows"))


def test_a_commit_is_durable_when_it_has_returned_and_takes_time() -> None:
    scene = Scene()
    store = scene.disk.open()

    async def commit() -> float:
        began = scene.timeline.now_ns
        await store.commit([put(1)])
        assert store.get("rows", put(1).key) == b"value"
        return (scene.timeline.now_ns - began) / 1e6

    (took_ms,) = scene.do(commit)
    assert 0.1 < took_ms < 5
    scene.end()
    assert count(scene.disk) == 1
    assert scene.disk.open().get("rows", put(1).key) == b"value"


def test_a_crash_keeps_some_of_the_first_commits_and_none_in_part() -> None:
    kept = set()
    for seed in range(40):
        scene = Scene(seed)
        store = scene.disk.open()
        scene.disk.slowness = 10_000

        async def commit_all(store: DiskStore = store) -> None:
            pairs = ([put(2 * n), put(2 * n + 1)] for n in range(4))
            await asyncio.gather(*(store.commit(pair) for pair in pairs))

        assert scene.do(commit_all) == []
        scene.end()
        rows = [int.from_bytes(key, "big") for key, _ in scene.disk.rows("rows")]
        assert rows == list(range(len(rows))) and len(rows) % 2 == 0
        kept.add(len(rows))
    assert {0, 2, 4, 6, 8} == kept


@pytest.mark.parametrize("fault", [Disk.fill, Disk.fail_sync])
def test_a_disk_that_fails_ends_the_store(fault: Callable[[Disk], None]) -> None:
    scene = Scene()
    store = scene.disk.open()
    fault(scene.disk)

    async def commit() -> None:
        await store.commit([put(1)])

    (failure,) = scene.do(commit)
    assert isinstance(failure, StoreFailed)
    with pytest.raises(StoreFailed):
        store.get("rows", b"key")
    scene.end()
    scene.disk.make_room()
    assert scene.disk.open().failed is None


def test_an_old_copy_is_put_back_whole() -> None:
    scene = Scene()
    store = scene.disk.open()

    async def commit() -> None:
        await store.commit([put(1)])
        copies.append(scene.disk.copy())
        await store.commit([put(2)])

    copies: list[Any] = []
    scene.do(commit)
    scene.end()
    assert count(scene.disk) == 2
    scene.disk.put_back(copies[0])
    assert count(scene.disk) == 1


def test_damage_is_noticed() -> None:
    scene = Scene()
    store = scene.disk.open()
    data = b"a block"

    async def commit() -> None:
        await store.commit([put(1), PutBlock(digest(data), "raw", data)])

    scene.do(commit)
    scene.disk.damage_block(digest(data))
    with pytest.raises(StoreFailed, match="is damaged"):
        store.get_block(digest(data))
    assert store.failed is None
    scene.disk.damage_row("rows", put(1).key)
    scene.end()
    with pytest.raises(StoreFailed, match="is damaged"):
        scene.disk.open()
