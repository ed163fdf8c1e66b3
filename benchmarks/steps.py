"""Steps made final: agents in plain Python on a real host, its zone's anchors in processes of their own.

Every agent does workflows of three effect-free steps. Steps run ahead of finality by the window of the
protocol (64 records or 250 ms), so one transition makes many of them final; with a window of 1 each step is a
transition of its own, and the code waits for the one before the last. The latency of a step runs from its
start to the start of the next, as its author sees it. The time counts from the start until all agents are at
rest, which they are only when everything they did is final.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from benchmarks.launching import ISSUER, Launcher, make_issuer, summaries
from benchmarks.measuring import Case, Result, Scale, quantile
from benchmarks.processes import SOJOURN, Process, command_output, ended_well
from benchmarks.suite import Benchmark
from benchmarks.zones import ANCHORS, LocalZone, anchors_running, found
from sojourn.cli.reach import Reach, reaching
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.limits import RUN_AHEAD_RECORDS
from sojourn.core.protocol.exchange import AgentSummary

__all__ = ["STEPS", "Course", "measure"]

STEPS: Final = 3
"""Steps of one workflow."""

_AGENTS: Final = (1, 16, 256)
_WINDOWS: Final = (RUN_AHEAD_RECORDS, 1)
_LOOK_S: Final = 0.02
_PATIENCE_S: Final = 300.0
_UNITS: Final = {
    "final steps": "1/s",
    "final transitions": "1/s",
    "step p50": "ms",
    "step p99": "ms",
    "an anchor's CPU": "ms a transition",
    "the host's CPU": "ms a step",
}
_HOST_WITH_WINDOW: Final = """\
import sys
from sojourn.core.base import limits
limits.RUN_AHEAD_RECORDS = {window}
from sojourn.cli import main
main(["host", "run", sys.argv[1]])
"""


@dataclass(frozen=True, slots=True)
class Course:
    """One case: so many agents at once, the window, and how many anchors decide."""

    agents: int
    window: int = RUN_AHEAD_RECORDS
    anchors: int = ANCHORS

    @property
    def name(self) -> str:
        """What the case is called."""
        plural = "s" if self.agents > 1 else ""
        return f"{self.agents} agent{plural}, window {self.window}"


def _run(scale: Scale, folder: Path) -> Result:
    courses = [Course(agents, window) for window in _WINDOWS for agents in _AGENTS]
    cases = []
    for number, course in enumerate(courses):
        cases.append(Case.of(course.name, _UNITS, measure(course, scale, folder / str(number))))
    return Result(cases, {"anchors": ANCHORS, "steps of a workflow": STEPS})


def measure(course: Course, scale: Scale, folder: Path) -> list[Mapping[str, float]]:
    """Return what each repetition of a course measured, in a zone of its own."""
    make_issuer(folder)
    zone = found(folder, "steps", anchors=course.anchors)
    host = zone.host_folders()[0]
    program = [sys.executable, "-P", "-c", _HOST_WITH_WINDOW.format(window=course.window)]
    with anchors_running(zone) as anchors:
        command_output([*SOJOURN, "--home", str(folder), "zone", "up", zone.name])
        endorse = ["zone", "endorse", zone.name, "--issuer", ISSUER, "--level", "5"]
        command_output([*SOJOURN, "--home", str(folder), *endorse])
        runner = Process("host 0", [*program, str(host)], host / "host.log")
        with ended_well([runner]):
            return asyncio.run(_Field(course, zone, folder, anchors, runner).repetitions(scale))
