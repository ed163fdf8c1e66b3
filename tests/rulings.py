"""Zones whose anchors are their rulings alone: no event loop, no network, no disk, one clock for all.

An anchor here does what the process does around a ruling, at once and in the same order: it keeps the next
dossier, then signs and answers. Tests reach in to make anchors silent or to have them lie.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.heads import SignedHead
from sojourn.core.agent.memory.field import travelling_roots
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.revocations import SignedRevocation
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import CAPSULE_BYTES_MAX
from sojourn.core.base.seals import Role
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol.admission import admitted, bound, child, departed, returned
from sojourn.core.protocol.amending import bringing
from sojourn.core.protocol.anchor import agent_of, note_onward, renews, rule
from sojourn.core.protocol.binding import Claim, Heartbeat, HeartbeatReply, LeaseBook
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Certified, Chapter, proving
from sojourn.core.protocol.dossier import CastRound, CastVote, Dossier, Ruling, View
from sojourn.core.protocol.edicts import KnownEdicts, Standing, standing_of
from sojourn.core.protocol.gossip import NOBODY
from sojourn.core.protocol.messages import (
    Arrive,
    AskVisa,
    Evidence,
    Need,
    Proposal,
    Reply,
    Request,
    RoundVoted,
    Voted,
)
from sojourn.core.protocol.parentage import Parentage
from sojourn.core.protocol.promises import PromiseBook
from sojourn.core.protocol.proofs import KnownProofs
from sojourn.core.protocol.proposer import Progress, Proposer, Send, Upload
from sojourn.core.protocol.rates import RateBook
from sojourn.core.protocol.shares import was_born_with
from sojourn.core.protocol.validate import is_rated, slot_for
from sojourn.core.protocol.visa import Visa, visa_terms
from sojourn.core.quorum.certificates import RoundVote, certify
from sojourn.core.quorum.votes import Ballot, Slot, Vote
from sojourn.core.zone.envelope import Envelope
from sojourn.core.zone.manifest import ZoneManifest
from tests import samples
from tests.samples import CODE, FOR_EVER_MS, NOW_MS, SampleZone

__all__ = ["Clock", "PureAnchor", "PureZone", "World", "driven", "encoded_again"]

BOOT = digest(b"boot")
CLIENT = samples.key("client").public
STRANGER = samples.key("stranger")

Liar = Callable[[Request, Reply], Reply | None]
"""What a lying anchor answers in place of its honest reply; None for silence."""


@dataclass
class Clock:
    """Wall time and boot time of everybody, in milliseconds."""

    wall_ms: int = NOW_MS
    boot_ms: int = 1_000_000
    boot: bytes = BOOT

    def pass_ms(self, ms: int) -> None:
        """Let time pass."""
        self.wall_ms += ms
        self.boot_ms += ms


class PureShares:
    """The shares of keys that an anchor holds: for which agent each was dealt."""

    def __init__(self, anchor: "PureAnchor") -> None:
        self._anchor = anchor
        self.dealt: dict[bytes, bytes] = {}

    def __contains__(self, key: object) -> bool:
        return key in self.dealt

    def is_dealt_for(self, key: bytes, agent: bytes) -> bool:
        """Tell whether a share was given for an agent."""
        return self.dealt.get(key) == agent

    def is_for(self, key: bytes, agent: bytes) -> bool:
        """Tell whether a key is an agent's."""
        first, zone = self._anchor.chapters.get((agent, 0)), self._anchor.zone.zone
        is_born = first is not None and was_born_with(key, first, zone)
        return is_born or self.is_dealt_for(key, agent)


@dataclass
class Knowledge:
    """What anchors know beside dossiers; one for all unless a test gives an anchor its own."""

    manifests: dict[bytes, ZoneManifest] = field(default_factory=dict)
    endorsements: list[SignedEndorsement] = field(default_factory=list)
    envelopes: dict[bytes, dict[bytes, Envelope]] = field(default_factory=dict)
    library: dict[bytes, Document] = field(default_factory=dict)
    chapters: dict[bytes, Chapter] = field(default_factory=dict)
    parentages: dict[bytes, Parentage] = field(default_factory=dict)


