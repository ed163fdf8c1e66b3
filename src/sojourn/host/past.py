"""An agent's past, as a host proves it to strangers: its chain of custody, and that of its ancestors.

Anchors of the zone tell it. The first that holds is taken, officers' seals and all: an anchor may have missed a
decision, or lie.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value, encode
from sojourn.core.base.errors import Refused, SojournError
from sojourn.core.base.limits import CHAPTERS_AT_ONCE
from sojourn.core.protocol.chains import ChainMemo, check_onward
from sojourn.core.protocol.custody import Certified, Chapter, check_head, proving, zones_in
from sojourn.core.protocol.exchange import Past
from sojourn.core.protocol.kin_blocks import KinBlocks
from sojourn.core.protocol.kinship import Kin, check_family
from sojourn.core.protocol.missing import Missing
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.clients.drive import ended

if TYPE_CHECKING:
    from sojourn.host.server import Host

__all__ = ["ProvedPast", "kin_blocks", "manifests_of", "proved_past"]

log = structlog.get_logger("host")

_CHAIN_ZONES_MAX: Final = 256
"""Manifests that an application has room for."""


class ProvedPast(Value):
    """A chain of custody that holds: its chapters, their names, and the manifests that prove it.

    `documents` are those that prove what rules, beside what the record names. Chapters are at hand as blocks.
    """

    chapters: tuple[Chapter, ...]
    digests: tuple[bytes, ...]
    manifests: tuple[SignedManifest, ...]
    documents: tuple[bytes, ...]


async def proved_past(host: "Host", head: Certified) -> ProvedPast:
    """Gather an agent's chain of custody from this zone's anchors, and what it is proved with.

    Raises `Refused` if none holds.
    """
    told: asyncio.Queue[Past | None] = asyncio.Queue()
    asking = asyncio.create_task(_ask(host, head.record.agent_id, told))
    try:
        while (past := await told.get()) is not None:
            try:
                return await _proved(host, head, past.chapters)
            except SojournError as error:
                log.warning("a false past", problem=str(error))
    finally:
        await ended([asking])
    raise Refused("no anchor of this zone shows a chain of custody that holds")


async def _ask(host: "Host", agent: bytes, told: "asyncio.Queue[Past | None]") -> None:
    """Put into `told` what each anchor tells of an agent's past, then None."""

    def take(_anchor: int, past: Past) -> bool:
        told.put_nowait(past)
        return False

    try:
        await host.zone.ask_past(agent, take)
    finally:
        told.put_nowait(None)


async def _proved(host: "Host", head: Certified, chapters: Sequence[Chapter]) -> ProvedPast:
    """Return the past if it holds. A long chain is checked part by part: other agents go on meanwhile."""
    if not chapters:  # an anchor that was away when the agent came
        raise Refused("an anchor knows of no chain of custody")
    kin = await kin_blocks(host, head.record)
    zones = zones_in(chapters) | kin.zones(chapters[0])
    manifests = manifests_of(host, zones)
    known = {signed.manifest.zone_id: signed.manifest for signed in manifests}
    blocks = [encode(chapter) for chapter in chapters]
    digests, memo = tuple(map(digest, blocks)), ChainMemo()
    agent = head.record.agent_id
    while not check_onward(agent, digests, chapters.__getitem__, known, memo):
        await asyncio.sleep(0)
    check_head(chapters[-1], head, known)
    documents = proving(chapters[0], chapters[-1], head.record)
    await _check_family(
        host, head.record, chapters, documents, kin, kin.among(known, most=CHAPTERS_AT_ONCE)
    )
    host.blocks.add(blocks)
    return ProvedPast(
        chapters=tuple(chapters), digests=digests, manifests=manifests, documents=documents
    )


async def kin_blocks(host: "Host", record: AgentRecord) -> KinBlocks:
    """Bring to hand what proves an agent's ancestors: nothing, for one that was launched."""
    kin = KinBlocks(record)
    named: Iterable[bytes] = record.proofs
    while wanted := list(named):
        await host.blocks.fetch(wanted)
        taken = [kin.take(each, host.blocks.get(each)) for each in wanted]
        named = dict.fromkeys(each for part in taken for each in part)
    return kin


async def _check_family(
    host: "Host",
    record: AgentRecord,
    chapters: Sequence[Chapter],
    proof: Sequence[bytes],
    blocks: KinBlocks,
    kin: Kin,
) -> None:
    named = (*record.governance.named, *proof)
    try:
        documents = await host.outlook.documents(named)
    except MissingBlock as missing:
        raise Refused(f"this host cannot read the agent's policies: {missing}") from None
    held: dict[bytes, Document] = blocks.documents | dict(zip(named, documents, strict=True))
    while True:
        try:
            check_family(chapters[0], chapters[-1], record, held.__getitem__, kin)
        except Missing:  # of a long chain of an ancestor's, some is left to be checked
            await asyncio.sleep(0)
        else:
            return


def manifests_of(host: "Host", zones: Iterable[bytes]) -> tuple[SignedManifest, ...]:
    """Return the manifests of zones.

    Raises `Refused` if one is not known yet: from now on there is room for it (protocol §11.1).
    """
    wanted = sorted(zones)
    found = [host.places.signed_manifest(zone) for zone in wanted]
    known = tuple(signed for signed in found if signed is not None)
    if len(known) < len(wanted):
        host.places.hold(wanted[:_CHAIN_ZONES_MAX])
        raise Refused("this host does not know a zone of the agent's chain of custody")
    return known
