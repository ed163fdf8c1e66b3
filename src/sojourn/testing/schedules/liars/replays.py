"""Replays: what was said of earlier versions, terms and rounds is said again, by somebody else, to somebody else."""

from typing import ClassVar

from sojourn.core.protocol.messages import (
    Arrive,
    AskRound,
    AskVisa,
    Head,
    Nack,
    Propose,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["Replays"]

_REQUESTS = (Propose, ShowLock, ShowCommit, AskRound, AskVisa, Arrive)
_ANSWERS = (Voted, RoundVoted, Nack, Head)


class Replays(Lie):
    """The kind."""

    name: ClassVar[str] = "replays"

    def hears(self, message: Message) -> bool:
        """Answer what was answered to somebody some time ago."""
        if not isinstance(message.body, _REQUESTS) or self.chance.random() < 0.7:
            return False
        old = [each.body for each in self.cabal.heard if isinstance(each.body, _ANSWERS)]
        if not old:
            return False
        self.did()
        self.liar.answer(message, self.chance.choice(old))
        return True

    def schemes(self) -> None:
        """Ask somebody what somebody else was asked some time ago."""
        old = [each for each in self.cabal.heard if isinstance(each.body, _REQUESTS)]
        if not old:
            return
        chosen = self.chance.choice(old)
        elsewhere = self.chance.choice(list(self.cabal.everybody))
        zone = self.liar.zone.zone if self.chance.random() < 0.8 else elsewhere
        if honest := self.cabal.honest(zone):
            self.did()
            self.liar.say(self.chance.choice(honest), chosen.body)
