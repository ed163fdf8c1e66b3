"""A person at a terminal: real anchors and hosts in processes of their own, and a home folder.

Commands run in this process, as their main does, which spares each of them the start of an interpreter; what is
about a command's own process uses `Person.command`.
"""

import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from sojourn.cli import main
from sojourn.runtime.processes.pidfile import running

__all__ = ["Done", "Person", "person", "until"]

SOURCE = Path(__file__).parents[2] / "src"


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
        out = io.TextIOWrapper(io.BytesIO(), write_through=True)
        err = io.TextIOWrapper(io.BytesIO(), write_through=True)
        code: object = None
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
            try:
                main(["--home", str(self.home), *map(str, arguments)])
            except SystemExit as ended:
                code = ended.code
            finally:
                structlog.reset_defaults()
        assert isinstance(code, int)
        printed, said = (stream.detach().getvalue() for stream in (out, err))
        return Done(code, printed, said.decode())

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
def _findable() -> Iterator[None]:
    """Let processes that are started find the source."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(SOURCE)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@contextmanager
def person(folder: Path) -> Iterator[Person]:
    """Give a person a folder; end all that they left running."""
    made = Person(folder)
    with _findable():
        try:
            yield made
        finally:
            made.end_all()
