"""What a disk may hold when the power goes: made from the changes that a process made, with what it had synced.

The model is as pessimistic as a real disk, and the file systems above it, may be (protocol §13, trap 5):

- a file's bytes are durable once the file was synced after they were written; before that each sector of 512 bytes
  of each write is there or not, whatever became of the others, and so is each change of its length;
- a name is durable once its directory was synced after the name was made, changed or removed; before that each such
  change happened on disk or did not, one by one (a rename within a directory is one change); to sync the file does
  not make its name durable;
- a sector is written whole or not at all.

Sources: T. S. Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014); SQLite, "Atomic Commit" §2.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.crash.watching import Change

__all__ = ["MANNERS", "Disk"]

SECTOR: Final = 512

MANNERS: Final = ("lost", "kept", "broken off", "torn at the end", "some", "torn")
"""How a disk treats what was not synced: all is lost; all is there; what came first is there; the same, and a part of
the next write; some of the changes are there; some of the sectors are there."""


@dataclass
class _Cut:
    length: int


@dataclass
class _Write:
    offset: int
    data: bytes


@dataclass
class _File:
    durable: bytes = b""
    live: bytearray = field(default_factory=bytearray)
    pending: list[_Cut | _Write] = field(default_factory=list)

    def do(self, change: _Cut | _Write) -> None:
        _apply(self.live, change)
        self.pending.append(change)

    def sync(self) -> None:
        self.durable, self.pending = bytes(self.live), []

    def image(self, random: Random, manner: str) -> bytes:
        """Return what may be there of it."""
        made = bytearray(self.durable)
        for change in _surviving(self.pending, random, manner):
            _apply(made, change)
        return bytes(made)


@dataclass
class _Directory:
    durable: dict[str, "_Node"] = field(default_factory=dict)
    live: dict[str, "_Node"] = field(default_factory=dict)
    pending: list[dict[str, "_Node | None"]] = field(default_factory=list)

    def do(self, change: "dict[str, _Node | None]") -> None:
        """Make names stand for other things, or for nothing: one change."""
        _rename(self.live, change)
        self.pending.append(change)

    def sync(self) -> None:
        self.durable, self.pending = dict(self.live), []

    def image(self, random: Random, manner: str) -> "dict[str, _Node]":
        made = dict(self.durable)
        whole = {"torn": "some", "torn at the end": "broken off"}.get(manner, manner)
        for change in _some(self.pending, random, whole):
            _rename(made, change)
        return made


_Node = _File | _Directory


class Disk:
    """A folder, as the system shows it and as the disk may hold it."""

    def __init__(self, root: Path) -> None:
        """Begin with what is in the folder now: all of it durable."""
        self.root = root
        self._top = _read(root)

    def do(self, change: Change) -> None:
        """Take in the next change."""
        if change.kind == "sync":
            self._node(change.path).sync()
        elif change.kind in ("write", "cut"):
            file = self._node(change.path)
            assert isinstance(file, _File)
            whole = _Write(change.offset, change.data)
            file.do(whole if change.kind == "write" else _Cut(change.offset))
        else:
            self._name(change)

    def _name(self, change: Change) -> None:
        parent, name = self._parent(change.path), change.path.name
        if change.kind == "make":
            parent.do({name: _File()})
        elif change.kind == "mkdir":
            parent.do({name: _Directory()})
        elif change.kind in ("unlink", "rmdir"):
            parent.do({name: None})
        else:
            assert change.other is not None
            target, node = self._parent(change.other), parent.live[name]
            gone = {name: None} if change.kind == "rename" else {}
            if target is parent:
                parent.do({**gone, change.other.name: node})
            else:
                target.do({change.other.name: node})
                parent.do(gone)

    def _parent(self, path: Path) -> _Directory:
        node = self._node(path.parent)
        assert isinstance(node, _Directory)
        return node

    def _node(self, path: Path) -> _Node:
        node: _Node = self._top
        for name in path.relative_to(self.root).parts:
            assert isinstance(node, _Directory)
            node = node.live[name]
        return node

    def image(self, random: Random, manner: str) -> dict[str, bytes | None]:
        """Return what may be there after a power cut: the bytes of each file, None for each directory."""
        found: dict[str, bytes | None] = {}
        _collect(self._top, "", random, manner, found)
        return found

    def live(self) -> dict[str, bytes | None]:
        """Return what the system shows, made durable or not."""
        found: dict[str, bytes | None] = {}
        _show(self._top, "", found)
        return found

    @property
    def unsynced(self) -> int:
        """How many changes may be lost now."""
        return _unsynced(self._top)


def _show(directory: _Directory, at: str, found: dict[str, bytes | None]) -> None:
    for name, node in directory.live.items():
        if isinstance(node, _File):
            found[f"{at}{name}"] = bytes(node.live)
        else:
            found[f"{at}{name}"] = None
            _show(node, f"{at}{name}/", found)


def _unsynced(node: _Node) -> int:
    below = node.live.values() if isinstance(node, _Directory) else ()
    return len(node.pending) + sum(map(_unsynced, below))


def _collect(
    directory: _Directory, at: str, random: Random, manner: str, found: dict[str, bytes | None]
) -> None:
    for name, node in sorted(directory.image(random, manner).items()):
        path = f"{at}{name}"
        if isinstance(node, _File):
            found[path] = node.image(random, manner)
        else:
            found[path] = None
            _collect(node, f"{path}/", random, manner, found)


def _read(path: Path) -> _Directory:
    names: dict[str, _Node] = {}
    for each in path.iterdir():
        data = b"" if each.is_dir() else each.read_bytes()
        names[each.name] = _read(each) if each.is_dir() else _File(data, bytearray(data))
    return _Directory(dict(names), dict(names))


def _rename(names: "dict[str, _Node]", change: "dict[str, _Node | None]") -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _apply(data: bytearray, change: _Cut | _Write) -> None:
    if isinstance(change, _Cut):
        del data[change.length :]
        data.extend(bytes(change.length - len(data)))
    else:
        data.extend(bytes(max(0, change.offset - len(data))))
        data[change.offset : change.offset + len(change.data)] = change.data


def _some(pending: list, random: Random, manner: str) -> list:  # type: ignore[type-arg]
    """Return those of some changes that the disk has, in order."""
    if manner == "lost":
        return []
    if manner == "kept":
        return pending
    if manner == "broken off":
        return pending[: random.randint(0, len(pending))]
    odds = random.random()
    return [change for change in pending if random.random() < odds]


def _surviving(
    pending: list[_Cut | _Write], random: Random, manner: str
) -> Iterable[_Cut | _Write]:
    if manner == "torn at the end":
        kept = random.randint(0, len(pending))
        yield from pending[:kept]
        last = pending[kept : kept + 1]
    elif manner == "torn":
        last = pending
    else:
        yield from _some(pending, random, manner)
        return
    odds = random.random()
    for change in last:
        if isinstance(change, _Cut):
            if random.random() < odds:
                yield change
        else:
            yield from (sector for sector in _sectors(change) if random.random() < odds)


def _sectors(write: _Write) -> Iterable[_Write]:
    """Yield a write by the sectors of the disk that it touches."""
    start, end = write.offset, write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield _Write(start, write.data[start - write.offset : stop - write.offset])
        start = stop
