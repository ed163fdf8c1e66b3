"""Equivocation: two different steps for one version, each shown to other anchors."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Proposal, Propose
from sojourn.core.protocol.validate import slot_for
from sojourn.testing.schedules.liars.lie import HostLie, LyingHost
from sojourn.testing.schedules.run import Run, journal_block

__all__ = ["Equivocation", "another_step"]


def another_step(host: LyingHost, head: Certified) -> tuple[Proposal, tuple[bytes, ...]]:
    """Return a step after `head` like no other, with the block it needs."""
    record = head.record
    block = journal_block(record.memory.journal, record.version + 1)
    memory = replace(record.memory, journal=host.library.add(block))
    says = digest(host.cabal.chance.randbytes(8))
    eligibility = replace(record.eligibility, last_decision=says)
    after = child(record, head.certificate.slot, memory=memory, eligibility=eligibility)
    return host.proposal(TransitionKind.STEP, head, after), (block,)


class Equivocation(HostLie):
    """The kind."""

    name: ClassVar[str] = "equivocation"

    def schemes(self, run: Run) -> None:
        """Show one step to some, and another to the others."""
        self.did()
        steps = [another_step(self.liar, run.head) for _ in range(2)]
        for anchor in self.liar.anchors:
            proposal, blocks = self.chance.choice(steps)
            slot = slot_for(run.head, proposal.transition, self.liar.manifest)
            self.liar.say(anchor, Propose(slot=slot, round=0, proposal=proposal, blocks=blocks))
