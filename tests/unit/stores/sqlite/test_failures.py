"""What an error means to the owner of a store: whose fault it is, in one line, and what to do."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from sojourn.core.base.errors import Misused, StoreFailed
from sojourn.stores.sqlite.failures import damaged, failure, opening_failure

PATH = Path("folder/store.sqlite")
CHECK = "Check the disk; do not put a copy back: an anchor that lost its store joins anew"
FULL = (
    f"the store {PATH} cannot grow: its disk is full. Make room there and start the process again"
)
HELD = (
    f"the store {PATH} is held by another program. "
    "Close what else has the database open and start the process again"
)


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Let the disk have plenty of room, and return that, to be changed."""

    def usage(path: Path) -> SimpleNamespace:
        assert path == PATH.parent
        return room

    room = SimpleNamespace(free=1 << 40)
    monkeypatch.setattr(shutil, "disk_usage", usage)
    return room


FAILURES = {
    "full": (apsw.FullError("full"), FULL),
    "full, says the system": (OSError(errno.ENOSPC, "full"), FULL),
    "busy": (apsw.BusyError("busy"), HELD),
    "locked": (apsw.LockedError("locked"), HELD),
    "corrupt": (apsw.CorruptError("torn"), f"the store {PATH} is damaged: torn. {CHECK}"),
    "no database": (apsw.NotADBError("none"), f"the store {PATH} is damaged: none. {CHECK}"),
    "SQL": (apsw.SQLError("no table"), f"the store {PATH} is damaged: no table. {CHECK}"),
    "text": (
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        f"the store {PATH} is damaged: 'utf-8' codec can't decode byte 0xff in position 0: invalid. {CHECK}",
    ),
    "I/O": (apsw.IOError("dead"), f"the disk of the store {PATH} fails: dead. {CHECK}"),
    "of the system": (
        OSError(errno.EIO, "dead"),
        f"the store {PATH} failed: OSError: [Errno 5] dead",
    ),
    "any other": (MemoryError("none"), f"the store {PATH} failed: MemoryError: none"),
}


@pytest.mark.parametrize(("error", "said"), FAILURES.values(), ids=FAILURES)
def test_a_failure_says_what_it_is_and_what_to_do(error: BaseException, said: str) -> None:
    assert said == str(failure(error, PATH))


def test_a_failure_that_was_told_already_is_told_as_it_is() -> None:
    told = damaged(PATH, "a row")
    assert told is failure(told, PATH)
    assert f"the store {PATH} is damaged: a row. {CHECK}" == str(told)


@pytest.mark.parametrize(("room", "is_full"), [(0, True), (65_535, True), (65_536, False)])
def test_a_disk_without_room_for_the_logs_index_is_full(
    free: SimpleNamespace, room: int, is_full: bool
) -> None:
    """SQLite says "disk I/O error" when it cannot make room for it: 32 KiB, and a page."""
    free.free = room
    assert is_full == (str(failure(apsw.IOError("disk I/O error"), PATH)) == FULL)


OUT_OF_REACH = [PermissionError(errno.EACCES, "no"), apsw.CantOpenError("no"), apsw.ReadOnlyError("no")]  # fmt: skip


@pytest.mark.parametrize("error", OUT_OF_REACH, ids=repr)
def test_a_file_out_of_reach_when_it_is_opened_is_the_users_to_mend(error: Exception) -> None:
    met = opening_failure(error, PATH)
    assert isinstance(met, Misused)
    assert f"the store {PATH} cannot be used: {error}" == met.problem
    assert "Give this process a directory that it may write to" == met.remedy


@pytest.mark.parametrize(("error", "said"), list(FAILURES.values())[:9], ids=list(FAILURES)[:9])
def test_what_else_is_met_when_it_is_opened_is_a_failure(error: Exception, said: str) -> None:
    met = opening_failure(error, PATH)
    assert isinstance(met, StoreFailed)
    assert said == str(met)
