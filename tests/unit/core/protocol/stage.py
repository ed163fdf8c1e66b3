"""A zone with one agent, and two steps that compete for its next version."""

from typing import Any

from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.protocol import decree
from sojourn.core.protocol.dossier import OpenSlot
from sojourn.core.protocol.messages import (
    AskRound,
    Declined,
    Proposal,
    Propose,
    Reply,
    RoundVoted,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.certificates import (
    Certificate,
    RoundCertificate,
)
from sojourn.core.quorum.votes import Phase, Slot
from tests.rulings import PureAnchor, PureZone, World


class Stage:
    """A zone with one agent, and two steps x and y that compete for its next version."""

    def __init__(self, n: int = 4) -> None:
        self.world = World("a", n=n)
        self.zone: PureZone = self.world.zones[0]
        self.head = self.world.launch(self.zone)
        self.agent = self.head.record.agent_id
        self.x = self.step(b"x")
        self.y = self.step(b"y")
        self.slot: Slot = self.zone.slot(self.x, self.head)

    def step(self, journal: bytes) -> Proposal:
        memory = replace(self.head.record.memory, journal=digest(journal))
        self.zone.give(memory.journal)
        return self.world.step_proposal(self.zone, self.head, memory=memory)

    def anchor(self, index: int = 0) -> PureAnchor:
        return self.zone.anchors[index]

    def propose(self, index: int, proposal: Proposal, round: int = 0, **more: Any) -> Reply:
        """Ask for a lock vote, as the round's leader would."""
        ask = Propose(slot=self.slot, round=round, proposal=proposal, **more)
        return self.anchor(index).ask(ask, self.leader(round))

    def leader(self, round: int) -> bytes:
        """Return the identity of whoever may propose in a round; the host's in round 0."""
        if round == 0:
            return self.zone.hosts[0].public
        return self.zone.sample.identity(decree.leader(self.slot, round, self.zone.manifest)).public

    def certificate(
        self,
        proposal: Proposal,
        phase: Phase = Phase.LOCK,
        round: int = 0,
        anchors: tuple[int, ...] | None = None,
    ) -> Certificate:
        """Return what a quorum of votes makes, whether or not the anchors here cast them."""
        value = proposal.transition.digest
        return self.zone.sample.certificate(
            self.slot, value, phase=phase, round=round, anchors=anchors
        )

    def left(self, round: int, entry: RoundCertificate | None = None) -> RoundCertificate:
        """Have all anchors leave a round once its time is up."""
        for index, anchor in enumerate(self.zone.anchors):
            if anchor.dossier(self.agent).open is None:
                self.opened(index)
        ask = AskRound(slot=self.slot, round=round, entry=entry)
        self.zone.ask_all(ask)
        self.world.clock.pass_ms(decree.round_timeout_ms(round))
        replies = self.zone.ask_all(ask)
        votes = tuple(reply.vote for reply in replies if isinstance(reply, RoundVoted))
        assert len(votes) >= self.zone.manifest.committee.quorum, replies
        return RoundCertificate(slot=self.slot, round=round, votes=votes)

    def entry_to(self, round: int) -> RoundCertificate:
        """Have all anchors leave every round before one; return the proof that it may be entered."""
        entry = None
        for leaving in range(round):
            entry = self.left(leaving, entry)
        assert entry is not None
        return entry

    def holding(self, lock: Certificate, proposal: Proposal, round: int) -> None:
        """Have anchor 0 stand in a round with a lock from before."""
        dossier = self.anchor().dossier(self.agent)
        state = dossier.open or OpenSlot(slot=self.slot, entered_ms=self.world.clock.boot_ms)
        state = replace(state, round=round, lock=lock, proposals=(proposal,))
        self.anchor().dossiers[self.agent] = replace(dossier, open=state)

    def locked(self, index: int, proposal: Proposal, round: int = 0) -> Certificate:
        """Lock one anchor on a value."""
        lock = self.certificate(proposal, round=round)
        reply = self.anchor(index).ask(ShowLock(certificate=lock, proposal=proposal))
        assert isinstance(reply, Voted) and reply.vote.ballot.phase is Phase.COMMIT
        return lock

    def opened(self, *indexes: int, proposal: Proposal | None = None) -> None:
        """Have anchors lock-vote for a value (x) in round 0."""
        for index in indexes:
            assert isinstance(self.propose(index, proposal or self.x), Voted)


def refused(reply: Reply, reason: str) -> bool:
    """Tell whether a reply says no, for this reason."""
    return isinstance(reply, Declined) and reply.reason == reason
