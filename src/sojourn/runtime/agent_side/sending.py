"""`ctx.send`: an agent writes to another (protocol §10.26).

    ask ─► the intent is final ─► the letter is delivered: kept by the zone where its receiver is ─► the code goes on
        └► denied                └► never: `Undeliverable`, journaled and told

It is a step with the effect "idempotent" and the action "message": asked, approved, repeated and denied like one. Two
letters to one agent are sent one after the other, in the order in which the code sends them.
"""

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import msgspec

from sojourn.core.agent.actions import fields_of
from sojourn.core.agent.approvals import Petition
from sojourn.core.base.digests import ZERO, cid_text, parse_cid_text
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import BODY_BYTES_MAX, WAITING_MAX
from sojourn.core.protocol import messages
from sojourn.core.protocol.letters import MESSAGE, Said, read_said
from sojourn.runtime.agent_side.operations import Operation, WaitForAnswer
from sojourn.runtime.agent_side.performing import PerformStep, spelled
from sojourn.runtime.agent_side.spawning import Child
from sojourn.runtime.agent_side.steps import Step, own_step
from sojourn.runtime.errors import Undeliverable
from sojourn.runtime.ports import Address, Custodian, Message, Parcel
from sojourn.runtime.questions import Answer, Deliver, Done, Problem, Told
from sojourn.runtime.records import Failure, Intended, Record, Waiting
from sojourn.runtime.typed import kind_of, to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = [
    "REQUEST_S",
    "SEND_S",
    "Receiver",
    "SendLetter",
    "Sender",
    "address_of",
    "delivered",
    "said_to",
]

Receiver: TypeAlias = Address | Child | Message | bytes | str
"""Whom an agent can write to: a child, who sent a message, or an identifier; text may name a zone after an "@"."""

SEND_S: Final = 86_400.0
"""How long a letter is tried to be delivered if the code does not say."""


REQUEST_S: Final = 3_600.0
"""How long an answer is waited for if the code does not say."""
MOMENT_S: Final = 10.0
"""How long an answer is tried at least, though nobody may wait for it any more."""


async def send(agent: Any, said: Said) -> None:
    """Stand for the step that sending is; each call has a function of its own."""


_SEND: Final = own_step("ctx.send", send, effect="idempotent", action=MESSAGE)


