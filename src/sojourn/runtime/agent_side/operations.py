"""Durable calls that take time: what each does when it is live, and how the journal answers it.

The code calls an operation in a drive; it is begun at the next rest. It is answered by one record, perhaps
after another that opened it, and in a replay by the same ones.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from sojourn.core.base.digests import ZERO, cid_text
from sojourn.core.base.encoding import Text, Value
from sojourn.core.base.errors import Denied, Misused
from sojourn.runtime.agent_side.letters import read_body, unanswered
from sojourn.runtime.failures import exception_of, failure_of
from sojourn.runtime.origins import is_key_of
from sojourn.runtime.ports import Assessment, Message
from sojourn.runtime.questions import (
    Answer,
    Begotten,
    Depart,
    Listen,
    Mail,
    Permitted,
    Petitioned,
    Places,
    Problem,
    Sleep,
    Survey,
    Told,
)
from sojourn.runtime.records import (
    Considered,
    Outcome,
    Received,
    Record,
    Settled,
    Woke,
    encode_record,
)

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = [
    "Consider",
    "Consideration",
    "Operation",
    "WaitForAnswer",
    "WaitForMail",
    "WaitForMessage",
    "WaitForTime",
    "message_of",
    "received",
]


class Operation(ABC):
    """One durable call of the code, until it is answered.

    `is_wait`: it may take days, and the agent can rest meanwhile. `is_effect`: it leaves the zone, so that
    what came of it must be final soon after. `is_sole`: none other may be under way beside it. `more` is what it
    turned out to have cost, beyond what was declared. What came for it is `sealed` under a number, if it has labels.
    """

    is_wait = False
    is_effect = False
    is_sole = False
    more: Mapping[str, int] = {}
    sealed: int | None = None

    def __init__(self, session: "Session", call: int) -> None:
        self.session = session
        self.call = call
        self.future: asyncio.Future[Any] = session.loop.create_future()

    @property
    def is_gated(self) -> bool:
        """Whether it must be permitted, and what came before it final when it begins (protocol §10.2)."""
        return self.is_effect

    @property
    def is_step(self) -> bool:
        """Whether to begin it takes one of the agent's steps."""
        return False

    @property
    def is_under_way(self) -> bool:
        """Whether something would be lost if the agent had to rest now."""
        return False

    def is_behind(self, carried: "Operation") -> bool:
        """Whether it begins only when one that is carried through has its outcome."""
        return self.is_sole

    @property
    def called(self) -> tuple[str, bytes] | None:
        """The name of the step or child that it calls, and the digest of the arguments; None for what is neither."""
        return None

    @property
    def is_carried_through(self) -> bool:
        """Whether it may have an effect by now, so that it is seen to its outcome if the code gives it up."""
        return False

    @abstractmethod
    def describe(self) -> str:
        """Return a line for people."""

    @abstractmethod
    def accepts(self, record: Record) -> bool:
        """Tell whether a record of this call's number can open or answer it as it is now."""

    @abstractmethod
    def deliver(self, record: Record) -> bool:
        """Take a record; give the code its answer and return True, or return False if it only opened."""

    @abstractmethod
    def begin(self) -> None:
        """Perform it, live. It ends in `answer`."""

    def answer(self, record: Record) -> None:
        """Give the session the record that opens or answers this call."""
        try:
            data = encode_record(record, what=self.describe())
        except Misused as error:
            self.session.break_off(error)
        else:
            self.session.answer(self, data)

    def unsealed(self, record: Record, told: Answer) -> bytes:
        """Return the bytes of a record with what was sealed in it, or why that is not told."""
        raise NotImplementedError

    def note_spent(self, answer: Begotten | Permitted | Petitioned | Problem) -> None:
        """Take note if an answer says that with it the agent's steps or time are used up."""
        if answer.is_spent:
            self.session.allowance.note_spent()

    def reserve(self) -> None:  # noqa: B027 (few have something to do here)
        """Take from the budgets what it will spend. Called at rest, before `begin`."""

    def proceed(self) -> None:  # noqa: B027
        """Go on after a record that only opened it, live. Called at rest."""

    def abandon(self) -> None:  # noqa: B027
        """Stop performing it: the code has cancelled it."""


class WaitForTime(Operation):
    """`ctx.sleep`. Opened by the record that the call itself made."""

    is_wait = True

    def __init__(self, session: "Session", call: int, until_ms: int) -> None:
        super().__init__(session, call)
        self.until_ms = until_ms
        self._asked: int | None = None

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: sleep"

    def accepts(self, record: Record) -> bool:
        """Tell whether it is the waking."""
        return isinstance(record, Woke)

    def deliver(self, record: Record) -> bool:
        """Wake the code."""
        self.future.set_result(None)
        return True

    def begin(self) -> None:
        """Ask to be woken."""
        self._asked = self.session.ask(Sleep, self._woken, until_ms=self.until_ms)

    def abandon(self) -> None:
        """Let the host's side forget it."""
        self.session.forget(self._asked)

    def _woken(self, answer: Answer) -> None:
        self.answer(Woke(call=self.call))


