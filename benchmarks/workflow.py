"""The same durable workflow of three steps, on Sojourn and on other engines, one after the other.

A step is a pure function of a few integers. The peers run in a process of their own, as their documentation
says, with the store they come with: one machine's word on one machine's disk, each step's outcome before the
next step. Of Sojourn there are four rows for each number of workflows at once: decided by four anchors, any of
which may lie, or by one; and with steps that run ahead of finality by the protocol's window, or that each are a
transition of their own. The agents are launched before the clock starts, and the peers' engines too.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import Case, Result, Scale
from benchmarks.processes import command_output
from benchmarks.steps import Course, measure
from benchmarks.suite import Benchmark
from sojourn.core.base.limits import RUN_AHEAD_RECORDS

_PEERS: Final = {"dbos": "DBOS Transact", "langgraph": "LangGraph"}
_AT_ONCE: Final = (1, 16)
_ANCHORS: Final = (4, 1)
_WORKFLOWS: Final = 200
_WORKFLOWS_QUICK: Final = 60
_UNITS: Final = {"steps": "1/s", "step p50": "ms", "step p99": "ms"}
_TIMEOUT_S: Final = 300.0

Measured = Sequence[Mapping[str, float]]


def _run(scale: Scale, folder: Path) -> Result:
    cases: list[Case] = []
    durability: dict[str, str] = {}
    for at_once in _AT_ONCE:
        peers: dict[str, Measured] = {}
        for module, name in _PEERS.items():
            peers[name], durability[name] = _peer(module, at_once, scale, folder)
            cases.append(Case.of(f"{name}, {at_once} at once", _UNITS, peers[name]))
        cases += _ours(at_once, peers, scale, folder)
    return Result(cases, durability)


def _peer(module: str, at_once: int, scale: Scale, folder: Path) -> tuple[Measured, str]:
    """Return what a peer's process measured, and how durable it was. Raises `ProcessFailed`."""
    workflows = _WORKFLOWS_QUICK if scale.is_quick else _WORKFLOWS
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", "--folder", str(folder)]
    options = ["--workflows", str(workflows), "--concurrency", str(at_once)]
    printed: list[Mapping[str, Any]] = [
        json.loads(command_output([*command, *options], timeout_s=_TIMEOUT_S).splitlines()[-1])
        for _ in range(scale.repetitions)
    ]
    return [_figures(each) for each in printed], _said(printed[0])


def _figures(printed: Mapping[str, Any]) -> Mapping[str, float]:
    latency = printed["step_latency_ms"]
    return {
        "steps": printed["steps_per_s"],
        "step p50": latency["p50"],
        "step p99": latency["p99"],
    }


def _said(printed: Mapping[str, Any]) -> str:
    how = printed["durability"]
    return (
        f"{printed['version']}, SQLite {how['sqlite']} {how['journal_mode']} "
        f"synchronous={how['synchronous']}, {how['mode']}"
    )


def _ours(at_once: int, peers: Mapping[str, Measured], scale: Scale, folder: Path) -> list[Case]:
    """Return our rows, each with how many times a peer's steps it makes, repetition by repetition."""
    cases = []
    for anchors in _ANCHORS:
        for window in (RUN_AHEAD_RECORDS, 1):
            course = Course(agents=at_once, window=window, anchors=anchors)
            found = measure(course, scale, folder / f"{at_once}-{anchors}-{window}")
            units = _UNITS | {f"of {name}": "times" for name in peers}
            measured = [_beside(ours, peers, number) for number, ours in enumerate(found)]
            name = f"Sojourn n={anchors} window {window}, {at_once} at once"
            cases.append(Case.of(name, units, measured))
    return cases


def _beside(
    ours: Mapping[str, float], peers: Mapping[str, Measured], number: int
) -> Mapping[str, float]:
    steps = ours["final steps"]
    ratios = {f"of {name}": steps / measured[number]["steps"] for name, measured in peers.items()}
    return {"steps": steps, "step p50": ours["step p50"], "step p99": ours["step p99"]} | ratios


BENCHMARK = Benchmark("a durable workflow of three steps, beside other engines", _run)
