"""A person at a terminal: the installed command, real processes, a home folder of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sojourn.runtime.pidfile import running

__all__ = ["Done", "Person", "person", "until"]

SOURCE = Path(__file__).parents[2] / "src"
TIMEOUT_S = 60


def until(happens: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    """Wait until something outside this process has happened."""
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.05)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """What it printed."""
        return self.out.decode()

    @property
    def json(self) -> Any:
        """The document it printed."""
        return json.loads(self.out)

    def line(self) -> str:
        """Return the one line it said on failing."""
        assert self.err.startswith("sojourn: "), self
        assert 1 == self.err.count("\n"), self.err
        return self.err.removeprefix("sojourn: ").rstrip("\n")


class Person:
    """Types commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.env = os.environ | {"PYTHONPATH": str(SOURCE), "SOJOURN_HOME": str(self.home)}

    def __call__(self, *arguments: object) -> Done:
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=self.env,
            timeout=TIMEOUT_S,
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def command(self, *arguments: object) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-P", "-m", "sojourn", *map(str, arguments)]

    def good(self, *arguments: object) -> Done:
        """Type a command that must succeed."""
        done = self(*arguments)
        assert 0 == done.code, done
        return done

    def zone(self, name: str, *arguments: object) -> None:
        """Found a zone on this machine and start it."""
        self.good("zone", "init", name, "--local", 1, *arguments)
        self.good("zone", "up", name)

    def folder_of(self, zone: str, noun: str, index: int) -> Path:
        """Return the folder of a process."""
        return self.home / "zones" / zone / noun / str(index)

    def kill(self, zone: str, noun: str, index: int) -> None:
        """SIGKILL a process of a zone, and wait until it is gone."""
        folder = self.folder_of(zone, noun, index)
        pid = running(folder)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: running(folder) is None, f"the death of {pid}")

    def agent(self, name: str) -> Any:
        """Return what `agent show` says."""
        return self.good("agent", "show", name, "--json").json

    def write(self, name: str, text: str) -> Path:
        """Write a file into the person's folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def end_all(self) -> None:
        """End what still runs, by its number and nothing else."""
        for file in self.home.glob("zones/*/*/*/pid"):
            pid = running(file.parent)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                until(lambda folder=file.parent: running(folder) is None, "the end")  # type: ignore[misc]


@contextmanager
def person(folder: Path) -> Iterator[Person]:
    """Give a person a folder; end all that they left running."""
    made = Person(folder)
    try:
        yield made
    finally:
        made.end_all()
