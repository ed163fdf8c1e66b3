"""A watched process: each change it makes to a file is told, counted and judged before it happens.

A sync is answered in the kernel's place, at once: what it means is for the judge of the test to say (`disk.py`), a
process that is killed loses nothing that it has written, and no test waits for a disk.
"""

import os
import select
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Final

from tests.crash.seccomp import NUMBERS, Notification, receive, respond

__all__ = ["KILL", "Change", "Verdict", "Watch"]

KILL: Final = "kill"
Verdict = str | int | None
"""None: go on; `KILL`; or the number of the error that the call ends with."""

_NAMES: Final = {number: name for name, number in NUMBERS.items()}
_CWD: Final = -100
_PATH_MAX: Final = 4096
_SYNCS: Final = {"fsync", "fdatasync"}
_VECTOR = struct.Struct("=QQ")


@dataclass(frozen=True, slots=True)
class Change:
    """One call that is about to change a file. `kind` is one of
    make, cut, write, sync, link, rename, unlink, mkdir, rmdir; `other` is the target of a link or a new name. Or
    send, where those are watched too: of what is sent nothing is known.
    """

    kind: str
    path: Path
    data: bytes = b""
    offset: int = 0
    other: Path | None = None

    def describe(self, root: Path) -> str:
        """Return it for people."""
        named = self.path.relative_to(root)
        if self.kind == "write":
            return f"write {named} [{self.offset}+{len(self.data)}]"
        if self.other is not None:
            return f"{self.kind} {named} to {self.other.relative_to(root)}"
        return f"{self.kind} {named}"


