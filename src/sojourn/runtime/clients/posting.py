"""Posting: a message is given to a zone's anchors, each of which first asks for what proves its sender.

Senders' hosts do so, and anchors that send a message after an agent that went on (protocol §10.7).
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import structlog

from sojourn.core.agent.memory.blocks import BlockSource
from sojourn.core.base.errors import Rejected, SojournError
from sojourn.core.base.limits import CALL_TIMEOUT_S
from sojourn.core.protocol.exchange import AnyReply, AnyRequest, Mailed, PutMessage
from sojourn.core.protocol.messages import Applied, Declined, Head, Need
from sojourn.core.protocol.whereabouts import Manifests, followed
from sojourn.runtime.clients.drive import ended
from sojourn.runtime.clients.zone_client import Bring, ZoneClient

__all__ = ["Posted", "given", "post"]

log = structlog.get_logger("zone")

_NEEDS_MAX: Final = 4
"""How often one anchor may ask for more: it names all that it lacks at once."""
_GRACE_S: Final = 0.25
"""How much longer than a quorum an anchor may take; one that is late lacks the message, which others keep."""


class Posted(NamedTuple):
    """What a zone's anchors said to a message: how many keep it, where its receiver is by now, why others do not."""

    took: int
    heads: tuple[Head, ...]
    declined: tuple[Declined, ...]

    @classmethod
    def of(cls, took: int, replies: Sequence[AnyReply]) -> "Posted":
        """Return what replies come to, when so many anchors have taken it."""
        return cls(
            took=took,
            heads=tuple(reply for reply in replies if isinstance(reply, Head)),
            declined=tuple(reply for reply in replies if isinstance(reply, Declined)),
        )

    def onward(
        self,
        agent: bytes,
        zone: bytes,
        manifests: Manifests,
        hold: Callable[[list[bytes]], None] = lambda _: None,
    ) -> bytes | None:
        """Return the zone where an agent was admitted that departed from `zone`, if an anchor proves it.

        A zone that is named, and whose manifest is not at hand, is to be known next time: `hold` is told of it.
        """
        for head in self.heads:
            try:
                admission = followed(agent, zone, head, manifests)
            except Rejected as error:
                if error.reason == "unknown-zone" and head.onward is not None:
                    hold([head.onward.record.custody.zone])
                log.debug("not followed", agent=agent.hex()[:12], problem=str(error))
                continue
            if admission is not None:
                return admission.record.custody.zone
        return None


async def post(
    client: ZoneClient,
    message: Mailed,
    blocks: BlockSource,
    bring: Bring | None = None,
    *,
    timeout_s: float = CALL_TIMEOUT_S,
) -> Posted:
    """Give a message to all anchors of a zone; return once a quorum keeps it, or all have answered.

    What they lack to check it is given them from `blocks`, into which `bring` puts what is not at hand.
    """
    request = PutMessage(message=message)
    given_to = partial(given, client, request, blocks, bring, timeout_s)
    giving = [asyncio.ensure_future(given_to(anchor)) for anchor in range(client.n)]
    replies: list[AnyReply] = []
    try:
        for each in asyncio.as_completed(giving):
            try:
                replies.append(await each)
            except SojournError:
                continue
            if _took(replies) >= client.quorum:
                await asyncio.wait(giving, timeout=_GRACE_S)
                break
    finally:
        await ended(giving)
    return Posted.of(_took(replies), replies)


async def given(
    client: ZoneClient,
    request: AnyRequest,
    blocks: BlockSource,
    bring: Bring | None,
    timeout_s: float,
    anchor: int,
) -> AnyReply:
    """Return what an anchor says to a request, having given it what it lacks for that. Raises `SojournError`."""
    reply = await client.call(anchor, request, timeout_s=timeout_s)
    for _ in range(_NEEDS_MAX):
        if not isinstance(reply, Need) or not reply.digests:
            break
        if bring is not None:
            await bring(reply.digests)
        await client.put(anchor, map(blocks.get, reply.digests))
        reply = await client.call(anchor, request, timeout_s=timeout_s)
    return reply


def _took(replies: list[AnyReply]) -> int:
    return sum(isinstance(reply, Applied) for reply in replies)
