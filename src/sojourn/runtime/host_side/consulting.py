"""Consulting an agent: a query of its code, run by its host on final memory and on nothing else (protocol §10.36).

The agent's side is believed no more than in an execution. What it read is what it was given: the host's side keeps
count of the compartments from which it served blocks.
"""

from collections.abc import Set
from functools import partial
from typing import NamedTuple

from sojourn.core.agent.memory.field import Compartment
from sojourn.core.agent.memory.marks import Marks, mark_of
from sojourn.core.base.errors import Failed, Rejected
from sojourn.runtime.apart import is_here, of_the_agent
from sojourn.runtime.frames import (
    Consult,
    Consulted,
    Progressed,
    Remark,
    Reply,
    decode_from_agent,
    encode_frame,
)
from sojourn.runtime.holdings import Holdings
from sojourn.runtime.host_side.journal import at_hand
from sojourn.runtime.ports import Channel, Message, Reader
from sojourn.runtime.questions import Block, Fetch
from sojourn.runtime.starting import shelves_of

__all__ = ["Consultation", "consult"]


class Consultation(NamedTuple):
    """What a query came to, and what data it read is bound by."""

    told: Consulted
    marks: Marks


async def consult(
    reader: Reader, channel: Channel, name: str, arguments: object, caller: Message
) -> Consultation:
    """Have a query run on the agent's side, on memory as the reader's record names it.

    Raises `Rejected` for a side that asks for what a query may not have, `Failed` if it is gone.
    """
    record = reader.record
    readable = {
        each: c
        for each, c in of_the_agent(record.memory.compartments).items()
        if is_here(c, record) and c.encryption is None
    }
    holdings = Holdings((each, c.root) for each, c in readable.items())
    read: set[str] = set()
    await channel.send(
        encode_frame(
            Consult(
                agent=record.agent_id,
                zone=record.custody.zone,
                shelves=shelves_of(record),
                name=name,
                arguments=arguments,  # type: ignore[arg-type] # as they were decoded
                caller=caller,
            )
        )
    )
    while (data := await channel.receive()) is not None:
        match decode_from_agent(data):
            case Fetch(ask=ask, digest=named):
                holdings.check_own((named,))
                holdings.check_readable(named, partial(_note, read, readable))
                block = await at_hand(reader, partial(reader.blocks.get, named))
                holdings.serve(named, block)
                await channel.send(encode_frame(Reply(ask=ask, answer=Block(data=block))))
            case Consulted() as told:
                marks = (mark_of(c.labels, c.residency) for c in map(readable.__getitem__, read))
                return Consultation(told, frozenset[object]().union(*marks))  # type: ignore[arg-type]
            case Remark() | Progressed():
                pass
            case frame:
                kind = type(frame).__name__
                raise Rejected(f"{kind} came from a query", reason="out-of-turn", where="frame")
    raise Failed("the agent's side of a query is gone", remedy="Ask again")


def _note(read: set[str], readable: dict[str, Compartment], holders: Set[str]) -> bool:
    """Count compartments as read, unless the block lies in one that binds nobody as well."""
    bound = {name for name in holders if readable[name].labels or readable[name].residency}
    if bound == holders:
        read |= bound
    return True
