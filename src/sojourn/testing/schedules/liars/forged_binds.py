"""Forged binds: in another host's name, or in its own while the bound host's lease runs."""

from typing import ClassVar

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.admission import bound
from sojourn.core.protocol.messages import Propose
from sojourn.core.protocol.validate import slot_for
from sojourn.testing.schedules.liars.lie import HostLie
from sojourn.testing.schedules.run import Run

__all__ = ["ForgedBinds"]


class ForgedBinds(HostLie):
    """The kind."""

    name: ClassVar[str] = "forged binds"

    def schemes(self, run: Run) -> None:
        """Bind the agent anew, to this host or to another."""
        agent = self.chance.choice([run.agent, *self.cabal.heads])
        head = self.cabal.a_head(agent) or run.head
        if head.record.custody.zone != self.liar.zone.zone or head.record.migration is not None:
            return
        self.did()
        host = self.chance.choice(self.liar.zone.hosts).public
        record = bound(head, host)
        proposal = self.liar.proposal(TransitionKind.BIND, head, record)
        slot = slot_for(head, proposal.transition, self.liar.manifest)
        self.liar.say_to_all(Propose(slot=slot, round=0, proposal=proposal))
