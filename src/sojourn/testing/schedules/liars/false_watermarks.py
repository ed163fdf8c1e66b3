"""False watermarks: an anchor that starts is told of votes that it never cast, or of none."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.base.digests import ZERO
from sojourn.core.protocol.exchange import AskWatermark, Watermark
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["FalseWatermarks"]

_FAR_AHEAD = 10**6


class FalseWatermarks(Lie):
    """The kind: it would retire an honest anchor, or keep an old copy from being noticed."""

    name: ClassVar[str] = "false watermarks"

    def hears(self, message: Message) -> bool:
        """Answer with a vote that the asker never cast, or with none."""
        ask = message.body
        if not isinstance(ask, AskWatermark):
            return False
        self.did()
        way = self.chance.randrange(3)
        vote = None
        if way:
            own = self.liar.zone.vote(self._ballot())
            forged = replace(own, ballot=replace(own.ballot, anchor=ask.anchor))
            vote = own if way == 1 else forged
        self.liar.answer(message, Watermark(vote=vote))
        return True

    def _ballot(self) -> Ballot:
        zone = self.liar.zone
        slot = self.cabal.a_slot(zone.zone) or Slot(
            realm=zone.manifest.realm, group=zone.zone, epoch=0, agent=ZERO, term=0, version=1
        )
        return Ballot(
            slot=slot,
            round=0,
            phase=Phase.LOCK,
            value=ZERO,
            anchor=self.liar.index,
            counter=_FAR_AHEAD,
        )
