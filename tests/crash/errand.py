"""A fixed errand: everything that makes an anchor write, one request after the other, each asked until answered."""

import asyncio
from dataclasses import dataclass, field

from msgspec.structs import replace

from sojourn.core.agent.capabilities import Capabilities, Requirements
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode, encode_block
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import decree, gossip
from sojourn.core.protocol.admission import admitted, bound, child, departed
from sojourn.core.protocol.binding import Claim, Heartbeat
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import (
    AgentMessage,
    AskPast,
    Consumed,
    Past,
    PutBlocks,
    PutMessage,
    SignedMessage,
)
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    AskRound,
    AskVisa,
    Evidence,
    Head,
    Proposal,
    Propose,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.ordering import carrying
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa, visa_terms
from sojourn.core.quorum.certificates import RoundCertificate
from sojourn.runtime.processes import clock
from tests import samples
from tests.crash import shares
from tests.crash.scene import INDEX, Scene
from tests.crash.talk import Talk
from tests.samples import CODE, ISSUER

__all__ = ["Errand", "block"]

WRITER = samples.key("writer")
BULK = 24
"""Blocks of 16 KB each: the log gets long enough to be copied into the database in service."""


def block(number: int, size: int = 0) -> bytes:
    """Return a block that links to nothing."""
    return encode_block({"number": number, "padding": bytes(size)})


