"""Waiting for a place: `ctx.until_place(...)`. The host judges the places it knows whenever it hears news of them."""

from typing import TYPE_CHECKING, Final

from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.questions import Answer, Places, Seek
from sojourn.runtime.records import Found, Record
from sojourn.runtime.sought import Sought

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["LOOK_AGAIN_MS", "WaitForPlace"]

LOOK_AGAIN_MS: Final = 3_600_000
"""An agent that rests is woken by its host's news; where that host has died it looks again by itself."""


class WaitForPlace(Operation):
    """`ctx.until_place`. Opened by the record that the call itself made."""

    is_wait = True

    def __init__(self, session: "Session", call: int, sought: Sought, until_ms: int | None) -> None:
        super().__init__(session, call)
        self.sought = sought
        self.until_ms = until_ms
        self._asked: int | None = None

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: until_place"

    def accepts(self, record: Record) -> bool:
        """Tell whether it is a place, or the end of the wait."""
        return isinstance(record, Found)

    def deliver(self, record: Record) -> bool:
        """Give the code the place, or None."""
        assert isinstance(record, Found)
        self.future.set_result(record.place)
        return True

    def begin(self) -> None:
        """Ask to be told of one."""
        self._asked = self.session.ask(
            Seek, self._found, sought=self.sought, until_ms=self.until_ms
        )

    def abandon(self) -> None:
        """Let the host's side forget it."""
        self.session.forget(self._asked)

    def _found(self, answer: Answer) -> None:
        assert isinstance(answer, Places)
        place = next(iter(answer.places), None)
        self.answer(Found(call=self.call, place=place))
