"""Where shares of keys are kept: each in a file of its own, which is overwritten before it is unlinked.

    <directory>/<name of the key, hexadecimal>     the share, and the agent it was dealt for, 32 bytes each, mode 0600
    <directory>/.new                               one that is being written; destroyed at the next start

So small a file is written in place: on a disk that overwrites, nothing of it is left. What is below the file
system may keep copies all the same (flash, copy-on-write, snapshots): encrypt such disks.
"""

import os
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Final

from sojourn.core.base.errors import StoreFailed
from sojourn.core.base.sharing import SCALAR_BYTES
from sojourn.runtime.processes.files import make_directories, sync_directory
from sojourn.runtime.share_keep import ShareKeep

__all__ = ["MemoryShares", "ShareFiles"]

_PARTIAL: Final = ".new"
_NAME_CHARS: Final = 64


class ShareFiles(ShareKeep):
    """Shares in a directory of a local disk."""

    def __init__(self, directory: Path) -> None:
        """Open the directory, or make it; destroy what was not written to its end. Raises `StoreFailed`."""
        self._directory = directory
        try:
            make_directories(directory)
            directory.chmod(0o700)
            self._destroy(directory / _PARTIAL)
            names = {file.name for file in directory.iterdir()}
        except OSError as error:
            raise self._failed(error) from error
        self._going: set[bytes] = set()
        """What is being destroyed, in another thread: held until no byte is left, and read no more."""
        self._names = {bytes.fromhex(name) for name in names if _is_name(name)}

    @property
    def names(self) -> Set[bytes]:
        """The keys of which there is a share."""
        return self._names

    def get(self, key: bytes) -> bytes | None:
        """Return what is in the file of a key, or None."""
        data = self._read(key)
        return None if data is None else data[:SCALAR_BYTES]

    def agent_of(self, key: bytes) -> bytes | None:
        """Return what the file of a key says of its agent; None if it says nothing."""
        data = self._read(key)
        return data[SCALAR_BYTES:] or None if data is not None else None

    def _read(self, key: bytes) -> bytes | None:
        if key not in self._names or key in self._going:
            return None
        try:
            return (self._directory / key.hex()).read_bytes()
        except OSError as error:
            if key in self._going:
                return None
            raise self._failed(error) from error

    def _keep(self, key: bytes, share: bytes, agent: bytes) -> None:
        partial = self._directory / _PARTIAL
        try:
            file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, share + agent)
                os.fsync(file)
            finally:
                os.close(file)
            partial.replace(self._directory / key.hex())
            sync_directory(self._directory)
        except OSError as error:
            raise self._failed(error) from error
        self._names.add(key)

    def destroy(self, keys: Iterable[bytes]) -> None:
        """Overwrite the files of these keys with zeros, unlink them, and force both to disk."""
        for key in self._names.intersection(keys):
            self._going.add(key)
            try:
                self._destroy(self._directory / key.hex())
            except OSError as error:
                raise self._failed(error) from error
            self._names.discard(key)
            self._going.discard(key)

    @staticmethod
    def _destroy(path: Path) -> None:
        try:
            file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.write(file, bytes(os.fstat(file).st_size))
            os.fsync(file)
        finally:
            os.close(file)
        path.unlink()
        sync_directory(path.parent)

    def _failed(self, error: OSError) -> StoreFailed:
        problem = f"the shares of keys in {self._directory} cannot be used: {error.strerror}"
        return StoreFailed(problem, remedy="Check the disk, and who may write there")


class MemoryShares(ShareKeep):
    """Shares in a dictionary: for tests. Nothing in it outlives the process."""

    def __init__(self) -> None:
        self.shares: dict[bytes, bytes] = {}
        self._agents: dict[bytes, bytes] = {}

    @property
    def names(self) -> Set[bytes]:
        """The keys of which there is a share."""
        return self.shares.keys()

    def get(self, key: bytes) -> bytes | None:
        """Return the share of a key, or None."""
        return self.shares.get(key)

    def agent_of(self, key: bytes) -> bytes | None:
        """Return the agent that a share was dealt for."""
        return self._agents.get(key)

    def _keep(self, key: bytes, share: bytes, agent: bytes) -> None:
        self.shares[key], self._agents[key] = share, agent

    def destroy(self, keys: Iterable[bytes]) -> None:
        """Forget the shares of these keys."""
        for key in [*keys]:
            self.shares.pop(key, None)


def _is_name(name: str) -> bool:
    return len(name) == _NAME_CHARS and not set(name) - set("0123456789abcdef")
