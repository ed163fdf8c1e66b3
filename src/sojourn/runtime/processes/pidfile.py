"""Which process serves a folder: a file that holds its number, locked for as long as it lives.

The kernel drops the lock (`flock`) with the process, however that ends, so a number without a lock is history
and a locked one is the truth: no guessing whether a number has been given to somebody else's process.
"""

import fcntl
import os
import signal
import time
from pathlib import Path
from typing import Final

from sojourn.core.base.errors import Misused

__all__ = ["PID_NAME", "PidFile", "running", "send_signal"]

PID_NAME: Final = "pid"
_LOOK_S: Final = 0.02
_LOOKS_MAX: Final = 10
"""Someone who looks whether a process runs holds the lock for a moment; that is waited out."""


class PidFile:
    """Holds a folder for this process from construction on; `release` lets it go.

    Raises `Misused` if another process serves the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / PID_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _lock(self._file):
            holder = _number(self._file) or "unknown"
            os.close(self._file)
            raise Misused(f"process {holder} serves {folder} already", remedy="Stop it first")
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process serve the folder."""
        os.ftruncate(self._file, 0)
        os.close(self._file)


def running(folder: Path) -> int | None:
    """Return the number of the process that serves a folder now, or None."""
    try:
        file = os.open(folder / PID_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Shared, so that two who look at the same time do not see each other.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _number(file)
    else:
        return None
    finally:
        os.close(file)


def send_signal(folder: Path, number: signal.Signals) -> bool:
    """Send a signal to the process that serves a folder; tell whether there is one.

    Where the system has process descriptors the signal cannot reach a successor of the same number: the
    descriptor is taken before the lock is looked at.
    """
    process = running(folder)
    if process is None:
        return False
    if not hasattr(os, "pidfd_open"):
        os.kill(process, number)
        return True
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return False
    try:
        if running(folder) != process:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def _lock(file: int) -> bool:
    """Tell whether the lock was free, or is free in a moment."""
    for _ in range(_LOOKS_MAX):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_S)
        else:
            return True
    return False


def _number(file: int) -> int | None:
    """Return the number in the file; None while its process is just writing it."""
    text = os.pread(file, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdigit() else None
