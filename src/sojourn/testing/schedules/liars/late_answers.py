"""Late answers, and answers to some: slow for one, silent to another."""

from typing import ClassVar

from sojourn.testing.schedules.liars.lie import Lie, LyingAnchor
from sojourn.testing.schedules.simulator import Message

__all__ = ["LateAnswers"]

_LATE_MS = (20.0, 3_000.0)


class LateAnswers(Lie):
    """The kind: it drew lots whom it answers."""

    name: ClassVar[str] = "late answers"

    def __init__(self, liar: LyingAnchor) -> None:
        """Begin with nobody's lot drawn."""
        super().__init__(liar)
        self._lots: dict[str, str] = {}

    def hears(self, message: Message) -> bool:
        """Answer late, or not at all."""
        if message.is_reply:
            return False
        source = message.source.name
        lot = self._lots.setdefault(source, self.chance.choice(("at once", "late", "never")))
        if lot == "at once":
            return False
        self.did()
        if lot == "late":
            late_ms = self.chance.uniform(*_LATE_MS)
            self.liar.after(late_ms, lambda: self.liar.as_honest(message))
        return True
