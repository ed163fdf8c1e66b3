"""Old snapshots: a host goes on from a head of some time ago, as one does that was restored from a copy."""

from typing import ClassVar

from sojourn.core.protocol.messages import Propose
from sojourn.core.protocol.validate import slot_for
from sojourn.testing.schedules.liars.equivocation import another_step
from sojourn.testing.schedules.liars.lie import HostLie
from sojourn.testing.schedules.run import Run

__all__ = ["OldSnapshots"]


class OldSnapshots(HostLie):
    """The kind."""

    name: ClassVar[str] = "old snapshots"

    def schemes(self, run: Run) -> None:
        """Propose a step after an old head."""
        head = self.cabal.a_head(run.agent)
        custody = run.record.custody
        if head is None or head.record.custody.zone != custody.zone:
            return
        self.did()
        proposal, blocks = another_step(self.liar, head)
        slot = slot_for(head, proposal.transition, self.liar.manifest)
        self.liar.say_to_all(Propose(slot=slot, round=0, proposal=proposal, blocks=blocks))
