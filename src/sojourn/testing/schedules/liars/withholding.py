"""Withholding: a certificate that nobody else has is shown to one anchor only, or much later, or never.

To get one, it carries others' proposals to all by itself: whoever carries a proposal may be anyone (protocol §3
rule 5), and the votes come back to the carrier.
"""

from typing import ClassVar

from sojourn.core.protocol.messages import Propose, ShowCommit, ShowLock
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Phase
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["Withholding"]

_MUCH_LATER_MS = (100.0, 20_000.0)


class Withholding(Lie):
    """The kind."""

    name: ClassVar[str] = "withholding"

    def hears(self, message: Message) -> bool:
        """Carry a proposal; keep a decision to itself."""
        body = message.body
        if message.is_reply:
            self._use()
        elif isinstance(body, Propose) and body.round == 0 and self.chance.random() < 0.5:
            for anchor in self._some():
                self.liar.say(anchor, body)
        elif isinstance(body, ShowCommit) and self.chance.random() < 0.5:
            self.did()
            return True
        return False

    def schemes(self) -> None:
        """Show something old to somebody."""
        slot = self.cabal.a_slot(self.liar.zone.zone)
        if slot is None:
            return
        known = [*self.cabal.locks.get(slot, ()), *self.cabal.commits.get(slot, ())]
        if known:
            self._show_one(self.chance.choice(known))

    def _some(self) -> list[AnchorNode]:
        """Return all honest anchors of the zone, or all but one, or half of them."""
        honest = self.cabal.honest(self.liar.zone.zone)
        least = (len(honest) + 1) // 2
        return self.chance.sample(honest, self.chance.randint(least, len(honest)))

    def _use(self) -> None:
        """Do something with certificates that were just put together."""
        while self.cabal.fresh:
            made = self.cabal.fresh.popleft()
            way = self.chance.random()
            if way < 0.3:
                self.did()  # never
            elif way < 0.6:
                late_ms = self.chance.uniform(*_MUCH_LATER_MS)
                self.liar.after(late_ms, lambda made=made: self._show_one(made))  # type: ignore[misc]
            elif made.phase is Phase.LOCK and way < 0.8:
                for anchor in self._some():
                    self._show(made, anchor)
            else:
                self._show_one(made)

    def _show_one(self, made: Certificate) -> None:
        honest = self.cabal.honest(made.slot.group)
        if honest:
            self.did()
            self._show(made, self.chance.choice(honest))

    def _show(self, made: Certificate, anchor: AnchorNode) -> None:
        proposal = self.cabal.proposals.get(made.value)
        kind = ShowLock if made.phase is Phase.LOCK else ShowCommit
        self.liar.say(anchor, kind(certificate=made, proposal=proposal))
