"""A confined process ends when its host says so, and when its host is gone: with all that belongs to it."""

import asyncio
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

import sojourn
from sojourn.substrates.local import LocalSubstrate
from tests.confinement.agents import confiner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")

SPINS = b"""
from sojourn import Agent
class Desk(Agent):
    async def run(self, ctx):
        pass
def spin():
    while True:
        pass
import threading
for _ in range(2):
    threading.Thread(target=spin, daemon=True).start()
"""
HOST = """
import asyncio
from tests.confinement.agents import confiner
from tests.confinement.test_ending import SPINS
from sojourn.substrates.local import LocalSubstrate

async def main():
    substrate = LocalSubstrate(confiner=confiner())
    channel = await substrate.start({"desk.py": SPINS}, "desk:Desk", "confined", log=lambda *_: None)
    print(channel._process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def family(pid: int) -> list[int]:
    """Return descriptors of a process and of all that comes of it."""
    found, todo = [], [pid]
    while todo:
        process = todo.pop()
        found.append(os.pidfd_open(process))
        children = Path(f"/proc/{process}/task/{process}/children").read_text()
        todo += map(int, children.split())
    return found


def assert_end(descriptors: list[int]) -> None:
    """Check that processes have ended, or do so within seconds."""
    assert len(descriptors) >= 3, "bubblewrap, its first process, and the agent's"
    for descriptor in descriptors:
        try:
            assert select.select([descriptor], [], [], 20)[0], "a process lives on"
        finally:
            os.close(descriptor)


def test_a_process_that_spins_ends_with_its_line() -> None:
    async def play() -> list[int]:
        substrate = LocalSubstrate(confiner=confiner())
        channel = await substrate.start(
            {"desk.py": SPINS}, "desk:Desk", "confined", log=lambda *_: None
        )
        found = family(channel._process.pid)  # type: ignore[attr-defined]
        await asyncio.wait_for(channel.close(), 20)
        return found

    assert_end(asyncio.run(play()))


def test_a_process_dies_with_its_host() -> None:
    roots = (Path(sojourn.__file__).parents[1], Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", HOST],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))},
    ) as host:
        assert host.stdout is not None
        found = family(int(host.stdout.readline()))
        host.kill()
        assert_end(found)
