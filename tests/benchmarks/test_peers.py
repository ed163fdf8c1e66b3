"""Peers are measured alike, whether they run in threads or on an event loop; what one lacks leaves it out."""

import json
import os
import select
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import workflow
from benchmarks.measuring import QUICK
from benchmarks.peers import measure, servers
from benchmarks.peers.measure import Durability, State
from benchmarks.processes import ProcessFailed, command_output

KEPT = Durability(store="a list", settings="none", mode="none")


class InThreads:
    """A peer that forgets everything but how many steps it did."""

    def __init__(self, *, lost: int = 0) -> None:
        self._lost = lost

    def run(self, number: int) -> State:
        state = measure.start(number)
        for index in range(measure.STEPS):
            state = measure.step(state, index)
        return state

    def steps_recorded(self, number: int) -> int:
        return measure.STEPS - self._lost

    def durability(self) -> Durability:
        return KEPT


class OnALoop(InThreads):
    """The same with coroutines."""

    async def run(self, number: int) -> State:  # type: ignore[override]
        return super().run(number)

    async def steps_recorded(self, number: int) -> int:  # type: ignore[override]
        return super().steps_recorded(number)


@contextmanager
def threads(folder: Path) -> Iterator[InThreads]:
    yield InThreads()


@asynccontextmanager
async def loop(folder: Path) -> AsyncIterator[OnALoop]:
    yield OnALoop()


@contextmanager
def forgetful(folder: Path) -> Iterator[InThreads]:
    yield InThreads(lost=1)


@contextmanager
def without(folder: Path) -> Iterator[InThreads]:
    servers.program("no-such-server", wanted="a market sells it")
    yield InThreads()


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ["--workflows", "9", "--concurrency", "4", "--folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["peer", *options])
    monkeypatch.setattr(measure, "_ticks", type(measure._ticks)(list))


def measured(capsys: pytest.CaptureFixture[str], opened: Any) -> dict[str, Any]:
    measure.main("pytest", opened)
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


@pytest.mark.parametrize("opened", [threads, loop])
def test_every_step_is_timed_and_counted(
    capsys: pytest.CaptureFixture[str], opened: object
) -> None:
    printed = measured(capsys, opened)
    assert (27, 9, 4) == tuple(printed[key] for key in ("steps", "workflows", "concurrency"))
    assert 0 <= printed["step_latency_ms"]["p50"] <= printed["step_latency_ms"]["p99"]
    assert KEPT._asdict() == printed["durability"]


def test_a_step_that_the_store_does_not_hold_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(RuntimeError, match="the store holds 2 steps of workflow 0"):
        measured(capsys, forgetful)


def test_a_peer_whose_server_is_not_here_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    printed = measured(capsys, without)
    assert "there is no program 'no-such-server' here; a market sells it" == printed["absent"]


def test_a_peer_that_is_absent_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    says = json.dumps({"absent": "no server"})
    monkeypatch.setattr(workflow, "command_output", lambda *_, **__: f"a warning\n{says}\n")
    assert ([], "left out: no server") == workflow._peer("restate", 16, QUICK, tmp_path)


def test_a_command_that_takes_too_long_ends_with_all_that_it_started(tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    program = f"""
        import os, subprocess, sys
        held = os.open({str(held)!r}, os.O_WRONLY)
        os.write(held, b"both")
        command = [sys.executable, "-c", "input()"]
        subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[held]).wait()
    """
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(ProcessFailed, match="did not end within 3 s"):
        command_output([sys.executable, "-c", textwrap.dedent(program)], timeout_s=3)
    assert b"both" == os.read(reader, 100)
    assert [reader] == select.select([reader], [], [], 30)[0]
    assert b"" == os.read(reader, 100)  # it ends when nobody holds the other side any more
    os.close(reader)
