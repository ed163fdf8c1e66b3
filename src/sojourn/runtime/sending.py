"""`ctx.send`: an agent writes to another (protocol §10.26).

    ask ─► the intent is final ─► the letter is delivered: kept by the zone where its receiver is ─► the code goes on
        └► denied                └► never: `Undeliverable`, journaled and told

It is a step with the effect "idempotent" and the action "message": asked, approved, repeated and denied like one. Two
letters to one agent are sent one after the other, in the order in which the code sends them.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from sojourn.core.agent.approvals import Petition
from sojourn.core.base.digests import ZERO, cid_text, parse_cid_text
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import BODY_BYTES_MAX
from sojourn.core.protocol import messages
from sojourn.core.protocol.letters import MESSAGE, Said, read_said
from sojourn.runtime.errors import Undeliverable
from sojourn.runtime.performing import PerformStep, spelled
from sojourn.runtime.ports import Address, Custodian, Message, Parcel
from sojourn.runtime.questions import Answer, Deliver, Done, Problem
from sojourn.runtime.records import Failure, Intended, Record
from sojourn.runtime.spawning import Child
from sojourn.runtime.steps import Step
from sojourn.runtime.typed import kind_of, to_plain

if TYPE_CHECKING:
    from sojourn.runtime.session import Session

__all__ = ["SEND_S", "Receiver", "Sender", "address_of", "delivered"]

Receiver: TypeAlias = Address | Child | Message | bytes | str
"""Whom an agent can write to: a child, who sent a message, or an identifier; text may name a zone after an "@"."""

SEND_S: Final = 86_400.0
"""How long a letter is tried to be delivered if the code does not say."""


async def send(agent: Any, said: Said) -> None:
    """Stand for the step that sending is; each call has a function of its own."""


_SEND: Final[Step[..., Any]] = Step(
    send,
    effect="idempotent",
    action=MESSAGE,
    attempts=1,
    backoff_s=0.0,
    spends={},
    declassifies=(),
    into="",
)
_SEND.name = "ctx.send"


class Sender:
    """What `ctx.send` is of one run of the code."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._turns: dict[bytes, asyncio.Lock] = {}

    async def send(self, to: Receiver, value: Any, key: str, seconds: float) -> None:
        """Send a value. Raises `Undeliverable`, `Denied`; `Misused` for what cannot be sent, or to nobody."""
        self._session.check_in_run()
        address, said = address_of(to), _said(to, value, key, seconds)
        async with self._turns.setdefault(address.agent, asyncio.Lock()):
            call = self._session.next_call()
            await self._session.perform(SendLetter(self._session, call, said, address, seconds))


def address_of(to: Receiver) -> Address:
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
        f"ctx.send was to write to {to!r:.80}, which is no agent",
        remedy="Give a child, a message that an agent sent, or an identifier: str(child), or 32 bytes",
    )


def _said(to: Receiver, value: Any, key: str, seconds: float) -> Said:
    """Return what is said, as plain values. Raises `Misused` for what no message can carry."""
    what = f"what ctx.send was given ({kind_of(value)})"
    given: object = key
    if not isinstance(given, str) or not seconds > 0:
        problem = f"ctx.send was given key={key!r:.80} and timeout={seconds!r}"
        raise Misused(problem, remedy="A key is text, and a timeout so many seconds, more than 0")
    said = Said(to=address_of(to).agent, value=to_plain(value, what=what), key=key)
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

    def __init__(
        self, session: "Session", call: int, said: Said, address: Address, seconds: float
    ) -> None:
        super().__init__(session, call, _SEND.performed_by(self._send), (said,), {})
        self.counterpart = cid_text(said.to)
        self._said, self._address, self._seconds = said, address, seconds
        self._intended: messages.Intent | None = None

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: send to {self.counterpart}"

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

    async def _send(self, agent: Any, said: Said) -> None:
        """Have it delivered by the host. Raises `Undeliverable`."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def hand_on(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        zone, key = self._address.zone, self._key
        assert key is not None, "an intent that is final has a key"
        parcel = Parcel(
            key=key,
            spelled=spelled(_SEND.name, (said,), {}),
            until_ms=self.session.now_ms() + round(self._seconds * 1000),
            zones=() if zone is None else (zone,),
            intent=self._intended,
        )
        self.session.ask(Deliver, hand_on, parcel=parcel)
        answer = await answered
        if isinstance(answer, Problem):
            raise Undeliverable(answer.problem, remedy=answer.remedy)

    def _fail(self, failure: Failure) -> None:
        is_lost = failure.kind == Undeliverable.__name__ and failure.cause == "failed"
        super()._fail(
            msgspec.structs.replace(failure, cause="undeliverable") if is_lost else failure
        )


def _shown(record: Intended, petition: Petition | None) -> messages.Intent:
    """Return what anchors were shown of an intent, as the journal says."""
    return messages.Intent(
        step=record.step,
        action=record.action,
        effect=record.effect,
        key=record.key,
        arguments=record.arguments,
        labels=record.labels,
        labels_dropped=record.labels_dropped,
        residency=record.residency,
        residency_dropped=record.residency_dropped,
        cost_micros=record.cost_micros,
        tokens=record.tokens,
        petition=digest_of(petition) if petition is not None else None,
        counterpart=record.counterpart,
        follows=record.follows,
    )


# --- the host's side ----------------------------------------------------------------------------------


async def delivered(custodian: Custodian, question: Deliver) -> Done | Problem:
    """Have a letter delivered, and return what the agent's side is told. Raises `Rejected`, `LeaseLost`."""
    try:
        await custodian.deliver(question.parcel)
    except Undeliverable as error:
        custodian.log("gate", f"a message is undeliverable: {error}")
        return Problem(cause="refused", problem=error.problem, remedy=error.remedy)
    return Done()
