"""The ceiling: transitions made final by four anchor processes, driven without a host process.

One proposer, in the driver's process, keeps so many agents' proposals in flight: each agent's next one starts
when its last is final. A proposal is a step with one new block of memory, sealed by a host's key in batches, as
a host does it. What a host adds (journal, replay, gate, sandbox) is not in here, and is in `steps`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.bare_host import BareAgent, BareHost
from benchmarks.measuring import Case, Result, Scale, quantile
from benchmarks.processes import Process
from benchmarks.suite import Benchmark
from benchmarks.zones import ANCHORS, LocalZone, anchors_running, connected, found
from sojourn.host.folder import HostFolder
from sojourn.runtime.clients.zone_client import ZoneClient

_AGENTS: Final = (1, 16, 256)
_LEASE_MS: Final = 60_000
_UNITS: Final = {
    "final transitions": "1/s",
    "p50": "ms",
    "p99": "ms",
    "stalled": "",
    "an anchor's CPU": "ms each",
    "the proposer's CPU": "ms each",
}


def _run(scale: Scale, folder: Path) -> Result:
    zone = found(folder, "engine", lease_ms=_LEASE_MS)
    with anchors_running(zone) as processes:
        cases = asyncio.run(_measure(scale, zone, processes))
    return Result(cases, {"anchors": ANCHORS, "seconds each": scale.seconds, "block": "512 bytes"})


async def _measure(scale: Scale, zone: LocalZone, processes: Sequence[Process]) -> list[Case]:
    async with _opened(zone) as host:
        all_agents = await asyncio.gather(*(host.launch() for _ in range(max(_AGENTS))))
        cases = []
        for agents in _AGENTS:
            measured = []
            for _ in range(scale.repetitions):
                measured.append(await _repetition(host, all_agents[:agents], scale, processes))
                for process in processes:
                    process.check()
            cases.append(Case.of(f"{agents} in flight", _UNITS, measured))
    return cases


@asynccontextmanager
async def _opened(zone: LocalZone) -> AsyncIterator[BareHost]:
    signed = zone.signed
    pair = HostFolder(zone.host_folders()[0]).key()
    async with connected(pair, signed.manifest.zone_id) as pool:
        client = ZoneClient(signed.manifest, pool)
        async with BareHost.opened(zone.host_folders()[0], client) as host:
            yield host


async def _repetition(
    host: BareHost, agents: Sequence[BareAgent], scale: Scale, processes: Sequence[Process]
) -> Mapping[str, float]:
    """Propose for some seconds; return rates, latencies and processor time for each transition."""
    before = [process.cpu_s() for process in processes]
    stalls = host.stalls
    own, began = time.process_time(), time.perf_counter()
    until = began + scale.seconds
    took = await asyncio.gather(*(agent.steps_until(until) for agent in agents))
    latencies = [each for of_one in took for each in of_one]
    took_s, own_s = time.perf_counter() - began, time.process_time() - own
    used_s = sum(p.cpu_s() - b for p, b in zip(processes, before, strict=True)) / len(processes)
    count = len(latencies)
    return {
        "final transitions": count / took_s,
        "p50": quantile(latencies, 50) * 1000,
        "p99": quantile(latencies, 99) * 1000,
        "an anchor's CPU": used_s / count * 1000,
        "stalled": host.stalls - stalls,
        "the proposer's CPU": own_s / count * 1000,
    }


BENCHMARK = Benchmark("transitions made final by four anchor processes, without a host", _run)
