"""What an agent's code asks people: read from its certified journal; and their answers, given to its zone."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sojourn.cli.choosing import chosen
from sojourn.cli.expected import read_typed
from sojourn.cli.finding import Found, find_named
from sojourn.cli.home import Home
from sojourn.cli.journal_lines import journal_records, spoken
from sojourn.cli.messaging import put_mail
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.agent.inquiries import Answer, Inquiry, People, SignedAnswer, decode_value
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.seals import Kind, sealed_by
from sojourn.core.protocol.exchange import AskMessages, Messages
from sojourn.runtime.agent_side.inquiring import said_to, still_open
from sojourn.runtime.processes import clock
from sojourn.runtime.records import Record

__all__ = ["InquiryShown", "PeopleShown", "Replied", "ReplyShown", "answer", "read_inquiries"]


class PeopleShown(msgspec.Struct, frozen=True):
    """Who may answer, from when to when (milliseconds since 1970; None: no end); `needed` of them have to agree.

    `keys` are hexadecimal, `people` their names here, where they have one, or else fingerprints.
    """

    group: str
    keys: tuple[str, ...]
    people: tuple[str, ...]
    from_ms: int
    until_ms: int | None
    needed: int


class ReplyShown(msgspec.Struct, frozen=True):
    """An answer. It waits for the agent's host, or is journaled already (`is_taken`): then others have to agree.

    `by` is a key in hexadecimal.
    """

    by: str
    value: Any
    answered_ms: int
    is_taken: bool


class InquiryShown(msgspec.Struct, frozen=True, kw_only=True):
    """A question of an agent's code that is open. `expects` is a JSON schema. Times are milliseconds since 1970."""

    inquiry: str
    question: str
    expects: str
    people: tuple[PeopleShown, ...]
    answers: tuple[ReplyShown, ...]
    asked_ms: int
    expires_ms: int | None


class Replied(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that `anchors` of the anchors of the agent's zone keep, until the agent has it."""

    agent: str
    inquiry: str
    question: str
    value: Any
    by: str
    zone: str
    anchors: int


async def read_inquiries(reach: Reach, home: Home, name: str) -> list[InquiryShown]:
    """Return what the code of the agent with a local name asks people, oldest first. Raises as `find`."""
    found = await find_named(reach, home, name)
    asked, said = await _open(reach, found)
    if not asked:
        return []
    names = {home.public_key(each): each for each in home.public_key_names()}
    waiting = await _waiting(reach, found)
    return [_shown(each, said.get(digest_of(each), ()), waiting, names) for each in asked]


async def _open(
    reach: Reach, found: Found
) -> tuple[list[Inquiry], dict[bytes, tuple[SignedAnswer, ...]]]:
    """Return the inquiries that are open and of this agent, as its certified journal says, and what it took."""
    blocks = RemoteBlocks()
    blocks.ask(reach.zone(found.zone))
    records: list[Record] = [each async for each in journal_records(blocks, found.record)]
    now_ms, agent = clock.wall_ms(), found.record.agent_id
    asked = (each for each in still_open(records) if each.agent == agent)
    still = [each for each in asked if each.expires_ms is None or now_ms < each.expires_ms]
    return still, said_to(reversed(records))


async def _waiting(reach: Reach, found: Found) -> list[SignedAnswer]:
    """Return the answers that anchors keep for the agent, sealed as they should be, oldest first."""
    ask = AskMessages(agent=found.record.agent_id)
    replies = await reach.zone(found.zone).ask_all(ask, Messages, timeout_s=ASK_TIMEOUT_S)
    mailed = (each for reply in replies.values() for each in reply.messages)
    known = {each.digest: each for each in mailed if isinstance(each, SignedAnswer)}
    return sorted(filter(_is_sealed, known.values()), key=lambda each: each.sent_ms)


def _is_sealed(signed: SignedAnswer) -> bool:
    try:
        signed.check()
    except Rejected:
        return False
    return True


def _shown(
    inquiry: Inquiry,
    taken: Sequence[SignedAnswer],
    waiting: Sequence[SignedAnswer],
    names: dict[bytes, str],
) -> InquiryShown:
    named = digest_of(inquiry)
    mailed = (each for each in waiting if each.answer.inquiry == named and each not in taken)
    return InquiryShown(
        inquiry=named.hex(),
        question=inquiry.question,
        expects=inquiry.expects,
        people=tuple(_people(each, names) for each in inquiry.people),
        answers=(
            *(_reply(each.answer, is_taken=True) for each in taken),
            *(_reply(each.answer, is_taken=False) for each in mailed),
        ),
        asked_ms=inquiry.asked_ms,
        expires_ms=inquiry.expires_ms,
    )


def _reply(answer: Answer, *, is_taken: bool) -> ReplyShown:
    value = spoken(decode_value(answer.body, where="answer"))
    return ReplyShown(answer.by.hex(), value, answer.answered_ms, is_taken)


def _people(people: People, names: dict[bytes, str]) -> PeopleShown:
    return PeopleShown(
        group=people.group,
        keys=tuple(key.hex() for key in people.keys),
        people=tuple(names.get(key, key_text(key)) for key in people.keys),
        from_ms=people.from_ms,
        until_ms=people.until_ms,
        needed=people.needed,
    )


# --- answering ---------------------------------------------------------------------------------------


async def answer(
    reach: Reach, home: Home, name: str, text: str, which: str | None, person: KeyPair
) -> Replied:
    """Answer what the code of the agent with a local name asks. `which` begins the inquiry's name.

    Raises `Misused` if there is no such question, or another too; for an answer that is not what it expects, and for
    a key that has no say now. Else as `send`.
    """
    found = await find_named(reach, home, name)
    asked, _ = await _open(reach, found)
    inquiry = chosen(asked, digest_of, which, name, "question", by="by --question")
    value = read_typed(text, inquiry.expects)
    now_ms = clock.wall_ms()
    if not any(each.may_say(person.public, now_ms) for each in inquiry.people):
        who = " or ".join(each.group or "the keys it names" for each in inquiry.people)
        problem = f"{key_text(person.public)} has no say in this question now"
        raise Misused(problem, remedy=f"It asks {who}: see `sojourn agent asks {name}`")
    signed = _signed(inquiry, person, value, now_ms)
    zone, took = await put_mail(reach, home, name, signed)
    return Replied(
        agent=cid_text(inquiry.agent),
        inquiry=digest_of(inquiry).hex(),
        question=inquiry.question,
        value=value,
        by=person.public.hex(),
        zone=zone,
        anchors=took,
    )


def _signed(inquiry: Inquiry, person: KeyPair, value: Any, now_ms: int) -> SignedAnswer:
    try:
        body = encode_block(value)
        decode_value(body, where="answer")
    except Rejected as error:
        problem = f"that cannot be answered: {error.problem}"
        raise Misused(problem, remedy="Answer with less, or with plainer JSON") from None
    said = Answer(
        agent=inquiry.agent,
        inquiry=digest_of(inquiry),
        by=person.public,
        answered_ms=now_ms,
        body=body,
    )
    return SignedAnswer(answer=said, seal=sealed_by(person, Kind.ANSWER, digest_of(said)))