class Sender:
    """What `ctx.send` is of one run of the code."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._turns: dict[bytes, asyncio.Lock] = {}
        self._asked: dict[str, tuple[bytes, ...]] = {}

    async def send(
        self,
        to: Receiver,
        value: Any,
        key: str,
        seconds: float,
        *,
        form: "type[SendLetter] | None" = None,
        **more: Any,
    ) -> str:
        """Send a value; return the effect key of the letter.

        `more` is what else is said of it, `form` the call by which it is sent. Raises `Undeliverable`, `Denied`;
        `Misused` for what cannot be sent, or to nobody.
        """
        self._session.check_in_run()
        address, said = address_of(to), said_to(to, value, key, seconds, **more)
        async with self._turns.setdefault(address.agent, asyncio.Lock()):
            call = self._session.next_call()
            sending = (form or SendLetter)(self._session, call, said, address, seconds)
            letter: str = await self._session.perform(sending)
            return letter

    async def request(self, to: Receiver, value: Any, form: Any, seconds: float) -> Any:
        """Send a value and wait for the answer, of type `form`. Raises as `send`; `Unanswered`, `WrongMessage`."""
        session = self._session
        session.check_in_run()
        asked = session.note(
            Waiting,
            lambda call: Waiting(call=call, until_ms=session.now_ms() + round(seconds * 1000)),
        )
        assert asked.until_ms is not None
        letter = await self.send(
            to, value, "", seconds, asks=asked.until_ms, waiting=self._waiting()
        )
        waiting = WaitForAnswer(
            session, asked.call, asked.until_ms, letter, form, address_of(to).agent
        )
        return (await session.perform(waiting)).body

    async def reply(self, message: Message, value: Any) -> None:
        """Answer a request. Raises as `send`; `Misused` for a message that asked nothing."""
        mark = message.mark
        if mark is None or not mark.asks:
            problem = f"message {message.index} from {message.sender[-16:]} asks for no answer"
            raise Misused(problem, remedy="Write to its sender with ctx.send(message, ...)")
        self._asked.pop(mark.letter, None)
        left_s = max((mark.asks - self._session.now_ms()) / 1000, MOMENT_S)
        await self.send(message, value, "", left_s, asks=mark.asks, answers=mark.letter)

    async def broadcast(self, to: list[Receiver], value: Any, seconds: float) -> list[Receiver]:
        """Send a value to many; return those whom it will not reach. Raises as `send` but for these."""
        sending = (self.send(each, value, "", seconds) for each in to)
        sent = await asyncio.gather(*sending, return_exceptions=True)
        for each in sent:
            if isinstance(each, BaseException) and not isinstance(each, Undeliverable):
                raise each
        return [each for each, done in zip(to, sent, strict=True) if not isinstance(done, str)]

    def note(self, message: Message | None) -> None:
        """Take note of a request that the code has received: who waits for it waits for what this one asks."""
        if message is not None and message.mark is not None and message.mark.asks:
            self._asked[message.mark.letter] = (*message.mark.waiting, message.mark.agent)

    def _waiting(self) -> tuple[bytes, ...]:
        """Return who waits for this agent, by the newest request that it has not answered: first to last."""
        return next(reversed(self._asked.values()), ())[-WAITING_MAX:]


def address_of(to: Receiver, by: str = "ctx.send") -> Address:
    """Return where an agent is written to. Raises `Misused` for what is no agent."""
    match to:
        case Address():
            return to
        case Child():
            return Address(agent=to.agent_id)
        case Message() if to.address is not None:
            return to.address
        case bytes() if len(to) == len(ZERO):
            return Address(agent=to)
        case str():
            agent, _, zone = to.partition("@")
            try:
                at = parse_cid_text(zone) if zone else None
                return Address(agent=parse_cid_text(agent), zone=at)
            except Rejected:
                pass
    raise Misused(
        f"{by} was given {to!r:.80}, which is no agent",
        remedy="Give a child, a message that an agent sent, or an identifier: str(child), or 32 bytes",
    )


def said_to(
    to: Receiver, value: Any, key: str, seconds: float, by: str = "ctx.send", **more: Any
) -> Said:
    """Return what is said, as plain values. Raises `Misused` for what no message can carry."""
    what = f"what {by} was given ({kind_of(value)})"
    given: object = key
    if not isinstance(given, str) or not seconds > 0:
        problem = f"{by} was given key={key!r:.80} and timeout={seconds!r}"
        raise Misused(problem, remedy="A key is text, and a timeout so many seconds, more than 0")
    said = Said(to=address_of(to).agent, value=to_plain(value, what=what), key=key, **more)
    try:
        read_said(spelled(_SEND.name, (said,), {}))
    except Rejected as error:
        is_long = error.reason == "too-large"
        remedy = (
            f"A message has {BODY_BYTES_MAX} bytes at most: send what names it" if is_long else ""
        )
        raise Misused(f"{what} cannot be sent: {error.problem}", remedy=remedy) from None
    return said


class SendLetter(PerformStep):
    """One call of `ctx.send`."""

    declared: ClassVar[Step[..., Any]] = _SEND

    def __init__(
        self, session: "Session", call: int, said: Said, address: Address, seconds: float
    ) -> None:
        super().__init__(session, call, type(self).declared.performed_by(self._send), (said,), {})
        self.counterpart = cid_text(said.to)
        self._said, self._address, self._seconds = said, address, seconds
        self._intended: messages.Intent | None = None

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: send to {self.counterpart}"

    def is_behind(self, carried: Operation) -> bool:
        """Whether that is a letter to the same agent: it would be passed, and then never taken."""
        if not isinstance(carried, SendLetter) or carried.counterpart != self.counterpart:
            return False
        return all(type(each).declared is _SEND for each in (self, carried))  # no questions

    def deliver(self, record: Record) -> bool:
        """Give the code what came of it; keep an intent of an earlier life, to show it again."""
        if isinstance(record, Intended):
            self._intended = _shown(record, self._petition)
        return super().deliver(record)

    def abandon(self) -> None:
        """Stop waiting where nobody does any more: the next life delivers what is permitted."""
        super().abandon()
        if self.session.is_over:
            self._attempts.stop()

    async def _send(self, agent: Any, said: Said) -> Any:
        """Have it delivered by the host, and return its effect key. Raises `Undeliverable`."""
        await self._delivered(said)
        return self._key

    async def _delivered(self, said: Said, **more: Any) -> Answer:
        """Have it delivered by the host, and return what that says. Raises `Undeliverable`."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def hand_on(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        zone, key = self._address.zone, self._key
        assert key is not None, "an intent that is final has a key"
        parcel = Parcel(
            key=key,
            spelled=spelled(type(self).declared.name, (said,), {}),
            until_ms=self.session.now_ms() + round(self._seconds * 1000),
            zones=() if zone is None else (zone,),
            intent=self._intended,
            **more,
        )
        self.session.ask(Deliver, hand_on, parcel=parcel)
        answer = await answered
        if isinstance(answer, Problem):
            raise Undeliverable(answer.problem, remedy=answer.remedy)
        return answer

    def _fail(self, failure: Failure) -> None:
        is_lost = failure.kind == Undeliverable.__name__ and failure.cause == "failed"
        super()._fail(
            msgspec.structs.replace(failure, cause="undeliverable") if is_lost else failure
        )


def _shown(record: Intended, petition: Petition | None) -> messages.Intent:
    """Return what anchors were shown of an intent, as the journal says."""
    return messages.Intent(
        **fields_of(record),
        key=record.key,
        petition=digest_of(petition) if petition is not None else None,
        follows=record.follows,
    )


# --- the host's side ----------------------------------------------------------------------------------


async def delivered(custodian: Custodian, question: Deliver) -> Done | Told | Problem:
    """Have a letter delivered, and return what the agent's side is told. Raises `Rejected`, `LeaseLost`."""
    try:
        if question.parcel.asks:
            told = await custodian.query(question.parcel)
            result = None if told.refused else told.value
            labels = told.labels
            return Told(result=result, refused=told.refused, remedy=told.remedy, labels=labels)
        await custodian.deliver(question.parcel)
    except Undeliverable as error:
        custodian.log("gate", f"a message is undeliverable: {error}")
        return Problem(cause="refused", problem=error.problem, remedy=error.remedy)
    return Done()
