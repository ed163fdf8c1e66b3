"""Messages for tests."""

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.exchange import AgentMessage, SignedMessage
from tests.village import key, seal

__all__ = ["letter"]


def letter(
    agent: bytes,
    number: int,
    *,
    size: int = 1,
    sent_ms: int | None = None,
    is_call: bool = False,
) -> SignedMessage:
    """Return a message, the later the higher its number."""
    call = {"call": "signal", "name": "stop", "arguments": [[], {}], "id": ""}
    sender = key("sender")
    message = AgentMessage(
        agent=agent,
        sender=sender.public,
        sent_ms=number if sent_ms is None else sent_ms,
        nonce=digest(b"%d" % number),
        body=encode_block(call if is_call else "x" * size),
    )
    sealed = seal(sender, Kind.MESSAGE, Role.PERSON, digest_of(message))
    return SignedMessage(message=message, seal=sealed)
