"""Processes of a benchmark: none of them fails in silence."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.processes import Process, ProcessFailed, command_output, ended_well

WAITS = "signal.sigwait([signal.SIGTERM])"


def _started(program: str, folder: Path) -> Process:
    """Start a program that a SIGTERM finds waiting, and return once it would."""
    ready = folder / "ready"
    os.mkfifo(ready)
    before = "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])"
    says = f"open({str(ready)!r}, 'w').close()"
    command = [sys.executable, "-c", f"{before}\n{says}\n{program}"]
    process = Process("anchor 0", command, folder / "log")
    ready.read_bytes()  # until the other end is opened and closed
    return process


def test_what_ends_well_is_no_failure(tmp_path: Path) -> None:
    process = _started(WAITS, tmp_path)
    with ended_well([process]):
        process.check()
        assert process.resident_bytes() > 0
        assert process.cpu_s() >= 0


def test_what_ends_badly_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    process = _started(f"{WAITS}\nsys.exit('the store failed')", tmp_path)
    expected = "anchor 0 ended with exit code 1: the store failed"
    with pytest.raises(ProcessFailed, match=expected), ended_well([process]):
        process.check()


def test_what_ends_too_early_is_a_failure_even_if_it_says_that_all_is_well(tmp_path: Path) -> None:
    process = _started("print('done')", tmp_path)
    process.wait_ended()
    with pytest.raises(ProcessFailed, match="ended with exit code 0: done"):
        process.check()
    with pytest.raises(ProcessFailed), ended_well([process]):
        pass


def test_an_error_ends_the_processes_at_once(tmp_path: Path) -> None:
    process = _started(WAITS, tmp_path)
    with pytest.raises(ZeroDivisionError), ended_well([process]):
        raise ZeroDivisionError
    with pytest.raises(ProcessFailed):
        process.check()


def test_a_command_that_fails_says_why() -> None:
    assert "yes\n" == command_output([sys.executable, "-c", "print('yes')"])
    with pytest.raises(ProcessFailed, match="exit code 3: no such zone"):
        command_output(
            [
                sys.executable,
                "-c",
                "import sys; print('no such zone', file=sys.stderr); sys.exit(3)",
            ]
        )
