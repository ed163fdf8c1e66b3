"""The lock on a folder is the truth about who serves it; numbers alone are history."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sojourn.core.base.errors import Misused
from sojourn.runtime.processes.pidfile import PidFile, running, send_signal

SOURCE = Path(__file__).parents[3] / "src"
HOLDER = """
import sys, time
from pathlib import Path
from sojourn.runtime.processes.pidfile import PidFile
PidFile(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a process that holds the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        env={"PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_nobody_serves_a_folder_at_first_nor_in_the_end(tmp_path: Path) -> None:
    assert running(tmp_path) is None
    held = PidFile(tmp_path)
    assert os.getpid() == running(tmp_path)
    held.release()
    assert running(tmp_path) is None


def test_one_process_serves_a_folder(tmp_path: Path) -> None:
    with holder(tmp_path) as process, pytest.raises(Misused, match=f"process {process.pid} serves"):
        PidFile(tmp_path)


def test_a_killed_process_serves_it_no_more(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert process.pid == running(tmp_path)
        process.kill()
        process.wait()
        assert running(tmp_path) is None
        PidFile(tmp_path).release()


def test_a_signal_reaches_the_holder_alone(tmp_path: Path) -> None:
    assert not send_signal(tmp_path, signal.SIGTERM)
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")  # a number that somebody else has now
    assert not send_signal(tmp_path, signal.SIGTERM)
    with holder(tmp_path) as process:
        assert send_signal(tmp_path, signal.SIGTERM)
        assert -signal.SIGTERM == process.wait(timeout=10)


def test_looking_does_not_keep_a_process_from_starting(tmp_path: Path) -> None:
    PidFile(tmp_path).release()
    file = os.open(tmp_path / "pid", os.O_RDONLY)
    os.close(file)
    assert running(tmp_path) is None
    PidFile(tmp_path).release()
