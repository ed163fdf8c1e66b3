"""Canaries: what hostile agents try to reach. Each says afterwards whether somebody did."""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.confinement.agents import attempts

__all__ = ["Canaries", "canaries"]

SECRET = b"the canary's secret"
_libc = ctypes.CDLL(None, use_errno=True)


class Canaries:
    """Things on this machine that an agent has no business with, and what became of them.

    `at` tells attempts where they are. `heard` is what came to the sockets.
    """

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self._held = held
        self.heard: list[bytes] = []
        self.name = f"sojourn-canary-{secrets.token_hex(4)}"
        self.folder = folder / "canaries"
        self.folder.mkdir(mode=0o700)
        self._files()
        self._processes()
        self.at: dict[str, Any] = {
            "folder": str(self.folder),
            "file": str(self.folder / "file"),
            "key": str(self.folder / "key"),
            "victims": str(self.folder / "victims"),
            "in_tmp": str(self._in_tmp()),
            "posix_shm": self.name,
            "neighbour": self.neighbour.pid,
            "host": os.getpid(),
            "hostname": socket.gethostname(),
            "program": os.path.realpath(sys._base_executable),  # type: ignore[attr-defined]
            "libraries": sysconfig.get_config_var("LIBDIR"),
            "shm": self._system_v(),
            "mq": self._queue(),
            **self._sockets(),
        }
        self._left = {path.relative_to(self.folder) for path in self.folder.rglob("*")}

    def for_layers(self, layers: frozenset[str]) -> dict[str, Any]:
        """Return `at` for a process with these layers: only in namespaces has it a folder of its own."""
        scratch = "/tmp" if "namespaces" in layers else str(self.folder)
        return {**self.at, "scratch": scratch}

    def check_untouched(self) -> None:
        """Check that nobody was here."""
        left = {path.relative_to(self.folder): path for path in self.folder.rglob("*")}
        assert self._left == set(left)
        for path in left.values():
            if path.is_file():
                assert (SECRET, 0o600) == (path.read_bytes(), path.stat().st_mode & 0o777), path
        assert [] == self.heard
        assert self.neighbour.poll() is None, "the neighbour was killed"

    def _files(self) -> None:
        (self.folder / "victims").mkdir()
        for name in ("file", "key", *(f"victims/{name}" for name in attempts())):
            (self.folder / name).write_bytes(SECRET)
            (self.folder / name).chmod(0o600)
        shared = Path("/dev/shm", self.name)
        shared.write_bytes(SECRET)
        self._held.callback(shared.unlink)

    def _in_tmp(self) -> Path:
        path = Path("/tmp", self.name)
        path.write_bytes(SECRET)
        self._held.callback(path.unlink)
        return path

    def _processes(self) -> None:
        sleep = shutil.which("sleep")
        assert sleep is not None
        self.neighbour = subprocess.Popen([sleep, "600"])
        self._held.callback(self.neighbour.wait)
        self._held.callback(self.neighbour.send_signal, signal.SIGKILL)

    def _system_v(self) -> int:
        key = secrets.randbits(30) | 1
        segment = _libc.shmget(key, 4096, 0o1600)
        assert segment >= 0
        self._held.callback(_libc.shmctl, segment, 0, None)
        return key

    def _queue(self) -> str:
        """Make a message queue; the call's name has no slash in front, unlike the library's."""
        name = ctypes.c_char_p(self.name.encode())
        make, unlink = {"x86_64": (240, 241), "aarch64": (180, 181)}[os.uname().machine]
        queue = _libc.syscall(make, name, os.O_RDWR | os.O_CREAT, 0o600, None)
        assert queue >= 0
        os.close(queue)
        self._held.callback(_libc.syscall, unlink, name)
        return self.name

    def _sockets(self) -> dict[str, Any]:
        tcp, udp = (
            self._listening(socket.AF_INET, "127.0.0.1"),
            socket.socket(type=socket.SOCK_DGRAM),
        )
        udp.bind(("127.0.0.1", 0))
        tcp6 = self._listening(socket.AF_INET6, "::1")
        path, dgram = str(self.folder / "unix"), str(self.folder / "dgram")
        by_path = self._listening(socket.AF_UNIX, path)
        abstract = self._listening(socket.AF_UNIX, "\0" + self.name)
        datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        datagrams.bind(dgram)
        for listener in (tcp, tcp6, by_path, abstract):
            self._serve(listener, self._answer_lines)
        for door in (udp, datagrams):
            self._serve(door, self._answer_datagrams)
        return {
            "tcp": tcp.getsockname()[1],
            "tcp6": tcp6.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": path,
            "abstract": self.name,
            "dgram": dgram,
        }

    @staticmethod
    def _listening(family: int, address: str) -> socket.socket:
        door = socket.socket(family)
        door.bind(address if family == socket.AF_UNIX else (address, 0))
        door.listen()
        return door

    def _serve(self, door: socket.socket, answer: Any) -> None:
        thread = threading.Thread(target=answer, args=(door,), daemon=True)
        thread.start()
        self._held.callback(door.close)
        self._held.callback(thread.join, 5)
        self._held.callback(_end, door)

    def _answer_lines(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                with line, suppress(OSError):
                    line.settimeout(2)
                    self.heard.append(line.recv(64))
                    line.send(b"hello from the host")

    def _answer_datagrams(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                data, sender = door.recvfrom(64)
                if not data:
                    return
                self.heard.append(data)
                if sender:
                    door.sendto(b"hello from the host", sender)


def _end(door: socket.socket) -> None:
    """Have the thread that waits at a door go."""
    with suppress(OSError):
        door.shutdown(socket.SHUT_RDWR)
    if door.type == socket.SOCK_DGRAM:
        with suppress(OSError), socket.socket(door.family, socket.SOCK_DGRAM) as last:
            last.sendto(b"", door.getsockname())


@contextmanager
def canaries(folder: Path) -> Iterator[Canaries]:
    """Give canaries, with their files in a folder, and take them away again."""
    with ExitStack() as held:
        yield Canaries(folder, held)
