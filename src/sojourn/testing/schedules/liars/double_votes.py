"""Double votes: one value to one, another to another; whatever is asked for."""

from typing import ClassVar

from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.messages import AskRound, Propose, RoundVoted, ShowLock, Voted
from sojourn.core.quorum.votes import Phase
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["DoubleVotes"]


class DoubleVotes(Lie):
    """The kind: it votes for whatever is proposed, and now and then answers with a vote for something else."""

    name: ClassVar[str] = "double votes"

    def hears(self, message: Message) -> bool:
        """Vote for what is asked."""
        match message.body:
            case Propose():
                self._lock(message, message.body)
            case ShowLock(certificate=lock):
                vote = self.liar.own_vote(lock.slot, lock.round, Phase.COMMIT, lock.value)
                self.liar.answer(message, Voted(vote=vote))
            case AskRound():
                self._leave(message, message.body)
            case _:
                return False
        self.did()
        return True

    def _lock(self, message: Message, ask: Propose) -> None:
        value = ask.proposal.transition.digest
        others = [known for known in self.cabal.values.get(ask.slot, ()) if known != value]
        if others and self.chance.random() < 0.2:
            value = self.chance.choice(others)
        just = digest_of(ask.justification) if ask.justification else None
        vote = self.liar.own_vote(ask.slot, ask.round, Phase.LOCK, value, just)
        self.liar.answer(message, Voted(vote=vote))

    def _leave(self, message: Message, ask: AskRound) -> None:
        lock = self.chance.choice([None, *self.cabal.locks.get(ask.slot, ())])
        vote = self.cabal.leaving_vote(ask.slot, ask.round, self.liar.index, lock)
        shown = self.cabal.a_proposal(ask.slot)
        is_told = self.chance.random() < 0.5
        self.liar.answer(
            message, RoundVoted(vote=vote, lock=lock if is_told else None, proposal=shown)
        )
