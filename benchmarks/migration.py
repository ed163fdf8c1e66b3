"""Migration blackout: how long an agent stands still when it moves from one zone to another.

Two zones of four anchors and a host each. The agent's memory is as large as the case says; before each move it
changes a hundredth of it, which is all that the target lacks, since the agent has been there before. The
blackout runs from the last step at the source to the first one at the target. In it lie, one after the other:
making that last step final, judging the places, copying ahead and the visa ("until departed"), and deciding the
admission and resuming there ("until working").
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from benchmarks.launching import Launcher
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
    sojourn,
)
from sojourn.cli.reach import reaching

_SIZES: Final = {"1 KB": 1_000, "1 MB": 1_000_000, "64 MB": 64_000_000}
_MOVES: Final = 12
_MOVES_QUICK: Final = 4
_UNCOUNTED: Final = 2
"""The first moves, to places that have nothing of the agent yet, or not all."""
_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 300.0
_UNITS: Final = {
    "blackout p50": "ms",
    "blackout p99": "ms",
    "until departed p50": "ms",
    "until working p50": "ms",
}


def _run(scale: Scale, folder: Path) -> Result:
    make_issuer(folder)
    zones = [found(folder, name) for name in ("north", "south")]
    moves = _MOVES_QUICK if scale.is_quick else _MOVES
    with anchors_running(*zones) as anchors:
        sojourn(folder, "zone", "meet", "north", "south")
        with hosts_running(*zones) as hosts:
            cases = [
                _case(name, size, moves, scale, zones, folder, [*anchors, *hosts])
                for name, size in _SIZES.items()
            ]
    return Result(cases, {"anchors of each zone": ANCHORS, "moves each": moves, "new": "1 %"})


def _case(
    name: str,
    size: int,
    moves: int,
    scale: Scale,
    zones: Sequence[LocalZone],
    folder: Path,
    processes: Sequence[Process],
) -> Case:
    """Measure one size: one agent moves for all repetitions."""
    path = folder / f"moves-{size}"
    wanted = _UNCOUNTED + moves * scale.repetitions
    orders = {"bytes": size, "moves": wanted, "path": str(path)}
    agent = asyncio.run(_launched(zones[0], orders, folder / f"launch-{size}"))
    _wait_for(path, processes)
    seen = json.loads(path.read_text(encoding="utf-8"))[_UNCOUNTED:]
    departed = _departures(zones, agent)
    measured = [
        _figures(seen[start : start + moves], departed) for start in range(0, len(seen), moves)
    ]
    return Case.of(f"{name} of memory", _UNITS, measured)


async def _launched(zone: LocalZone, orders: Mapping[str, object], folder: Path) -> bytes:
    launcher = Launcher(zone, "mover:Mover", folder)
    async with reaching() as reach:
        return await launcher.launch(reach, "mover", {"orders": orders, "ballast": {}, "seen": []})


def _wait_for(path: Path, processes: Sequence[Process]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not path.exists():
        for process in processes:
            process.check()
        if time.monotonic() > until:
            said = "; ".join(process.last_words() for process in processes[-2:])
            raise ProcessFailed(f"the moves took longer than {_PATIENCE_S:g} s; the hosts: {said}")
        time.sleep(_LOOK_S)


def _departures(zones: Sequence[LocalZone], agent: bytes) -> list[int]:
    """Return when departures of an agent were decided, by its hosts' logs, in ns since 1970."""
    found: list[int] = []
    for zone in zones:
        for folder in zone.host_folders():
            lines = (folder / "host.log").read_text(encoding="utf-8").splitlines()
            entries = [json.loads(line) for line in lines if line.startswith("{")]
            found += [
                round(datetime.fromisoformat(entry["timestamp"]).timestamp() * 1e9)
                for entry in entries
                if (entry["event"], entry.get("agent")) == ("departed", agent.hex()[:12])
            ]
    return sorted(found)


def _figures(moves: Sequence[Sequence[int]], departed: Sequence[int]) -> Mapping[str, float]:
    blackouts, before, after = [], [], []
    for left, arrived in moves:
        (gone,) = [at for at in departed if left < at < arrived]
        blackouts.append((arrived - left) / 1e6)
        before.append((gone - left) / 1e6)
        after.append((arrived - gone) / 1e6)
    return {
        "blackout p50": quantile(blackouts, 50),
        "blackout p99": quantile(blackouts, 99),
        "until departed p50": quantile(before, 50),
        "until working p50": quantile(after, 50),
    }


BENCHMARK = Benchmark("how long an agent stands still when it moves", _run)
