"""How a store's file is made and opened: what is in its header, what its connections may do, what is synced."""

from pathlib import Path

import apsw
import pytest

from sojourn.core.base.errors import Misused
from sojourn.stores.sqlite import SqliteStore, schema
from sojourn.stores.sqlite.store import DATABASE_NAME
from tests.unit.stores.sqlite.disks import WatchedDisk, mounted


def test_the_header_names_the_kind_of_file_its_pages_and_its_format(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path, create=True).close()
    header = (tmp_path / DATABASE_NAME).read_bytes()[:100]
    assert (b"SQLite format 3\0", b"SJRN") == (header[:16], header[68:72])
    assert (4096, 2) == (
        int.from_bytes(header[16:18], "big"),
        int.from_bytes(header[60:64], "big"),
    )


@pytest.mark.parametrize("read_only", [False, True])
def test_a_connection_loses_nothing_and_believes_no_file(tmp_path: Path, read_only: bool) -> None:
    SqliteStore.open(tmp_path, create=True).close()
    database = schema.connect(tmp_path / DATABASE_NAME, read_only=read_only)
    settings = {
        "synchronous": 2,  # FULL: every commit is forced to disk
        "fullfsync": 1,
        "checkpoint_fullfsync": 1,
        "cache_size": -16_384,
        "journal_size_limit": 64 << 20,
        "cell_size_check": 1,
        "trusted_schema": 0,
        "busy_timeout": 1_000,
    }
    assert settings == {name: database.pragma(name) for name in settings}
    assert 1 == database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, -1)
    assert read_only == database.readonly("main")
    database.close()


def test_a_connection_is_made_to_write_and_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(apsw.CantOpenError):
        schema.connect(tmp_path / DATABASE_NAME)
    assert [] == list(tmp_path.iterdir())
    SqliteStore.open(tmp_path, create=True).close()
    database = schema.connect(tmp_path / DATABASE_NAME)
    assert not database.readonly("main")
    database.close()


def test_what_reads_a_store_cannot_write_to_it(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path, create=True)
    with pytest.raises(apsw.ReadOnlyError):
        store._reading.execute("DELETE FROM chain")
    store.close()


def test_the_oldest_sqlite_that_can_be_trusted_is_taken_and_none_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.3")
    schema.check_library()
    for version in ("3.51.2", "3.9.9", "2.99.99"):
        monkeypatch.setattr(apsw, "sqlite_lib_version", lambda version=version: version)
        with pytest.raises(Misused) as raised:
            schema.check_library()
        assert "Install apsw 3.51.3 or later" == raised.value.remedy


# Made whole or not at all


def test_a_draft_becomes_a_store_once_it_is_whole_and_then_its_name_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(directory: Path) -> None:
        assert set(disk.opened) == set(disk.closed)
        synced.append((directory, [file.name for file in directory.iterdir()]))

    synced: list[tuple[Path, list[str]]] = []
    monkeypatch.setattr(schema, "sync_directory", sync)
    with mounted(WatchedDisk()) as disk:
        schema.create(tmp_path / DATABASE_NAME)
    assert [(tmp_path, [DATABASE_NAME])] == synced
    assert f"{DATABASE_NAME}.new" == disk.synced[-1]


def test_a_draft_leaves_no_journal_that_would_be_played_into_the_next(tmp_path: Path) -> None:
    """A process that was killed leaves its draft, which is begun anew; a journal beside it would count."""
    with mounted(WatchedDisk()) as disk:
        schema.create(tmp_path / DATABASE_NAME)
    assert [] == [name for name in disk.opened if name.endswith("-journal")]
