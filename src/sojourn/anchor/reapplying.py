"""Applying again for an agent that has departed: its target has forgotten with what it applied (protocol §5 step 1).

A visa stands as long as the departure that used it, but a target that strangers flood lets go of old applications.
Then it cannot check the departure, and somebody at the source must show it the chain of custody again.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol.custody import Certified, Chapter, zones_in
from sojourn.core.protocol.messages import AskVisa
from sojourn.core.protocol.visa import Visa
from sojourn.runtime.clients.zone_client import ZoneClient

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["apply_again"]

log = structlog.get_logger("anchor")

_RECORD_BYTES_MAX: Final = 1024 * 1024


def apply_again(anchor: "Anchor", gone: Certified, visa: Visa, client: ZoneClient) -> None:
    """Show the target's anchors what the agent applied with, if it is known here: in the background."""
    chapters = _chapters(anchor, gone)
    ask = _application(anchor, gone, visa, chapters)
    if ask is not None:
        log.info("applies again", agent=gone.record.agent_id.hex()[:12], to=client.manifest.name)
        anchor.begin(
            _show, client, ask, dict(zip(ask.chapters, map(encode, chapters), strict=True))
        )


async def _show(client: ZoneClient, ask: AskVisa, blocks: dict[bytes, bytes]) -> None:
    await asyncio.gather(*(_show_to(client, each, ask, blocks) for each in range(client.n)))


async def _show_to(
    client: ZoneClient, anchor: int, ask: AskVisa, blocks: dict[bytes, bytes]
) -> None:
    """Show one anchor an application, its chapters first."""
    try:
        await client.upload(anchor, ask.chapters, _Shown(blocks))
        await client.call(anchor, ask)
    except SojournError as error:
        log.info("not applied again", anchor=anchor, problem=str(error))


class _Shown:
    """The blocks of an application."""

    def __init__(self, blocks: dict[bytes, bytes]) -> None:
        self._blocks = blocks

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes: nothing else is asked for."""
        return self._blocks[named]


def _chapters(anchor: "Anchor", gone: Certified) -> list[Chapter]:
    """Return the chapters that an agent applied with before it departed, as far as they are known here."""
    chapters = anchor.shelf.chapters(gone.record.agent_id)
    if chapters:
        chapters[-1] = msgspec.structs.replace(chapters[-1], closed=None)
    return chapters


def _application(
    anchor: "Anchor", gone: Certified, visa: Visa, chapters: Sequence[Chapter]
) -> AskVisa | None:
    """Return the application that a visa was granted on: the head before the departure, and its chain.

    None if this anchor missed some of it. The blocks that it names are still there: they were an application's.
    """
    agent, version = gone.record.agent_id, gone.record.version - 1
    before = anchor.shelf.history(agent, version, 1, _RECORD_BYTES_MAX)
    if not before or not chapters or before[0].record.digest != gone.transition.parent:
        return None
    manifests = [anchor.places.signed_manifest(zone) for zone in sorted(zones_in(chapters))]
    known = tuple(signed for signed in manifests if signed is not None)
    if len(known) < len(manifests):
        return None
    named = tuple(digest_of(chapter) for chapter in chapters)
    return AskVisa(terms=visa.terms, head=before[0], chapters=named, manifests=known)
