"""What many sleepers cost: a zone's start, its host's memory, and how late each is woken, with all of them asleep.

Some are launched like any agent, the rest are copies of one of them in the anchors' stores. Those that are to wake
are launched last. Then every process of the zone is started anew, so that memory and start are those of a zone that
finds its sleepers, and a few of them wake, one after the other. `SOJOURN_SLEEPERS` says how many sleep, and
`SOJOURN_SLEEPERS_LAUNCHED` how many of them are no copies.
"""

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.launching import Launcher
from benchmarks.measuring import Case, Result, Scale, quantile
from benchmarks.multiplying import multiply
from benchmarks.processes import Process, ProcessFailed
from benchmarks.suite import Benchmark
from benchmarks.zones import ANCHORS, LocalZone, anchors_running, found, hosts_running, make_issuer
from sojourn.cli.reach import reaching
from sojourn.core.agent.eligibility import Status
from sojourn.core.protocol.messages import AskHead, Head
from sojourn.runtime.clients.zone_client import ZoneClient

_AGENTS: Final = 100_000
_AGENTS_QUICK: Final = 200
_LAUNCHED: Final = 200
_DOZER: Final = "dozer:Dozer"
_WAKING: Final = 100
_FAR_MS: Final = 365 * 86_400_000
_AT_ONCE: Final = 200
_WAKE_EVERY_MS: Final = 250
_LEASE_MS: Final = 10_000
"""On a machine that others use as well, a shorter lease is lost for want of processor time, which is not measured."""
_LOOK_S: Final = 0.5
_PATIENCE_S: Final = 600.0
_SETTLE_S: Final = 20.0
_UNTIL_S: Final = 120.0
"""For those that wake to be launched, to lie down, and the zone to start anew."""
_LATE: Final = re.compile(r"late (-?\d+) ms")
_UNITS: Final = {
    "start of the anchors": "s",
    "processor time of an anchor's": "s",
    "the host's memory": "MiB",
    "an anchor's memory": "MiB",
    "woken late, median": "ms",
    "woken late, p99": "ms",
}


def _run(scale: Scale, folder: Path) -> Result:
    count = int(os.environ.get("SOJOURN_SLEEPERS", _AGENTS_QUICK if scale.is_quick else _AGENTS))
    launched = min(count, int(os.environ.get("SOJOURN_SLEEPERS_LAUNCHED", _LAUNCHED)))
    measured = _measure(launched, count - launched, folder)
    case = Case.of(f"{count} sleepers", _UNITS, [measured])
    setup = {"anchors": ANCHORS, "hosts": 1, "launched": launched, "waking": _WAKING}
    return Result([case], setup)


def _measure(launched: int, copies: int, folder: Path) -> Mapping[str, float]:
    make_issuer(folder)
    zone = found(folder, "zone", lease_ms=_LEASE_MS)
    with anchors_running(zone) as anchors, hosts_running(zone) as hosts:
        launcher = Launcher(zone, _DOZER, folder / "launch")
        asyncio.run(_fill(zone, launcher, launched, [*anchors, *hosts]))
    if copies:
        multiply(zone, copies)
    with anchors_running(zone) as anchors, hosts_running(zone) as hosts:
        launcher = Launcher(zone, _DOZER, folder / "launch-waking")
        asyncio.run(_launch_waking(zone, launcher, [*anchors, *hosts]))
    began = time.monotonic()
    with anchors_running(zone) as anchors:
        start_s = time.monotonic() - began
        busy_s = sum(anchor.cpu_s() for anchor in anchors) / ANCHORS
        with hosts_running(zone) as hosts:
            time.sleep(_SETTLE_S)
            sizes = {
                "the host's memory": hosts[0].resident_bytes() / 2**20,
                "an anchor's memory": sum(a.resident_bytes() for a in anchors) / ANCHORS / 2**20,
            }
            late = _late(zone, hosts[0])
    woken = {
        "woken late, median": quantile(late, 50),
        "woken late, p99": quantile(late, 99),
    }
    start = {"start of the anchors": start_s, "processor time of an anchor's": busy_s}
    return start | sizes | woken


async def _fill(zone: LocalZone, launcher: Launcher, count: int, processes: list[Process]) -> None:
    at_ms = round(time.time() * 1000) + _FAR_MS
    agents: list[bytes] = []
    for start in range(0, count, _AT_ONCE):
        numbers = range(10_000 + start, 10_000 + min(start + _AT_ONCE, count))
        agents += await _launch(zone, launcher, numbers, at_ms, 1)
        for process in processes:
            process.check()
    await _dormant(zone, agents, processes)


async def _launch_waking(zone: LocalZone, launcher: Launcher, processes: list[Process]) -> None:
    wakes_ms = round(time.time() * 1000) + round((_SETTLE_S + _UNTIL_S) * 1000)
    agents = await _launch(zone, launcher, range(_WAKING), wakes_ms, _WAKE_EVERY_MS)
    await _dormant(zone, agents, processes)


async def _launch(
    zone: LocalZone, launcher: Launcher, numbers: range, first_ms: int, every_ms: int
) -> list[bytes]:
    async with reaching() as reach:
        launches = (
            launcher.launch(
                reach, f"dozer-{n}", {"plan": {"at_ms": first_ms + at * every_ms, "number": n}}
            )
            for at, n in enumerate(numbers)
        )
        return await asyncio.gather(*launches)


async def _dormant(zone: LocalZone, agents: Sequence[bytes], processes: list[Process]) -> None:
    until = time.monotonic() + _PATIENCE_S
    async with reaching() as reach:
        client = reach.zone(zone.signed.manifest)
        while not all([await _is_asleep(client, agent) for agent in agents]):
            for process in processes:
                process.check()
            if time.monotonic() > until:
                raise ProcessFailed(f"not asleep within {_PATIENCE_S:g} s")
            await asyncio.sleep(_LOOK_S)


async def _is_asleep(client: ZoneClient, agent: bytes) -> bool:
    """Tell whether an agent sleeps, as far as the first anchor knows."""
    known = await client.call(0, AskHead(agent=agent))
    assert isinstance(known, Head)
    assert known.certified is not None
    return known.certified.record.eligibility.status is Status.DORMANT


def _late(zone: LocalZone, host: Process) -> list[float]:
    """Return by how many milliseconds each that wakes woke late, once all have."""
    log = zone.host_folders()[0] / "host.log"
    until = time.monotonic() + _PATIENCE_S
    while True:
        host.check()
        late = [float(each) for each in _LATE.findall(log.read_text(encoding="utf-8"))]
        if len(late) >= _WAKING:
            return late
        if time.monotonic() > until:
            raise ProcessFailed(f"{len(late)} of {_WAKING} woke within {_PATIENCE_S:g} s")
        time.sleep(_LOOK_S)


BENCHMARK = Benchmark("many sleepers in one zone", _run)
