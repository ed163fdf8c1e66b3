"""Votes for the unseen and the invalid: where every honest anchor would say no, this one says yes."""

from typing import ClassVar

from sojourn.core.protocol.dossier import CastVote
from sojourn.core.protocol.messages import Propose, ShowLock, Voted
from sojourn.core.quorum.votes import Phase
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["BlindVotes"]


class BlindVotes(Lie):
    """The kind: a no becomes a yes; a lock vote is a commit vote as well."""

    name: ClassVar[str] = "blind votes"

    def hears(self, message: Message) -> bool:
        """Vote where the ruling is not to."""
        body = message.body
        if not isinstance(body, Propose | ShowLock):
            return False
        if isinstance(body, Propose):
            slot, round, phase = body.slot, body.round, Phase.LOCK
            value = body.proposal.transition.digest
        else:
            lock = body.certificate
            slot, round, phase, value = lock.slot, lock.round, Phase.COMMIT, lock.value
        ruling = self.liar.ruling(self.liar.dossier(slot.agent), body, message.source, ())
        if isinstance(ruling.answer, CastVote):
            return False
        self.did()
        self.liar.answer(message, Voted(vote=self.liar.own_vote(slot, round, phase, value)))
        return True

    def schemes(self) -> None:
        """Vote to commit what nobody has locked, and let the cabal have it."""
        slot = self.cabal.a_slot(self.liar.zone.zone)
        proposal = self.cabal.a_proposal(slot) if slot else None
        if slot is None or proposal is None:
            return
        self.liar.own_vote(slot, 0, Phase.COMMIT, proposal.transition.digest)
        self.did()
