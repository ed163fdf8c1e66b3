"""Launching many agents of one class, through what `sojourn agent launch` itself uses."""

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import SOJOURN, command_output
from benchmarks.samples import PERMIT_ALL
from benchmarks.zones import LocalZone
from sojourn.cli.launching import Officer, launch, prepare_launch
from sojourn.cli.reach import Reach
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.encoding import Value
from sojourn.core.protocol.exchange import Agents, AgentSummary, AskAgents
from sojourn.runtime.keyfile import Purpose

__all__ = ["ISSUER", "Launcher", "agents_at_rest", "make_issuer", "summaries"]

ISSUER: Final = "bench"
_AGENTS: Final = Path(__file__).parent / "agents"
_AT_ONCE: Final = 8


def make_issuer(home: Path) -> None:
    """Make the key that signs launches and endorses zones."""
    command_output([*SOJOURN, "--home", str(home), "keys", "new", ISSUER])


class Launcher:
    """Launches agents of one class of `benchmarks.agents` into a zone."""

    def __init__(self, zone: LocalZone, entry: str, folder: Path) -> None:
        """`entry` is "module:Class"; `folder` is new, and gets the agents' files."""
        self._zone, self._entry, self._folder = zone, entry, folder
        folder.mkdir(parents=True)
        module = entry.partition(":")[0]
        shutil.copy(_AGENTS / f"{module}.py", folder)
        (folder / "rules.cedar").write_text(PERMIT_ALL, encoding="utf-8")
        key = zone.home.key(ISSUER, Purpose.OFFICER)
        self._officers = (Officer(ISSUER, key),)
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def launch(self, reach: Reach, name: str, memory: Mapping[str, Mapping[str, Any]]) -> bytes:
        """Launch one agent with these compartments; return its identifier."""
        path = self._folder / f"{name}.toml"
        path.write_text(self._text(memory), encoding="utf-8")
        manifest = self._zone.signed.manifest
        async with self._room:
            prepared = prepare_launch(self._zone.home, path, manifest, self._officers)
            born = await launch(reach, manifest, prepared)
        return born.record.agent_id

    def _text(self, memory: Mapping[str, Mapping[str, Any]]) -> str:
        lines = ["[agent]", f"entry = {json.dumps(self._entry)}"]
        lines += ["[governance]", 'policies = ["rules.cedar"]']
        for name, values in memory.items():
            pairs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
            lines += [f"[memory.{name}]", f"values = {{ {pairs} }}"]
        return "\n".join(lines) + "\n"


async def summaries(reach: Reach, zone: LocalZone, anchor: int = 0) -> list[AgentSummary]:
    """Return every agent that a zone holds, as one of its anchors knows it."""
    client = reach.zone(zone.signed.manifest)
    found: list[AgentSummary] = []
    while True:
        after = found[-1].agent if found else None
        reply: Value = await client.call(anchor, AskAgents(after=after))
        assert isinstance(reply, Agents)
        found += reply.agents
        if len(reply.agents) < 1000:
            return found


def agents_at_rest(found: Sequence[AgentSummary]) -> int:
    """Return how many of these agents have nothing to do for now."""
    return sum(each.status is Status.DORMANT for each in found)
