"""Calls: messages that name a method of the agent's code, a signal or an update (protocol §10.32).

They are taken wherever the code waits, and what is no call only where it receives: so a call may be taken before
other messages that came before it, and never before one that the same agent sent earlier. One that has labels is
taken only where the code receives: it binds what comes after it (protocol §10.40).
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import msgspec

from sojourn.core.base.encoding import Name, Text, Value
from sojourn.core.protocol.exchange import AnyMessage, decode_body
from sojourn.core.protocol.letters import Letter
from sojourn.core.protocol.unread import Unread

__all__ = ["Call", "Queued", "call_in", "first_of", "has_call", "queued"]


class Call(Value):
    """What a message says that calls a method. `id` is the caller's own, for whom the journal is the answer."""

    call: Literal["signal", "update"]
    name: Name
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    id: Text = ""


def call_in(body: Any) -> Call | None:
    """Return the call in the body of a message, None if it is another message."""
    if not isinstance(body, dict) or body.keys() != {"call", "name", "arguments", "id"}:
        return None
    try:
        return msgspec.convert(body, Call)
    except msgspec.ValidationError:
        return None


class Queued(NamedTuple):
    """What tells whether a message that waits may be taken as a call.

    It is one, or word that a letter was not read, which is taken where calls are. `sender` is the agent that sent it
    with its `version`; b"" for what is in no order: of a person, an answer, or that word.
    """

    is_call: bool
    sender: bytes = b""
    version: int = 0


def queued(message: AnyMessage) -> Queued:
    """Return what tells that of a message, which was checked."""
    if isinstance(message, Unread):
        return Queued(is_call=not message.answers and not message.letter.intent.labels)
    if not isinstance(message, Letter):
        return Queued(is_call=call_in(decode_body(message.message.body)) is not None)
    if message.said.answers:
        return Queued(is_call=False)
    is_call = not message.intent.labels and call_in(message.said.value) is not None
    return Queued(is_call, message.sender, message.version)


def first_of(waiting: Iterable[Queued]) -> dict[bytes, int]:
    """Return of each agent the version that sent the first of its letters that wait."""
    first: dict[bytes, int] = {}
    for each in waiting:
        if each.sender:
            first[each.sender] = min(each.version, first.get(each.sender, each.version))
    return first


def has_call(waiting: Iterable[Queued]) -> bool:
    """Tell whether one is a call whose turn it is: nothing else that its sender sent earlier waits."""
    waiting = list(waiting)
    first = first_of(waiting)
    return any(
        each.is_call and first.get(each.sender, each.version) == each.version for each in waiting
    )
