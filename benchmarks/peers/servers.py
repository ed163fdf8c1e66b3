"""Servers that a peer stands on: found, started for one measurement on loopback, and ended by their number."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["LOOPBACK", "Absent", "free_port", "program", "serving"]

LOOPBACK: Final = "127.0.0.1"
_UP_S: Final = 60.0
_END_S: Final = 20.0
_LOOK_S: Final = 0.05


class Absent(Exception):
    """What a peer needs is not on this machine: it is left out, and everybody else is measured."""


def program(name: str, *, beside: Sequence[Path] = (), wanted: str) -> str:
    """Return the path of a program: in one of some folders, beside our interpreter, or on the path.

    Raises `Absent`, with what would bring it, if it is nowhere.
    """
    folders = [*beside, Path(sys.executable).parent]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    if found is None:
        raise Absent(f"there is no program {name!r} here; {wanted}")
    return found


def free_port() -> int:
    """Return a port of loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        number: int = probe.getsockname()[1]
    return number


@contextmanager
def serving(
    command: Sequence[str],
    folder: Path,
    is_up: Callable[[], bool],
    *,
    end: signal.Signals = signal.SIGTERM,
    user: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a server in a folder until the block ends; the block begins when `is_up` says so.

    `end` is the signal that it ends at, `user` whom it runs as (if not us), `settings` go into its
    environment. Raises `RuntimeError` with its last words if it ends early or does not come up.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
            extra_groups=[] if user else None,
            env=os.environ | dict(settings or {}),
        )
    try:
        _wait_up(server, is_up, log)
        yield
    finally:
        server.send_signal(end)
        try:
            server.wait(_END_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_up(server: "subprocess.Popen[bytes]", is_up: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + _UP_S
    while not is_up():
        if server.poll() is not None or time.monotonic() > until:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise RuntimeError(f"{server.args!r} did not come up: {' / '.join(said)}")
        time.sleep(_LOOK_S)
