"""A village: whole zones in one process, real rulings and signatures, on loopback connections and memory stores.

For tests of what anchors decide together. Hosts here are bare keys that propose; the host process is tested
where real processes are.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sojourn.anchor.server import Anchor
from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Role
from sojourn.core.protocol import gossip
from sojourn.core.protocol.admission import admitted, bound, child, departed
from sojourn.core.protocol.amending import bringing
from sojourn.core.protocol.binding import Claim, Heartbeat, HeartbeatReply
from sojourn.core.protocol.custody import Certified, Chapter, proving
from sojourn.core.protocol.exchange import Past
from sojourn.core.protocol.messages import Arrive, AskVisa, Evidence, Head, Proposal, Voted
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa, visa_terms
from sojourn.core.quorum.certificates import certify
from sojourn.core.zone.envelope import SignedEnvelope
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.processes import clock
from sojourn.runtime.transport import PeerIdentity
from sojourn.stores.memory import MemoryStore
from sojourn.stores.shares import MemoryShares
from sojourn.transports.loopback import LoopbackNetwork, LoopbackTransport
from sojourn.transports.pool import ConnectionPool
from tests import samples
from tests.samples import CODE, ISSUER, PERMIT_ALL, SampleZone, key, seal

__all__ = ["House", "Village", "key", "seal", "village"]


@dataclass
class House:
    """One zone: its manifest, anchors by index, and host keys."""

    name: str
    signed: SignedManifest
    hosts: list[KeyPair]
    memberships: dict[bytes, Inclusion]
    anchors: dict[int, Anchor] = field(default_factory=dict)
    stores: dict[int, MemoryStore] = field(default_factory=dict)
    shares: dict[int, MemoryShares] = field(default_factory=dict)

    @property
    def manifest(self) -> ZoneManifest:
        """The zone's manifest."""
        return self.signed.manifest

    @property
    def zone(self) -> bytes:
        """The zone's identifier."""
        return self.manifest.zone_id

    @property
    def sample(self) -> SampleZone:
        """The zone as the sample it was made from."""
        return SampleZone(self.signed, tuple(self.hosts), self.memberships)


