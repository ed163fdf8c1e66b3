"""Stale epochs: everything is in order but for the epoch that it is said in."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.protocol.messages import Propose, ShowCommit, ShowLock, Voted
from sojourn.core.quorum.certificates import certify
from sojourn.core.quorum.votes import Phase, Slot
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["StaleEpochs"]


class StaleEpochs(Lie):
    """The kind."""

    name: ClassVar[str] = "stale epochs"

    def hears(self, message: Message) -> bool:
        """Vote, in another epoch."""
        ask = message.body
        if not isinstance(ask, Propose):
            return False
        self.did()
        value = ask.proposal.transition.digest
        vote = self.liar.own_vote(_other(ask.slot), ask.round, Phase.LOCK, value)
        self.liar.answer(message, Voted(vote=vote))
        return True

    def schemes(self) -> None:
        """Propose in another epoch, or show what its liars certify there."""
        slot, peer = self.cabal.a_slot(self.liar.zone.zone), self.liar.a_peer()
        proposal = self.cabal.a_proposal(slot) if slot else None
        if slot is None or proposal is None or peer is None:
            return
        self.did()
        elsewhere, value = _other(slot), proposal.transition.digest
        if self.chance.random() < 0.5:
            self.liar.say(peer, Propose(slot=elsewhere, round=0, proposal=proposal))
            return
        kind, phase = self.chance.choice(
            [(ShowLock, Phase.LOCK), (ShowCommit, Phase.COMMIT)],
        )
        ours = self.liar.zone
        ballot = self.liar.own_vote(elsewhere, 0, phase, value).ballot
        votes = [
            ours.vote(replace(ballot, anchor=index))
            if index in self.cabal.anchors[ours.zone]
            else replace(ours.vote(ballot), ballot=replace(ballot, anchor=index))
            for index in range(ours.manifest.committee.quorum)
        ]
        made = certify(votes, ours.manifest.committee)
        self.liar.say(peer, kind(certificate=made, proposal=proposal))


def _other(slot: Slot) -> Slot:
    return replace(slot, epoch=slot.epoch + 1)
