"""False pasts: a chain of custody that is cut short, out of order, another agent's, or patched."""

from collections.abc import Sequence
from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.protocol.custody import Chapter
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["FalsePasts"]


class FalsePasts(Lie):
    """The kind."""

    name: ClassVar[str] = "false pasts"

    def hears(self, message: Message) -> bool:
        """Answer with a false past."""
        ask = message.body
        if not isinstance(ask, AskPast):
            return False
        self.did()
        self.liar.answer(message, self._false(ask.agent))
        return True

    def _false(self, agent: bytes) -> Past:
        chapters = self.liar.past(agent)
        others = [each for each in self.liar.content.dossiers if each != agent]
        visa = self.chance.choice([None, self.liar.dossier(agent).visa])
        way = self.chance.randrange(5)
        if not chapters or way == 0:
            other = self.chance.choice(others) if others else agent
            return Past(chapters=self.liar.past(other), visa=visa)
        if way == 1:
            return Past(chapters=chapters[: self.chance.randrange(len(chapters))], visa=visa)
        if way == 2:
            return Past(chapters=chapters[1:], visa=visa)
        if way == 3:
            return Past(chapters=tuple(reversed(chapters)), visa=visa)
        return Past(chapters=self._patched(chapters), visa=visa)

    def _patched(self, chapters: Sequence[Chapter]) -> tuple[Chapter, ...]:
        """Return chapters of which one lacks what closed it or what it leans on, or is closed by something else."""
        index = self.chance.randrange(len(chapters))
        chapter, other = chapters[index], self.chance.choice(chapters)
        patched = self.chance.choice(
            [
                replace(chapter, closed=None),
                replace(chapter, closed=other.closed or other.opened),
                replace(chapter, refusal=None, warrant=None),
                replace(chapter, opened=other.opened),
            ]
        )
        return (*chapters[:index], patched, *chapters[index + 1 :])
