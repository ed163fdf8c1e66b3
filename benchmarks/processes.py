"""Processes that a benchmark starts, and what they cost.

A benchmark owns what it starts: it notices when one of them ends too early, ends them all itself, and has no
figures unless all of them ended as they should.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["SOJOURN", "Process", "ProcessFailed", "command_output", "ended_well"]

SOJOURN: Final = (sys.executable, "-P", "-m", "sojourn")
"""The command line, as the interpreter of this benchmark has it installed."""

_END_TIMEOUT_S: Final = 30.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class ProcessFailed(Exception):
    """A process of a benchmark ended too early, or not as it should."""


class Process:
    """One process that runs until it is told to end. Its output goes to a file."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        """Start it; `name` is for people."""
        self.name, self._log = name, log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def check(self) -> None:
        """Raise `ProcessFailed` with its last words if it runs no more."""
        code = self._process.poll()
        if code is not None:
            raise self._failed(f"ended with exit code {code}")

    def tell_to_end(self) -> None:
        """Ask it to end gracefully. Raises `ProcessFailed` if it had ended already."""
        self.check()
        self._process.send_signal(signal.SIGTERM)

    def wait_ended(self) -> None:
        """Wait until it has ended. Raises `ProcessFailed` if it does not, or not well."""
        try:
            code = self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise self._failed(f"did not end within {_END_TIMEOUT_S:g} s") from None
        if code:
            raise self._failed(f"ended with exit code {code}")

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def cpu_s(self) -> float:
        """Return how much processor time it has used, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / _TICKS_PER_S

    def resident_bytes(self) -> int:
        """Return how much memory it holds, in bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def last_words(self) -> str:
        """Return the last line of its log."""
        said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return said[-1] if said else "it said nothing"

    def _failed(self, how: str) -> ProcessFailed:
        return ProcessFailed(f"{self.name} {how}: {self.last_words()}")


class ended_well:  # noqa: N801 (read as a phrase: `with ended_well(processes):`)
    """Ends processes on the way out: gracefully and checked, or at once if there is an error already."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                for process in self._processes:
                    process.tell_to_end()
                for process in self._processes:
                    process.wait_ended()
            elif isinstance(error, Exception):
                for process in self._processes:
                    process.check()  # the more likely cause
        finally:
            for process in self._processes:
                process.kill()


def command_output(command: Sequence[str], *, timeout_s: float = 120.0) -> str:
    """Return what a command prints. Raises `ProcessFailed` with its last words if it fails or takes too long.

    The command is the first of a group of processes; what it started itself ends with it, whatever happens.
    """
    named = " ".join(command[1:])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            printed, complained = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"`{named}` did not end within {timeout_s:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        said = (complained or printed).strip().splitlines()
        raise ProcessFailed(
            f"`{named}` ended with exit code {process.returncode}: {said[-1] if said else 'nothing'}"
        )
    return printed
