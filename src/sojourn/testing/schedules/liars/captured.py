"""A captured zone: all its anchors lie, so that it certifies whatever they like, about whomever they like.

It lets agents that it holds, or held once, depart for several zones; refuses those that it admits; and claims to hold
agents that never came. What other zones make of it is theirs to judge.
"""

from typing import ClassVar, Final, NamedTuple

from msgspec.structs import replace

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.governance import Warrant
from sojourn.core.agent.record import AgentRecord, Migration
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.protocol.admission import admitted, child, departed
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.exchange import PutBlocks
from sojourn.core.protocol.messages import Arrive, AskVisa, Head, Voted
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa, visa_terms
from sojourn.core.quorum.certificates import certify
from sojourn.core.quorum.votes import Phase, Vote
from sojourn.testing.schedules.departure import DEADLINE_MS
from sojourn.testing.schedules.liars.lie import Lie, LyingAnchor
from sojourn.testing.schedules.scene import CODE, ZoneScene
from sojourn.testing.schedules.simulator import Message

__all__ = ["Captured"]

_SOON_MS: Final = 5
_CHAINS_KEPT: Final = 6
_OTHER_CODE: Final = encode({"agent.py": b"betray()"})

Chain = tuple[Chapter, ...]


class _Application(NamedTuple):
    """An application under way: what was asked, of whom, and the visa votes so far."""

    ask: AskVisa
    target: ZoneScene
    votes: dict[int, Vote]


