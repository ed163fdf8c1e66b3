"""Run a peer's workflows, check that they were recorded, and print one line of JSON.

A step is a pure function that returns a small dictionary; a workflow is three of them in a row. A
step's latency runs from its start to the start of the next (the last one's to the workflow's end):
what its author waits for, the engine's own writing included.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

STEPS = 3
WARM_UP = 4

State = dict[str, int]
_ticks: defaultdict[int, list[float]] = defaultdict(list)


class Durability(NamedTuple):
    """What SQLite answers on a peer's own connection, and the peer's mode where it has several."""

    sqlite: str
    journal_mode: str
    synchronous: str
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


def step(state: State, index: int) -> State:
    """Return what step `index`, from 0, makes of a state: the same work for every peer."""
    _ticks[state["workflow"]].append(time.perf_counter())
    return {"workflow": state["workflow"], "value": state["value"] * 3 + index}


def start(number: int) -> State:
    """Return the state that workflow `number` begins with."""
    return {"workflow": number, "value": number}


def synchronous_name(level: int) -> str:
    """Return SQLite's word for the number that `PRAGMA synchronous` answers with."""
    return ("OFF", "NORMAL", "FULL", "EXTRA")[level]


def _run_and_check(peer: Peer, number: int) -> None:
    state = peer.run(number)
    _ticks[number].append(time.perf_counter())
    value = number
    for index in range(STEPS):
        value = value * 3 + index
    if state != {"workflow": number, "value": value}:
        raise RuntimeError(f"workflow {number} ended in {state}, not with value {value}")


def _latencies_ms(numbers: range) -> list[float]:
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
    with ThreadPoolExecutor(concurrency) as threads:
        list(threads.map(lambda number: _run_and_check(peer, number), range(-WARM_UP, 0)))
        began = time.perf_counter()
        list(threads.map(lambda number: _run_and_check(peer, number), numbers))
        took_s = time.perf_counter() - began
    latencies_ms = _latencies_ms(numbers)
    for number in numbers:
        if (recorded := peer.steps_recorded(number)) != STEPS:
            raise RuntimeError(f"the store holds {recorded} steps of workflow {number}")
    return {
        "steps": len(latencies_ms),
        "steps_per_s": round(len(latencies_ms) / took_s, 1),
        "step_latency_ms": _percentiles(latencies_ms),
        "durability": peer.durability()._asdict(),
    }


def main(distribution: str, open_peer: Callable[[Path], AbstractContextManager[Peer]]) -> None:
    """Measure one peer as the command line says and print the result.

    Arguments: the distribution that the peer is installed by, and what opens it on an empty
    folder. Any failure ends the process with a traceback and a status other than 0.
    """
    parser = argparse.ArgumentParser(description=f"Measure {distribution} on a durable workflow.")
    parser.add_argument("--workflows", type=int, required=True)
    parser.add_argument(
        "--concurrency", type=int, required=True, help="workflows under way at once"
    )
    parser.add_argument("--folder", type=Path, help="where its store goes (a temporary folder)")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        open_peer(Path(folder)) as peer,
    ):
        result = _measure(peer, range(arguments.workflows), arguments.concurrency)
    result = {
        "peer": distribution,
        "version": version(distribution),
        "workflows": arguments.workflows,
        "concurrency": arguments.concurrency,
    } | result
    sys.stdout.write(json.dumps(result) + "\n")
