"""Forking an agent: from a version of it to the genesis of another, which a zone has decided."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from sojourn.cli import address_book
from sojourn.cli.exporting import evidence_of
from sojourn.cli.finding import Found, find_named
from sojourn.cli.governing import read_documents
from sojourn.cli.home import Home
from sojourn.cli.launching import born, doubts_of, readiness
from sojourn.cli.reach import Reach
from sojourn.cli.releases import Release, code_block
from sojourn.cli.versions import RemoteReader, blocks_of, version_at
from sojourn.core.agent.capabilities import Capabilities
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.upgrading import vouched_by
from sojourn.core.base.digests import ZERO, cid_text, digest
from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.forking import (
    Grant,
    check_forkable,
    family_blocks,
    fork_of,
    forking,
    sealed_documents,
    seals_shown,
)
from sojourn.core.protocol.messages import Forking
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.agent_side.code import load_agent
from sojourn.runtime.host_side.forked import forked_journal
from sojourn.runtime.host_side.retracing import retrace
from sojourn.runtime.processes import clock

__all__ = ["ForkWish", "ForkedAgent", "fork_agent"]


class ForkedAgent(msgspec.Struct, frozen=True, kw_only=True):
    """A new agent, and what it was forked from: another one, at a version.

    `by` are the keys that authorised it, in hexadecimal. `budgets` are its limits; `doubts` are reasons why it will
    not execute where it was born, for now.
    """

    name: str
    agent: str
    zone: str
    zone_name: str
    origin: str
    origin_version: int
    by: tuple[str, ...]
    code: str
    budgets: dict[str, int]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkWish:
    """What fork officers wish for: of which version (None: the newest), as whom, where, with what.

    `zone` is None for the zone where the agent is. `budgets` go before what the agent had left at its newest version.
    `publisher` seals the code that the agent had, where nobody who signs has published it.
    """

    local: str
    officers: Sequence[KeyPair]
    version: int | None = None
    zone: ZoneManifest | None = None
    budgets: Mapping[str, int]
    release: Release | None = None
    publisher: KeyPair | None = None
    reason: str = ""


async def fork_agent(reach: Reach, home: Home, name: str, wish: ForkWish) -> ForkedAgent:
    """Have the agent with a local name forked as officers wish, and keep the fork in the address book.

    Raises as `find` and `Reach.decide`; `Misused` for a version that it has not, or where nothing is left to run, and
    for officers that are too few; `Denied` for what may not go along.
    """
    found = await find_named(reach, home, name)
    evidence = await evidence_of(reach, home, found, with_history=False)
    version = found.record.version if wish.version is None else wish.version
    at = await version_at(reach, name, evidence, version)
    zone = wish.zone or found.zone
    check_forkable(at.record, found.record, zone)
    zones = {signed.manifest.zone_id: signed.manifest for signed in evidence.manifests}
    remote = blocks_of(reach, found, zones)
    reader = RemoteReader(at.record, remote)
    code = await _code(reader, wish)
    blocks = NewBlocks(remote)
    family = family_blocks(found.record, evidence.chapters)
    for data in reversed(family):
        blocks.add(data)
    parentage = digest(family[0]) if family else None
    record = await _record(reach, found, at, zone, wish, reader, blocks, code, parentage)
    documents = await read_documents(reach, found)
    signed = sealed_documents(documents, seals_shown(evidence.chapters), wish.officers)
    shown = Forking(at=at, newest=found.head)
    proposal = forking(
        record, shown, signed, wish.officers, at_ms=clock.wall_ms(), reason=wish.reason
    )

    async def bring(digests: Sequence[bytes]) -> None:
        await reader.fetch([each for each in digests if each not in blocks.made])

    done = await born(reach, zone, proposal, blocks, bring)
    address_book.keep(home, wish.local, done.record.agent_id, zone.zone_id)
    judged = await readiness(reach, zone, done.record, documents)
    return ForkedAgent(
        name=wish.local,
        agent=cid_text(done.record.agent_id),
        zone=cid_text(zone.zone_id),
        zone_name=zone.name,
        origin=cid_text(found.record.agent_id),
        origin_version=at.record.version,
        by=tuple(each.public.hex() for each in wish.officers),
        code=cid_text(done.record.capabilities.code),
        budgets={n: each.limit for n, each in done.record.eligibility.budgets.items()},
        doubts=doubts_of(judged),
    )


async def _record(
    reach: Reach,
    found: Found,
    at: Certified,
    zone: ZoneManifest,
    wish: ForkWish,
    reader: RemoteReader,
    blocks: NewBlocks,
    code: Capabilities,
    parentage: bytes | None,
) -> AgentRecord:
    """Return the fork's genesis; the blocks that are new with it go into `blocks`."""
    saved = await forked_journal(reader)
    if saved is not None:
        for data in saved.blocks.values():
            blocks.add(data)
    if wish.release is not None:
        blocks.add(code_block(wish.release.source))
    left = {n: each.limit - each.spent for n, each in found.record.eligibility.budgets.items()}
    grant = Grant(
        budgets=left | dict(wish.budgets),
        journal=ZERO if saved is None else saved.root,
        chance=secrets.token_bytes(len(ZERO)),
        parentage=parentage,
        code=code,
    )
    first = (await read_documents(reach, found))[0]
    return fork_of(at.record, found.record, first, grant, zone)


async def _code(reader: RemoteReader, wish: ForkWish) -> Capabilities:
    """Return the code that the fork is to have: what its origin had then, or a release that repeats its journal."""
    has = reader.record.capabilities
    if wish.release is None:
        return _published(has, wish)
    release = wish.release
    if reader.record.memory.journal != ZERO:
        _check_can_be_tried(reader.record)
        done = await retrace(reader, load_agent(release.entry, release.source))
        if done.parted:
            remedy = "Fork it at an earlier version, or with code that repeats it"
            raise Misused(f"not with this code: {done.parted}", remedy=remedy)
    return msgspec.structs.replace(
        has,
        code=release.code,
        entry=release.entry,
        publisher=release.vouched.signer,
        vouched=release.vouched,
    )


def _check_can_be_tried(record: AgentRecord) -> None:
    """Check that code can be tried here against a journal: nobody but a host with custody is given keys."""
    kept = (name for name, c in sorted(record.memory.compartments.items()) if c.encryption)
    if (name := next(kept, None)) is not None:
        problem = f"compartment {name!r} is encrypted, so that other code cannot be tried here"
        remedy = "Fork it with the code that it had, and give the fork other code: `sojourn agent upgrade`"
        raise Misused(problem, remedy=remedy)


def _published(has: Capabilities, wish: ForkWish) -> Capabilities:
    """Return the code that an agent has, with its publisher's seal: of the code, or else of the genesis."""
    sealing = [each for each in (wish.publisher, *wish.officers) if each is not None]
    publisher = next((each for each in sealing if each.public == has.publisher), None)
    if has.vouched is not UNSET or publisher in wish.officers:
        return has
    if publisher is None:
        problem = (
            f"the code's publisher, {key_text(has.publisher)}, has sealed neither it nor the fork"
        )
        raise Misused(problem, remedy="Give its key with --publisher")
    return msgspec.structs.replace(has, vouched=vouched_by(publisher, has.code))
