"""Listing the agents of zones: what most recent each anchor that answers knows, joined."""

import asyncio
from collections.abc import Sequence

import msgspec

from sojourn.cli import address_book
from sojourn.cli.home import Home
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.core.base.digests import cid_text, short
from sojourn.core.base.errors import SojournError, Unreachable
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.exchange import Agents, AgentSummary, AskAgents
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["AgentListed", "list_agents"]

_PAGE = 1000


class AgentListed(msgspec.Struct, frozen=True, kw_only=True):
    """One agent as its zone's anchors know it. `gone_to` is the zone it was admitted to, if it left."""

    name: str | None
    agent: str
    zone_name: str
    status: str
    version: int
    term: int
    binding: int
    host: str | None
    gone_to: str | None


async def list_agents(reach: Reach, home: Home, zones: Sequence[str]) -> list[AgentListed]:
    """Return the agents of the zones with these local names. Raises `Unreachable` if one does not answer."""
    manifests = {name: home.manifest(name).manifest for name in zones}
    known = {m.manifest.zone_id: name for name, m in home.manifests().items()}
    names = {address_book.entry_of(home, n).agent: n for n in address_book.entries(home)}
    found = []
    for zone, manifest in manifests.items():
        for summary in await _summaries(reach, manifest):
            agent = cid_text(summary.agent)
            to_zone = summary.to_zone
            found.append(
                AgentListed(
                    name=names.get(agent),
                    agent=agent,
                    zone_name=zone,
                    status=str(summary.status),
                    version=summary.version,
                    term=summary.term,
                    binding=summary.binding,
                    host=key_text(summary.host) if summary.host else None,
                    gone_to=known.get(to_zone, short(to_zone)) if to_zone else None,
                )
            )
    return found


async def _summaries(reach: Reach, manifest: ZoneManifest) -> list[AgentSummary]:
    """Return what all anchors know, by agent; of two that differ, the one that is further on counts."""
    client = reach.zone(manifest)
    asked = (_pages(reach, manifest, anchor) for anchor in range(client.n))
    answers = await asyncio.gather(*asked)
    if all(answer is None for answer in answers):
        raise Unreachable(
            f"no anchor of {manifest.name} answers", remedy="See `sojourn zone status`"
        )
    newest: dict[bytes, AgentSummary] = {}
    for summary in (each for answer in answers if answer for each in answer):
        known = newest.get(summary.agent)
        if known is None or _age(summary) > _age(known):
            newest[summary.agent] = summary
    return [newest[agent] for agent in sorted(newest)]


def _age(summary: AgentSummary) -> tuple[int, int, bool]:
    return (summary.term, summary.version, summary.to_zone is not None)


async def _pages(reach: Reach, manifest: ZoneManifest, anchor: int) -> list[AgentSummary] | None:
    """Return what one anchor knows, page by page; None if it does not answer."""
    found: list[AgentSummary] = []
    after = None
    client = reach.zone(manifest)
    while True:
        ask = AskAgents(after=after, limit=_PAGE)
        try:
            reply = await client.call(anchor, ask, timeout_s=ASK_TIMEOUT_S)
        except SojournError:
            return None
        if not isinstance(reply, Agents):
            return None
        found += reply.agents
        last = reply.agents[-1].agent if reply.agents else None
        if len(reply.agents) < _PAGE or last is None or (after is not None and last <= after):
            return found
        after = last