@dataclass
class Errand:
    """One errand of one talk. `rival` is what a liar would have it vote for beside what it has just voted for."""

    talk: Talk
    agents: dict[str, Certified] = field(default_factory=dict)
    rival: Propose | None = None
    _shown: list[Certified] = field(default_factory=list)

    @property
    def scene(self) -> Scene:
        """Where it takes place."""
        return self.talk.scene

    async def run(self) -> None:
        """Run it to its end."""
        await self._prepare()
        for name in ("stays", "leaves"):
            await self._launch(name)
        await self._encrypt("encrypted")
        await self._step("stays", blocks=(block(1), block(2)))
        await self._write()
        await self._change_round("stays")
        await asyncio.gather(*(self._step(name) for name in ("stays", "leaves")))
        await self._erase("encrypted")
        await self._put(*(block(100 + number, 16_000) for number in range(BULK)))
        await self._depart("leaves")
        await self._enter()
        await self._step("stays", blocks=(block(3),))

    async def _prepare(self) -> None:
        """Tell it of places, and give it the blocks that agents name."""
        assert isinstance(await self.talk.ask(gossip.Tell(news=self._news())), Applied)
        await self._put(encode(samples.document().document), CODE)

    def _news(self) -> gossip.News:
        scene = self.scene
        zones, now_ms = (scene.here, scene.away.sample), clock.wall_ms()
        return gossip.News(
            manifests=(scene.away.sample.signed,),
            envelopes=tuple(samples.envelope(z, h, now_ms) for z in zones for h in z.hosts),
            endorsements=tuple(samples.endorsement(zone.zone) for zone in zones),
        )

    async def remind(self) -> None:
        """Tell a process that has just started what it had in memory alone: envelopes, and leases."""
        await self.talk.ask_once(gossip.Tell(news=gossip.News(envelopes=self._news().envelopes)))
        for head in (*self.agents.values(), *self._shown):
            if head.record.custody.host is not None:
                await self.talk.ask_once(self._heartbeat(head))

    async def _put(self, *blocks: bytes) -> None:
        assert isinstance(await self.talk.ask(PutBlocks(blocks=blocks)), Applied)

    async def _launch(self, name: str) -> None:
        """Launch an agent and bind it to host 0."""
        await self._bring(name, self._genesis(name))

    def _genesis(self, name: str, **fields: object) -> Proposal:
        now_ms, capabilities = clock.wall_ms(), _capabilities(name)
        return samples.genesis(self.scene.here, now_ms=now_ms, capabilities=capabilities, **fields)

    async def _bring(self, name: str, genesis: Proposal) -> None:
        self.agents[name] = await self._decide(genesis, None)
        host = self.scene.here.hosts[0]
        head = self.agents[name]
        record = bound(head, host.public)
        await self._next(
            name, samples.propose(TransitionKind.BIND, head, record, host, now_ms=clock.wall_ms())
        )

    async def _next(self, name: str, proposal: Proposal, blocks: tuple[bytes, ...] = ()) -> None:
        self.agents[name] = await self._decide(proposal, self.agents[name], blocks=blocks)

    async def _step(self, name: str, blocks: tuple[bytes, ...] = ()) -> None:
        await self._next(name, self._step_proposal(name), blocks)

    def _step_proposal(self, name: str) -> Proposal:
        head, host = self.agents[name], self.scene.here.hosts[0]
        record = child(head.record, head.certificate.slot)
        kind = TransitionKind.STEP
        return samples.propose(kind, head, record, host, now_ms=clock.wall_ms())

    async def _decide(
        self,
        proposal: Proposal,
        parent: Certified | None,
        *,
        blocks: tuple[bytes, ...] = (),
        round: int = 0,
        entry: RoundCertificate | None = None,
        by: KeyPair | None = None,
    ) -> Certified:
        """Have a proposal decided, a vote of the process and two of ours in each phase."""
        slot = slot_for(parent, proposal.transition, self.scene.manifest)
        propose = Propose(slot=slot, round=round, proposal=proposal, blocks=blocks, entry=entry)
        locked = await self.talk.ask(propose, by.seed if by else None)
        assert isinstance(locked, Voted), locked
        is_hosts = parent is not None and not by and proposal.evidence.order is None
        self.rival = replace(propose, proposal=self._rival(proposal)) if is_hosts else None
        lock = self.scene.certified(locked.vote)
        committed = await self.talk.ask(ShowLock(certificate=lock))
        self.rival = None
        assert isinstance(committed, Voted), committed
        certificate = self.scene.certified(committed.vote)
        done = Certified(transition=proposal.transition, certificate=certificate)
        self._shown = [done]
        shown = Proposal(transition=proposal.transition, seals=())
        reply = await self.talk.ask(ShowCommit(certificate=certificate, proposal=shown))
        assert isinstance(reply, Applied | Head), reply
        await self._beat(done)
        return done

    async def _beat(self, head: Certified) -> None:
        """Renew the lease: it is in memory alone."""
        if head.record.custody.host is not None:
            await self.talk.ask(self._heartbeat(head))

    def _heartbeat(self, head: Certified) -> Heartbeat:
        custody = head.record.custody
        claim = Claim(agent=head.record.agent_id, term=custody.term, binding=custody.binding)
        host = self.scene.here.hosts[0].public
        return Heartbeat(host=host, sequence=clock.boot_ms(), claims=(claim,))

    # --- keys of memory -------------------------------------------------------------------------------

    async def _encrypt(self, name: str) -> None:
        """Launch an agent of whose key it keeps a share, which its host is given."""
        genesis = self._genesis(name, memory=shares.MEMORY)
        await shares.keep(self.talk, genesis.transition.record.agent_id)
        await self._bring(name, genesis)
        await shares.give(self.talk, self.agents[name])

    async def _erase(self, name: str) -> None:
        """Have its officers' order to erase the key carried out, and stated."""
        head = self.agents[name]
        order = shares.condemn(head)
        await self._next(name, carrying(order, head, WRITER, at_ms=clock.wall_ms()))
        await shares.destroy(self.talk, order)

    # --- messages -------------------------------------------------------------------------------------

    async def _write(self) -> None:
        """Send an agent three messages; two of them are consumed."""
        agent = self.agents["stays"].record.agent_id
        messages = [_message(agent, number) for number in range(3)]
        for message in messages:
            assert isinstance(await self.talk.ask(PutMessage(message=message)), Applied)
        consumed = Consumed(agent=agent, messages=tuple(m.digest for m in messages[:2]))
        self.talk.answered.going.update(consumed.messages)
        assert isinstance(await self.talk.ask(consumed), Applied)

    # --- rounds ---------------------------------------------------------------------------------------

    async def _change_round(self, name: str) -> None:
        """Have it vote for a step, leave that round, and vote for another step in a round that another leads."""
        head, proposal = self.agents[name], self._step_proposal(name)
        slot = slot_for(head, proposal.transition, self.scene.manifest)
        voted = await self.talk.ask(Propose(slot=slot, round=0, proposal=proposal))
        assert isinstance(voted, Voted), voted
        self.rival = Propose(slot=slot, round=0, proposal=self._rival(proposal))
        entry = self.scene.left_by_others(slot, 0)
        left = await self.talk.ask(AskRound(slot=slot, round=1, entry=entry))
        assert isinstance(left, RoundVoted), left
        self.rival = None
        round_, entry = 2, self.scene.left_by(left.vote)
        while decree.leader(slot, round_, self.scene.manifest) == INDEX:
            entry = self.scene.left_by_others(slot, round_)
            round_ += 1
        leader = self.scene.here.identity(decree.leader(slot, round_, self.scene.manifest))
        self.agents[name] = await self._decide(proposal, head, round=round_, entry=entry, by=leader)

    def _rival(self, proposal: Proposal) -> Proposal:
        """Return another step for the same slot, as an equivocating host would make it."""
        transition = replace(proposal.transition, at_ms=proposal.transition.at_ms - 1)
        host = self.scene.here.hosts[0]
        sealed = samples.seal(host, Kind.TRANSITION, Role.HOST, transition.digest)
        return replace(proposal, transition=transition, seals=(sealed,))

    # --- moves ----------------------------------------------------------------------------------------

    async def _depart(self, name: str) -> None:
        """Have an agent leave for the other zone."""
        world, away, head = self.scene.world, self.scene.away, self.agents[name]
        world.clock.wall_ms = clock.wall_ms()
        past = await self.talk.ask(AskPast(agent=head.record.agent_id, limit=1))
        assert isinstance(past, Past)
        documents = samples.document()
        world.known.library[digest(encode(documents.document))] = documents.document
        away.give(digest(CODE))
        terms = visa_terms(head.record, away.manifest, away.hosts[0].public, 1_000, 30_000)
        named = world.shown(past.chapters, away)
        manifests = (self.scene.here.signed,)
        ask = AskVisa(terms=terms, head=head, chapters=named, manifests=manifests)
        visa = world.visa(away, ask)
        record = departed(head.record, head.certificate.slot, visa, away.manifest)
        host, kind = self.scene.here.hosts[0], TransitionKind.DEPART
        evidence = Evidence(visa=visa)
        leaving = samples.propose(
            kind, head, record, host, evidence=evidence, now_ms=clock.wall_ms()
        )
        await self._next(name, leaving)

    async def _enter(self) -> None:
        """Have an agent of the other zone apply, arrive, and be admitted."""
        world, scene, away = self.scene.world, self.scene, self.scene.away
        world.clock.wall_ms = clock.wall_ms()
        proposal = world.genesis(away, samples.document(), capabilities=_capabilities("enters"))
        for item in proposal.evidence.documents:
            away.give(digest(encode(item.document)))
        head = world.bind(away, world.decide(away, proposal))
        chapters = away.anchors[0].past(head.record.agent_id)
        await self._put(*map(encode, chapters))
        terms = visa_terms(head.record, scene.manifest, scene.here.hosts[0].public, 1_000, 30_000)
        named = tuple(digest(encode(chapter)) for chapter in chapters)
        ask = AskVisa(terms=terms, head=head, chapters=named, manifests=(away.sample.signed,))
        voted = await self.talk.ask(ask)
        assert isinstance(voted, Voted), voted
        visa = Visa(terms=terms, certificate=scene.certified(voted.vote))
        record = departed(head.record, head.certificate.slot, visa, scene.manifest)
        evidence = Evidence(visa=visa)
        leaving = world.propose(
            TransitionKind.DEPART, head, record, world.host_of(away, head), evidence=evidence
        )
        gone = world.decide(away, leaving, head)
        arrived = await self.talk.ask(Arrive(departure=gone, visa=visa))
        assert isinstance(arrived, Head), arrived
        host = scene.here.hosts[0]
        admission = admitted(gone.record, gone.certificate.slot, scene.manifest, host.public)
        evidence = Evidence(departure=gone, visa=visa)
        admit = samples.propose(
            TransitionKind.ADMIT, gone, admission, host, evidence=evidence, now_ms=clock.wall_ms()
        )
        self.agents["enters"] = await self._decide(admit, gone)


def _capabilities(name: str) -> Capabilities:
    return Capabilities(
        requires=Requirements(),
        code=digest(CODE),
        entry=f"agent:{name.title()}",
        publisher=ISSUER.public,
    )


def _message(agent: bytes, number: int) -> SignedMessage:
    message = AgentMessage(
        agent=agent,
        sender=WRITER.public,
        sent_ms=clock.wall_ms(),
        nonce=digest(b"%d" % number),
        body=encode_block(number),
    )
    from sojourn.core.base.encoding import digest_of

    sealed = samples.seal(WRITER, Kind.MESSAGE, Role.PERSON, digest_of(message))
    return SignedMessage(message=message, seal=sealed)