class Captured(Lie):
    """The kind."""

    name: ClassVar[str] = "captured zone"

    def __init__(self, liar: LyingAnchor) -> None:
        """Begin; nothing is certified yet."""
        super().__init__(liar)
        self._applications: dict[bytes, _Application] = {}
        self._chains: list[Chain] = []

    def hears(self, message: Message) -> bool:
        """Collect visas; refuse an arrival at once, and admit it as well."""
        match message.body:
            case Voted(vote=vote) if vote.ballot.phase is Phase.VISA:
                self._hear_visa(vote)
                return True
            case Arrive(departure=gone) as arrive if self._is_for_us(gone):
                self._enter(arrive)
                if self.chance.random() < 0.5:
                    return False
                self.did()
                self.liar.answer(message, Head(certified=None, refusal=self._refusal(gone)))
                return True
        return False

    def schemes(self) -> None:
        """Let an agent depart once more, or one that never was here."""
        ways = (self._held, self._held, self._held, self._claimed, self._launched)
        chain = self.chance.choice(ways)()
        others = [z for z in self.liar.scene.zones.values() if z is not self.liar.zone]
        if chain is None:
            return
        head = self._head(chain[-1])
        count = self.chance.randint(1, len(others))
        for target in self.chance.sample(others, count):
            self._apply(chain, head, target)

    # --- what it certifies ------------------------------------------------------------------------------

    def _certified(self, kind: TransitionKind, record: AgentRecord, parent: Certified) -> Certified:
        """Return a transition that the zone's liars certify among themselves."""
        at_ms = self.liar.wall_ms()
        if kind is not TransitionKind.REFUSE:
            record = charged(kind, parent.record, record, at_ms)
        transition = Transition(
            kind=kind,
            parent=parent.record.digest,
            record=record,
            author=self.chance.choice(self.liar.zone.hosts).public,
            at_ms=at_ms,
        )
        slot = slot_for(parent, transition, self.liar.manifest)
        certificate = self.cabal.certificate(slot, transition.digest, Phase.COMMIT)
        return Certified(transition=transition, certificate=certificate)

    def _is_for_us(self, gone: Certified) -> bool:
        migration = gone.record.migration
        return migration is not None and migration.to_zone == self.liar.zone.zone

    def _refusal(self, gone: Certified) -> Certified:
        return self._certified(TransitionKind.REFUSE, gone.record, gone)

    def _enter(self, arrive: Arrive) -> None:
        """Certify an admission, and keep the chain that leads to it."""
        gone = arrive.departure
        ask = self.cabal.applications.get(gone.record.agent_id)
        known = self.liar.shared.chapters
        if ask is None or any(named not in known for named in ask.chapters):
            return
        *earlier, last = (known[named] for named in ask.chapters)
        opened = self._admission(gone)
        self._keep((*earlier, replace(last, closed=gone), Chapter(opened=opened)))

    def _admission(self, gone: Certified) -> Certified:
        host = self.chance.choice(self.liar.zone.hosts).public
        record = admitted(gone.record, gone.certificate.slot, self.liar.manifest, host)
        return self._certified(TransitionKind.ADMIT, record, gone)

    def _keep(self, chain: Chain) -> None:
        self._chains = [*self._chains, chain][-_CHAINS_KEPT:]

    # --- chains -----------------------------------------------------------------------------------------

    def _held(self) -> Chain | None:
        """Return a chain of custody that ends in a term that this zone held, the newest or an old one."""
        chains = list(self._chains)
        for agent in self.liar.content.dossiers:
            past = self.liar.past(agent)
            chains += [
                (*past[:index], replace(chapter, closed=None))
                for index, chapter in enumerate(past)
                if chapter.opened.record.custody.zone == self.liar.zone.zone
            ]
        return self.chance.choice(chains) if chains else None

    def _claimed(self) -> Chain | None:
        """Return a chain by which an agent came here that never did: with a departure that nobody else certified."""
        born = [
            chapter
            for chapter in self.liar.shared.chapters.values()
            if chapter.opened.transition.kind is TransitionKind.GENESIS
            and chapter.opened.record.custody.zone != self.liar.zone.zone
        ]
        if not born:
            return None
        first = self.chance.choice(born)
        head = self.cabal.a_head(first.opened.record.agent_id) or first.opened
        custody = head.record.custody
        migration = Migration(
            to_zone=self.liar.zone.zone,
            to_manifest=self.liar.manifest.digest,
            visa=digest(b"no visa"),
            next_term=custody.term + 1,
        )
        record = child(head.record, head.certificate.slot, migration=migration)
        gone = self._certified(TransitionKind.DEPART, record, head)
        opened = self._admission(gone)
        closed = self.chance.choice((gone, None, head))
        return replace(first, closed=closed), Chapter(opened=opened)

    def _launched(self) -> Chain:
        """Return the birth of an agent in somebody's name, with nobody's seal or those of another's birth."""
        scene, zone = self.liar.scene, self.liar.zone
        like = self.chance.choice(scene.agents)
        custody = replace(like.born.record.custody, zone=zone.zone)
        parent = digest(self.chance.randbytes(8))
        record = replace(like.genesis.transition.record, parent=parent, custody=custody)
        transition = replace(like.genesis.transition, record=record, at_ms=self.liar.wall_ms())
        slot = slot_for(None, transition, zone.manifest)
        certificate = self.cabal.certificate(slot, transition.digest, Phase.COMMIT)
        seals = tuple(document.seals for document in like.genesis.evidence.documents)
        stolen = Warrant(genesis=like.genesis.seals, documents=seals)
        opened = Certified(transition=transition, certificate=certificate)
        return (Chapter(opened=opened, warrant=self.chance.choice((None, stolen))),)

    def _head(self, last: Chapter) -> Certified:
        """Return where the agent stands in the last term: where that opened, or any step after, forged or not."""
        opened = last.opened
        way = self.chance.randrange(4)
        if way == 0:
            return opened
        record = child(opened.record, opened.certificate.slot)
        says = digest(self.chance.randbytes(8))
        if way == 1:
            record = replace(record, governance=replace(record.governance, documents=(says,)))
        elif way == 2:
            record = replace(
                record, capabilities=replace(record.capabilities, code=digest(_OTHER_CODE))
            )
        else:
            eligibility = replace(record.eligibility, last_decision=says)
            record = replace(record, eligibility=eligibility)
        return self._certified(TransitionKind.STEP, record, opened)

    # --- elsewhere --------------------------------------------------------------------------------------

    def _apply(self, chain: Chain, head: Certified, target: ZoneScene) -> None:
        """Apply for a visa, as an agent's host does."""
        liar, scene = self.liar, self.liar.scene
        named = tuple(digest_of(chapter) for chapter in chain)
        liar.shared.chapters.update(zip(named, chain, strict=True))
        host = self.chance.choice(target.hosts).public
        terms = visa_terms(head.record, target.manifest, host, 1_000, DEADLINE_MS)
        manifests = tuple(zone.signed for zone in scene.zones.values())
        ask = AskVisa(terms=terms, head=head, chapters=named, manifests=manifests)
        self._applications[digest_of(terms)] = _Application(ask, target, {})
        chapters = (encode(chapter) for chapter in chain)
        texts = (CODE, _OTHER_CODE, encode(scene.document.document), *chapters)
        for text in texts:
            liar.library.add(text)
        for anchor in liar.everybody[target.zone]:
            liar.say(anchor, PutBlocks(blocks=texts))
            liar.after(_SOON_MS, lambda anchor=anchor: liar.say(anchor, ask))  # type: ignore[misc]

    def _hear_visa(self, vote: Vote) -> None:
        under_way = self._applications.get(vote.ballot.value)
        if under_way is None:
            return
        votes, committee = under_way.votes, under_way.target.manifest.committee
        votes[vote.ballot.anchor] = vote
        if len(votes) == committee.quorum:
            visa = Visa(
                terms=under_way.ask.terms, certificate=certify(list(votes.values()), committee)
            )
            self._depart(under_way, visa)

    def _depart(self, under_way: _Application, visa: Visa) -> None:
        """Certify a departure, whatever was certified before; show it to its target."""
        head, target = under_way.ask.head, under_way.target
        record = departed(head.record, head.certificate.slot, visa, target.manifest)
        gone = self._certified(TransitionKind.DEPART, record, head)
        self.did()
        for anchor in self.liar.everybody[target.zone]:
            self.liar.say(anchor, Arrive(departure=gone, visa=visa))