class WaitForMail(Operation):
    """Waiting for what the inbox brings. Opened by the record that the call itself made."""

    is_wait = True

    @classmethod
    def check_sole(cls, session: "Session") -> None:
        """Raise `Misused` while the code waits for a message already."""
        if session.calls.has_any(cls):
            raise Misused("ctx.receive came while another is under way", remedy="Await that first")

    def __init__(
        self, session: "Session", call: int, until_ms: int | None, form: Any = Any
    ) -> None:
        super().__init__(session, call)
        self.until_ms = until_ms
        self._form = form
        self._asked: int | None = None

    def accepts(self, record: Record) -> bool:
        """Tell whether it is a message, or the end of the wait."""
        return isinstance(record, Received)

    def _give(self, record: Received) -> None:
        """Give the code the message in a record, of the type that it asks for."""
        message = message_of(record)
        if record.denied is not UNSET:
            self.future.set_exception(_not_told(message, record.denied))
            return
        self.session.memory.tell(message.labels)
        try:
            self.future.set_result(read_body(message, self._form))
        except Misused as error:
            self.future.set_exception(error)

    def unsealed(self, record: Record, told: Answer) -> bytes:
        """Return the record with the message's body, or without it, and with why."""
        assert isinstance(record, Received)
        if isinstance(told, Problem):
            record = replace(record, denied=told.problem)
        else:
            assert isinstance(told, Told)
            record = replace(record, body=told.result)
        return encode_record(record, what=self.describe())

    def abandon(self) -> None:
        """Let the host's side forget it."""
        self.session.forget(self._asked)

    def _heard(self, answer: Answer) -> None:
        assert isinstance(answer, Mail)
        message, self.sealed = answer.message, answer.sealed
        if message is None:
            record = Received(call=self.call, index=None, waits=answer.waits)
        else:
            record = received(self.call, message)
        self.answer(record)


def received(call: int, message: Message) -> Received:
    """Return the record of a message that reaches the code by a call of that number."""
    is_answer = message.mark is not None and bool(message.mark.answers)
    return Received(
        call=call,
        index=None if is_answer else message.index,
        sender=message.sender,
        body=message.body,
        sent_ms=message.sent_ms,
        mark=message.mark,
    )


def message_of(record: Received) -> Message:
    """Return the message in a record."""
    return Message(
        index=record.index or 0,
        sender=record.sender,
        body=record.body,
        sent_ms=record.sent_ms,
        mark=record.mark,
    )


def _is_unread(message: Message) -> bool:
    """Tell whether a message is word that another was not read: its body is that one's, and the code has it."""
    return message.mark is not None and message.mark.unread


def _not_told(message: Message, why: str) -> Denied:
    """Return the error for a message that the code is not told, and that is consumed: its sender still has it."""
    whose = f"message {message.index} from {message.sender[-16:]}, labelled"
    problem = f"{whose} {', '.join(message.labels)}, is not told: {why}"
    return Denied(problem, remedy="Let it be sent with fewer labels")


class WaitForMessage(WaitForMail):
    """`ctx.receive`."""

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: receive"

    def deliver(self, record: Record) -> bool:
        """Give the code the message; from here on it is consumed."""
        assert isinstance(record, Received)
        if record.index is None:
            self.future.set_result(None)
        else:
            self.session.consumed = record.index + 1
            self._give(record)
        return True

    def begin(self) -> None:
        """Ask for the first message that is not consumed."""
        self.session.listening.forget()  # the host gives out each index once
        self._asked = self.session.ask(
            Listen, self._heard, index=self.session.consumed, until_ms=self.until_ms
        )


_LOOK_AGAIN_MS: Final = 5_000
"""When to look again whether agents wait for each other, while the code does something else as well."""


class WaitForAnswer(WaitForMail):
    """`ctx.request`, once it is sent: `letter` is its effect key."""

    def __init__(
        self,
        session: "Session",
        call: int,
        until_ms: int | None,
        letter: str,
        form: Any = Any,
        asked: bytes | None = None,
    ) -> None:
        super().__init__(session, call, until_ms, form)
        self._letter, self._asks = letter, asked

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: wait for the answer to {self._letter}"

    def deliver(self, record: Record) -> bool:
        """Give the code the answer, or raise that there is none."""
        assert isinstance(record, Received)
        if record.mark is None or record.mark.unread:
            by = "" if record.mark is None else record.sender
            told = unanswered(self._letter, record.waits, unread_by=by, is_own=self._is_own)
            self.future.set_exception(told)
        else:
            self._give(record)
        return True

    def begin(self) -> None:
        """Ask for the answer; a fork's is none that its origin asked for."""
        if self._is_own:
            self._listen(cycles_ms=0)
        else:
            self.answer(Received(call=self.call, index=None))

    @property
    def _is_own(self) -> bool:
        """Whether the agent asked by itself, as whom it acts at this record: a fork replays its origin's requests."""
        return is_key_of(self._letter, self.session.agent_id)

    def _listen(self, cycles_ms: int) -> None:
        self._asked = self.session.ask(
            Listen,
            self._heard,
            index=0,
            until_ms=self.until_ms,
            answers=self._letter,
            asked=self._asks,
            cycles_ms=cycles_ms,
        )

    def _heard(self, answer: Answer) -> None:
        """Take what came; that agents wait for each other only if the code does nothing else that may receive."""
        assert isinstance(answer, Mail)
        now_ms, calls = self.session.now_ms(), self.session.calls
        is_early = answer.message is None and (self.until_ms is None or now_ms < self.until_ms)
        if is_early and not calls.are_all(WaitForAnswer):
            self._listen(cycles_ms=now_ms + _LOOK_AGAIN_MS)
        else:
            is_word = answer.message is not None and _is_unread(answer.message)
            super()._heard(replace(answer, sealed=None) if is_word else answer)


