"""A host without agents' code: it holds leases and proposes, as fast as the anchors decide."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.samples import CODE, document, issuer, record
from sojourn.core.agent.capabilities import Offer
from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of, encode, encode_block
from sojourn.core.base.limits import ENVELOPE_LIFETIME_MS
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.admission import bound, child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import News, Tell
from sojourn.core.protocol.messages import Applied, Evidence, Proposal
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.core.zone.envelope import Envelope, SignedEnvelope
from sojourn.host.blocks import BlockCache
from sojourn.host.folder import HostFolder
from sojourn.host.leases import Leases
from sojourn.host.signer import Signer
from sojourn.runtime.clients.zone_client import Overtaken, Stalled, ZoneClient
from sojourn.runtime.processes import clock

__all__ = ["BareAgent", "BareHost"]

_BLOCK_BYTES: Final = 512
_LONG_S: Final = 30.0
_RETRY_S: Final = 0.1
_LAUNCHES_AT_ONCE: Final = 8


class BareHost:
    """A host's key at work. Made by `opened`."""

    def __init__(self, folder: HostFolder, client: ZoneClient) -> None:
        self.client = client
        self.manifest = client.manifest
        self.key = folder.key()
        self.blocks = BlockCache()
        self.leases = Leases(self.key.public, client)
        self._membership = folder.enrolment()[1]
        self._signer = Signer(self.key)
        self.stalls = 0
        self._launching = asyncio.Semaphore(_LAUNCHES_AT_ONCE)

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path, client: ZoneClient) -> AsyncIterator["BareHost"]:
        """Give the host of a folder, with its envelope and its leases kept fresh until the block ends."""
        host = cls(HostFolder(folder), client)
        await host._offer()
        async with asyncio.TaskGroup() as group:
            keeping = [
                group.create_task(host._keep_offering()),
                group.create_task(host.leases.run()),
            ]
            try:
                yield host
            finally:
                for task in keeping:
                    task.cancel()

    async def launch(self) -> "BareAgent":
        """Launch an agent and bind it."""
        async with self._launching:
            born = await self._decide(self._genesis(), None)
            following = bound(born, self.key.public)
            binding = await self._signer.proposal(TransitionKind.BIND, born, following)
            head = await self._decide(binding, born)
        await self.leases.hold(head.record.agent_id, head.record.custody.fence)
        return BareAgent(self, head)

    async def step(self, head: Certified, number: int) -> Certified:
        """Have a step decided that adds a block to memory."""
        block = encode_block([number, secrets.token_bytes(_BLOCK_BYTES)])
        memory = msgspec.structs.replace(head.record.memory, journal=digest(block))
        following = child(head.record, head.certificate.slot, memory=memory)
        proposal = await self._signer.proposal(TransitionKind.STEP, head, following)
        return await self._decide(proposal, head, (block,))

    async def _decide(
        self, proposal: Proposal, parent: Certified | None, blocks: tuple[bytes, ...] = ()
    ) -> Certified:
        """Have a proposal decided; one that stalls is proposed again, as a host does."""
        slot = slot_for(parent, proposal.transition, self.manifest)
        is_step = proposal.transition.kind is TransitionKind.STEP
        async with asyncio.timeout(_LONG_S):
            while True:
                proposer = Proposer(proposal, slot, self.manifest, parent=parent, blocks=blocks)
                try:
                    return await self.client.decide(
                        proposer, self.blocks, until_applied=not is_step
                    )
                except Overtaken as overtaken:
                    if overtaken.decided.record != proposal.transition.record:
                        raise
                    return overtaken.decided
                except Stalled:
                    self.stalls += 1
                    await asyncio.sleep(_RETRY_S)

    def _genesis(self) -> Proposal:
        """Return the launch of an agent that no other is equal to."""
        governing = document(name=f"rules-{secrets.token_hex(8)}")
        self.blocks.add((encode(governing), CODE))
        transition = Transition(
            kind=TransitionKind.GENESIS,
            parent=ZERO,
            record=record(self.manifest, governing),
            author=issuer().public,
            at_ms=clock.wall_ms(),
        )
        seals = (_issued(Kind.DOCUMENT, digest_of(governing)),)
        return Proposal(
            transition=transition,
            seals=(_issued(Kind.TRANSITION, transition.digest),),
            evidence=Evidence(documents=(SignedDocument(document=governing, seals=seals),)),
        )

    async def _keep_offering(self) -> None:
        while True:
            await asyncio.sleep(ENVELOPE_LIFETIME_MS / 3000)
            await self._offer()

    async def _offer(self) -> None:
        now_ms = clock.wall_ms()
        envelope = Envelope(
            zone=self.manifest.zone_id,
            host=self.key.public,
            membership=self._membership,
            offer=Offer(cpu_millis=1000, memory_mib=1024, slots=4096),
            price_micros=1000,
            sequence=now_ms,
            issued_ms=now_ms,
            expires_ms=now_ms + ENVELOPE_LIFETIME_MS,
        )
        covered = statement(Kind.ENVELOPE, Role.HOST, digest_of(envelope))
        seal = Seal(signer=self.key.public, signature=self.key.sign(covered))
        news = News(envelopes=(SignedEnvelope(envelope=envelope, seal=seal),))
        await self.client.ask_all(Tell(news=news), Applied)


class BareAgent:
    """An agent that does nothing but have steps decided, one after the other."""

    def __init__(self, host: BareHost, head: Certified) -> None:
        self._host, self._head = host, head

    async def steps_until(self, moment: float) -> list[float]:
        """Have steps decided until `time.perf_counter` reaches a moment; return how long each took, in s."""
        took: list[float] = []
        began = time.perf_counter()
        while began < moment:
            self._head = await self._host.step(self._head, len(took))
            ended = time.perf_counter()
            took.append(ended - began)
            began = ended
        return took


def _issued(kind: Kind, named: bytes) -> Seal:
    signature = issuer().sign(statement(kind, Role.ISSUER, named))
    return Seal(signer=issuer().public, signature=signature)
