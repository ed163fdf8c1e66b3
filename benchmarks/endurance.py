"""One agent that does a million steps, with restart points: whether the last is as quick as the first.

It notes the time of every thousandth step. What a step takes, and what it costs each process, is said of each
tenth, with how much memory and disk are held at its end. On a machine that does other work as well, only tenths
that had the same share of it can be compared: those between say whether they had. Behind the last the host
is killed again and again and started at once: the time runs from the SIGKILL to the first step that is done
after it, so the start of the process is in it. Nothing is thrown away: each anchor holds the whole chain.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.agents.marathoner import TURN
from benchmarks.launching import Launcher, Values
from benchmarks.measuring import Case, Result, Scale, quantile
from benchmarks.processes import Process, ProcessFailed
from benchmarks.suite import Benchmark
from benchmarks.zones import (
    ANCHORS,
    LocalZone,
    anchors_running,
    found,
    hosts_running,
    make_issuer,
    start_process,
)
from sojourn.cli.reach import reaching

_STEPS: Final = 1_000_000
_STEPS_QUICK: Final = 20_000
_TENTHS: Final = 10
_KILLS: Final = 10
_KILLS_QUICK: Final = 3
_FOREVER: Final = 2**40
_MARKS: Final = 1_000
"""So many steps are noted; each is a sample."""
_APART_S: Final = 3.0
"""Between two kills: long enough that a lease was renewed."""
_LOOK_S: Final = 0.05
_STUCK_S: Final = 120.0
_UNITS: Final = {
    "step": "ms",
    "the host's CPU": "ms a step",
    "an anchor's CPU": "ms a step",
    "the host's memory": "MiB",
    "an anchor's memory": "MiB",
    "an anchor's disk": "MiB",
}
_TIMES: Final = dict.fromkeys(_UNITS, "times")


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What processes have used and hold, at one moment of the course."""

    step: int
    host_s: float
    anchor_s: float
    held: Mapping[str, float]


def _run(scale: Scale, folder: Path) -> Result:
    steps = scale.steps or (_STEPS_QUICK if scale.is_quick else _STEPS)
    kills = _KILLS_QUICK if scale.is_quick else _KILLS
    make_issuer(folder)
    zone = found(folder, "zone")
    with anchors_running(zone) as anchors, hosts_running(zone) as hosts:
        return asyncio.run(_Course(zone, folder, anchors, hosts, steps).run(kills))


class _Course:
    """A zone with the one agent."""

    def __init__(
        self,
        zone: LocalZone,
        folder: Path,
        anchors: Sequence[Process],
        hosts: list[Process],
        steps: int,
    ) -> None:
        """`hosts` is one, and is replaced where it stands when it is killed."""
        self._zone, self._anchors, self._hosts, self._steps = zone, anchors, hosts, steps
        self._every = max(TURN, steps // _MARKS)
        self._launcher = Launcher(zone, "marathoner:Marathoner", folder / "launch")
        self._folder = folder / "course"
        self._folder.mkdir()

    async def run(self, kills: int) -> Result:
        """Return what the tenths took, and how long each resume took."""
        orders = {"course": str(self._folder), "every": self._every, "steps": _FOREVER}
        memory: dict[str, Values] = {"orders": orders, "reached": {"step": 0}}
        async with reaching() as reach:
            await self._launcher.launch(reach, "marathoner", memory)
        sizes = [await self._sizes_at(self._steps * at // _TENTHS) for at in range(_TENTHS + 1)]
        tenths = [self._figures(*each) for each in pairwise(sizes)]
        first, *between, last = tenths
        resumes = [await self._resumed_s() for _ in range(kills)]
        resumed = {"resumed p50": quantile(resumes, 50), "resumed, longest": max(resumes)}
        cases = [
            Case.of("the first tenth", _UNITS, [first]),
            *(Case.of(f"tenth {at}", _UNITS, [each]) for at, each in enumerate(between, 2)),
            Case.of("the last tenth", _UNITS, [last]),
            Case.of("last : first", _TIMES, [{what: last[what] / first[what] for what in _TIMES}]),
            Case.of(f"{kills} kills behind the last", dict.fromkeys(resumed, "s"), [resumed]),
        ]
        return Result(cases, {"anchors": ANCHORS, "steps": self._steps, "steps a turn": TURN})

    def _figures(self, before: _Sizes, after: _Sizes) -> Mapping[str, float]:
        """Return what a step took and cost between two moments, and what was held at the second."""
        marks = [mark for mark in self._notes("marks") if before.step <= mark[0] <= after.step]
        steps = after.step - before.step
        spent: dict[str, float] = {
            "step": median(
                (later - earlier) / (number - previous) * 1000
                for (previous, earlier), (number, later) in pairwise(marks)
            ),
            "the host's CPU": (after.host_s - before.host_s) / steps * 1000,
            "an anchor's CPU": (after.anchor_s - before.anchor_s) / steps * 1000,
        }
        return spent | dict(after.held)

    async def _sizes_at(self, step: int) -> _Sizes:
        """Wait until a step is done; return how things stand then, and at which step that really was."""
        number, _ = await self._noted("marks", lambda number: number >= step)
        folders = self._zone.anchor_folders()
        count, mib = len(self._anchors), 2**20
        disk = sum(file.stat().st_size for each in folders for file in (each / "store").rglob("*"))
        return _Sizes(
            step=number,
            host_s=self._hosts[0].cpu_s(),
            anchor_s=sum(process.cpu_s() for process in self._anchors) / count,
            held={
                "the host's memory": self._hosts[0].resident_bytes() / mib,
                "an anchor's memory": sum(p.resident_bytes() for p in self._anchors) / count / mib,
                "an anchor's disk": disk / count / mib,
            },
        )

    async def _resumed_s(self) -> float:
        """Kill the host and start it; return how long it took until the agent did its next step."""
        await asyncio.sleep(_APART_S)
        began = len(self._notes("resumed"))
        self._hosts[0].kill()
        killed = time.monotonic()
        self._hosts[0] = start_process("host", self._zone.host_folders()[0])
        _, resumed = await self._noted("resumed", lambda _: len(self._notes("resumed")) > began)
        return resumed - killed

    async def _noted(self, file: str, is_it: Callable[[int], bool]) -> tuple[int, float]:
        """Wait for a note; return the newest then."""
        seen, since = 0, time.monotonic()
        while True:
            notes = self._notes(file)
            if notes and is_it(notes[-1][0]):
                return notes[-1]
            for process in (*self._anchors, *self._hosts):
                process.check()
            if len(notes) > seen:
                seen, since = len(notes), time.monotonic()
            elif time.monotonic() - since > _STUCK_S:
                said = self._hosts[0].last_words()
                raise ProcessFailed(f"no further within {_STUCK_S:g} s; the host: {said}")
            await asyncio.sleep(_LOOK_S)

    def _notes(self, file: str) -> list[tuple[int, float]]:
        """Return the notes in a file: a step's number, and when it was done by this machine's clock."""
        path = self._folder / file
        if not path.exists():
            return []
        lines = path.read_text(encoding="ascii").splitlines(keepends=True)
        parts = [line.split() for line in lines if line.endswith("\n")]
        return [(int(number), float(moment)) for number, moment in parts]


BENCHMARK = Benchmark("one agent that does very many steps, first and last", _run)
