"""The same durable workflow of three steps, on Sojourn and on other engines, one after the other.

A step is a pure function of a few integers; its outcome must be on disk before the workflow goes on. Each
engine runs in a process of its own, as its documentation says, with the store it comes with.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import Case, Result, Scale
from benchmarks.processes import command_output
from benchmarks.suite import Benchmark

_PEERS: Final = {"dbos": "DBOS Transact", "langgraph": "LangGraph"}
_AT_ONCE: Final = (1, 16)
_UNITS: Final = {"steps": "1/s", "step p50": "ms", "step p99": "ms"}
_TIMEOUT_S: Final = 300.0


def _run(scale: Scale, folder: Path) -> Result:
    cases, durability = [], {}
    for module, name in _PEERS.items():
        for at_once in _AT_ONCE:
            workflows = (60 if scale.is_quick else 200) * (1 if at_once == 1 else 2)
            printed = [
                _peer(module, folder, workflows=workflows, at_once=at_once)
                for _ in range(scale.repetitions)
            ]
            cases.append(Case.of(f"{name}, {at_once} at once", _UNITS, [_figures(p) for p in printed]))
            durability[name] = _said(printed[0])
    return Result(cases, durability)


def _peer(module: str, folder: Path, *, workflows: int, at_once: int) -> Mapping[str, Any]:
    """Return what a peer's process prints. Raises `ProcessFailed` if it fails."""
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", "--folder", str(folder)]
    options = ["--workflows", str(workflows), "--concurrency", str(at_once)]
    printed: Mapping[str, Any] = json.loads(
        command_output([*command, *options], timeout_s=_TIMEOUT_S).splitlines()[-1]
    )
    return printed


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


BENCHMARK = Benchmark("a durable workflow of three steps", _run)
