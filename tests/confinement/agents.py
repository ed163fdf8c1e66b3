"""Running hostile agents: real code, in a real confined process, through the real substrate."""

import asyncio
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sojourn.runtime.agent_side.code import collect_source, load_agent
from sojourn.runtime.host_side.execution import Ending
from sojourn.substrates.confinement.confiner import Confiner
from sojourn.substrates.confinement.layers import ALL_LAYERS, Bounds, Confinement
from sojourn.substrates.local import LocalSubstrate
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage

__all__ = ["BOUNDS", "attempts", "confiner", "execute", "outcomes", "source"]

MIB = 2**20
BOUNDS = Bounds(
    memory_bytes=512 * MIB,
    addresses_bytes=1_024 * MIB,
    scratch_bytes=16 * MIB,
    file_bytes=12 * MIB,
    files=128,
    threads=96,
    processor_s=60,
)
"""Tighter than in production, so that what goes beyond them is had sooner."""


@cache
def source() -> Mapping[str, bytes]:
    """Return the source of the agent that makes attempts."""
    return collect_source("desk:Desk", Path(__file__).parent / "hostile")


def attempts() -> list[str]:
    """Return the names of all attempts; what was left behind by a host is looked for first."""
    module = sys.modules[load_agent("desk:Desk", source()).__module__]
    return sorted(module.ATTEMPTS, key=lambda name: name != "descriptors_it_inherited")


def confiner(layers: frozenset[Any] = ALL_LAYERS, bounds: Bounds = BOUNDS) -> Confiner:
    """Return what confines with these layers."""
    return Confiner(Confinement(bounds=bounds, layers=layers))


def execute(
    confining: Confiner,
    source: Mapping[str, bytes],
    *args: Any,
    zone: Zone | None = None,
    denied: frozenset[str] = frozenset(),
    timeout_s: float = 60,
) -> tuple[Ending, FakeCustodian]:
    """Execute the agent `desk:Desk` of this source, confined; return its end, and the custodian with its log."""

    async def play() -> tuple[Ending, FakeCustodian]:
        substrate = LocalSubstrate(confiner=confining)
        stage = Stage(substrate, "confined", zone or Zone())
        custodian = FakeCustodian(stage.zone, denied=denied)
        running = stage.execute("desk:Desk", *args, custodian=custodian, source=source)
        ending = await asyncio.wait_for(running, timeout_s)
        assert ending is not None
        await substrate.close()
        return ending, custodian

    return asyncio.run(play())


def outcomes(confining: Confiner, names: list[str], at: dict[str, Any]) -> dict[str, str]:
    """Return what each attempt got, all made one after the other in one confined process."""
    ending, custodian = execute(confining, source(), names, at)
    assert isinstance(ending.result, dict), (ending, custodian.lines)
    return ending.result
