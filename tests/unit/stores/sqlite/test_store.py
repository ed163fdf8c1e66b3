"""Opening a store: one process at a time, this format alone, and errors that say what to do."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

import sojourn
from sojourn.core.base.errors import Misused, StoreFailed
from sojourn.runtime.store import Put
from sojourn.stores.sqlite import SqliteStore, schema
from sojourn.stores.sqlite.mark import MARK_NAME
from sojourn.stores.sqlite.store import DATABASE_NAME, LOCK_NAME

SOURCE = Path(sojourn.__file__).parents[1]

HOLD = """
import sys
from pathlib import Path
from sojourn.stores.sqlite import SqliteStore

store = SqliteStore.open(Path(sys.argv[1]), create=True)
print("open", flush=True)
sys.stdin.read()
"""


def misuse(directory: Path, *, create: bool = False) -> str:
    """Return what is said when the store there cannot be opened: one line, with a remedy."""
    with pytest.raises(Misused) as raised:
        SqliteStore.open(directory, create=create)
    assert raised.value.remedy
    assert "\n" not in str(raised.value)
    return raised.value.problem


def test_a_store_is_made_only_when_asked_for(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "down"
    assert misuse(directory) == f"there is no store in {directory}"
    with pytest.raises(Misused, match="there is no store"):
        SqliteStore.open(directory)
    assert not directory.exists()
    SqliteStore.open(directory, create=True).close()
    SqliteStore.open(directory).close()


def test_a_store_that_was_half_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / f"{DATABASE_NAME}.new").write_bytes(b"SQLite format 3\0 and then the power went")
    SqliteStore.open(tmp_path, create=True).close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [LOCK_NAME, MARK_NAME, DATABASE_NAME]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)
    asyncio.run(store.commit([Put("a", b"a", b"1")]))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    store.close()
    assert len(modes) == 5
    assert set(modes.values()) == {0o600}, modes


# One at a time


def test_trap_8_two_processes_never_have_one_store(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        before = (tmp_path / DATABASE_NAME).read_bytes()
        said = f"the store at {tmp_path} is already in use by process {holder.pid}"
        assert misuse(tmp_path) == said
        assert misuse(tmp_path, create=True) == said
        assert (tmp_path / DATABASE_NAME).read_bytes() == before
        holder.kill()
    SqliteStore.open(tmp_path).close()


def test_trap_8_one_process_never_has_a_store_twice(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)
    assert f"already in use by process {os.getpid()}" in misuse(tmp_path)
    asyncio.run(store.commit([Put("a", b"a", b"1")]))
    store.close()
    reopened = SqliteStore.open(tmp_path)
    assert reopened.get("a", b"a") == b"1"
    reopened.close()


def test_a_store_that_could_not_be_opened_is_not_held(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path, create=True).close()
    whole = (tmp_path / DATABASE_NAME).read_bytes()
    (tmp_path / DATABASE_NAME).write_bytes(whole[:5000])
    with pytest.raises(StoreFailed):
        SqliteStore.open(tmp_path)
    (tmp_path / DATABASE_NAME).write_bytes(whole)
    SqliteStore.open(tmp_path).close()


# This format alone


def set_format(directory: Path, version: int) -> None:
    database = apsw.Connection(str(directory / DATABASE_NAME))
    database.execute(f"PRAGMA user_version = {version}; UPDATE meta SET value = {version}")
    database.close()


@pytest.mark.parametrize("version", [0, 1, 77])
def test_an_unknown_format_is_refused_by_name(tmp_path: Path, version: int) -> None:
    SqliteStore.open(tmp_path, create=True).close()
    set_format(tmp_path, version)
    expected = f"{DATABASE_NAME} has format {version}; this version reads format 2"
    assert misuse(tmp_path).endswith(expected)


def test_another_database_is_left_alone(tmp_path: Path) -> None:
    database = apsw.Connection(str(tmp_path / DATABASE_NAME))
    database.execute("CREATE TABLE accounts (a); INSERT INTO accounts VALUES (1)")
    database.close()
    before = (tmp_path / DATABASE_NAME).read_bytes()
    assert misuse(tmp_path, create=True).endswith("is not a Sojourn store")
    assert (tmp_path / DATABASE_NAME).read_bytes() == before


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"something else " * 1000)
    with pytest.raises(StoreFailed, match="file is not a database"):
        SqliteStore.open(tmp_path)


def test_a_sqlite_that_can_corrupt_the_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    assert misuse(tmp_path, create=True) == "SQLite 3.51.2 can corrupt a write-ahead log"
    assert list(tmp_path.iterdir()) == []


# Out of reach


@contextmanager
def unprivileged() -> Iterator[None]:
    """Give up root's right to write anywhere, for those who run tests as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_directory_that_may_not_be_written_to_is_the_users_to_mend(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    SqliteStore.open(directory, create=True).close()
    for path in (directory / LOCK_NAME, directory / MARK_NAME, directory / DATABASE_NAME):
        path.chmod(0o400)
    directory.chmod(0o500)
    with unprivileged():
        said = misuse(directory, create=True)
    assert f"{directory / DATABASE_NAME} cannot be used: [Errno 13] Permission denied" in said
    directory.chmod(0o700)
    for path in (directory / LOCK_NAME, directory / MARK_NAME, directory / DATABASE_NAME):
        path.chmod(0o600)
    SqliteStore.open(directory).close()


def test_a_place_under_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "Not a directory" in misuse(tmp_path / "file" / "store", create=True)


def test_a_database_that_another_program_holds_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SqliteStore.open(tmp_path, create=True).close()
    monkeypatch.setattr(schema, "_BUSY_MS", 1)
    tool = apsw.Connection(str(tmp_path / DATABASE_NAME))
    tool.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFailed, match="is held by another program"):
        SqliteStore.open(tmp_path)
    tool.close()
    SqliteStore.open(tmp_path).close()
