"""Start-up: how long a person, or a zone that lost an anchor, waits for the first sign of life."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measuring import Case, Result, Scale
from benchmarks.processes import SOJOURN, Process, command_output, ended_well
from benchmarks.suite import Benchmark
from benchmarks.zones import LocalZone, answers, connected, found, start_process
from sojourn.core.base.keys import KeyPair
from sojourn.host.folder import HostFolder
from sojourn.runtime.clients.zone_client import ZoneClient

_IMPORT: Final = (
    "import time; began = time.perf_counter(); import sojourn; print(time.perf_counter() - began)"
)
_PAUSE_S: Final = 0.005
_TIMEOUT_S: Final = 20.0
_UNITS: Final = {"time": "ms"}


def _run(scale: Scale, folder: Path) -> Result:
    zone = found(folder, "startup")
    python = [sys.executable, "-P", "-c"]
    cases: dict[str, Callable[[], float]] = {
        "an empty Python program": partial(_wall_s, [*python, "pass"]),
        "import sojourn": lambda: float(command_output([*python, _IMPORT])),
        "import sojourn, as a process": partial(_wall_s, [*python, "import sojourn"]),
        "sojourn --help": partial(_wall_s, [*SOJOURN, "--help"]),
        "an anchor, until it answers": partial(_anchor_s, zone),
    }
    return Result([_case(name, once, scale) for name, once in cases.items()])


def _case(name: str, once: Callable[[], float], scale: Scale) -> Case:
    once()  # what is read from disk for the first time is no property of ours
    count = scale.repetitions * 2
    return Case.of(name, _UNITS, [{"time": once() * 1000} for _ in range(count)])


def _wall_s(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - began


def _anchor_s(zone: LocalZone) -> float:
    """Return how long an anchor takes from its start to its first answer over the network."""
    started: list[Process] = []
    with ended_well(started):
        pair = HostFolder(zone.host_folders()[0]).key()
        began = time.perf_counter()
        started.append(start_process("anchor", zone.anchor_folders()[0]))
        asyncio.run(_first_answer(zone, pair, started[0]))
        return time.perf_counter() - began


async def _first_answer(zone: LocalZone, pair: KeyPair, process: Process) -> None:
    manifest = zone.signed.manifest
    endpoint = manifest.anchors[0].endpoint
    async with asyncio.timeout(_TIMEOUT_S):
        while not await _is_listening(endpoint.address, endpoint.port):
            process.check()
            await asyncio.sleep(_PAUSE_S)
        async with connected(pair, manifest.zone_id) as pool:
            if not await answers(ZoneClient(manifest, pool), 0):
                raise RuntimeError("the anchor listens and does not answer")


async def _is_listening(address: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return False
    writer.close()
    return True


BENCHMARK = Benchmark("from the start of a process to its first use", _run)
