"""Hoarding: a host has its step certified, tells nobody, and proposes another."""

from typing import ClassVar

from sojourn.core.protocol.messages import Propose, ShowCommit, ShowLock
from sojourn.core.protocol.validate import slot_for
from sojourn.core.quorum.votes import Phase
from sojourn.testing.schedules.liars.equivocation import another_step
from sojourn.testing.schedules.liars.lie import HostLie
from sojourn.testing.schedules.run import Run
from sojourn.testing.schedules.simulator import Message

__all__ = ["Hoarding"]


class Hoarding(HostLie):
    """The kind."""

    name: ClassVar[str] = "hoarding"

    def hears(self, message: Message) -> None:
        """Go on with what was certified, as far as a decision that nobody hears of."""
        while self.cabal.fresh:
            made = self.cabal.fresh.popleft()
            proposal = self.cabal.proposals.get(made.value)
            if made.phase is Phase.LOCK:
                show = ShowLock(certificate=made, proposal=proposal)
                for anchor in self.cabal.honest(made.slot.group):
                    self.liar.say(anchor, show)
                continue
            self.did()
            honest = self.cabal.honest(made.slot.group)
            if honest and self.chance.random() < 0.3:  # one anchor knows of it, and goes on
                shown = ShowCommit(certificate=made, proposal=proposal)
                self.liar.say(self.chance.choice(honest), shown)

    def schemes(self, run: Run) -> None:
        """Propose a step of which only this host hears what becomes of it."""
        proposal, blocks = another_step(self.liar, run.head)
        slot = slot_for(run.head, proposal.transition, self.liar.manifest)
        self.liar.say_to_all(Propose(slot=slot, round=0, proposal=proposal, blocks=blocks))
