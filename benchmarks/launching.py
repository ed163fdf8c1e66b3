"""Launching many agents of one class, through what `sojourn agent launch` itself uses."""

import asyncio
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.samples import PERMIT_ALL
from benchmarks.zones import ISSUER, LocalZone
from sojourn.cli.launching import Officer, launch, prepare_launch
from sojourn.cli.reach import Reach
from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Failed, Refused
from sojourn.core.protocol.exchange import Agents, AgentSummary, AskAgents
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["Launcher", "Values", "agents_in"]

Values = Mapping[str, Any] | Sequence[Any]
"""What is in a compartment at first: a table makes a mapping, a list a log."""

_AGENTS: Final = Path(__file__).parent / "agents"
_AT_ONCE: Final = 8
_PAGE: Final = 1000
_TRIES: Final = 20
_AGAIN_S: Final = 0.5


class Launcher:
    """Launches agents of one class of `benchmarks.agents` into a zone."""

    def __init__(self, zone: LocalZone, entry: str, folder: Path) -> None:
        """`entry` is "module:Class"; `folder` is new, and gets the agents' files."""
        self._zone, self._entry, self._folder = zone, entry, folder
        folder.mkdir(parents=True)
        shutil.copy(_AGENTS / f"{entry.partition(':')[0]}.py", folder)
        (folder / "rules.cedar").write_text(PERMIT_ALL, encoding="utf-8")
        self._officers = (Officer(ISSUER, zone.home.key(ISSUER, Purpose.OFFICER)),)
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def launch(self, reach: Reach, name: str, memory: Mapping[str, Values]) -> bytes:
        """Launch one agent with these compartments; return its identifier."""
        path = self._folder / f"{name}.toml"
        path.write_text(self._text(memory), encoding="utf-8")
        manifest = self._zone.signed.manifest
        async with self._room:
            prepared = prepare_launch(self._zone.home, path, manifest, self._officers)
            for _ in range(_TRIES):
                try:
                    return (await launch(reach, manifest, prepared)).record.agent_id
                except (Refused, Failed):  # the zone is busy: ask again, as its error says
                    await asyncio.sleep(_AGAIN_S)
            return (await launch(reach, manifest, prepared)).record.agent_id

    def _text(self, memory: Mapping[str, Values]) -> str:
        lines = ["[agent]", f"entry = {json.dumps(self._entry)}"]
        lines += ["[governance]", 'policies = ["rules.cedar"]']
        for name, values in memory.items():
            lines += [f"[memory.{name}]", f"values = {_toml(values)}"]
        return "\n".join(lines) + "\n"


def _toml(values: Values) -> str:
    if not isinstance(values, Mapping):
        return json.dumps(values)
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " }"


async def agents_in(reach: Reach, zone: LocalZone, anchor: int = 0) -> dict[bytes, AgentSummary]:
    """Return every agent that a zone holds, as one of its anchors knows it."""
    client = reach.zone(zone.signed.manifest)
    found: dict[bytes, AgentSummary] = {}
    after: bytes | None = None
    while True:
        reply: Value = await client.call(anchor, AskAgents(after=after, limit=_PAGE))
        assert isinstance(reply, Agents)
        found |= {each.agent: each for each in reply.agents}
        if len(reply.agents) < _PAGE:
            return found
        after = reply.agents[-1].agent
