"""Clinging: a host never lets go. It claims and acts after its lease is over, and after it was replaced."""

from typing import ClassVar

from sojourn.core.protocol.binding import Claim, Heartbeat
from sojourn.core.protocol.messages import Propose
from sojourn.core.protocol.validate import slot_for
from sojourn.testing import history
from sojourn.testing.schedules.liars.equivocation import another_step
from sojourn.testing.schedules.liars.lie import HostLie
from sojourn.testing.schedules.run import Run

__all__ = ["Clinging"]


class Clinging(HostLie):
    """The kind."""

    name: ClassVar[str] = "clinging"

    def schemes(self, run: Run) -> None:
        """Claim the agent, act for it, and propose its next step, whoever may have it now."""
        liar, custody = self.liar, run.record.custody
        claim = Claim(agent=run.agent, term=custody.term, binding=custody.binding)
        sequence = liar.wall_ms() + self.chance.randrange(1_000)
        beat = Heartbeat(host=liar.identity.public, sequence=sequence, claims=(claim,))
        liar.say_to_all(beat)
        proposal, blocks = another_step(liar, run.head)
        slot = slot_for(run.head, proposal.transition, liar.manifest)
        liar.say_to_all(Propose(slot=slot, round=0, proposal=proposal, blocks=blocks))
        if not liar.holds(run.record):
            self.did()
            self._act(run)

    def _act(self, run: Run) -> None:
        """Have an effect in the world that no lease covers: nobody can keep a liar from it, and all see who did."""
        liar = self.liar
        fact = history.Performed(
            liar.simulator.now_ms,
            liar.zone.zone,
            liar.identity.public,
            run.agent,
            run.record.custody.fence,
            f"{run.agent.hex()[:16]}/{run.record.version}/clinging",
            liar.is_honest,
        )
        liar.simulator.history.performed.append(fact)
