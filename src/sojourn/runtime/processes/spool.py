"""Blocks in a file without a name: as many as the disk has room for. Memory holds where they stand."""

import tempfile
import weakref
from collections.abc import Iterator, MutableMapping

from sojourn.core.base.errors import Failed

__all__ = ["Spool"]


class Spool(MutableMapping[bytes, bytes]):
    """Blocks by digest, in the order in which they came. The file is gone when this is, however that ends.

    What is removed leaves its room in the file unused. Raises `Failed` where the disk is full.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as this)
        weakref.finalize(self, self._file.close)
        self._places: dict[bytes, tuple[int, int]] = {}
        self._end = 0

    def __getitem__(self, named: bytes) -> bytes:
        at, size = self._places[named]
        self._file.seek(at)
        return self._file.read(size)

    def __setitem__(self, named: bytes, data: bytes) -> None:
        try:
            self._file.seek(self._end)
            self._file.write(data)
        except OSError as error:
            problem = f"{len(data)} bytes cannot be put aside in {tempfile.gettempdir()}: {error.strerror}"
            raise Failed(problem, remedy="Make room, or name another folder by TMPDIR") from None
        self._places[named] = self._end, len(data)
        self._end += len(data)

    def __delitem__(self, named: bytes) -> None:
        del self._places[named]

    def __contains__(self, named: object) -> bool:
        return named in self._places

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
