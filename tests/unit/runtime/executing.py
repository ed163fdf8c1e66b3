"""Running agents of `agents/` to their end, through crashes."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sojourn.runtime.code import collect_source
from sojourn.runtime.execution import Ending, Execution, How
from sojourn.runtime.ports import Mode
from sojourn.substrates.local import LocalSubstrate
from tests.unit.runtime.custody import Crash, FakeCustodian, Zone

__all__ = ["AGENTS", "Stage", "on_stage", "roots"]

AGENTS = Path(__file__).parent / "agents"


class Stage:
    """A substrate, and one zone with one agent after the other."""

    def __init__(self, substrate: LocalSubstrate, mode: Mode, zone: Zone) -> None:
        self.substrate = substrate
        self.mode: Mode = mode
        self.zone = zone

    async def execute(
        self,
        entry: str,
        *args: Any,
        custodian: FakeCustodian | None = None,
        source: dict[str, bytes] | None = None,
        rest_after_s: float = 60.0,
        **kwargs: Any,
    ) -> Ending | None:
        """Execute the agent of `agents/` once; None if its host crashed."""
        custodian = custodian or FakeCustodian(self.zone)
        channel = await self.substrate.start(
            collect_source(entry, AGENTS) if source is None else source,
            entry,
            self.mode,
            log=custodian.log,
        )
        execution = Execution(
            custodian, channel, arguments=(args, kwargs), rest_after_s=rest_after_s
        )
        try:
            return await execution.run()
        except BaseExceptionGroup as group:
            if group.subgroup(Crash) is None:
                raise
            return None

    async def execute_through(
        self, crashes: Iterable[int], entry: str, *args: Any, **kwargs: Any
    ) -> Ending:
        """Execute an agent to its end; its host dies at each of these points of the zone."""
        for crash_at in crashes:
            custodian = FakeCustodian(self.zone, crash_at=crash_at)
            ending = await self.execute(entry, *args, custodian=custodian, **kwargs)
            if ending is not None and ending.how in (How.RETURNED, How.RAISED):
                return ending
        while True:
            ending = await self.execute(entry, *args, **kwargs)
            assert ending is not None
            if ending.how is not How.DEPARTED:
                return ending


def on_stage(
    act: Callable[[Stage], Any], *, mode: Mode = "inside", zone: Zone | None = None
) -> Any:
    """Run a coroutine function with a stage."""

    async def play() -> Any:
        substrate = LocalSubstrate(now_ms=lambda: stage.zone.now_ms)
        stage = Stage(substrate, mode, zone or Zone())
        try:
            return await asyncio.wait_for(act(stage), 60)
        finally:
            await substrate.close()

    return asyncio.run(play())


def roots(zone: Zone) -> dict[str, bytes]:
    """Return the root of every compartment."""
    return {name: c.root for name, c in zone.record.memory.compartments.items()}
