"""Disks that lose or refuse what is written to them: SQLite's layer over files, with faults; and what is open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event
from typing import Final, TypeVar

import apsw

from sojourn.stores.sqlite.store import DATABASE_NAME

SECTOR_BYTES = 512
HELD_S_MAX: Final = 10.0


class Disk(apsw.VFS):
    """A disk like any other. Faulty ones override what they do differently."""

    def __init__(self) -> None:
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        file = _File(self, name, flags)
        self.after_open(file.path)
        return file

    def after_open(self, path: Path) -> None: ...

    def after_close(self, path: Path) -> None: ...

    def after_write(self, path: Path) -> None: ...

    def before_sync(self, path: Path) -> None: ...

    def after_sync(self, path: Path) -> None: ...


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        self.path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "")

    def xClose(self) -> None:  # noqa: N802
        super().xClose()
        self._disk.after_close(self.path)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._disk.after_write(self.path)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.before_sync(self.path)
        super().xSync(flags)
        self._disk.after_sync(self.path)


DiskT = TypeVar("DiskT", bound=Disk)


@contextmanager
def mounted(disk: DiskT) -> Iterator[DiskT]:
    """Let every store that is opened meanwhile stand on `disk`."""
    try:
        yield disk
    finally:
        apsw.set_default_vfs("unix")
        disk.unregister()


class UnsyncingDisk(Disk):
    """Fails every sync of the file whose name ends with `suffix`, once `failing` is set."""

    def __init__(self, suffix: str) -> None:
        super().__init__()
        self.suffix = suffix
        self.failing = False

    def before_sync(self, path: Path) -> None:
        if self.failing and path.name.endswith(self.suffix):
            raise apsw.IOError("planted")


class WatchedDisk(Disk):
    """Notes the names of the files that are opened, synced and closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.synced: list[str] = []
        self.closed: list[str] = []

    def after_open(self, path: Path) -> None:
        self.opened.append(path.name)

    def after_close(self, path: Path) -> None:
        self.closed.append(path.name)

    def before_sync(self, path: Path) -> None:
        self.synced.append(path.name)


class FlakyDisk(WatchedDisk):
    """Fails one sync of the log, once `failing` is set, and none after that."""

    failing = False

    def before_sync(self, path: Path) -> None:
        super().before_sync(path)
        if self.failing and path.name.endswith("-wal"):
            self.failing = False
            self.synced.clear()
            raise apsw.IOError("planted")


class HeldDisk(Disk):
    """Lets no sync of the file whose name ends with `suffix` through, once `holding`, before it is `released`."""

    def __init__(self, suffix: str) -> None:
        super().__init__()
        self.suffix = suffix
        self.holding = False
        self.released = Event()

    def before_sync(self, path: Path) -> None:
        if self.holding and path.name.endswith(self.suffix) and not self.released.wait(HELD_S_MAX):
            raise apsw.IOError("nobody let it through")


class CutDisk(Disk):
    """Knows what was synced, and so what a power cut at any moment would leave.

    `cuts` holds one image of the store's files for every `every`-th write, with `acknowledged` as it was
    then: what was synced is there, and of what was written since, each sector is there or not.
    """

    def __init__(self, directory: Path, random: Random, every: int) -> None:
        super().__init__()
        self.files = [directory / DATABASE_NAME, directory / f"{DATABASE_NAME}-wal"]
        self.synced = {file: read(file) for file in self.files}
        self.random = random
        self.every = every
        self.writes = 0
        self.acknowledged: list[bytes] = []
        self.cuts: list[tuple[list[bytes], dict[str, bytes]]] = []

    def after_sync(self, path: Path) -> None:
        if path in self.files:
            self.synced[path] = read(path)

    def after_write(self, path: Path) -> None:
        self.writes += path in self.files
        if self.writes % self.every == 0:
            known = list(self.acknowledged)
            images = {file.name: self.torn(self.synced[file], read(file)) for file in self.files}
            self.cuts.append((known, images))

    def torn(self, synced: bytes, written: bytes) -> bytes:
        """Return `synced`, with some of the sectors in which `written` differs."""
        image = bytearray(synced.ljust(len(written), b"\0"))
        image = image[: self.random.choice((len(synced), len(written)))]
        for at in range(0, len(image), SECTOR_BYTES):
            if self.random.random() < 0.5:
                sector = written[at : at + SECTOR_BYTES]
                image[at : at + len(sector)] = sector
        return bytes(image)


def read(file: Path) -> bytes:
    """Return what is in a file, and nothing if there is none."""
    return file.read_bytes() if file.exists() else b""


def open_files() -> list[str]:
    """Return all that this process has open: numbers, of which the lowest are used again."""
    return sorted(entry.name for entry in Path("/dev/fd").iterdir())
