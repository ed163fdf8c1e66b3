"""Exporting an agent: its evidence and its blocks, asked of the zone where it is, as one capsule."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

import msgspec

from sojourn.cli.finding import Found, find_named
from sojourn.cli.gathering import gather_history
from sojourn.cli.governing import read_documents
from sojourn.cli.home import Home
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.errors import Misused, Rejected, SojournError, Unreachable
from sojourn.core.protocol.capsule import (
    Capsule,
    Closure,
    block_names,
    capsule_head,
    load_capsule,
    make_capsule,
    policy_names,
)
from sojourn.core.protocol.car import car_section
from sojourn.core.protocol.exchange import Past
from sojourn.core.protocol.kin_blocks import KinBlocks
from sojourn.runtime.clients.drive import ended
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.processes.files import sync_directory

__all__ = ["Exported", "evidence_of", "export_agent", "write_capsule"]

_TRIES: Final = 3
"""An agent that moves while it is exported is looked for again."""
_AHEAD: Final = 64
"""Blocks asked for at once."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A capsule that was written, and read back verified. `digest` is the SHA-256 of the file.

    `history` counts the transitions that it shows between the ends of terms.
    """

    agent: str
    version: int
    zone: str
    file: str
    size: int
    digest: str
    blocks: int
    left_behind: tuple[str, ...]
    history: int = 0


async def export_agent(
    reach: Reach, home: Home, name: str, file: Path, *, with_history: bool = False
) -> Exported:
    """Write the capsule of the agent with a local name to a new file.

    With history it shows what was decided between the ends of terms, as far as the zones it was in say so.
    Raises `Misused` if the file exists, and as `find`; `Rejected` if no anchor's evidence holds.
    """
    for left in reversed(range(_TRIES)):
        found = await find_named(reach, home, name)
        try:
            return await write_capsule(reach, home, found, file, with_history=with_history)
        except Rejected:
            if not left:
                raise
    raise AssertionError("the last try raises or returns")


async def write_capsule(
    reach: Reach, home: Home, found: Found, file: Path, *, with_history: bool = False
) -> Exported:
    """Write the capsule of an agent that was found, and read it back. Raises as `export_agent`."""
    _check_new(file)
    capsule = await evidence_of(reach, home, found, with_history=with_history)
    partial = file.with_name(f".{file.name}.partial")
    taken, size = hashlib.sha256(), 0
    try:
        with partial.open("wb") as out:
            async for part in _parts(reach.zone(found.zone), capsule):
                out.write(part)
                taken.update(part)
                size += len(part)
            out.flush()
            os.fsync(out.fileno())
        with partial.open("rb") as written:
            verified = load_capsule(written)
        partial.replace(file)
        sync_directory(file.parent)
    except OSError as error:
        problem = f"{file} cannot be written: {error.strerror}"
        raise Misused(problem, remedy="Choose a place that you may write to") from None
    finally:
        partial.unlink(missing_ok=True)
    return Exported(
        agent=cid_text(capsule.agent),
        version=found.record.version,
        zone=found.zone.name,
        file=str(file),
        size=size,
        digest=taken.hexdigest(),
        blocks=verified.blocks,
        left_behind=verified.left_behind,
        history=len(capsule.history),
    )


def _check_new(file: Path) -> None:
    if file.exists():
        raise Misused(f"{file} exists already", remedy="Choose another file")


async def evidence_of(reach: Reach, home: Home, found: Found, *, with_history: bool) -> Capsule:
    """Return the evidence as the first anchor gives it that gives what holds."""
    news = await reach.news(found.zone)
    manifests = [*news.manifests, *home.manifests().values(), found.signed]
    told: asyncio.Queue[Past | None] = asyncio.Queue()
    asking = asyncio.create_task(_ask_past(reach, found, told))
    problem: SojournError = Unreachable(f"no anchor of {found.zone.name} answers")
    try:
        while (past := await told.get()) is not None:
            try:
                named = policy_names(past.chapters, found.record)
                documents = await read_documents(reach, found, named)
                kin = await _read_kin(reach, found)
                made = make_capsule(past.chapters, found.head, manifests, documents, kin=kin)
                break
            except SojournError as error:
                problem = error
        else:
            raise problem
    finally:
        await ended([asking])
    if not with_history:
        return made
    history, orders = await gather_history(reach, made, documents)
    return make_capsule(
        made.chapters, found.head, manifests, documents, history=history, orders=orders, kin=kin
    )


async def _read_kin(reach: Reach, found: Found) -> KinBlocks:
    """Return what proves an agent's ancestors: nothing, for one that was launched."""
    kin, client = KinBlocks(found.record), reach.zone(found.zone)
    named: Iterable[bytes] = found.record.proofs
    while wanted := list(named):
        blocks = {digest(data): data for data in await client.fetch(wanted)}
        if lacking := set(wanted) - blocks.keys():
            raise Unreachable(f"no anchor of {found.zone.name} has {len(lacking)} blocks of proof")
        taken = [kin.take(each, blocks[each]) for each in wanted]
        named = dict.fromkeys(each for part in taken for each in part)
    return kin


async def _ask_past(reach: Reach, found: Found, told: asyncio.Queue[Past | None]) -> None:
    """Put into `told` what each anchor tells of the agent's past, then None."""

    def take(_anchor: int, past: Past) -> bool:
        if past.chapters:
            told.put_nowait(past)
        return False

    try:
        client = reach.zone(found.zone)
        await client.ask_past(found.record.agent_id, take, timeout_s=ASK_TIMEOUT_S)
    finally:
        told.put_nowait(None)


async def _parts(client: ZoneClient, capsule: Capsule) -> AsyncIterator[bytes]:
    """Yield the file, part by part; blocks are fetched a few ahead of where they are needed."""
    yield capsule_head(capsule)
    closure = Closure(block_names(capsule))
    at_hand: dict[bytes, bytes] = {}
    while (named := closure.next) is not None:
        if named not in at_hand:
            at_hand |= await _fetch(client, closure.upcoming(_AHEAD))
        data = at_hand.pop(named, None)
        if data is None:
            problem = f"no anchor of {client.manifest.name} has block {cid_text(named)}"
            raise Unreachable(problem)
        yield car_section(data)
        closure.take(data)


async def _fetch(client: ZoneClient, wanted: list[bytes]) -> dict[bytes, bytes]:
    """Return blocks by the digest of their bytes; the first one wanted is asked of every anchor."""
    found = {digest(data): data for data in await client.fetch(wanted)}
    if wanted[0] not in found:
        found |= {digest(data): data for data in await client.fetch(wanted[:1])}
    return found