class PureAnchor:
    """One anchor of a zone."""

    def __init__(self, zone: SampleZone, index: int, clock: Clock, known: Knowledge) -> None:
        self.zone, self.index, self.clock, self.known = zone, index, clock, known
        self.identity = zone.identity(index)
        self.dossiers: dict[bytes, Dossier] = {}
        self.chapters: dict[tuple[bytes, int], Chapter] = {}
        self.blocks: set[bytes] = set()
        self.memo, self.chains = Memo(), ChainMemo()
        self.counter = 0
        self.votes: list[Vote] = []
        self.leases = LeaseBook(zone.manifest.lease_ms, clock.boot_ms)
        self.rates, self.promises = RateBook(), PromiseBook()
        self.edicts, self.proofs = KnownEdicts(), KnownProofs()
        self.shares = PureShares(self)

    def dossier(self, agent: bytes) -> Dossier:
        """Return what this anchor knows of an agent."""
        return self.dossiers.get(agent, Dossier(agent=agent))

    def view(self) -> View:
        """Return what this anchor knows of the world."""
        return View(
            manifest=self.zone.manifest,
            index=self.index,
            manifests=self.known.manifests,
            documents={d: text for d, text in self.known.library.items() if d in self.blocks},
            chapters={d: c for d, c in self.known.chapters.items() if d in self.blocks},
            endorsements=self.known.endorsements,
            envelopes=self.known.envelopes.get(self.zone.zone, {}),
            leases=self.leases,
            rates=self.rates,
            promises=self.promises,
            lacking=lambda digests: [d for d in digests if d not in self.blocks],
            memo=self.memo,
            chains=self.chains,
            now_ms=self.clock.wall_ms,
            boot_ms=self.clock.boot_ms,
            boot=self.clock.boot,
            edicts=self.edicts,
            parentages={d: p for d, p in self.known.parentages.items() if d in self.blocks},
            shares=self.shares,
            proofs=self.proofs,
            newest=self.newest,
        )

    def newest(self, agent: bytes) -> AgentRecord | None:
        """Return the newest record of an agent that is known here."""
        head = self.dossier(agent).head
        return None if head is None else head.record

    def learn_orders(self, *orders: SignedOrder, teller: bytes = NOBODY) -> list[SignedOrder]:
        """Take in what officers published; return what is news. Raises `Rejected`."""

        def judge(signed: SignedOrder) -> Standing:
            record = self.record_for(signed.order.agent)
            return standing_of(signed, record, self.view().documents, self.zone.zone)

        examined = self.edicts.examine(orders, self.clock.wall_ms, teller, judge)
        return self.edicts.take(examined, teller)

    def record_for(self, agent: bytes) -> AgentRecord | None:
        """Return the newest record here of an agent, or else of one that descends from it."""
        heads = [dossier.head for dossier in self.dossiers.values() if dossier.head is not None]
        found = [
            head.record
            for head in heads
            if agent
            in (head.record.agent_id, *(a.agent for a in head.record.eligibility.ancestors))
        ]
        return next(iter(sorted(found, key=lambda record: record.agent_id != agent)), None)

    def learn_documents(
        self, *documents: SignedDocument, teller: bytes = NOBODY
    ) -> list[SignedDocument]:
        """Take in published documents, where heads here say what rules; return what is news. Raises `Rejected`."""
        stored, known = self.view().documents, self.edicts.successors
        heads = [each.head for each in self.dossiers.values() if each.head is not None]
        known.rules({d for head in heads for d in head.record.governance.named}, stored.get)
        published = known.examine(documents, self.clock.wall_ms, teller, stored.get)
        return known.take(published, self.clock.wall_ms, teller, stored.get)

    def learn_heads(self, *heads: SignedHead, teller: bytes = NOBODY) -> list[SignedHead]:
        """Take in heads of policies; return what is news. Raises `Rejected`."""
        stored, known = self.view().documents, self.edicts.heads

        def find(digest: bytes) -> Document | None:
            return self.edicts.successors.known(digest, stored.get)

        return known.take(known.examine(heads, self.clock.wall_ms, teller, find), teller)

    def learn_revocations(
        self, *revocations: SignedRevocation, teller: bytes = NOBODY
    ) -> list[SignedRevocation]:
        """Take in revocations; return what is news. Raises `Rejected`."""
        known, now_ms = self.edicts.revocations, self.clock.wall_ms
        return known.take(
            known.examine(revocations, now_ms, teller, self.zone.manifest), now_ms, teller
        )

    def ruling(self, request: Request, sender: bytes = CLIENT) -> Ruling:
        """Rule on a request and change nothing."""
        while True:
            ruling = rule(self.dossier(agent_of(request)), request, sender, self.view())
            if ruling.answer != Need(what="time"):
                return ruling

    def ask(self, request: Request, sender: bytes = CLIENT) -> Reply:
        """Rule on a request, keep what must be durable, and answer."""
        ruling = self.ruling(request, sender)
        self.keep(ruling)
        return self.answer(ruling)

    def keep(self, ruling: Ruling) -> None:
        """Make a ruling durable."""
        if ruling.dossier is not None:
            agent = ruling.dossier.agent
            if is_rated(self.dossier(agent), ruling.dossier):
                self.rates.note(agent, self.clock.boot_ms)
            self.dossiers[agent] = ruling.dossier
            has_arrived = ruling.dossier.arrival is not None
            now_ms = self.clock.boot_ms
            self.promises.note(agent, ruling.dossier.promised, now_ms, has_arrived=has_arrived)
        for chapter in ruling.chapters:
            record = chapter.opened.record
            self.chapters[record.agent_id, record.custody.term] = chapter

    def answer(self, ruling: Ruling) -> Reply:
        """Return the answer of a ruling, signed if it is a vote."""
        answer = ruling.answer
        if isinstance(answer, CastVote):
            return Voted(vote=self.signed(answer.ballot))
        if isinstance(answer, CastRound):
            vote = RoundVote(vote=self.signed(answer.ballot), summary=answer.summary)
            return RoundVoted(vote=vote, lock=answer.lock, proposal=answer.proposal)
        return answer

    def signed(self, ballot: Ballot) -> Vote:
        """Return a ballot with the next counter, under this anchor's seal."""
        self.counter += 1
        vote = self.zone.vote(replace(ballot, counter=self.counter))
        self.votes.append(vote)
        return vote

    def heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        """Renew the leases a host claims, where they are its to claim."""
        refused = []
        for claim in beat.claims:
            if renews(self.dossier(claim.agent), beat.host, claim):
                self.leases.renew(claim.agent, claim.fence, self.clock.boot_ms)
            else:
                refused.append(claim.agent)
        return HeartbeatReply(sequence=beat.sequence, declined=tuple(refused))

    def learn_onward(self, agent: bytes, admission: Certified) -> None:
        """Remember where a departed agent was admitted. Raises `Rejected`."""
        self.dossiers[agent] = note_onward(self.dossier(agent), admission, self.view())

    def past(self, agent: bytes) -> tuple[Chapter, ...]:
        """Return the chapters known of an agent, oldest first."""
        known = sorted((term, c) for (named, term), c in self.chapters.items() if named == agent)
        return tuple(chapter for _, chapter in known)

    def restart(self) -> None:
        """Stop and start again on the same machine: what was durable is read back from its bytes."""
        self.dossiers = {agent: encoded_again(dossier) for agent, dossier in self.dossiers.items()}
        self.leases = LeaseBook(self.zone.manifest.lease_ms, self.clock.boot_ms)
        self.memo, self.chains = Memo(), ChainMemo()


