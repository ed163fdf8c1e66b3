"""Restate: its server on its own store, and the workflow as a service of this process, served over HTTP/2.

A step is a `run` of the workflow's context; a workflow is started by a request to the server, which answers
when it has ended. The server has the settings that it comes with, but for its addresses and its telemetry.

Source: the project's documentation, "Workflows", "Durable steps" and "Server configuration".
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import hypercorn.asyncio
import restate
from hypercorn.config import Config
from restate import Workflow, WorkflowContext

from benchmarks.peers import measure
from benchmarks.peers.measure import Durability, State
from benchmarks.peers.servers import LOOPBACK, free_port, program, serving

_BESIDE: Final = Path(sys.prefix, "restate", "node_modules", "@restatedev")
_TIMEOUT_S: Final = 300.0
_UP_S: Final = 30.0
_SETTINGS: Final = {"RESTATE_LOG_FILTER": "error", "RESTATE_DISABLE_TELEMETRY": "true"}
_COUNT: Final = (
    "SELECT COUNT(*) AS steps FROM sys_journal AS journal JOIN sys_invocation AS invocation"
    " ON journal.id = invocation.id WHERE invocation.target_service_key = '{key}'"
    " AND journal.entry_type = 'Notification: Run'"
)

three_steps = Workflow("ThreeSteps")


@three_steps.main()
async def run(ctx: WorkflowContext, number: int) -> State:
    """Do the steps in a row."""
    state = measure.start(number)
    for index in range(measure.STEPS):
        state = await ctx.run_typed(f"step-{index}", measure.step, state=state, index=index)
    return state


class Restate:
    """A client of the server that the service is registered with."""

    def __init__(self, ingress: httpx.AsyncClient, admin: httpx.AsyncClient, version: str) -> None:
        self._ingress, self._admin, self._version = ingress, admin, version

    async def run(self, number: int) -> State:
        """Run one workflow to its end."""
        answer = await self._ingress.post(f"/ThreeSteps/{_name(number)}/run", json=number)
        answer.raise_for_status()
        return answer.json()

    async def steps_recorded(self, number: int) -> int:
        """Return how many outcomes of steps stand in the workflow's journal."""
        query = {"query": _COUNT.format(key=_name(number))}
        answer = await self._admin.post(
            "/query", json=query, headers={"accept": "application/json"}
        )
        answer.raise_for_status()
        return answer.json()["rows"][0]["steps"]

    def durability(self) -> Durability:
        """Say what the server's configuration says, which is printed as it starts with it."""
        return Durability(
            store=f"{self._version}, RocksDB",
            settings="write-ahead log forced to the disk for each batch",
            mode="each step's outcome in the journal before the next",
        )


def _name(number: int) -> str:
    return f"workflow-{number}"


@asynccontextmanager
async def open_restate(folder: Path) -> AsyncIterator[Restate]:
    """Start the server on an empty folder, serve the workflow, and register it."""
    beside = sorted(_BESIDE.glob("restate-server-*/bin"))
    server = program("restate-server", beside=beside, wanted="npm brings it: make bench, with npm")
    ports = {name: free_port() for name in ("ingress", "admin", "node", "service")}
    at = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
    settings = _SETTINGS | {
        "RESTATE_INGRESS__BIND_ADDRESS": at["ingress"],
        "RESTATE_ADMIN__BIND_ADDRESS": at["admin"],
        "RESTATE_BIND_ADDRESS": at["node"],
        "RESTATE_ADVERTISED_ADDRESS": f"http://{at['node']}",
        "RESTATE_BASE_DIR": str(folder / "restate"),
        "RESTATE_NODE_NAME": "bench",
    }
    command = [server, "--no-logo", "--listen-mode", "tcp"]
    _check_durable(command, settings)
    version = _output([server, "--version"], {})
    async with (
        _served(ports["service"]),
        _client(at["ingress"]) as ingress,
        _client(at["admin"]) as admin,
    ):
        with serving(command, folder, lambda: _is_up(at["admin"]), settings=settings):
            await _register(admin, f"http://{at['service']}")
            yield Restate(ingress, admin, version.strip())


def _check_durable(command: list[str], settings: dict[str, str]) -> None:
    """Raise `RuntimeError` if the server would not force its writes to the disk."""
    dumped = _output([*command, "--dump-config"], settings)
    if "rocksdb-disable-wal-fsync = true" in dumped or "rocksdb-disable-wal = true" in dumped:
        raise RuntimeError("the server would not force its writes to the disk")


def _output(command: list[str], settings: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, check=True
    )
    return done.stdout


@asynccontextmanager
async def _served(port: int) -> AsyncIterator[None]:
    """Serve the workflow over HTTP/2 until the block ends."""
    config = Config()
    config.bind = [f"{LOOPBACK}:{port}"]
    config.loglevel = "ERROR"
    over = asyncio.Event()
    app: Any = restate.app(services=[three_steps])
    task = asyncio.create_task(
        hypercorn.asyncio.serve(app, config, mode="asgi", shutdown_trigger=over.wait)
    )
    try:
        yield
    finally:
        over.set()
        await task


def _client(address: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=f"http://{address}", timeout=_TIMEOUT_S, limits=limits)


def _is_up(admin: str) -> bool:
    try:
        return httpx.get(f"http://{admin}/health").is_success
    except httpx.HTTPError:
        return False


async def _register(admin: httpx.AsyncClient, service: str) -> None:
    async with asyncio.timeout(_UP_S):
        while True:
            answer = await admin.post("/deployments", json={"uri": service})
            if answer.is_success:
                return
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    measure.main("restate-sdk", open_restate)