class Blocks:
    """Blocks in a dictionary: what a host has at hand."""

    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}

    def add(self, data: bytes) -> bytes:
        """Keep a block; return its digest."""
        self.data[digest(data)] = data
        return digest(data)

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes."""
        if named not in self.data:
            raise MissingBlock(named)
        return self.data[named]


class Village:
    """Zones that know each other, and an issuer whom agents trust."""

    def __init__(self) -> None:
        self.network = LoopbackNetwork()
        self.houses: dict[str, House] = {}
        self.issuer = ISSUER
        self.blocks = Blocks()
        self._listeners: list[object] = []
        self._pools: dict[bytes, ConnectionPool] = {}

    def pool(self, pair: KeyPair) -> ConnectionPool:
        """Return the connections of whoever holds `pair`."""
        known = self._pools.get(pair.public)
        if known is None:
            identity = PeerIdentity(pair.public, "spiffe://test/someone")
            known = ConnectionPool(LoopbackTransport(self.network, identity))
            self._pools[pair.public] = known
        return known

    def client(self, house: House, pair: KeyPair | None = None) -> ZoneClient:
        """Return a client of a zone's anchors, as host 0 of that zone unless another key is given."""
        return ZoneClient(house.manifest, self.pool(pair or house.hosts[0]))

    # --- zones ----------------------------------------------------------------------------------------

    def found(
        self,
        name: str,
        n: int = 4,
        *,
        policy: str = PERMIT_ALL,
        jurisdiction: tuple[str, ...] = ("EU",),
        lease_ms: int = 60_000,
    ) -> House:
        """Found a zone of n anchors and two hosts; `open` starts it."""
        sample = samples.found(name, n, policy=policy, jurisdiction=jurisdiction, lease_ms=lease_ms)
        house = House(name, sample.signed, list(sample.hosts), sample.memberships)
        self.houses[name] = house
        return house

    async def open(self, house: House, indexes: Iterable[int] | None = None) -> None:
        """Start anchors of a zone (all of them), each on its own store."""
        for index in indexes if indexes is not None else range(len(house.manifest.anchors)):
            identity = key(f"{house.name}/anchor/{index}")
            store = house.stores.setdefault(index, MemoryStore())
            anchor = Anchor(
                house.signed,
                index,
                identity,
                key(f"{house.name}/vote/{index}"),
                store,
                self.pool(identity),
                shares=house.shares.setdefault(index, MemoryShares()),
            )
            house.anchors[index] = anchor
            transport = LoopbackTransport(
                self.network, PeerIdentity(identity.public, "spiffe://test/anchor")
            )
            listener = await transport.listen(house.name, 1000 + index, on_request=anchor.serve)
            self._listeners.append(listener)
            anchor.listener = listener  # type: ignore[attr-defined]
            anchor.start()

    async def close(self, house: House, index: int) -> None:
        """Stop one anchor; its store stays."""
        anchor = house.anchors.pop(index)
        await anchor.listener.close()  # type: ignore[attr-defined]
        await anchor.stop()

    async def shut(self) -> None:
        """Stop all anchors, and close all connections."""
        for house in self.houses.values():
            for index in list(house.anchors):
                await self.close(house, index)
        for pool in self._pools.values():
            await pool.close()
        await asyncio.sleep(0)

    def introduce(self) -> None:
        """Let every anchor know every zone, its hosts' envelopes, and the issuer's endorsements."""
        now_ms = clock.wall_ms()
        news = gossip.News(
            manifests=tuple(house.signed for house in self.houses.values()),
            envelopes=tuple(
                self.envelope(house, host, now_ms)
                for house in self.houses.values()
                for host in house.hosts
            ),
            endorsements=tuple(self.endorsement(house.zone) for house in self.houses.values()),
        )
        for house in self.houses.values():
            for anchor in house.anchors.values():
                anchor.learn(news)

    def envelope(self, house: House, host: KeyPair, now_ms: int) -> SignedEnvelope:
        """Return a current envelope of a host, good for an hour."""
        return samples.envelope(house.sample, host, now_ms)

    def endorsement(self, zone: bytes, level: int = 5) -> SignedEndorsement:
        """Return the issuer's endorsement of a zone."""
        return samples.endorsement(zone, level)

    # --- agents ---------------------------------------------------------------------------------------

    def document(self, cedar: str = PERMIT_ALL, actions: tuple[str, ...] = ()) -> SignedDocument:
        """Return the issuer's policy document."""
        return samples.document(cedar, actions=actions)

    def genesis(
        self,
        house: House,
        cedar: str = PERMIT_ALL,
        *,
        actions: tuple[str, ...] = (),
        **fields: Any,
    ) -> Proposal:
        """Return the proposal that launches an agent in a zone."""
        document = self.document(cedar, actions)
        self.blocks.add(encode(document.document))
        self.blocks.add(CODE)
        return samples.genesis(house.sample, document, now_ms=clock.wall_ms(), **fields)

    def proposal(
        self,
        kind: TransitionKind,
        parent: Certified,
        record: AgentRecord,
        author: KeyPair,
        *,
        role: Role = Role.HOST,
        evidence: Evidence | None = None,
    ) -> Proposal:
        """Return a sealed proposal of a transition from `parent` to `record`."""
        now_ms = clock.wall_ms()
        return samples.propose(
            kind, parent, record, author, role=role, evidence=evidence, now_ms=now_ms
        )

    async def decide(
        self,
        house: House,
        proposal: Proposal,
        parent: Certified | None = None,
        application: AskVisa | None = None,
        timeout_s: float = 5,
    ) -> Certified:
        """Drive a proposal to its decision as a host of the zone would."""
        slot = slot_for(parent, proposal.transition, house.manifest)
        proposer = Proposer(proposal, slot, house.manifest, parent=parent, application=application)
        return await self.client(house).decide(
            proposer, self.blocks, timeout_s=timeout_s, until_applied=True
        )

    async def launch(self, house: House, **fields: Any) -> Certified:
        """Launch an agent and bind it to host 0, with its lease."""
        born = await self.decide(house, self.genesis(house, **fields))
        return await self.bind(house, born)

    async def bind(self, house: House, head: Certified, host: int = 0) -> Certified:
        """Bind an agent to a host, and take its lease."""
        pair = house.hosts[host]
        record = bound(head, pair.public)
        proposal = self.proposal(TransitionKind.BIND, head, record, pair)
        done = await self.decide(house, proposal, head)
        await self.renew(house, done)
        return done

    async def renew(self, house: House, head: Certified) -> dict[int, HeartbeatReply]:
        """Send a heartbeat of the bound host to all anchors."""
        custody = head.record.custody
        pair = next(host for host in house.hosts if host.public == custody.host)
        claim = Claim(agent=head.record.agent_id, term=custody.term, binding=custody.binding)
        beat = Heartbeat(host=pair.public, sequence=clock.boot_ms(), claims=(claim,))
        return await self.client(house, pair).ask_all(beat, HeartbeatReply)

    async def step(self, house: House, head: Certified, **changes: object) -> Certified:
        """Take a step that changes some fields."""
        return await self.decide(house, self.step_proposal(house, head, **changes), head)

    def step_proposal(self, house: House, head: Certified, **changes: object) -> Proposal:
        """Return the bound host's proposal of a step."""
        record = child(head.record, head.certificate.slot, **changes)
        author = next(h for h in house.hosts if h.public == head.record.custody.host)
        return self.proposal(TransitionKind.STEP, head, record, author)

    async def amend(
        self, house: House, head: Certified, old: SignedDocument, *run: SignedDocument
    ) -> Certified:
        """Have successors of a document take its place, brought by a stranger."""
        for signed in run:
            self.blocks.add(encode(signed.document))
        proposal = bringing(old.document, run, head, key("stranger"), at_ms=clock.wall_ms())
        return await self.decide(house, proposal, head)

    # --- migration ------------------------------------------------------------------------------------

    async def application(
        self, source: House, target: House, head: Certified, deadline_ms: int = 10_000
    ) -> AskVisa:
        """Return what the agent applies with."""
        chapters = await self.chapters(source, head.record.agent_id)
        terms = visa_terms(
            head.record, target.manifest, target.hosts[0].public, 1_000_000, deadline_ms
        )
        zones = {chapter.opened.record.custody.zone for chapter in chapters} | {source.zone}
        manifests = tuple(house.signed for house in self.houses.values() if house.zone in zones)
        named = tuple(self.blocks.add(encode(chapter)) for chapter in chapters)
        documents = proving(chapters[0], chapters[-1], head.record)
        return AskVisa(
            terms=terms, head=head, chapters=named, manifests=manifests, documents=documents
        )

    async def chapters(self, house: House, agent: bytes) -> tuple[Chapter, ...]:
        """Return an agent's chapters as the first anchor tells them that answers."""
        told: list[Past] = []

        def take(_anchor: int, past: Past) -> bool:
            told.append(past)
            return True

        await self.client(house).ask_past(agent, take)
        return told[0].chapters

    async def visa(self, source: House, target: House, ask: AskVisa) -> Visa:
        """Collect a visa from the target's anchors."""
        client = self.client(target, source.hosts[0])
        record = ask.head.record
        policies = (*record.governance.named, *ask.documents)
        roots = (*policies, record.capabilities.code, *ask.chapters)
        for index in target.anchors:
            await client.upload(index, roots, self.blocks)
        replies = await client.ask_all(ask, object)
        votes = [reply.vote for reply in replies.values() if isinstance(reply, Voted)]
        assert len(votes) >= target.manifest.committee.quorum, replies
        return Visa(terms=ask.terms, certificate=certify(votes, target.manifest.committee))

    async def depart(
        self, source: House, target: House, head: Certified, deadline_ms: int = 10_000
    ) -> tuple[Certified, Visa, AskVisa]:
        """Have a departure decided."""
        ask = await self.application(source, target, head, deadline_ms)
        visa = await self.visa(source, target, ask)
        proposal = self.departure(source, target, head, visa)
        return await self.decide(source, proposal, head), visa, ask

    def departure(self, source: House, target: House, head: Certified, visa: Visa) -> Proposal:
        """Return the bound host's proposal of a departure."""
        record = departed(head.record, head.certificate.slot, visa, target.manifest)
        author = next(h for h in source.hosts if h.public == head.record.custody.host)
        evidence = Evidence(visa=visa)
        return self.proposal(TransitionKind.DEPART, head, record, author, evidence=evidence)

    async def arrive(self, target: House, gone: Certified, visa: Visa, ask: AskVisa) -> Certified:
        """Show the departure to the target and have the admission decided by the visa's host."""
        replies = await self.client(target).ask_all(Arrive(departure=gone, visa=visa), Head)
        assert len(replies) >= target.manifest.committee.quorum, replies
        return await self.admit(target, gone, visa, ask)

    async def admit(self, target: House, gone: Certified, visa: Visa, ask: AskVisa) -> Certified:
        """Have the admission decided by the visa's host."""
        host = target.hosts[0]
        record = admitted(gone.record, gone.certificate.slot, target.manifest, host.public)
        proposal = self.proposal(
            TransitionKind.ADMIT,
            gone,
            record,
            host,
            evidence=Evidence(departure=gone, visa=visa),
        )
        done = await self.decide(target, proposal, gone, application=ask)
        await self.renew(target, done)
        return done

    async def move(self, source: House, target: House, head: Certified) -> Certified:
        """Move an agent, from visa to admission."""
        gone, visa, ask = await self.depart(source, target, head)
        return await self.arrive(target, gone, visa, ask)


@asynccontextmanager
async def village(*names: str, n: int = 4, lease_ms: int = 60_000) -> AsyncIterator[Village]:
    """Run a village of open zones that know each other."""
    made = Village()
    try:
        for name in names:
            await made.open(made.found(name, n, lease_ms=lease_ms))
        made.introduce()
        yield made
    finally:
        await made.shut()