def encoded_again(dossier: Dossier) -> Dossier:
    """Return a dossier as it is read back from the store."""
    return decode(encode(dossier), Dossier, what="dossier", limit=CAPSULE_BYTES_MAX)


class PureZone:
    """All anchors of a zone."""

    def __init__(self, sample: SampleZone, clock: Clock, known: Knowledge) -> None:
        self.sample, self.clock = sample, clock
        self.anchors = [
            PureAnchor(sample, index, clock, known) for index in range(len(self.manifest.anchors))
        ]
        self.liars: dict[int, Liar] = {}

    @property
    def manifest(self) -> ZoneManifest:
        """The zone's manifest."""
        return self.sample.manifest

    @property
    def zone(self) -> bytes:
        """The zone's identifier."""
        return self.sample.zone

    @property
    def hosts(self) -> tuple[KeyPair, ...]:
        """The keys of the zone's hosts."""
        return self.sample.hosts

    def ask(self, index: int, request: Request, sender: bytes = CLIENT) -> Reply | None:
        """Return one anchor's reply, or what it answers instead if it lies; None for silence."""
        reply = self.anchors[index].ask(request, sender)
        liar = self.liars.get(index)
        return liar(request, reply) if liar else reply

    def ask_all(self, request: Request, sender: bytes = CLIENT) -> list[Reply | None]:
        """Return every anchor's reply."""
        return [self.ask(index, request, sender) for index in range(len(self.anchors))]

    def give(self, *blocks: bytes) -> None:
        """Store blocks, by digest, with every anchor."""
        for anchor in self.anchors:
            anchor.blocks.update(blocks)

    def renew(self, head: Certified, host: KeyPair | None = None) -> list[HeartbeatReply]:
        """Send a heartbeat of the bound host, or in another's name, to every anchor."""
        custody = head.record.custody
        claim = Claim(agent=head.record.agent_id, term=custody.term, binding=custody.binding)
        named = host.public if host else custody.host
        assert named is not None
        beat = Heartbeat(host=named, sequence=self.clock.boot_ms, claims=(claim,))
        return [anchor.heartbeat(beat) for anchor in self.anchors]

    def slot(self, proposal: Proposal, parent: Certified | None) -> Slot:
        """Return the slot a proposal competes for here."""
        return slot_for(parent, proposal.transition, self.manifest)

    def head(self, agent: bytes) -> Certified | None:
        """Return the newest head that any anchor knows."""
        heads = [a.dossier(agent).head for a in self.anchors]
        known = [head for head in heads if head is not None]
        return max(known, key=lambda h: (h.record.custody.term, h.record.version), default=None)


