"""Run a peer's workflows, check that they were recorded, and print one line of JSON.

A step is a pure function that returns a small dictionary; a workflow is three of them in a row. A
step's latency runs from its start to the start of the next (the last one's to the workflow's end):
what its author waits for, the engine's own writing included.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.peers.servers import Absent

STEPS = 3
WARM_UP = 4

State = dict[str, int]
_ticks: defaultdict[int, list[float]] = defaultdict(list)


class Durability(NamedTuple):
    """Where a peer writes, under which settings of that store, and the peer's own mode.

    What is said is what the store answers, or what the peer's configuration forces on it.
    """

    store: str
    settings: str
    mode: str


class Peer(Protocol):
    """One engine, open and ready."""

    def run(self, number: int) -> State:
        """Run workflow `number` to its end in the calling thread; return its last state."""
        ...

    def steps_recorded(self, number: int) -> int:
        """Return how many steps of workflow `number` the store holds."""
        ...

    def durability(self) -> Durability:
        """Return the settings that its writes were made under."""
        ...


class AsyncPeer(Protocol):
    """One engine, open and ready, whose clients are tasks of one event loop."""

    async def run(self, number: int) -> State:
        """Run workflow `number` to its end; return its last state."""
        ...

    async def steps_recorded(self, number: int) -> int:
        """Return how many steps of workflow `number` the store holds."""
        ...

    def durability(self) -> Durability:
        """Return the settings that its writes were made under."""
        ...


def step(state: State, index: int) -> State:
    """Return what step `index`, from 0, makes of a state: the same work for every peer."""
    _ticks[state["workflow"]].append(time.perf_counter())
    return {"workflow": state["workflow"], "value": state["value"] * 3 + index}


def start(number: int) -> State:
    """Return the state that workflow `number` begins with."""
    return {"workflow": number, "value": number}


def sqlite_settings(journal_mode: str, synchronous: int) -> str:
    """Return SQLite's words for what `PRAGMA journal_mode` and `PRAGMA synchronous` answer."""
    return f"{journal_mode} synchronous={('OFF', 'NORMAL', 'FULL', 'EXTRA')[synchronous]}"


def _check(number: int, state: State) -> None:
    _ticks[number].append(time.perf_counter())
    value = number
    for index in range(STEPS):
        value = value * 3 + index
    if state != {"workflow": number, "value": value}:
        raise RuntimeError(f"workflow {number} ended in {state}, not with value {value}")


def _latencies_ms(numbers: Sequence[int]) -> list[float]:
    latencies = [
        (after - before) * 1000 for number in numbers for before, after in pairwise(_ticks[number])
    ]
    if len(latencies) != len(numbers) * STEPS:
        raise RuntimeError(f"{len(latencies)} steps ran, not {STEPS} for each workflow")
    return latencies


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3)}


def _measure(peer: Peer, numbers: range, concurrency: int) -> dict[str, object]:
    def run_and_check(number: int) -> None:
        _check(number, peer.run(number))

    with ThreadPoolExecutor(concurrency) as threads:
        list(threads.map(run_and_check, range(-max(WARM_UP, concurrency), 0)))
        began = time.perf_counter()
        list(threads.map(run_and_check, numbers))
        took_s = time.perf_counter() - began
    recorded = {number: peer.steps_recorded(number) for number in numbers}
    return _result(recorded, took_s, peer.durability())


async def _measure_async(peer: AsyncPeer, numbers: range, concurrency: int) -> dict[str, object]:
    async def run_each(left: Iterator[int]) -> None:
        for number in left:  # all take from the same
            _check(number, await peer.run(number))

    async def run_all(chosen: range) -> None:
        left = iter(chosen)
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(run_each(left))

    await run_all(range(-max(WARM_UP, concurrency), 0))
    began = time.perf_counter()
    await run_all(numbers)
    took_s = time.perf_counter() - began
    recorded = {number: await peer.steps_recorded(number) for number in numbers}
    return _result(recorded, took_s, peer.durability())


def _result(recorded: dict[int, int], took_s: float, durability: Durability) -> dict[str, object]:
    latencies_ms = _latencies_ms(list(recorded))
    for number, steps in recorded.items():
        if steps != STEPS:
            raise RuntimeError(f"the store holds {steps} steps of workflow {number}")
    return {
        "steps": len(latencies_ms),
        "steps_per_s": round(len(latencies_ms) / took_s, 1),
        "step_latency_ms": _percentiles(latencies_ms),
        "durability": durability._asdict(),
    }


def main(
    distribution: str,
    open_peer: Callable[
        [Path], AbstractContextManager[Peer] | AbstractAsyncContextManager[AsyncPeer]
    ],
) -> None:
    """Measure one peer as the command line says and print the result.

    Arguments: the distribution that the peer is installed by, and what opens it on an empty folder, as a
    context manager of either kind. A peer that lacks something of this machine is `absent`, with the reason;
    any other failure ends the process with a traceback and a status other than 0.
    """
    parser = argparse.ArgumentParser(description=f"Measure {distribution} on a durable workflow.")
    parser.add_argument("--workflows", type=int, required=True)
    parser.add_argument(
        "--concurrency", type=int, required=True, help="workflows under way at once"
    )
    parser.add_argument("--folder", type=Path, help="where its store goes (a temporary folder)")
    arguments = parser.parse_args()
    numbers = range(arguments.workflows)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        opened = open_peer(Path(folder))
        try:
            if isinstance(opened, AbstractAsyncContextManager):
                result = asyncio.run(_measured_async(opened, numbers, arguments.concurrency))
            else:
                with opened as peer:
                    result = _measure(peer, numbers, arguments.concurrency)
        except Absent as absent:
            result = {"absent": str(absent)}
    result = {
        "peer": distribution,
        "version": version(distribution),
        "workflows": arguments.workflows,
        "concurrency": arguments.concurrency,
    } | result
    sys.stdout.write(json.dumps(result) + "\n")


async def _measured_async(
    opened: AbstractAsyncContextManager[AsyncPeer], numbers: range, concurrency: int
) -> dict[str, object]:
    async with opened as peer:
        return await _measure_async(peer, numbers, concurrency)
