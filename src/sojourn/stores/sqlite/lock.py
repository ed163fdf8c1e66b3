"""One process per store: two anchors on one key would vote twice (protocol §14 trap 8).

The lock is `flock` on a file beside the database. The kernel drops it with the process, however
that ends, so it is never stale; and it belongs to the open file, so a second store in the same
process is refused too.
"""

import fcntl
import os
from pathlib import Path

from sojourn.core.base.errors import Misused

__all__ = ["StoreLock"]


class StoreLock:
    """Holds the lock file from construction to `release`; it names the holder's process.

    Raises `Misused` if another holds it, and `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace") or "unknown"
            os.close(self._file)
            raise Misused(
                f"the store at {path.parent} is already in use by process {holder}",
                remedy="Stop that process, or give this one a store of its own",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another process have the store. The file stays: removing it would race with one."""
        os.close(self._file)
