"""Forking, in a zone with more liars than it tolerates: two values for one slot, each for half of the honest.

The honest half that voted for a value sees its certificates, and no others. Where one value is decided already, the
half that has not heard of it is led into a round in which there is no lock.
"""

from typing import ClassVar

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.messages import (
    AskRound,
    Proposal,
    Propose,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.validate import slot_for
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Phase, Slot
from sojourn.testing.schedules.liars.equivocation import another_step
from sojourn.testing.schedules.liars.leading import Leading
from sojourn.testing.schedules.liars.lie import HostLie, LyingAnchor, LyingHost
from sojourn.testing.schedules.run import Run
from sojourn.testing.schedules.simulator import Message

__all__ = ["Forking", "ForkingSteps"]


class Forking(Leading):
    """The kind, as anchors do it: votes for all that is asked, and rounds led towards whatever is not decided."""

    name: ClassVar[str] = "forking"

    def hears(self, message: Message) -> bool:
        """Vote for what is asked; show what came of it to those whom it suits."""
        _show_all(self.liar)
        vote = self.liar.own_vote
        match message.body:
            case Propose() as ask:
                value, just = ask.proposal.transition.digest, self._leans_on(ask)
                locked = vote(ask.slot, ask.round, Phase.LOCK, value, just)
                self.liar.answer(message, Voted(vote=locked))
            case ShowLock(certificate=lock):
                committed = vote(lock.slot, lock.round, Phase.COMMIT, lock.value)
                self.liar.answer(message, Voted(vote=committed))
            case AskRound() as ask:
                left = self.cabal.leaving_vote(ask.slot, ask.round, self.liar.index)
                self.liar.answer(message, RoundVoted(vote=left))
            case _:
                return False
        return True

    def _leans_on(self, ask: Propose) -> bytes | None:
        """Return what its vote says it leans on: what was shown, nothing, or what nobody can show."""
        shown = digest_of(ask.justification) if ask.justification else None
        return self.chance.choice((shown, shown, None, digest(b"no lock")))

    def choice(self, slot: Slot, round: int) -> tuple[Certificate | None, Proposal | None]:
        """Return a value that is not decided, if there is one, with a lock of it if there is one."""
        decided = {commit.value for commit in self.cabal.commits.get(slot, ())}
        rivals = [value for value in self.cabal.values.get(slot, ()) if value not in decided]
        if not rivals:
            return super().choice(slot, round)
        value = self.chance.choice(rivals)
        locks = [lock for lock in self.cabal.locks.get(slot, ()) if lock.round < round]
        just = [lock for lock in locks if lock.value == value]
        return (just[-1] if just else None), self.cabal.proposals[value]


class ForkingSteps(HostLie):
    """The kind, as hosts do it: one step for some anchors, another for the others."""

    name: ClassVar[str] = "forking steps"

    def hears(self, message: Message) -> None:
        """Show certificates to those whom they suit."""
        _show_all(self.liar)

    def instead(self, run: Run, proposal: Proposal) -> bool:
        """Fork what would have been one step."""
        if proposal.transition.kind is not TransitionKind.STEP:
            return False
        self.schemes(run)
        return True

    def schemes(self, run: Run) -> None:
        """Propose two steps, each to its half."""
        honest = list(self.cabal.honest(self.liar.zone.zone))
        self.chance.shuffle(honest)
        half = self.chance.randint(1, max(1, len(honest) - 1))
        self.did()
        for side in (honest[:half], honest[half:]):
            proposal, blocks = another_step(self.liar, run.head)
            slot = slot_for(run.head, proposal.transition, self.liar.manifest)
            ask = Propose(slot=slot, round=0, proposal=proposal, blocks=blocks)
            self.cabal.learn(ask)
            for anchor in side:
                self.liar.say(anchor, ask)


def _show_all(liar: LyingAnchor | LyingHost) -> None:
    """Show what was just certified to the honest who voted for it."""
    while liar.cabal.fresh:
        made = liar.cabal.fresh.popleft()
        liar.simulator.counts["liar: forking"] += 1
        for anchor in liar.cabal.honest(made.slot.group):
            if anchor.index in _voters(made):
                proposal = liar.cabal.proposals.get(made.value)
                kind = ShowLock if made.phase is Phase.LOCK else ShowCommit
                liar.say(anchor, kind(certificate=made, proposal=proposal))


def _voters(made: Certificate) -> set[int]:
    return set(made.signers())
