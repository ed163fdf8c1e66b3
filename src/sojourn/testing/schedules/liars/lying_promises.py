"""Lying promises: a visa vote for anybody; and then a refusal before the deadline, or a stranger's admission."""

from typing import ClassVar

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import admitted
from sojourn.core.protocol.messages import Arrive, AskVisa, Evidence, Proposal, Propose, Voted
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import visa_slot
from sojourn.core.quorum.votes import Phase
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.scene import seal
from sojourn.testing.schedules.simulator import Message

__all__ = ["LyingPromises"]


class LyingPromises(Lie):
    """The kind."""

    name: ClassVar[str] = "lying promises"

    def hears(self, message: Message) -> bool:
        """Promise entry to anybody; refuse whoever arrives."""
        match message.body:
            case AskVisa(terms=terms) if terms.to_zone == self.liar.zone.zone:
                self.did()
                slot, named = visa_slot(terms), digest_of(terms)
                vote = self.liar.own_vote(slot, 0, Phase.VISA, named)
                self.liar.answer(message, Voted(vote=vote))
                return True
            case Arrive() as arrive:
                self._outcome(arrive)
        return False

    def schemes(self) -> None:
        """Bring about an outcome for an arrival of some time ago."""
        if self.cabal.arrivals:
            self._outcome(self.chance.choice(self.cabal.arrivals))

    def _outcome(self, arrive: Arrive) -> None:
        """Propose a refusal now, or an admission on a host that does not ask for it."""
        migration = arrive.departure.record.migration
        if migration is None or migration.to_zone != self.liar.zone.zone:
            return
        self.did()
        kind = self.chance.choice((TransitionKind.REFUSE, TransitionKind.ADMIT))
        proposal = self._refusal(arrive) if kind is TransitionKind.REFUSE else self._entry(arrive)
        slot = slot_for(arrive.departure, proposal.transition, self.liar.manifest)
        for anchor in self.cabal.honest(self.liar.zone.zone):
            self.liar.say(anchor, Propose(slot=slot, round=0, proposal=proposal))

    def _refusal(self, arrive: Arrive) -> Proposal:
        record = arrive.departure.record
        evidence = Evidence(departure=arrive.departure)
        author = self.liar.identity.public
        return self._sealed(TransitionKind.REFUSE, record, author, evidence, Role.ANCHOR)

    def _entry(self, arrive: Arrive) -> Proposal:
        gone, host = arrive.departure, self.chance.choice(self.liar.zone.hosts)
        record = admitted(gone.record, gone.certificate.slot, self.liar.manifest, host.public)
        record = charged(TransitionKind.ADMIT, gone.record, record, self.liar.wall_ms())
        evidence = Evidence(departure=gone, visa=arrive.visa)
        return self._sealed(TransitionKind.ADMIT, record, host.public, evidence, Role.HOST)

    def _sealed(
        self,
        kind: TransitionKind,
        record: AgentRecord,
        author: bytes,
        evidence: Evidence,
        role: Role,
    ) -> Proposal:
        """Return a proposal under this anchor's seal, whoever is said to be its author."""
        liar = self.liar
        transition = Transition(
            kind=kind,
            parent=record.digest if kind is TransitionKind.REFUSE else record.parent,
            record=record,
            author=author,
            at_ms=liar.wall_ms(),
        )
        sealed = seal(liar.identity, Kind.TRANSITION, role, transition.digest)
        proposal = Proposal(transition=transition, seals=(sealed,), evidence=evidence)
        liar.simulator.history.proposals.setdefault(transition.digest, proposal)
        return proposal
