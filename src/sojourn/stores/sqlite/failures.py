"""What errors of SQLite and the disk mean to the owner of a store: one line, and what to do."""

import errno
import shutil
from pathlib import Path

import apsw

from sojourn.core.base.errors import Misused, SojournError, StoreFailed

__all__ = ["Damaged", "damaged", "failure", "opening_failure"]

_CHECK_DISK = "Check the disk; do not put a copy back: an anchor that lost its store joins anew"
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, UnicodeDecodeError)
"""SQL is always the same here: what SQLite cannot make sense of is the file."""
_ROOM_TO_OPEN = 64 * 1024
"""With less than that, the log's index (32 KiB) and a first page may not fit."""


class Damaged(StoreFailed):
    """A file's content is not what was written."""


def opening_failure(error: Exception, path: Path) -> SojournError:
    """Return what to raise for an error met while opening: `Misused` for a file out of reach."""
    out_of_reach = isinstance(error, OSError) and error.errno != errno.ENOSPC
    if out_of_reach or isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError):
        return Misused(
            f"the store {path} cannot be used: {error}",
            remedy="Give this process a directory that it may write to",
        )
    return failure(error, path)


def _is_for_want_of_room(error: BaseException, path: Path) -> bool:
    """Tell a full disk from a broken one: where it is the shared index that cannot grow, SQLite says "I/O error"."""
    if isinstance(error, apsw.IOError):
        return shutil.disk_usage(path.parent).free < _ROOM_TO_OPEN
    return isinstance(error, apsw.FullError) or getattr(error, "errno", None) == errno.ENOSPC


def failure(error: BaseException, path: Path) -> StoreFailed:
    """Return the `StoreFailed` that stands for any error met while using the database at `path`."""
    if isinstance(error, StoreFailed):
        return error
    if _is_for_want_of_room(error, path):
        return StoreFailed(
            f"the store {path} cannot grow: its disk is full",
            remedy="Make room there and start the process again",
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreFailed(
            f"the store {path} is held by another program",
            remedy="Close what else has the database open and start the process again",
        )
    if isinstance(error, _DAMAGE):
        return damaged(path, str(error))
    if isinstance(error, apsw.IOError):
        return StoreFailed(f"the disk of the store {path} fails: {error}", remedy=_CHECK_DISK)
    return StoreFailed(f"the store {path} failed: {type(error).__name__}: {error}")


def damaged(path: Path, what: str) -> Damaged:
    """Return the failure for a file whose content is not what was written: one line, whatever SQLite says."""
    return Damaged(f"the store {path} is damaged: {' '.join(what.split())}", remedy=_CHECK_DISK)
