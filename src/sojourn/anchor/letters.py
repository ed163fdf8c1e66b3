"""Letters at an anchor: it keeps no message before it knows who sent it (protocol §10.26)."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.core.protocol.custody import Certified, zones_in
from sojourn.core.protocol.exchange import Mailed
from sojourn.core.protocol.letters import MESSAGE, Letter, check_letter
from sojourn.core.protocol.messages import Need
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.unread import Unread, check_unread
from sojourn.core.zone.manifest import SignedManifest

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["BlocksWith", "Proof", "check_message", "proof_of", "proved"]


async def check_message(anchor: "Anchor", message: Mailed, action: str = MESSAGE) -> Need | None:
    """Check who sent a message; return what is needed for that, if something is. Raises `Rejected`.

    `action` is that of the intent of one that an agent sent.

    A sender's long life is checked part by part: others come between.
    """
    if not isinstance(message, Letter | Unread):
        message.check()
        return None
    while True:
        try:
            if isinstance(message, Unread):
                check_unread(message, anchor.view())
            else:
                check_letter(message, anchor.view(), action)
        except Missing as missing:
            if missing.what != "time":
                return Need(what=missing.what, digests=missing.digests)
            await asyncio.sleep(0)
        else:
            return None


def proved(anchor: "Anchor", letter: Letter) -> tuple[Letter, dict[bytes, bytes]]:
    """Return a letter with what proves it to another zone, and the chapters for that, as blocks by digest.

    One from this zone came without: here everybody knew its sender.
    """
    if letter.zone != anchor.zone_id:
        return letter, {}
    proof = proof_of(anchor, letter.final)
    shown = msgspec.structs.replace(letter, chapters=tuple(proof.blocks), manifests=proof.manifests)
    return shown, proof.blocks


class Proof(NamedTuple):
    """What proves to another zone that this one has an agent: chapters, as blocks by digest, and manifests."""

    blocks: dict[bytes, bytes]
    manifests: tuple[SignedManifest, ...]


def proof_of(anchor: "Anchor", final: Certified) -> Proof:
    """Return what proves that this zone had an agent when it certified a transition of it."""
    record = final.record
    chapters = [
        chapter
        for chapter in anchor.shelf.chapters(record.agent_id)
        if chapter.opened.record.custody.term <= record.custody.term
    ]
    found = (anchor.places.signed_manifest(zone) for zone in sorted(zones_in(chapters)))
    return Proof(
        {digest(data): data for data in map(encode, chapters)},
        tuple(signed for signed in found if signed is not None),
    )


class BlocksWith:
    """The blocks of an anchor, and some more by digest, such as what proves a letter's sender."""

    def __init__(self, anchor: "Anchor", more: Mapping[bytes, bytes] | None = None) -> None:
        """Have these more at hand."""
        self._anchor, self._more = anchor, more or {}

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes. Raises `MissingBlock`."""
        data = self._more.get(named) or self._anchor.shelf.block(named)
        if data is None:
            raise MissingBlock(named)
        return data
