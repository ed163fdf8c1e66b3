"""What was acknowledged is there, whatever ends the process; what failed is never answered."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from types import SimpleNamespace

import apsw
import pytest

import sojourn
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Put
from sojourn.stores.sqlite import SqliteStore, writer
from sojourn.stores.sqlite.failures import failure
from tests.unit.stores.sqlite.disks import CutDisk, UnsyncingDisk, mounted

SOURCE = Path(sojourn.__file__).parents[1]
COMMITTER = Path(__file__).with_name("committer.py")


# Killed


def kill_while_committing(directory: Path, life: int, commits: int) -> list[bytes]:
    """Let a process commit, kill it after some commits, and return all it acknowledged."""
    command = [sys.executable, str(COMMITTER), str(directory), str(life)]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(commits)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -signal.SIGKILL
    return [line.rstrip(b"\n") for line in lines if line.endswith(b"\n")]


def test_trap_5_ten_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    random = Random(5)
    acknowledged: list[bytes] = []
    for life in range(10):
        acknowledged += kill_while_committing(tmp_path, life, random.randrange(1, 80))
        store = SqliteStore.open(tmp_path)
        assert [name for name in acknowledged if store.get("names", name) != name * 20] == []
        assert store.missing_blocks([digest(name * 500) for name in acknowledged]) == []
        store.close()


# Without power


def commit_on(disk: CutDisk, directory: Path, synchronous: str) -> None:
    """Commit 200 rows, 5 at a time, so that the log is copied and begun anew many times."""

    async def run() -> None:
        store = SqliteStore.open(directory)
        store._writing.execute(f"PRAGMA synchronous = {synchronous}")

        async def commit(name: bytes) -> None:
            await store.commit([Put("names", name, name * 30)])
            disk.acknowledged.append(name)

        for start in range(0, 200, 5):
            await asyncio.gather(*(commit(b"%d" % number) for number in range(start, start + 5)))
        store.close()

    asyncio.run(run())


def after_cuts(directory: Path, monkeypatch: pytest.MonkeyPatch, synchronous: str) -> Counter[str]:
    """Return how many power cuts were followed by what: "all there", "lost" or "damaged"."""
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 40)
    live = directory / "live"
    SqliteStore.open(live, create=True).close()
    with mounted(CutDisk(live, Random(13), every=3)) as disk:
        commit_on(disk, live, synchronous)
    return Counter(
        after_cut(directory / f"cut-{number}", acknowledged, files)
        for number, (acknowledged, files) in enumerate(disk.cuts)
    )


def after_cut(directory: Path, acknowledged: list[bytes], files: dict[str, bytes]) -> str:
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    try:
        store = SqliteStore.open(directory)
    except StoreFailed:
        return "damaged"
    lost = [name for name in acknowledged if store.get("names", name) != name * 30]
    store.close()
    return "lost" if lost else "all there"


def test_trap_5_no_power_cut_loses_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = after_cuts(tmp_path, monkeypatch, "FULL")
    assert counts.keys() == {"all there"}
    assert counts.total() > 80


def test_trap_5_power_cuts_show_a_store_that_does_not_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = after_cuts(tmp_path, monkeypatch, "NORMAL")
    assert counts["lost"] > 0
    assert counts["damaged"] > 0  # the log breaks off, but its later commits are there


# Failing


async def outcomes(store: SqliteStore, commits: int) -> list[str]:
    """Return what many commits at once, of 2 KB each, come to: their errors, or 'None'."""
    tasks = [store.commit([Put("names", b"%d" % n, bytes(2000))]) for n in range(commits)]
    return [str(result) for result in await asyncio.gather(*tasks, return_exceptions=True)]


def check_it_answers_nothing(store: SqliteStore, problem: str) -> None:
    assert store.failed is not None
    assert store.failed.problem == problem
    for call in (
        lambda: store.get("names", b"0"),
        lambda: store.scan("names", limit=1),
        lambda: store.count("names"),
        lambda: store.get_block(bytes(32)),
        lambda: store.missing_blocks([]),
        lambda: asyncio.run(store.commit([Put("names", b"late", b"")])),
    ):
        with pytest.raises(StoreFailed) as raised:
            call()
        assert raised.value.problem == problem


def test_trap_6_a_full_disk_fails_all_who_wait_and_all_who_come(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)
    pages = store._writing.pragma("page_count")
    store._writing.execute(f"PRAGMA max_page_count = {pages + 10}")
    asyncio.run(store.commit([Put("names", b"before", b"1")]))
    line = (
        f"the store {tmp_path}/store.sqlite cannot grow: its disk is full. "
        "Make room there and start the process again"
    )
    assert asyncio.run(outcomes(store, 100)) == [line] * 100
    check_it_answers_nothing(store, line.partition(". ")[0])
    store.close()

    reopened = SqliteStore.open(tmp_path)
    assert reopened.scan("names", limit=9) == [(b"before", b"1")]
    reopened.close()


def test_an_index_that_cannot_grow_is_a_full_disk_and_no_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says "disk I/O error" when it cannot make room for the log's index."""
    error = apsw.IOError("disk I/O error")
    assert "fails: disk I/O error" in failure(error, tmp_path / "store.sqlite").problem
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert "its disk is full" in failure(error, tmp_path / "store.sqlite").problem


def test_trap_6_a_sync_that_fails_is_no_commit(tmp_path: Path) -> None:
    with mounted(UnsyncingDisk("-wal")) as disk:
        store = SqliteStore.open(tmp_path, create=True)
        asyncio.run(store.commit([Put("names", b"before", b"1")]))
        disk.failing = True
        results = asyncio.run(outcomes(store, 10))
        assert all("fails" in result for result in results), results
        assert store.failed is not None
        check_it_answers_nothing(store, store.failed.problem)
        store.close()


def test_trap_6_a_checkpoint_that_fails_is_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 1)
    with mounted(UnsyncingDisk(".sqlite")) as disk:
        store = SqliteStore.open(tmp_path, create=True)
        disk.failing = True
        assert asyncio.run(outcomes(store, 1)) == ["None"]  # the log holds it
        store._writer.finish()
        assert store.failed is not None
        check_it_answers_nothing(store, store.failed.problem)
        store.close()
    reopened = SqliteStore.open(tmp_path)
    assert reopened.get("names", b"0") == bytes(2000)
    reopened.close()


def test_an_error_that_nobody_thought_of_is_no_commit_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise MemoryError("planted")

    store = SqliteStore.open(tmp_path, create=True)
    monkeypatch.setattr(writer, "begin_group", break_down)
    [result] = asyncio.run(outcomes(store, 1))
    assert result.endswith("MemoryError: planted")
    check_it_answers_nothing(store, result)
    store.close()


def test_a_disk_that_cannot_be_read_is_the_end(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)
    store._reading.close()
    store._reading = apsw.Connection(":memory:")
    with pytest.raises(StoreFailed, match="no such table"):
        store.get("names", b"a")
    assert store.failed is not None
    store.close()
