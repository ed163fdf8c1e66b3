"""Asking people (`ctx.ask`): a durable question, and the wait for its answer, which may take days (protocol §10).

    host says who may answer ─► the inquiry is journaled, and final ─► people see it ─► an answer under a seal
                                                                        ▲   │       └► nobody in time: `NoAnswer`
                                                          journaled ────┴───┘ others have to say the same

The answer is journaled with its seal, so that a replay has it again and an auditor sees who gave it. Meanwhile the
agent rests: an answer that waits at its zone's anchors wakes it.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.agent.inquiries import (
    Inquiry,
    SignedAnswer,
    agreeing,
    asked_of,
    decode_value,
    newest,
    people_of,
)
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import INQUIRIES_MAX, QUESTION_CHARS_MAX
from sojourn.runtime.agent_side.expecting import Expectation
from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.errors import NoAnswer
from sojourn.runtime.failures import failure_of
from sojourn.runtime.ports import Custodian
from sojourn.runtime.questions import (
    ASKED_MAX,
    UNFIT_MAX,
    Answer,
    Hear,
    Heard,
    Inquire,
    Posed,
    Problem,
)
from sojourn.runtime.records import (
    Answered,
    Began,
    Forked,
    Inquired,
    Raised,
    Record,
    Returned,
    Said,
    Turn,
    Withdrawn,
)

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["LASTS_MS_MAX", "AskPeople", "ask", "posed", "said_to", "settled_by", "still_open"]

LASTS_MS_MAX: Final = 100 * 366 * 24 * 60 * 60 * 1000
_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")


async def ask(
    session: "Session",
    question: Any,
    expects: Any,
    of: Any,
    choices: Sequence[Any] | None,
    timeout_s: float | None,
) -> Any:
    """Ask people and return what somebody answers. Raises as `Context.ask`."""
    if not isinstance(question, str) or not 1 <= len(question) <= QUESTION_CHARS_MAX:
        problem = "ctx.ask was given no question, or a long one"
        raise Misused(problem, remedy=f"Ask in 1 to {QUESTION_CHARS_MAX} characters")
    expectation = Expectation(expects, choices)
    asked, lasts_ms = _asked(of), _lasts_ms(timeout_s)
    session.check_in_run()
    session.memory.check_may_travel("what ctx.ask asks")
    if session.calls.count(AskPeople) >= INQUIRIES_MAX:
        problem = f"{INQUIRIES_MAX} questions of ctx.ask are open already"
        raise Misused(problem, remedy="Wait for an answer to one of them first")
    call = session.next_call()
    return await session.perform(AskPeople(session, call, question, expectation, asked, lasts_ms))


def _asked(of: Any) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """Return whom a question is for: groups by name, and keys. Raises `Misused`."""
    names = [of] if isinstance(of, str) or not isinstance(of, Iterable) else list(of)
    if not 1 <= len(names) <= ASKED_MAX or not all(
        isinstance(each, str) and each for each in names
    ):
        problem = f"ctx.ask was to ask {of!r}"
        remedy = f"Name 1 to {ASKED_MAX} groups of the policies, or public keys in hexadecimal"
        raise Misused(problem, remedy=remedy)
    keys = [each for each in names if _KEY.fullmatch(each)]
    groups = tuple(each[:128] for each in names if each not in keys)
    return groups, tuple(map(bytes.fromhex, keys))


def _lasts_ms(timeout_s: object) -> int | None:
    if timeout_s is None:
        return None
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        problem = f"ctx.ask was to wait {timeout_s!r}, which is no number of seconds"
        raise Misused(problem, remedy="Give it a number of seconds, or None")
    if not 0 < timeout_s * 1000 <= LASTS_MS_MAX:
        problem = f"ctx.ask was to wait {timeout_s} seconds"
        raise Misused(problem, remedy="Give it more than 0 and at most 100 years, or None")
    return max(1, round(timeout_s * 1000))


class AskPeople(Operation):
    """One `ctx.ask`. Opened by the inquiry, once the host has said who may answer."""

    def __init__(
        self,
        session: "Session",
        call: int,
        question: str,
        expectation: Expectation,
        of: tuple[tuple[str, ...], tuple[bytes, ...]],
        lasts_ms: int | None,
    ) -> None:
        super().__init__(session, call)
        self._question, self._expectation = question, expectation
        (self._groups, self._keys), self._lasts_ms = of, lasts_ms
        self._inquiry: Inquiry | None = None
        self._unfit: tuple[bytes, ...] = ()
        self._said: tuple[SignedAnswer, ...] = ()

    @property
    def is_wait(self) -> bool:  # type: ignore[override]
        """Whether people are asked by now: that may take days."""
        return self._inquiry is not None

    @property
    def until_ms(self) -> int | None:
        """Until when it waits, if it does and there is an end."""
        return None if self._inquiry is None else self._inquiry.expires_ms

    @property
    def _is_origins(self) -> bool:
        """Whether the agent that this one was forked from asked: people are to be asked by this one."""
        return self._inquiry is not None and self._inquiry.agent != self.session.agent_id

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: ask"

    def accepts(self, record: Record) -> bool:
        """Tell whether it is this question, or what came of it."""
        if self._inquiry is not None and not self._is_origins:
            return isinstance(record, Said | Answered)
        if isinstance(record, Inquired):
            asked = record.inquiry
            return (asked.question, asked.expects) == (self._question, self._expectation.schema)
        return isinstance(record, Answered) and record.failure is not None

    def deliver(self, record: Record) -> bool:
        """Give the code the answer, or tell it that there is none."""
        if isinstance(record, Inquired):
            self._inquiry, self._said = record.inquiry, ()
            return False
        if isinstance(record, Said):
            self._said = newest((*self._said, record.answer))
            return False
        assert isinstance(record, Answered)
        if record.failure is not None:
            failure = record.failure
            self.future.set_exception(Misused(failure.message, remedy=failure.remedy))
        elif record.answer is None:
            assert self._inquiry is not None
            asked = asked_of(self._inquiry)
            self.future.set_exception(NoAnswer(self._question, asked, self._told()))
        else:
            self.future.set_result(self._read(record.answer.answer.body))
        return True

    def _told(self) -> tuple[tuple[str, Any], ...]:
        """Return what people said who did not agree, each with the fingerprint of their key."""
        said = (each.answer for each in self._said)
        return tuple((key_text(each.by), self._read(each.body)) for each in said)

    def _read(self, body: bytes) -> Any:
        return self._expectation.read(decode_value(body, where="answer.body"))

    def begin(self) -> None:
        """Have the inquiry made; or wait on, where the journal says that people are asked."""
        if self._inquiry is not None and not self._is_origins:
            self._hear(self._inquiry)
            return
        self.session.ask(
            Inquire,
            self._posed,
            question=self._question,
            expects=self._expectation.schema,
            groups=self._groups,
            keys=self._keys,
            lasts_ms=self._lasts_ms,
        )

    def _posed(self, answer: Answer) -> None:
        if isinstance(answer, Posed):
            self.answer(Inquired(call=self.call, inquiry=answer.inquiry))
            return
        assert isinstance(answer, Problem)
        failure = failure_of(Misused(answer.problem, remedy=answer.remedy))
        self.answer(Answered(call=self.call, inquiry=None, failure=failure))

    def proceed(self) -> None:
        """Wait for an answer, or for others, now that it is in the journal; people see that once it is final."""
        assert self._inquiry is not None
        self.session.flush()
        self._hear(self._inquiry)

    def _hear(self, inquiry: Inquiry) -> None:
        said = tuple(each.digest for each in self._said)
        self.session.ask(Hear, self._heard, inquiry=inquiry, unfit=self._unfit, said=said)

    def _heard(self, answer: Answer) -> None:
        assert isinstance(answer, Heard) and self._inquiry is not None
        signed = answer.answer
        if signed is not None and not self._counts(signed):
            self._unfit = (*self._unfit, signed.digest)[-UNFIT_MAX:]
            self._hear(self._inquiry)
            return
        named = digest_of(self._inquiry)
        if signed is None or agreeing(self._inquiry, (*self._said, signed)):
            self.answer(Answered(call=self.call, inquiry=named, answer=signed))
        else:
            self.answer(Said(call=self.call, inquiry=named, answer=signed))

    def _counts(self, signed: SignedAnswer) -> bool:
        """Tell whether an answer is what the code expects, and the last that its person said."""
        try:
            self._read(signed.answer.body)  # its person's tools may not have looked
        except Misused:
            return False
        return signed in newest((*self._said, signed))

    def abandon(self) -> None:
        """Journal that nobody waits for the answer any more, where the code itself gave up."""
        session, inquiry = self.session, self._inquiry
        if inquiry is None or session.is_stopped or not session.loop.is_running():
            return
        named = digest_of(inquiry)
        session.note(Withdrawn, lambda call: Withdrawn(call=call, inquiry=named))


async def posed(frame: Inquire, custodian: Custodian) -> Posed | Problem:
    """Return the inquiry that asks people what a question says, as of now; or why it cannot."""
    now_ms, declared = custodian.now_ms(), await custodian.approvers()
    try:
        people = people_of(frame.groups, frame.keys, declared, now_ms, frame.lasts_ms)
    except Rejected as error:
        remedy = (
            "Name one of these, or a public key in hexadecimal (`sojourn keys show NAME`): names of keys are known "
            "only where they lie. Or declare it in the agent's file: [approvers.desk] keys = [...], lasts = ..."
        )
        return Problem(cause="refused", problem=f"ctx.ask: {error.problem}", remedy=remedy)
    ends = [each.until_ms for each in people]
    known = [end for end in ends if end is not None]
    inquiry = Inquiry(
        agent=custodian.record.agent_id,
        nonce=custodian.entropy(32),
        question=frame.question,
        expects=frame.expects,
        people=people,
        asked_ms=now_ms,
        expires_ms=max(known) if len(known) == len(ends) else None,
    )
    custodian.log("ask", f"asks {asked_of(inquiry)}: {inquiry.question}")
    return Posed(inquiry=inquiry)


def still_open(records: Iterable[Record]) -> list[Inquiry]:
    """Return the inquiries that a journal's records, newest first, leave open, oldest first.

    What was asked before a restart point, by a run that is over, or by a fork's origin, nobody waits for.
    """
    closed: set[bytes] = set()
    found: list[Inquiry] = []
    for record in records:
        match record:
            case Answered(inquiry=bytes(named)) | Withdrawn(inquiry=named):
                closed.add(named)
            case Inquired(inquiry=inquiry) if digest_of(inquiry) not in closed:
                found.append(inquiry)
            case Began() | Turn() | Returned() | Raised() | Forked():
                break
    return found[::-1]


def said_to(records: Iterable[Record]) -> dict[bytes, tuple[SignedAnswer, ...]]:
    """Return what each person said last to inquiries that others have to answer as well, by inquiry's digest."""
    said: dict[bytes, tuple[SignedAnswer, ...]] = {}
    for each in records:
        if isinstance(each, Said):
            said[each.inquiry] = newest((*said.get(each.inquiry, ()), each.answer))
    return said


def settled_by(records: Iterable[Record]) -> tuple[bytes, ...]:
    """Return by digest what these records settle: answers, and inquiries with all answers to them."""
    found: list[bytes] = []
    for record in records:
        match record:
            case Said():
                found.append(record.answer.digest)
            case Answered(inquiry=bytes(named)) | Withdrawn(inquiry=named):
                found.append(named)
    return tuple(found)
