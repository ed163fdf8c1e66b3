"""Suspicion: a store that was found damaged in service is read as a whole when it is opened next.

What the rows of a large file hold is not read at its opening (`audit`). Were damage found in service then forgotten
with the process, the next one would serve until it met it again. So the finding is noted beside the store, as far as
the disk still takes a note, and the note goes only when all of the store was read and found in order.

store.suspect    what was damaged, in one line
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

__all__ = ["SUSPECT_NAME", "Suspicion"]

SUSPECT_NAME: Final = "store.suspect"

_log = structlog.get_logger(__name__)


class Suspicion:
    """Whether damage was found in a store since all of it was last in order."""

    def __init__(self, directory: Path) -> None:
        """Nothing is read or written yet."""
        self._path = directory / SUSPECT_NAME

    def is_noted(self) -> bool:
        """Tell whether there is a note."""
        return self._path.exists()

    def note(self, problem: str) -> None:
        """Note damage, if the disk takes it: where it does not, it is met again when it is read."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with suppress(OSError):
            file = os.open(self._path, flags, 0o600)
            try:
                os.write(file, problem.encode("utf-8", "replace") + b"\n")
                os.fsync(file)
            finally:
                os.close(file)

    def lift(self) -> None:
        """Drop the note: all was read since, and is in order. Raises `OSError`."""
        if self.is_noted():
            _log.warning("the store was found damaged; all of it was read, and is in order")
            self._path.unlink()
