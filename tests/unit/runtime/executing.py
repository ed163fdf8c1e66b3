"""Running agents of `agents/` to their end, through crashes."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType
from typing import Any

from sojourn.core.agent.memory.blocks import load_block
from sojourn.core.agent.memory.log import Log
from sojourn.core.base.digests import link_digest
from sojourn.core.base.encoding import encode_block
from sojourn.runtime.agent_side.code import collect_source
from sojourn.runtime.agent_side.relaying import Caller
from sojourn.runtime.host_side.encrypting import Encrypting
from sojourn.runtime.host_side.execution import Ending, Execution, How
from sojourn.runtime.ports import Custodian, Mode
from sojourn.runtime.records import Record, decode_record
from sojourn.substrates.local import LocalSubstrate
from tests.unit.runtime.custody import Blocks, Crash, FakeCustodian, Zone

__all__ = ["AGENTS", "Stage", "desk", "journal_of", "on_stage", "roots", "source_of"]

AGENTS = Path(__file__).parent / "agents"


def desk(text: str) -> Mapping[str, bytes]:
    """Return the source of an agent `desk:Desk`, given its class."""
    return {"desk.py": (_HEADER + dedent(text)).encode()}


_HEADER = """\
import asyncio
from dataclasses import dataclass
import sojourn
from sojourn import *
try:
    from tests.unit.runtime import outside
except ImportError:  # in a process of its own
    pass
"""


@cache
def source_of(entry: str) -> Mapping[str, bytes]:
    """Return the source of an agent of `agents/`."""
    return MappingProxyType(collect_source(entry, AGENTS))


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
        source: Mapping[str, bytes] | None = None,
        rest_after_s: float = 60.0,
        caller: Caller | None = None,
        **kwargs: Any,
    ) -> Ending | None:
        """Execute the agent of `agents/` once; None if its host crashed."""
        custodian = custodian or FakeCustodian(self.zone)
        channel = await self.substrate.start(
            source_of(entry) if source is None else source,
            entry,
            self.mode,
            log=custodian.log,
        )
        port: Custodian = custodian
        if self.zone.ciphers:
            port = await Encrypting.open(custodian, self.zone.ciphers)
        given, after = (args, kwargs), rest_after_s
        execution = Execution(port, channel, arguments=given, rest_after_s=after, caller=caller)
        try:
            return await execution.run()
        except BaseExceptionGroup as group:
            if group.subgroup(Crash) is None:
                raise
            return None

    async def execute_desk(self, text: str, *args: Any, **kwargs: Any) -> Ending | None:
        """Execute the agent `desk:Desk` of this text."""
        return await self.execute("desk:Desk", *args, source=desk(text), **kwargs)

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


def journal_of(zone: Zone) -> list[Record]:
    """Return all records of the agent's journal."""
    blocks = Blocks(zone.stored)
    root = load_block(blocks, zone.record.memory.journal)["log"]
    return [decode_record(encode_block(plain)) for plain in Log.load(link_digest(root), blocks)]
