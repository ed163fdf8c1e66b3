"""Sending a message to an agent, wherever it is: it waits at its zone's anchors until a final step took it."""

import asyncio
import secrets
from typing import Any, Final

import msgspec

from sojourn.cli.finding import Found, find_named
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.errors import Misused, Refused, Rejected, SojournError, Unreachable
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.exchange import (
    AgentMessage,
    AnyReply,
    Mailed,
    PutMessage,
    SignedMessage,
    decode_body,
)
from sojourn.core.protocol.messages import Applied, Declined, Head
from sojourn.runtime.processes import clock

__all__ = ["Sent", "message_to", "put_mail", "send"]

_TRIES: Final = 5
"""An agent that moves meanwhile is looked for again."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A message that waits for an agent at `anchors` of the anchors of the zone where it is."""

    agent: str
    message: str
    sender: str
    zone: str
    anchors: int
    sent_ms: int


async def send(reach: Reach, home: Home, name: str, sender: KeyPair, body: Any) -> Sent:
    """Send a value to the agent with a local name. Raises as `find`.

    Raises `Misused` for a value that no message can carry, `Refused` if its anchors decline it, `Unreachable`
    if too few of them answer for at least one correct one to have kept it.
    """
    found = await find_named(reach, home, name)
    message = message_to(found.record.agent_id, sender, body)
    zone, took = await put_mail(reach, home, name, message)
    return Sent(
        agent=cid_text(message.agent),
        message=message.digest.hex(),
        sender=sender.public.hex(),
        zone=zone,
        anchors=took,
        sent_ms=message.sent_ms,
    )


async def put_mail(reach: Reach, home: Home, name: str, mailed: Mailed) -> tuple[str, int]:
    """Put what waits for an agent to its anchors; return the zone's name and how many keep it. Raises as `send`."""
    for _ in range(_TRIES):
        found = await find_named(reach, home, name)
        took = await _put(reach, found, mailed)
        if took is not None:
            return found.zone.name, took
    problem = f"{name} is between zones"
    raise Unreachable(problem, remedy="Send it again when it has arrived")


def message_to(agent: bytes, sender: KeyPair, body: Any) -> SignedMessage:
    """Return a message of now that says `body`, sealed. Raises `Misused` for what no agent could take."""
    try:
        data = encode_block(body)
        decode_body(data)
    except Rejected as error:
        is_long = error.reason == "too-large"
        remedy = "Send what names it instead" if is_long else "Send plain JSON"
        raise Misused(f"that cannot be sent: {error.problem}", remedy=remedy) from None
    message = AgentMessage(
        agent=agent,
        sender=sender.public,
        sent_ms=clock.wall_ms(),
        nonce=secrets.token_bytes(32),
        body=data,
    )
    covered = statement(Kind.MESSAGE, Role.PERSON, digest_of(message))
    seal = Seal(signer=sender.public, signature=sender.sign(covered))
    return SignedMessage(message=message, seal=seal)


async def _put(reach: Reach, found: Found, message: Mailed) -> int | None:
    """Return how many anchors keep the message; None if the agent has gone on."""
    client = reach.zone(found.zone)
    calls = (client.call(anchor, PutMessage(message=message)) for anchor in range(client.n))
    replies: list[AnyReply | BaseException] = await asyncio.gather(*calls, return_exceptions=True)
    took = sum(isinstance(reply, Applied) for reply in replies)
    if took > found.zone.f:
        return took
    if any(isinstance(reply, Head) for reply in replies):
        await asyncio.sleep(0.2)
        return None
    declined = [reply.problem for reply in replies if isinstance(reply, Declined)]
    if len(declined) > found.zone.f:
        raise Refused(f"{found.zone.name}: {declined[0]}")
    failures = (str(reply) for reply in replies if isinstance(reply, SojournError))
    failed = next(failures, "the others answered with something else")
    raise Unreachable(f"only {took} anchors of {found.zone.name} keep the message: {failed}")
