"""Listening: a message that calls a method reaches the code wherever that waits (protocol §10.39).

    at rest, and a method could begin ─► the host is asked for the next call ─► one comes
      ─► its record, under the next call number ─► the code is driven, and the method begins beside what `run` awaits

The record is handed to the code between two others, like what answers a call of it, and a replay hands it over at the
same point. That the host is asked is no part of the journal: an agent that nobody calls records nothing of it. While
`run` receives it gets calls there; and none comes between the code and its restart point.
"""

from typing import TYPE_CHECKING

from sojourn.core.protocol.calling import call_in
from sojourn.runtime.agent_side.operations import Operation, message_of, received
from sojourn.runtime.ports import Message
from sojourn.runtime.questions import Answer, Listen, Mail
from sojourn.runtime.records import Received, Record, encode_record

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.handling import Handling
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Listening"]


class Listening:
    """What one session asks for calls, and gives to the code of the run that is under way."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._handling: Handling | None = None
        self._asked: int | None = None
        self._came: Message | None = None
        self._index = 0

    def begin(self, handling: "Handling | None") -> None:
        """Give calls to this run of the code from now on; None for one that has not come so far yet."""
        self.forget()
        self._handling = handling

    @property
    def is_open(self) -> bool:
        """Whether a call that came now would be handled at once. At rest."""
        session = self._session
        if self._handling is None or not self._handling.is_ready or session.loops.is_iterating:
            return False
        return session.calls.admit_calls

    def look(self) -> None:
        """Ask for the next call, if it would be handled; or for none any more. At rest."""
        if not self.is_open:
            self.forget()
        elif self._asked is None and self._came is None:
            self._index = self._session.consumed
            self._asked = self._session.ask(
                Listen, self._heard, index=self._index, until_ms=None, calls=True
            )

    def forget(self) -> None:
        """Ask for none any more, and leave what has come in the inbox."""
        asked, self._asked, self._came = self._asked, None, None
        if asked is not None:
            self._session.forget(asked)

    def _heard(self, answer: Answer) -> None:
        assert isinstance(answer, Mail)
        assert answer.message is not None, "it was asked for without an end"
        self._asked, self._came = None, answer.message
        self._session.go_on()

    def has_taken(self) -> bool:
        """Let a call that has come be handed to the code next; tell whether there was one. At rest, live."""
        message = self._came
        if message is None:
            return False
        if not self.is_open or self._index != self._session.consumed:
            self.forget()
            return False
        self._came = None
        handling = _Handle(self._session, self._session.course.next_call())
        record = received(handling.call, message)
        self._session.calls.enter_first(handling, encode_record(record, what=handling.describe()))
        return True

    def handles(self, record: Record | None) -> Operation | None:
        """Return what takes a record of the journal by which a call reached the code here; None if it is none."""
        session = self._session
        if not isinstance(record, Received) or record.index is None or not self.is_open:
            return None
        if record.call != session.course.upcoming_call or not _is_handled(record):
            return None
        handling = _Handle(session, session.course.next_call())
        session.calls.enter(handling)
        return handling

    def hand(self, message: Message) -> None:
        """Let the code handle a message from its next drive on."""
        assert self._handling is not None, "it was open"
        self._handling.begin(message)

    async def still(self, what: str, *, within: bool = False) -> None:
        """Wait, before `what`, until no method that a message has called runs any more. Raises `Misused` in one."""
        if self._handling is not None:
            await self._handling.still(what, within=within)


def _is_handled(record: Received) -> bool:
    if message_of(record).labels:
        return False
    is_unread = record.mark is not None and record.mark.unread
    return is_unread or call_in(record.body) is not None


class _Handle(Operation):
    """One message that reaches the code while that waits for something else: nobody awaits it."""

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: handle a message"

    def accepts(self, record: Record) -> bool:
        """Tell whether it is a message."""
        return isinstance(record, Received)

    def deliver(self, record: Record) -> bool:
        """Let the code handle the message; from here on it is consumed."""
        assert isinstance(record, Received)
        assert record.index is not None
        self.session.consumed = record.index + 1
        self.session.listening.hand(message_of(record))
        return True

    def begin(self) -> None:
        """Do nothing: it has come."""
