"""Processes of a zone on this machine: started in the background, waited for, ended by what they hold.

A process is known by the lock on its folder (`runtime/processes/pidfile.py`), never by a number alone, so a number
that was given to somebody else's process is never signalled.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sojourn.cli.home import ZoneFolder
from sojourn.core.base.errors import Failed, Misused
from sojourn.runtime.processes.pidfile import running, send_signal

__all__ = ["Place", "Started", "end", "end_started", "processes_of", "start"]

_LOG_BYTES_MAX: Final = 10 * 1024 * 1024
_END_TIMEOUT_S: Final = 15.0
_LOOK_S: Final = 0.02
_TAIL_LINES: Final = 5
_SAID: Final = "sojourn: "
"""What a line that is meant for people begins with; the others are its log."""

_DETACHED: Final[list["subprocess.Popen[bytes]"]] = []
"""Processes that are meant to outlive this one; let go of, each would be reported as forgotten."""

Noun = Literal["anchor", "host"]


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a process, or with one to start."""

    noun: Noun
    folder: Path

    def __str__(self) -> str:
        return f"{self.noun} {self.folder.name}"


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was just started, and where its log is."""

    place: Place
    process: "subprocess.Popen[bytes]"
    log: Path
    log_start: int

    @property
    def problem(self) -> str:
        """How it ended at its start, and why, as it said itself; "" if it runs, or if another serves its folder."""
        code = self.process.poll()
        if code is None or running(self.place.folder) is not None:
            return ""
        # What it says of its end need not be the last line: what else it did is still told while it stops.
        lines = self._lines()
        ends = [line for line in lines if line.startswith(_SAID)] or lines
        said = ends[-1].removeprefix(_SAID) if ends else "it said nothing"
        return f"{self.place} ended at its start (exit code {code}): {said}"

    def tail(self) -> list[str]:
        """Return the last lines that it logged, oldest first, for people: nothing of what earlier ones did."""
        return [f"{self.place}: {line}" for line in self._lines()[-_TAIL_LINES:]]

    def _lines(self) -> list[str]:
        with self.log.open("rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace").strip().splitlines()


def processes_of(zone: ZoneFolder) -> list[Place]:
    """Return the processes of a zone that belong on this machine. Raises `Misused` if there are none."""
    found = [
        *(Place("anchor", path) for path in zone.anchors()),
        *(Place("host", path) for path in zone.hosts()),
    ]
    if not found:
        problem = f"no anchor or host of {zone.name} runs on this machine"
        remedy = "Run `sojourn anchor run` and `sojourn host run` where their keys are"
        raise Misused(problem, remedy=remedy)
    return found


def start(place: Place) -> Started:
    """Start what does not run, detached from this terminal; it logs into its folder. Raises `OSError`."""
    log = place.folder / f"{place.noun}.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))
    # -P: what lies in the folder is never imported.
    program = [sys.executable, "-P", "-m", "sojourn"]
    command = [*program, place.noun, "run", str(place.folder.absolute())]
    with log.open("ab") as file:
        begun = file.tell()
        process = subprocess.Popen(  # noqa: S603 - our own program, and a path of ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            cwd=place.folder,
        )
    _DETACHED[:] = [each for each in _DETACHED if each.poll() is None] + [process]
    return Started(place, process, log, begun)


def end(places: Sequence[Place], *, timeout_s: float = _END_TIMEOUT_S) -> list[Place]:
    """End processes gracefully and return those that ran. Raises `Failed` for what does not end in time."""
    signalled = [place for place in places if send_signal(place.folder, signal.SIGTERM)]
    deadline = time.monotonic() + timeout_s
    left = list(signalled)
    while left := [place for place in left if running(place.folder) is not None]:
        if time.monotonic() > deadline:
            named = ", ".join(f"{place} (process {running(place.folder)})" for place in left)
            problem = f"{named} did not end within {timeout_s:g} s"
            raise Failed(
                problem, remedy="See its log; what was answered is safe, kill -9 loses nothing"
            )
        time.sleep(_LOOK_S)
    return signalled


def end_started(started: Sequence[Started], *, timeout_s: float = _END_TIMEOUT_S) -> int:
    """End processes that this one started, whether or not they hold their folders yet; return how many ran.

    One that does not end in time is killed: it was there for moments, and what it answered is safe.
    """
    left = [each.process for each in started if each.process.poll() is None]
    for process in left:
        process.terminate()
    deadline = time.monotonic() + timeout_s
    for process in left:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return len(left)
