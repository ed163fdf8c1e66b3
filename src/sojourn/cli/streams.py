"""Reading a stream of an agent, or any log of its memory: from its certified record, by index, wherever it is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from sojourn.cli.address_book import entry_of
from sojourn.cli.finding import Found, find, find_named
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Misused, Unreachable

__all__ = ["Piece", "read_stream"]

_LOOK_S: Final = 0.5
_READ_AT_ONCE: Final = 64


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a stream, which this version of the agent proves. `is_end`: no piece, but why it ended, or ""."""

    index: int
    version: int
    value: Any
    is_end: bool = False


async def read_stream(
    reach: Reach, home: Home, name: str, log: str, start: int, *, follow: bool
) -> AsyncIterator[Piece]:
    """Yield what the log of the agent with a local name holds from an index on, oldest first.

    To `follow` is to go on with what becomes final, through moves, until the stream or the agent ends. Raises as
    `find`; `Misused` for a log that there is not or that nobody can read here, and for an index that was trimmed or
    is not reached yet.
    """
    found, blocks, at = await find_named(reach, home, name), RemoteBlocks(), start
    while True:
        blocks.ask(reach.zone(found.zone))
        try:
            values = await _log(found, blocks, log, name)
            _check_reached(values, at, log, follow=follow)
            while at < len(values):
                for piece in await _pieces(values, at, found.record.version, blocks):
                    yield piece
                    at += 1
                    if piece.is_end and follow:
                        return
        except Unreachable:
            if not follow:
                raise
        if not follow or _is_over(found.record):
            return
        await asyncio.sleep(_LOOK_S)
        found = await _look_again(reach, home, name, found)


async def _pieces(values: Log, at: int, version: int, blocks: RemoteBlocks) -> list[Piece]:
    stop = min(at + _READ_AT_ONCE, len(values))
    plain = await blocks.read(lambda: list(values.slice(at, stop)))
    return [_piece(at + offset, version, value) for offset, value in enumerate(plain)]


def _piece(index: int, version: int, plain: Any) -> Piece:
    match plain:
        case {"piece": value, **rest} if not rest:
            return Piece(index=index, version=version, value=value)
        case {"end": str(problem), **rest} if not rest:
            return Piece(index=index, version=version, value=problem, is_end=True)
    return Piece(index=index, version=version, value=plain)


async def _log(found: Found, blocks: RemoteBlocks, log: str, name: str) -> Log:
    compartments = found.record.memory.compartments
    logs = [each for each, kept in compartments.items() if kept.form is Form.LOG]
    kept = compartments.get(log)
    if kept is None or kept.form is not Form.LOG:
        what = "no log" if kept is None else "a mapping, and no log,"
        known = ", ".join(sorted(logs)) or "none"
        raise Misused(f"{name} has {what} called {log!r}", remedy=f"Its logs are: {known}")
    if kept.encryption is not None:
        problem = f"log {log!r} of {name} is encrypted: the host that runs it alone reads it"
        raise Misused(problem, remedy="Have the agent write what people are to read elsewhere")
    if kept.held_by not in (None, found.zone.zone_id):
        problem = f"log {log!r} of {name} stayed behind in another zone"
        raise Misused(problem, remedy="Read it when the agent is back there")
    return await blocks.read(lambda: Log.load(kept.root, blocks))


def _check_reached(values: Log, at: int, log: str, *, follow: bool) -> None:
    if at < values.first:
        problem = f"value {at} of {log!r} was trimmed: {values.first} is the oldest"
        raise Misused(problem, remedy=f"Read it --from {values.first}")
    if at > len(values) and not follow:
        problem = f"{log!r} has {len(values)} values, and value {at} is not among them"
        raise Misused(problem, remedy="Add --follow to wait for it")


def _is_over(record: AgentRecord) -> bool:
    """Tell whether nothing will be added any more: the agent has finished, or officers ended it."""
    eligibility = record.eligibility
    has_finished = eligibility.status is Status.DORMANT and not eligibility.wake
    return has_finished or eligibility.status in ENDED


async def _look_again(reach: Reach, home: Home, name: str, found: Found) -> Found:
    try:
        newer = await find(reach, home, entry_of(home, name))
        if newer.zone.zone_id != found.zone.zone_id:
            return await find_named(reach, home, name)
    except Unreachable:
        return found
    return newer
