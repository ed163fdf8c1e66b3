"""The lock as a file: whom it names, and that it does not outlive its store."""

import os
from pathlib import Path

import pytest

from sojourn.core.base.errors import Misused
from sojourn.stores.sqlite.lock import StoreLock
from tests.unit.stores.sqlite.disks import open_files


def test_the_lock_names_its_holder_and_none_before(tmp_path: Path) -> None:
    path = tmp_path / "store.lock"
    path.write_text("12345678901234567890")  # a process that has ended
    lock = StoreLock(path)
    assert str(os.getpid()) == path.read_text()
    lock.release()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"", "unknown"),
        (b"12", "12"),
        (b"\xff1", "\N{REPLACEMENT CHARACTER}1"),
        (b"1" * 99, "1" * 32),
    ],
)
def test_whatever_a_lock_that_is_held_says_of_its_holder_it_is_refused(
    tmp_path: Path, said: bytes, shown: str
) -> None:
    path = tmp_path / "store.lock"
    lock = StoreLock(path)
    path.write_bytes(said)
    for _ in range(2):
        with pytest.raises(Misused) as raised:
            StoreLock(path)
        assert f"the store at {tmp_path} is already in use by process {shown}" == (
            raised.value.problem
        )
    lock.release()
    StoreLock(path).release()


def test_neither_a_refusal_nor_a_release_leaves_a_file_open(tmp_path: Path) -> None:
    before = open_files()
    lock = StoreLock(tmp_path / "store.lock")
    with pytest.raises(Misused):
        StoreLock(tmp_path / "store.lock")
    lock.release()
    assert before == open_files()
