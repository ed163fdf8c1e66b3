"""What an idle agent costs: memory of the processes and disk, when a thousand of them are dormant in a zone."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.launching import Launcher, agents_in
from benchmarks.measuring import Case, Result, Scale
from benchmarks.processes import Process, ProcessFailed
from benchmarks.suite import Benchmark
from benchmarks.zones import ANCHORS, LocalZone, anchors_running, found, hosts_running, make_issuer
from sojourn.cli.reach import Reach, reaching
from sojourn.core.agent.eligibility import Status

_AGENTS: Final = 1_000
_AGENTS_QUICK: Final = 200
_REPETITIONS: Final = 3
_WARM: Final = 20
"""Agents before the first look: what a process loads once is no agent's."""
_LOOK_S: Final = 0.2
_PATIENCE_S: Final = 600.0
_WATCH_S: Final = 5.0
_UNITS: Final = {
    "an anchor's memory": "bytes an agent",
    "the host's memory": "bytes an agent",
    "an anchor's disk": "bytes an agent",
    "an anchor's CPU": "% of a core",
    "the host's CPU": "% of a core",
}


def _run(scale: Scale, folder: Path) -> Result:
    count = _AGENTS_QUICK if scale.is_quick else _AGENTS
    repetitions = 1 if scale.is_quick else _REPETITIONS
    measured = [_measure(count, folder / f"repetition-{i}") for i in range(repetitions)]
    case = Case.of(f"{count} dormant agents", _UNITS, measured)
    return Result([case], {"anchors": ANCHORS, "hosts": 1})


def _measure(count: int, folder: Path) -> Mapping[str, float]:
    make_issuer(folder)
    zone = found(folder, "zone")
    with anchors_running(zone) as anchors, hosts_running(zone) as hosts:
        return asyncio.run(_Dormitory(zone, folder, anchors, hosts[0]).measured(count))


class _Dormitory:
    """A zone that fills with agents that do nothing."""

    def __init__(
        self, zone: LocalZone, folder: Path, anchors: Sequence[Process], host: Process
    ) -> None:
        self._zone, self._anchors, self._host = zone, anchors, host
        self._launcher = Launcher(zone, "sleeper:Sleeper", folder / "launch")

    async def measured(self, count: int) -> Mapping[str, float]:
        """Return what each of `count` agents adds, and what all of them cost while nothing happens."""
        async with reaching() as reach:
            await self._fill(reach, range(_WARM))
            before = self._sizes()
            await self._fill(reach, range(_WARM, _WARM + count))
            after = self._sizes()
        anchors_s, host_s = self._anchors_s(), self._host.cpu_s()
        await asyncio.sleep(_WATCH_S)
        return {what: (after[what] - before[what]) / count for what in before} | {
            "an anchor's CPU": (self._anchors_s() - anchors_s) / _WATCH_S * 100,
            "the host's CPU": (self._host.cpu_s() - host_s) / _WATCH_S * 100,
        }

    async def _fill(self, reach: Reach, numbers: range) -> None:
        """Launch agents, and wait until all of them are dormant."""
        memory = {"notes": {"state": "new"}}
        launches = (
            self._launcher.launch(reach, f"sleeper-{n}", memory | {"number": {"is": n}})
            for n in numbers
        )
        await asyncio.gather(*launches)
        until = time.monotonic() + _PATIENCE_S
        while not await self._are_dormant(reach, numbers.stop):
            if time.monotonic() > until:
                said = self._host.last_words()
                raise ProcessFailed(f"not dormant within {_PATIENCE_S:g} s; the host: {said}")
            await asyncio.sleep(_LOOK_S)

    async def _are_dormant(self, reach: Reach, count: int) -> bool:
        for process in (*self._anchors, self._host):
            process.check()
        for anchor in range(len(self._anchors)):
            known = await agents_in(reach, self._zone, anchor)
            dormant = sum(each.status is Status.DORMANT for each in known.values())
            if dormant < count:
                return False
        return True

    def _sizes(self) -> dict[str, float]:
        folders = self._zone.anchor_folders()
        disk = sum(file.stat().st_size for each in folders for file in (each / "store").rglob("*"))
        memory = sum(process.resident_bytes() for process in self._anchors)
        return {
            "an anchor's memory": memory / len(self._anchors),
            "the host's memory": self._host.resident_bytes(),
            "an anchor's disk": disk / len(folders),
        }

    def _anchors_s(self) -> float:
        return sum(process.cpu_s() for process in self._anchors) / len(self._anchors)


BENCHMARK = Benchmark("what a dormant agent costs", _run)
