"""The mark beside a store: 16 bytes that name a commit, or nothing."""

import hashlib
from pathlib import Path

import pytest

from sojourn.core.base.errors import StoreFailed
from sojourn.stores.sqlite.mark import Mark
from tests.unit.stores.sqlite.disks import open_files

STORE = Path("store.sqlite")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.mark"


def check(path: Path, newest: int) -> str:
    """Return what a store is told that ends at a commit; nothing if it is in order."""
    mark = Mark(path)
    try:
        mark.check(newest, STORE)
    except StoreFailed as error:
        return error.problem
    finally:
        mark.release()
    return ""


def test_a_mark_is_a_number_and_what_shows_that_it_is_whole(path: Path) -> None:
    mark = Mark(path)
    for newest in (7, 300, 2**63):
        mark.write(newest)
        number = newest.to_bytes(8, "big")
        assert number + hashlib.sha256(number).digest()[:8] == path.read_bytes()
    mark.release()


def test_clause_13_4_a_store_that_ends_before_its_mark_is_damaged(path: Path) -> None:
    mark = Mark(path)
    mark.write(300)
    mark.release()
    ends = "it ends at commit 299, and commit 300 was acknowledged"
    assert f"the store {STORE} is damaged: {ends}" == check(path, 299)
    assert ("", "") == (check(path, 300), check(path, 301))


@pytest.mark.parametrize("at", [0, 7, 8, 15])
def test_a_mark_with_a_bit_that_flipped_is_none(path: Path, at: int) -> None:
    mark = Mark(path)
    mark.write(300)
    mark.release()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    for damaged in (bytes(data), path.read_bytes()[:at]):
        path.write_bytes(damaged)
        assert "" == check(path, 0)


@pytest.mark.parametrize("extra", [b"\0", b"\1"])
def test_a_mark_that_is_too_long_is_none(
    path: Path, extra: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = Mark(path)
    mark.write(300)
    mark.release()
    path.write_bytes(path.read_bytes() + extra)
    assert "" == check(path, 0)
    said = capsys.readouterr().out
    assert "the mark of the store is damaged" in said
    assert str(path) in said


def test_a_new_mark_names_nothing_and_nothing_is_said_of_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "" == check(path, 0)
    path.write_bytes(bytes(16))  # cut off from power before its bytes were on disk
    assert "" == check(path, 0)
    assert "" == capsys.readouterr().out


def test_a_mark_that_was_released_is_not_left_open(path: Path) -> None:
    before = open_files()
    Mark(path).release()
    assert before == open_files()
