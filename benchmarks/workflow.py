"""The same durable workflow of three steps, on Sojourn and on other engines, one after the other.

A step is a pure function of a few integers. The peers run in a process of their own, as their documentation
says, with the store they come with or that it recommends, and with servers of their own where they need some:
one machine's word on one machine's disk, each step's outcome before the next step. A peer whose server is not
on this machine is left out, and the settings say so. Of Sojourn there are four rows for each number of
workflows at once: decided by four anchors, any of which may lie, or by one; and with steps that run ahead of
finality by the protocol's window, or that each are a transition of their own. The agents are launched before
the clock starts, and the peers' engines too.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import Case, Result, Scale
from benchmarks.processes import ProcessFailed, command_output
from benchmarks.steps import Course, measure
from benchmarks.suite import Benchmark
from sojourn.core.base.limits import RUN_AHEAD_RECORDS

_PEERS: Final = {
    "dbos": "DBOS on SQLite",
    "dbos_postgres": "DBOS on PostgreSQL",
    "langgraph": "LangGraph",
    "temporal": "Temporal",
    "restate": "Restate",
}
_AT_ONCE: Final = (1, 16, 256)
_ANCHORS: Final = (4, 1)
_WORKFLOWS: Final = 200
_WORKFLOWS_QUICK: Final = 60
_UNITS: Final = {"steps": "1/s", "step p50": "ms", "step p99": "ms"}
_ROUNDS: Final = 3
"""Workflows are at least so many times as many as there are at once."""
_MANY: Final = 64
_REPETITIONS_OF_MANY: Final = 3
_TIMEOUT_S: Final = 300.0

Measured = Sequence[Mapping[str, float]]


def _run(scale: Scale, folder: Path) -> Result:
    cases: list[Case] = []
    failed: dict[str, str] = {}
    said: dict[str, str] = {}
    for at_once in _AT_ONCE:
        patience = _patience(scale, at_once)
        peers: dict[str, Measured] = {}
        for module, name in _PEERS.items():
            row = f"{name}, {at_once} at once"
            try:
                measured, said[name] = _peer(module, at_once, patience, folder)
            except ProcessFailed as error:  # its processes were its own
                failed[row] = str(error)
                continue
            if measured:
                peers[name] = measured
                cases.append(Case.of(row, _UNITS, measured))
        cases += _ours(at_once, peers, patience, folder)
    return Result(cases, said, failed)


def _patience(scale: Scale, at_once: int) -> Scale:
    if at_once < _MANY:
        return scale
    return replace(scale, repetitions=min(scale.repetitions, _REPETITIONS_OF_MANY))


def _peer(module: str, at_once: int, scale: Scale, folder: Path) -> tuple[Measured, str]:
    """Return what a peer's process measured, and how durable it was; nothing, and why, if it is absent.

    Raises `ProcessFailed`.
    """
    workflows = max(_WORKFLOWS_QUICK if scale.is_quick else _WORKFLOWS, _ROUNDS * at_once)
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", "--folder", str(folder)]
    options = ["--workflows", str(workflows), "--concurrency", str(at_once)]
    measured: list[Mapping[str, float]] = []
    said = ""
    for _ in range(scale.repetitions):
        output = command_output([*command, *options], timeout_s=_TIMEOUT_S)
        printed: Mapping[str, Any] = json.loads(output.splitlines()[-1])
        if "absent" in printed:
            return [], f"left out: {printed['absent']}"
        measured.append(_figures(printed))
        said = _said(printed)
    return measured, said


def _figures(printed: Mapping[str, Any]) -> Mapping[str, float]:
    latency = printed["step_latency_ms"]
    return {
        "steps": printed["steps_per_s"],
        "step p50": latency["p50"],
        "step p99": latency["p99"],
    }


def _said(printed: Mapping[str, Any]) -> str:
    how = printed["durability"]
    version = f"{printed['peer']} {printed['version']}"
    return f"{version}, {how['store']} {how['settings']}, {how['mode']}"


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