Step = Send | Upload


def driven(
    zone: PureZone,
    proposer: Proposer,
    *,
    only: Collection[int] | None = None,
    sender: bytes = CLIENT,
) -> Proposer:
    """Drive a proposer until it wants nothing more; anchors not in `only` do not answer."""
    todo = deque(_by_anchor(proposer.start()))
    while todo:
        anchor, steps = todo.popleft()
        reply = None
        if only is None or anchor in only:
            for step in steps:
                reply = _performed(zone, step, sender)
        try:
            if reply is None:
                proposer.silent(anchor)
            else:
                todo.extend(_by_anchor(proposer.heard(anchor, reply)))
        except Rejected:
            proposer.silent(anchor)
    return proposer


def _by_anchor(steps: Sequence[Step]) -> list[tuple[int, list[Step]]]:
    """Return steps by anchor: several to one go in their order, and the last one's reply counts."""
    mine: dict[int, list[Step]] = {}
    for step in steps:
        mine.setdefault(step.anchor, []).append(step)
    return list(mine.items())


def _performed(zone: PureZone, step: Step, sender: bytes) -> Reply | None:
    if isinstance(step, Send):
        return zone.ask(step.anchor, step.request, sender)
    zone.anchors[step.anchor].blocks.update(step.digests)
    return zone.ask(step.anchor, step.then, sender)


