"""The mark: the number of the newest commit that was acknowledged, in a file beside the store (ADR 0022).

The end of a write-ahead log can't tell a last commit that a power cut tore from one that was acknowledged and damaged
afterwards. The mark can. It is written after each commit is on disk and before anybody is told, and it is never
synced: whatever becomes of it, it names no commit that was not durable before, so it may be too old and never too
new. A store that ends before its mark has lost what was acknowledged: to a flipped bit, to a disk that only said it
had synced, to a file that was put back alone.

    8 bytes   the sequence number of the commit's link
    8 bytes   the first of its SHA-256: a mark that was itself damaged is none
"""

import hashlib
import os
import struct
from pathlib import Path
from typing import Final

import structlog

from sojourn.stores.sqlite.failures import damaged

__all__ = ["MARK_NAME", "Mark"]

MARK_NAME: Final = "store.mark"

_log = structlog.get_logger(__name__)
_SEQUENCE = struct.Struct(">Q")
_CHECK_BYTES: Final = 8
_BYTES: Final = _SEQUENCE.size + _CHECK_BYTES


class Mark:
    """The mark of one store, from opening to `release`."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises `OSError`."""
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def check(self, newest: int, store: Path) -> None:
        """Raise `StoreFailed` if a commit after `newest`, the store's last, was acknowledged."""
        acknowledged = self._read()
        if acknowledged is not None and acknowledged > newest:
            problem = f"it ends at commit {newest}, and commit {acknowledged} was acknowledged"
            raise damaged(store, problem)

    def write(self, newest: int) -> None:
        """Note that this commit is on disk and will be acknowledged. Raises `OSError`."""
        number = _SEQUENCE.pack(newest)
        os.pwrite(self._file, number + _check(number), 0)

    def release(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _read(self) -> int | None:
        data = os.pread(self._file, _BYTES + 1, 0)
        number, check = data[: _SEQUENCE.size], data[_SEQUENCE.size :]
        if not any(data):
            return None  # new, or cut off from power before its bytes were on disk
        if check != _check(number):
            _log.warning(
                "the mark of the store is damaged; it is written anew", file=str(self._path)
            )
            return None
        return int(_SEQUENCE.unpack(number)[0])


def _check(number: bytes) -> bytes:
    return hashlib.sha256(number).digest()[:_CHECK_BYTES]
