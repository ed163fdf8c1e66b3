"""Letters at an anchor: it keeps no message before it knows who sent it (protocol §10.26)."""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.core.protocol.custody import zones_in
from sojourn.core.protocol.exchange import Mailed
from sojourn.core.protocol.letters import MESSAGE, Letter, check_letter
from sojourn.core.protocol.messages import Need
from sojourn.core.protocol.missing import Missing

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["check_message", "proved"]


async def check_message(anchor: "Anchor", message: Mailed, action: str = MESSAGE) -> Need | None:
    """Check who sent a message; return what is needed for that, if something is. Raises `Rejected`.

    `action` is that of the intent of one that an agent sent.

    A sender's long life is checked part by part: others come between.
    """
    if not isinstance(message, Letter):
        message.check()
        return None
    while True:
        try:
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
    chapters = [
        chapter
        for chapter in anchor.shelf.chapters(letter.sender)
        if chapter.opened.record.custody.term <= letter.final.record.custody.term
    ]
    blocks = {digest(data): data for data in map(encode, chapters)}
    found = (anchor.places.signed_manifest(zone) for zone in sorted(zones_in(chapters)))
    manifests = tuple(signed for signed in found if signed is not None)
    letter = msgspec.structs.replace(letter, chapters=tuple(blocks), manifests=manifests)
    return letter, blocks