class Consideration(Value):
    """What came of `ctx.consider`: the places judged, the zone chosen if any, and whether the agent moved.

    `reason` says why it did not, if it chose to.
    """

    places: tuple[Assessment, ...]
    chosen: bytes | None
    moved: bool
    reason: Text = ""


class Consider(Operation):
    """`ctx.consider`: judge the places known, choose, and perhaps move, which ends the session here.

    Opened by what was considered. Where the agent then finds itself is the answer: after a move the replay
    on the new place gives it, after a refusal the one at the old.
    """

    is_sole = True

    def __init__(self, session: "Session", call: int) -> None:
        super().__init__(session, call)
        self._considered: Considered | None = None

    @property
    def is_step(self) -> bool:
        """Whether it has still to be considered: what comes after that takes no step."""
        return self._considered is None

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: consider"

    def accepts(self, record: Record) -> bool:
        """Tell whether it is what was considered, or after that where the agent is."""
        if self._considered is None:
            return isinstance(record, Considered | Outcome)
        return isinstance(record, Settled)

    def deliver(self, record: Record) -> bool:
        """Give the code what came of it, unless the agent is still to move."""
        match record:
            case Considered(chosen=None):
                self._finish(record, moved=False, reason="")
            case Considered():
                self._considered = record
                return False
            case Settled():
                assert self._considered is not None
                self._finish(self._considered, moved=record.moved, reason=record.reason)
            case Outcome(failure=failure):
                assert failure is not None
                self.future.set_exception(exception_of(failure, "rank", 1))
        return True

    def _finish(self, considered: Considered, *, moved: bool, reason: str) -> None:
        places, chosen = considered.places, considered.chosen
        self.future.set_result(
            Consideration(places=places, chosen=chosen, moved=moved, reason=reason)
        )

    def begin(self) -> None:
        """Ask for the assessments; or, after a move or a takeover, see where the agent is."""
        if self._considered is None:
            self.session.ask(Survey, self._surveyed)
            return
        chosen = self._considered.chosen
        moved = chosen == self.session.zone
        reason = "" if moved else f"the agent is not in {cid_text(chosen or ZERO)}: see its lineage"
        self._settle(moved=moved, reason=reason)

    def proceed(self) -> None:
        """Move, now that the choice is in the journal; unless the replay there could not be."""
        assert self._considered is not None
        chosen = self._considered.chosen
        stays = {name for p in self._considered.places if p.zone == chosen for name in p.stays}
        needed = sorted(stays & self.session.memory.opened)
        if needed:
            reason = (
                f"compartment {needed[0]!r} would stay behind, and a replay there would need it"
            )
            self._settle(moved=False, reason=f"{reason}: use it in an earlier turn only")
            return
        self.session.flush()
        self.session.ask(Depart, self._stayed, zone=chosen)

    def _surveyed(self, answer: Answer) -> None:
        assert isinstance(answer, Places)
        try:
            chosen = self._choose(answer.places)
        except Exception as error:  # the author's code may raise anything
            failed = Outcome(
                call=self.call,
                step="rank",
                arguments=ZERO,
                attempts=1,
                failure=failure_of(error),
            )
            self.answer(failed)
        else:
            self.answer(Considered(call=self.call, places=answer.places, chosen=chosen))

    def _choose(self, places: tuple[Assessment, ...]) -> bytes | None:
        """Return the zone to move to, or None to stay."""
        chosen = self.session.agent.rank(places)
        if chosen is None or chosen.current:
            return None
        if chosen not in places or not chosen.eligible:
            raise Misused(
                f"rank chose {chosen.name!r}, which is not one of the eligible places",
                remedy="Return one of the places given whose .eligible is true, or None",
            )
        return chosen.zone

    def _stayed(self, answer: Answer) -> None:
        assert isinstance(answer, Problem)
        self._settle(moved=False, reason=f"{answer.cause}: {answer.problem}")

    def _settle(self, *, moved: bool, reason: str) -> None:
        zone = self.session.zone
        self.answer(Settled(call=self.call, zone=zone, moved=moved, reason=reason))
