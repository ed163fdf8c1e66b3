"""Processes that were just started: how one ended, what it logged last, and how they are ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from sojourn.cli.processes import Place, Started, end_started
from sojourn.runtime.processes.pidfile import PidFile

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def started(folder: Path, program: str, before: str = "") -> Started:
    """Return a process of a folder that runs a program, behind what earlier ones logged."""
    folder.mkdir()
    log = folder / "anchor.log"
    log.write_text(before)
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=file, stderr=file)
    return Started(Place("anchor", folder), process, log, len(before))


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("print('sojourn: too bad'); print('bye'); exit(2)", "(exit code 2): too bad"),
        ("print('first'); print('last'); exit(3)", "(exit code 3): last"),
        ("exit(4)", "(exit code 4): it said nothing"),
    ],
)
def test_how_one_ended_is_said_in_its_own_words(tmp_path: Path, program: str, problem: str) -> None:
    each = started(tmp_path / "7", program, before="sojourn: of another time\n")
    each.process.wait()
    assert f"anchor 7 ended at its start {problem}" == each.problem


def test_who_ended_since_another_serves_its_folder_is_no_problem(tmp_path: Path) -> None:
    each = started(tmp_path / "7", "exit(2)")
    each.process.wait()
    held = PidFile(tmp_path / "7")
    assert "" == each.problem
    held.release()
    assert each.problem


def test_of_its_log_the_last_lines_are_shown_and_nothing_of_earlier_ones(tmp_path: Path) -> None:
    each = started(tmp_path / "7", "print(*range(9), sep='\\n')", before="earlier\n")
    each.process.wait()
    assert [f"anchor 7: {number}" for number in range(4, 9)] == each.tail()
    silent = started(tmp_path / "8", "", before="earlier\n")
    silent.process.wait()
    assert [] == silent.tail()


def test_what_was_started_is_ended_and_what_does_not_end_is_killed(tmp_path: Path) -> None:
    deaf = started(tmp_path / "7", STUBBORN)
    gone = started(tmp_path / "8", "exit(0)")
    gone.process.wait()
    while not deaf.tail():
        pass
    assert 1 == end_started([deaf, gone], timeout_s=0.1)
    assert (-9, 0) == (deaf.process.returncode, gone.process.returncode)