@dataclass
class Watch:
    """Watches one process through the filter that it was started with, on a thread of its own.

    `judge` is asked about each change below `root`, in the order in which they come, with its number from 1.
    """

    listener: int
    process: int
    root: Path
    judge: Callable[[int, Change], Verdict]
    changes: list[Change] = field(default_factory=list)
    killed_at: Change | None = None
    failed: BaseException | None = None

    def __post_init__(self) -> None:
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until the process is gone; raise what went wrong in watching it."""
        self._thread.join(30)
        assert not self._thread.is_alive(), "the process is still there"
        if self.failed is not None:
            raise self.failed

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        try:
            while poll.poll()[0][1] & select.POLLIN:
                told = receive(self.listener)
                if told is not None:
                    self._consider(told)
        except BaseException as error:  # shown by `finish`; the process may not wait for ever
            self.failed = error
            os.kill(self.process, 9)
        finally:
            os.close(self.listener)

    def _consider(self, told: Notification) -> None:
        try:
            change = self._change(told)
        except OSError:  # killed while it was looked at
            respond(self.listener, told, None)
            return
        if change is None or not change.path.is_relative_to(self.root):
            respond(self.listener, told, None)
            return
        self.changes.append(change)
        verdict = self.judge(len(self.changes), change)
        if verdict == KILL:
            self.killed_at = change
            os.kill(self.process, 9)
        elif verdict is None:
            respond(self.listener, told, 0 if change.kind == "sync" else None)
        else:
            assert isinstance(verdict, int)
            respond(self.listener, told, -verdict)

    # --- what a call means ----------------------------------------------------------------------------

    def _change(self, told: Notification) -> Change | None:  # noqa: PLR0911 - one for each kind of call
        """Return what a call is about to change; None for a socket, or for what changes nothing."""
        name, args = _NAMES[told.number], told.arguments
        if name == "sendto":
            return Change("send", self.root)
        if name in ("open", "creat", "openat"):
            return self._opening(told, name)
        if name in ("write", "pwrite64", "writev", "pwritev", "pwritev2"):
            return self._writing(told, name)
        if name in _SYNCS or name in ("ftruncate", "fallocate"):
            path = self._descriptor(told.thread, args[0])
            if path is None:
                return None
            if name in _SYNCS:
                return Change("sync", path)
            if name == "fallocate":
                return Change("cut", path, offset=max(args[2] + args[3], path.stat().st_size))
            return Change("cut", path, offset=args[1])
        change = self._naming(told, name)
        return change if _will_be(change) else None

    def _opening(self, told: Notification, name: str) -> Change | None:
        at = 1 if name == "openat" else 0
        path = self._path(told, at, told.arguments[0] if at else _CWD)
        flags = os.O_CREAT | os.O_TRUNC if name == "creat" else told.arguments[at + 1]
        if not os.path.lexists(path):
            return Change("make", path) if flags & os.O_CREAT and path.parent.is_dir() else None
        is_file = path.is_file() and not flags & os.O_EXCL
        return Change("cut", path) if flags & os.O_TRUNC and is_file else None

    def _writing(self, told: Notification, name: str) -> Change | None:
        descriptor, buffer, length, offset = told.arguments[:4]
        path = self._descriptor(told.thread, descriptor)
        if path is None:
            return None
        if name in ("write", "pwrite64"):
            data = _memory(told, buffer, length)
        else:
            vectors = _VECTOR.iter_unpack(_memory(told, buffer, 16 * length))
            data = b"".join(_memory(told, start, size) for start, size in vectors)
        if name in ("write", "writev"):
            offset = self._position(told.thread, descriptor, path)
        return Change("write", path, data, offset)

    def _naming(self, told: Notification, name: str) -> Change:
        args = told.arguments
        if name in ("rename", "link", "symlink"):
            kind, path, other = name, self._path(told, 0), self._path(told, 1)
        elif name in ("renameat", "renameat2", "linkat"):
            kind = "link" if name == "linkat" else "rename"
            path, other = self._path(told, 1, args[0]), self._path(told, 3, args[2])
        elif name == "truncate":
            return Change("cut", self._path(told, 0), offset=args[1])
        elif name in ("mkdir", "rmdir", "unlink"):
            return Change(name, self._path(told, 0))
        elif name == "mkdirat":
            return Change("mkdir", self._path(told, 1, args[0]))
        elif name == "unlinkat":
            kind = "rmdir" if args[2] & 0x200 else "unlink"
            return Change(kind, self._path(told, 1, args[0]))
        else:
            raise AssertionError(f"{name} is not expected of a process of ours")
        return Change(kind, path, other=other)

    def _path(self, told: Notification, index: int, directory: int = _CWD) -> Path:
        """Return the path that an argument names; the text ends with a zero, and may end with its page."""
        start = told.arguments[index]
        text = b""
        while b"\0" not in text and len(text) < _PATH_MAX:
            at = start + len(text)
            text += _memory(told, at, 4096 - at % 4096)
        named = Path(os.fsdecode(text.partition(b"\0")[0]))
        number = directory & 0xFFFFFFFF
        place = "cwd" if number == _CWD & 0xFFFFFFFF else f"fd/{number}"
        return Path(f"/proc/{told.thread}/{place}").readlink() / named

    @staticmethod
    def _descriptor(thread: int, number: int) -> Path | None:
        """Return the file behind a descriptor; None if it is none."""
        target = os.readlink(f"/proc/{thread}/fd/{number}")  # noqa: PTH115 - a socket's is no path
        path = Path(target)
        return path if path.is_absolute() and not path.is_char_device() else None

    @staticmethod
    def _position(thread: int, number: int, path: Path) -> int:
        """Return where the next write to a descriptor goes."""
        said = Path(f"/proc/{thread}/fdinfo/{number}").read_text().split()
        facts = dict(zip(said[::2], said[1::2], strict=False))
        is_appending = int(facts["flags:"], 8) & os.O_APPEND
        return path.stat().st_size if is_appending else int(facts["pos:"])


def _memory(told: Notification, start: int, length: int) -> bytes:
    """Return bytes of the memory of a thread that waits: it may be of a process that the watched one has started."""
    with open(f"/proc/{told.thread}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - no path of ours
        return os.pread(memory.fileno(), length, start)


def _will_be(change: Change) -> bool:
    """Tell whether a change of names can be: a call that fails by itself changes nothing."""
    if change.kind == "mkdir":
        return change.path.parent.is_dir() and not os.path.lexists(change.path)
    if change.kind == "link":
        return change.other is not None and not os.path.lexists(change.other)
    return os.path.lexists(change.path)
