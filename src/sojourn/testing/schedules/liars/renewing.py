"""Everybody's lease is renewed: hosts that were replaced, or never bound, are told that they may act."""

from typing import ClassVar

from sojourn.core.protocol.binding import Heartbeat, HeartbeatReply
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["Renewing"]


class Renewing(Lie):
    """The kind."""

    name: ClassVar[str] = "renewing"

    def hears(self, message: Message) -> bool:
        """Grant whatever a heartbeat claims, in the answer and in the own book."""
        beat = message.body
        if not isinstance(beat, Heartbeat):
            return False
        truth = self.liar.heartbeat(beat)
        for claim in beat.claims:
            self.liar.leases.renew(claim.agent, claim.fence, self.liar.boot_ms())
        if truth.declined or self.chance.random() < 0.1:
            self.did()
        self.liar.answer(message, HeartbeatReply(sequence=beat.sequence))
        return True
