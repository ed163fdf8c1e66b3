"""Standing in for an anchor of a village: under its key, in its place, with answers of one's own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol import exchange
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import AskHead
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.transport import Connection, PeerIdentity
from sojourn.transports.loopback import LoopbackTransport
from tests.village import House, Village

__all__ = ["Answer", "answers", "hang", "stand_in", "until"]

Answer = Callable[[Any, Any], Awaitable[Any]]
"""Takes a request and the honest reply to it; returns what is answered instead: a reply, or bytes."""


async def stand_in(village: Village, house: House, index: int, answer: Answer) -> None:
    """From now on, answer for an anchor with whatever `answer` makes of its honest replies."""
    anchor = house.anchors[index]
    await anchor.listener.close()  # type: ignore[attr-defined]
    identity = PeerIdentity(anchor.identity.public, "spiffe://test/anchor")

    async def serve(connection: Connection, body: bytes) -> bytes:
        request = exchange.decode_request(body)
        honest = exchange.decode_reply(await anchor.serve(connection, body))
        told = await answer(request, honest)
        return told if isinstance(told, bytes) else encode(told)

    transport = LoopbackTransport(village.network, identity)
    place = (house.name, 1000 + index)
    anchor.listener = await transport.listen(*place, on_request=serve)  # type: ignore[attr-defined]


async def hang(village: Village, house: House, index: int) -> asyncio.Event:
    """Let an anchor answer nothing any more, until the event that is returned is set."""
    gate = asyncio.Event()

    async def wait(_request: Any, honest: Any) -> Any:
        await gate.wait()
        return honest

    await stand_in(village, house, index, wait)
    return gate


async def answers(client: ZoneClient, anchor: int, head: Certified) -> bool:
    """Tell whether a client reaches an anchor: where a connection broke it is not tried again at once."""
    try:
        await client.call(anchor, AskHead(agent=head.record.agent_id))
    except SojournError:
        return False
    return True


async def until(look: Callable[[], Any], *, timeout_s: float = 30.0) -> None:
    """Wait until `look()`, awaited if it must be, is true."""
    async with asyncio.timeout(timeout_s):
        while True:
            seen = look()
            if await seen if asyncio.iscoroutine(seen) else seen:
                return
            await asyncio.sleep(0.01)