class World:
    """Zones that know each other, an issuer whom agents trust, and what a host would do."""

    def __init__(self, *names: str, n: int = 4, lease_ms: int = 60_000) -> None:
        self.clock, self.known = Clock(), Knowledge()
        self.zones = [self.found(name, n, lease_ms=lease_ms) for name in names]

    def found(self, name: str, n: int = 4, **fields: Any) -> PureZone:
        """Found a zone that everybody knows and the issuer endorses."""
        sample = samples.found(name, n, **fields)
        self.known.manifests[sample.zone] = sample.manifest
        self.known.endorsements.append(samples.endorsement(sample.zone))
        self.known.envelopes[sample.zone] = {
            host.public: samples.envelope(
                sample, host, self.clock.wall_ms, expires_ms=FOR_EVER_MS
            ).envelope
            for host in sample.hosts
        }
        zone = PureZone(sample, self.clock, self.known)
        zone.give(digest(CODE))
        return zone

    # --- life -----------------------------------------------------------------------------------------

    def decide(
        self,
        zone: PureZone,
        proposal: Proposal,
        parent: Certified | None = None,
        *,
        application: AskVisa | None = None,
        only: Collection[int] | None = None,
    ) -> Certified:
        """Have a proposal decided and return it. Fails the test, with why, if it is not."""
        slot = zone.slot(proposal, parent)
        proposer = Proposer(proposal, slot, zone.manifest, parent=parent, application=application)
        driven(zone, proposer, only=only)
        assert proposer.progress is Progress.WON, proposer.describe()
        assert proposer.decided is not None
        return proposer.decided

    def genesis(self, zone: PureZone, *documents: SignedDocument, **fields: Any) -> Proposal:
        """Return the launch of an agent; its documents are in every zone's store."""
        proposal = samples.genesis(zone.sample, *documents, now_ms=self.clock.wall_ms, **fields)
        for item in proposal.evidence.documents:
            self.known.library[digest_of(item.document)] = item.document
        return proposal

    def launch(self, zone: PureZone, *documents: SignedDocument, **fields: Any) -> Certified:
        """Launch an agent and bind it to host 0, with its lease."""
        return self.bind(zone, self.decide(zone, self.genesis(zone, *documents, **fields)))

    def propose(
        self,
        kind: TransitionKind,
        parent: Certified,
        record: AgentRecord,
        author: KeyPair,
        **more: Any,
    ) -> Proposal:
        """Return a proposal of this moment."""
        return samples.propose(kind, parent, record, author, now_ms=self.clock.wall_ms, **more)

    def bind_proposal(self, zone: PureZone, head: Certified, host: int = 0) -> Proposal:
        """Return a host's proposal to bind the agent."""
        pair = zone.hosts[host]
        record = bound(head, pair.public)
        return self.propose(TransitionKind.BIND, head, record, pair)

    def bind(self, zone: PureZone, head: Certified, host: int = 0) -> Certified:
        """Bind an agent to a host, and take its lease."""
        done = self.decide(zone, self.bind_proposal(zone, head, host), head)
        zone.renew(done)
        return done

    def host_of(self, zone: PureZone, head: Certified) -> KeyPair:
        """Return the key of the bound host."""
        return next(h for h in zone.hosts if h.public == head.record.custody.host)

    def step_proposal(self, zone: PureZone, head: Certified, **changes: Any) -> Proposal:
        """Return the bound host's proposal of a step."""
        record = child(head.record, head.certificate.slot, **changes)
        return self.propose(TransitionKind.STEP, head, record, self.host_of(zone, head))

    def step(self, zone: PureZone, head: Certified, **changes: Any) -> Certified:
        """Take a step that changes some fields."""
        return self.decide(zone, self.step_proposal(zone, head, **changes), head)

    def amendment(
        self, head: Certified, *run: SignedDocument, bearer: KeyPair = STRANGER
    ) -> Proposal:
        """Return the proposal of whoever brings successors of a document; these are in every zone's store."""
        for item in run:
            self.known.library[digest_of(item.document)] = item.document
        old = self.known.library[run[0].document.previous or b""]
        return bringing(old, run, head, bearer, at_ms=self.clock.wall_ms)

    def amend(self, zone: PureZone, head: Certified, *run: SignedDocument) -> Certified:
        """Have successors of a document take its place."""
        return self.decide(zone, self.amendment(head, *run), head)

    # --- migration ------------------------------------------------------------------------------------

    def application(
        self, source: PureZone, target: PureZone, head: Certified, deadline_ms: int = 10_000
    ) -> AskVisa:
        """Return what the agent applies with; its chapters are in the target's store."""
        terms = visa_terms(head.record, target.manifest, target.hosts[0].public, 1_000, deadline_ms)
        chapters = source.anchors[0].past(head.record.agent_id)
        zones = {chapter.opened.record.custody.zone for chapter in chapters}
        shown = (z.sample.signed for z in self.zones if z.zone in zones)
        named = self.shown(chapters, target)
        documents = proving(chapters[0], chapters[-1], head.record)
        return AskVisa(
            terms=terms, head=head, chapters=named, manifests=tuple(shown), documents=documents
        )

    def shown(self, chapters: Sequence[Chapter], *zones: PureZone) -> tuple[bytes, ...]:
        """Return what chapters are called in an application, stored as blocks in some zones."""
        named = tuple(digest_of(chapter) for chapter in chapters)
        self.known.chapters.update(zip(named, chapters, strict=True))
        for zone in zones:
            zone.give(*named)
        return named

    def chapters_of(self, ask: AskVisa) -> tuple[Chapter, ...]:
        """Return the chapters that an application names."""
        return tuple(self.known.chapters[named] for named in ask.chapters)

    def visa(self, target: PureZone, ask: AskVisa) -> Visa:
        """Have the target's anchors grant a visa; the blocks they need go before."""
        record = ask.head.record
        roots = travelling_roots(record.memory, target.zone)
        target.give(*record.governance.named, *ask.documents, record.capabilities.code, *roots)
        replies = target.ask_all(ask)
        votes = [reply.vote for reply in replies if isinstance(reply, Voted)]
        assert len(votes) >= target.manifest.committee.quorum, replies
        return Visa(terms=ask.terms, certificate=certify(votes, target.manifest.committee))

    def depart_proposal(
        self, source: PureZone, target: PureZone, head: Certified, visa: Visa
    ) -> Proposal:
        """Return the bound host's proposal of a departure."""
        record = departed(head.record, head.certificate.slot, visa, target.manifest)
        author, evidence = self.host_of(source, head), Evidence(visa=visa)
        return self.propose(TransitionKind.DEPART, head, record, author, evidence=evidence)

    def depart(
        self, source: PureZone, target: PureZone, head: Certified, deadline_ms: int = 10_000
    ) -> tuple[Certified, Visa, AskVisa]:
        """Have a departure decided."""
        ask = self.application(source, target, head, deadline_ms)
        visa = self.visa(target, ask)
        gone = self.decide(source, self.depart_proposal(source, target, head, visa), head)
        return gone, visa, ask

    def admit_proposal(self, target: PureZone, gone: Certified, visa: Visa) -> Proposal:
        """Return the proposal of the visa's host to admit the agent."""
        host = target.hosts[0]
        record = admitted(gone.record, gone.certificate.slot, target.manifest, host.public)
        evidence = Evidence(departure=gone, visa=visa)
        return self.propose(TransitionKind.ADMIT, gone, record, host, evidence=evidence)

    def arrive(
        self, target: PureZone, gone: Certified, visa: Visa, ask: AskVisa | None = None
    ) -> Certified:
        """Show the departure to the target and have the admission decided."""
        target.ask_all(Arrive(departure=gone, visa=visa))
        proposal = self.admit_proposal(target, gone, visa)
        done = self.decide(target, proposal, gone, application=ask)
        target.renew(done)
        return done

    def move(self, source: PureZone, target: PureZone, head: Certified) -> Certified:
        """Move an agent, from visa to admission."""
        gone, visa, ask = self.depart(source, target, head)
        done = self.arrive(target, gone, visa, ask)
        for anchor in source.anchors:
            anchor.learn_onward(gone.record.agent_id, done)
        return done

    def refuse_proposal(self, target: PureZone, gone: Certified, anchor: int = 0) -> Proposal:
        """Return an anchor's proposal to refuse a departure."""
        author = target.sample.identity(anchor)
        kind, evidence = TransitionKind.REFUSE, Evidence(departure=gone)
        return self.propose(kind, gone, gone.record, author, role=Role.ANCHOR, evidence=evidence)

    def refuse(self, target: PureZone, gone: Certified) -> Certified:
        """Have a refusal decided."""
        return self.decide(target, self.refuse_proposal(target, gone), gone)

    def return_proposal(
        self, source: PureZone, gone: Certified, refusal: Certified | None, anchor: int = 0
    ) -> Proposal:
        """Return an anchor's proposal to take back what was refused."""
        author = source.sample.identity(anchor)
        record = returned(gone.record, gone.certificate.slot)
        kind, evidence = TransitionKind.RETURN, Evidence(refusal=refusal)
        return self.propose(kind, gone, record, author, role=Role.ANCHOR, evidence=evidence)

    def take_back(self, source: PureZone, gone: Certified, refusal: Certified) -> Certified:
        """Have a return decided."""
        return self.decide(source, self.return_proposal(source, gone, refusal), gone)
