"""Steps made final: agents in plain Python on a real host, its zone's anchors in processes of their own.

Every agent does workflows of three effect-free steps. Steps run ahead of finality by the window of the
protocol (64 records or 250 ms), so one transition makes many of them final; with a window of 1 each step is a
transition of its own, and the code waits for the one before the last. The latency of a step runs from its
start to the start of the next, as its author sees it. The time counts from the start until all agents are at
rest, which they are only when everything they did is final; each does three windows at least.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from benchmarks.launching import Launcher, agents_in
from benchmarks.measuring import Case, Result, Scale, quantile
from benchmarks.processes import Process, ProcessFailed
from benchmarks.suite import Benchmark
from benchmarks.zones import ANCHORS, LocalZone, anchors_running, found, hosts_running, make_issuer
from sojourn.cli.reach import Reach, reaching
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.errors import SojournError
from sojourn.core.base.limits import RUN_AHEAD_RECORDS

__all__ = ["STEPS", "Course", "measure"]

STEPS: Final = 3
"""Steps of one workflow."""

_AGENTS: Final = (1, 16, 256)
_LOOK_S: Final = 0.02
_PATIENCE_S: Final = 600.0
_BATCHES: Final = 3
"""Each agent does so many full windows at least: the first and the last, which are not full, decide no figure."""
_UNITS: Final = {
    "final steps": "1/s",
    "final transitions": "1/s",
    "step p50": "ms",
    "step p99": "ms",
    "an anchor's CPU": "ms a transition",
    "the host's CPU": "ms a step",
}


@dataclass(frozen=True, slots=True)
class Course:
    """One case: so many agents at once, the window, and how many anchors decide."""

    agents: int
    window: int = RUN_AHEAD_RECORDS
    anchors: int = ANCHORS

    @property
    def name(self) -> str:
        """What the case is called."""
        return f"{self.agents} agent{'s' * (self.agents > 1)}, window {self.window}"


def _run(scale: Scale, folder: Path) -> Result:
    courses = [Course(agents, window) for window in (RUN_AHEAD_RECORDS, 1) for agents in _AGENTS]
    cases: list[Case] = []
    failed: dict[str, str] = {}
    for number, course in enumerate(courses):
        once = scale.is_quick and course.agents == max(_AGENTS)
        patience = replace(scale, repetitions=1) if once else scale
        try:
            measured = measure(course, patience, folder / f"course-{number}")
        except (ProcessFailed, SojournError) as error:  # its processes were its own
            failed[course.name] = str(error)
        else:
            cases.append(Case.of(course.name, _UNITS, measured))
    return Result(cases, {"anchors": ANCHORS, "hosts": 1}, failed)


def measure(course: Course, scale: Scale, folder: Path) -> list[Mapping[str, float]]:
    """Return what each repetition of a course measured, in a zone of its own."""
    make_issuer(folder)
    zone = found(folder, "zone", anchors=course.anchors)
    with anchors_running(zone) as anchors, hosts_running(zone, window=course.window) as hosts:
        return asyncio.run(_repetitions(course, scale, _Field(zone, folder, anchors, hosts[0])))


async def _repetitions(course: Course, scale: Scale, field: "_Field") -> list[Mapping[str, float]]:
    """Find out, in a repetition that does not count, how much work lasts as long as the scale says."""
    async with reaching() as reach:
        workflows = 1 + course.window // STEPS  # at least one full batch
        tried = await _Repetition(field, reach, 0, course.agents, workflows).measured()
        wanted = tried["final steps"] * scale.seconds / STEPS / course.agents
        workflows = max(_BATCHES * workflows, round(wanted))
        return [
            await _Repetition(field, reach, number, course.agents, workflows).measured()
            for number in range(1, scale.repetitions + 1)
        ]


@dataclass(frozen=True, slots=True)
class _Field:
    """Where agents run."""

    zone: LocalZone
    folder: Path
    anchors: Sequence[Process]
    host: Process

    def check(self) -> None:
        """Raise `ProcessFailed` if a process has ended."""
        for process in (*self.anchors, self.host):
            process.check()


class _Repetition:
    """So many new agents, from the line to their rest."""

    def __init__(
        self, field: _Field, reach: Reach, number: int, agents: int, workflows: int
    ) -> None:
        self._field, self._reach = field, reach
        self._number, self._agents, self._workflows = number, agents, workflows
        self._course = field.folder / f"repetition-{number}"
        self._ids: set[bytes] = set()

    async def measured(self) -> Mapping[str, float]:
        """Return the figures."""
        await self._line_up()
        versions, anchors_s, host_s = await self._versions(), self._anchors_s(), self._host_s()
        began = time.perf_counter()
        (self._course / "open").touch()
        await self._seen(lambda: self._count("done-[0-9]*") == self._agents)
        await self._rest()
        took_s = time.perf_counter() - began
        steps = self._agents * self._workflows * STEPS
        after = await self._versions()
        transitions = sum(after[agent] - versions[agent] for agent in self._ids)
        latencies = self._latencies_ms()
        return {
            "final steps": steps / took_s,
            "final transitions": transitions / took_s,
            "step p50": quantile(latencies, 50),
            "step p99": quantile(latencies, 99),
            "an anchor's CPU": (self._anchors_s() - anchors_s) / transitions * 1000,
            "the host's CPU": (self._host_s() - host_s) / steps * 1000,
        }

    async def _line_up(self) -> None:
        """Launch the agents, and wait until each runs and waits."""
        self._course.mkdir()
        launcher = Launcher(self._field.zone, "stepper:Stepper", self._course / "launch")
        lanes = [
            {"course": str(self._course), "number": number, "workflows": self._workflows}
            for number in range(self._agents)
        ]
        launches = (
            launcher.launch(self._reach, f"lane-{number}", {"lane": lane})
            for number, lane in enumerate(lanes)
        )
        self._ids = set(await asyncio.gather(*launches))
        await self._seen(lambda: self._count("ready-*") == self._agents)

    async def _seen(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE_S
        while not is_so():
            self._field.check()
            if time.monotonic() > until:
                said = self._field.host.last_words()
                raise ProcessFailed(f"nothing more came within {_PATIENCE_S:g} s; the host: {said}")
            await asyncio.sleep(_LOOK_S)

    def _count(self, pattern: str) -> int:
        return sum(1 for path in self._course.glob(pattern) if not path.suffix)

    async def _versions(self) -> dict[bytes, int]:
        known = await agents_in(self._reach, self._field.zone)
        return {agent: known[agent].version for agent in self._ids}

    async def _rest(self) -> None:
        """Wait until every agent is at rest, by what the anchors have decided."""
        while True:
            self._field.check()
            known = await agents_in(self._reach, self._field.zone)
            if all(known[agent].status is Status.DORMANT for agent in self._ids):
                return
            await asyncio.sleep(_LOOK_S)

    def _anchors_s(self) -> float:
        anchors = self._field.anchors
        return sum(process.cpu_s() for process in anchors) / len(anchors)

    def _host_s(self) -> float:
        return self._field.host.cpu_s()

    def _latencies_ms(self) -> list[float]:
        latencies: list[float] = []
        for number in range(self._agents):
            began = json.loads((self._course / f"done-{number}").read_text(encoding="utf-8"))
            latencies += [(later - earlier) * 1000 for earlier, later in pairwise(began)]
        return latencies


BENCHMARK = Benchmark("effect-free steps of agents on a host, made final by four anchors", _run)
