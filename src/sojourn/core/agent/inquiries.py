"""Inquiries: what an agent's own code asks people (`ctx.ask`), and what they answer (protocol §10).

Unlike a petition an inquiry permits nothing: no policy asks for it, and no anchor judges by it. It stands in the
journal, so it is certified with it, and names who may answer: keys, or groups of approvers that the agent's
documents declared when it was asked, with those that they escalate to. What as many of one group say as it needs is
the answer: where that is one, the first. Who says something else later has changed their mind.
All times are milliseconds since 1970.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta

from sojourn.core.agent.approvals import Approvers
from sojourn.core.base.encoding import (
    Count,
    Digest,
    Name,
    PublicKey,
    Value,
    decode,
    digest_of,
    encode_block,
)
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import (
    APPROVER_GROUPS_MAX,
    APPROVERS_MAX,
    BODY_BYTES_MAX,
    CLOCK_SKEW_MS,
    EXPECTED_CHARS_MAX,
    QUESTION_CHARS_MAX,
)
from sojourn.core.base.seals import Kind, Seal, check_own

__all__ = [
    "Answer",
    "Inquiry",
    "People",
    "SignedAnswer",
    "agreeing",
    "asked_of",
    "check_may_say",
    "decode_value",
    "newest",
    "people_of",
]

Question = Annotated[str, Meta(min_length=1, max_length=QUESTION_CHARS_MAX)]
Expected = Annotated[str, Meta(max_length=EXPECTED_CHARS_MAX)]
Keys = Annotated[tuple[PublicKey, ...], Meta(min_length=1, max_length=APPROVERS_MAX)]


class People(Value):
    """Who may answer an inquiry, from when until when (None: for as long as it is open).

    `group` is what the agent's documents call them, or empty for keys that its code named. `needed` is how many of
    them have to say the same.
    """

    group: Annotated[str, Meta(max_length=128)]
    keys: Keys
    from_ms: Count
    until_ms: Count | None
    needed: Count = 1

    def may_say(self, by: bytes, at_ms: int) -> bool:
        """Tell whether a key may answer at a time."""
        is_over = self.until_ms is not None and at_ms >= self.until_ms
        return by in self.keys and self.from_ms <= at_ms and not is_over


class Inquiry(Value, tag_field="kind", tag="inquiry/1"):
    """A question of an agent's code to people. `nonce` is chance: no two inquiries are equal.

    `expects` is a JSON schema of the answer, as text. Nobody answers it any more from `expires_ms` on (None: it
    waits as long as it takes).
    """

    agent: Digest
    nonce: Digest
    question: Question
    expects: Expected
    people: Annotated[tuple[People, ...], Meta(min_length=1, max_length=APPROVER_GROUPS_MAX * 2)]
    asked_ms: Count
    expires_ms: Count | None


class Answer(Value, tag_field="kind", tag="answer/1"):
    """What a person answered to one inquiry, by digest. `body` is the value's DAG-CBOR, at most 64 KiB."""

    agent: Digest
    inquiry: Digest
    by: PublicKey
    answered_ms: Count
    body: bytes


class SignedAnswer(Value, tag_field="kind", tag="signed-answer/1"):
    """An answer with its person's seal. It waits for the agent as messages do."""

    answer: Answer
    seal: Seal

    @property
    def digest(self) -> bytes:
        """What counts as one answer."""
        return digest_of(self.answer)

    @property
    def agent(self) -> bytes:
        """Whom it is for."""
        return self.answer.agent

    @property
    def sent_ms(self) -> int:
        """When it was given, as its person says."""
        return self.answer.answered_ms

    def check(self, *, where: str = "answer") -> None:
        """Raise `Rejected` unless the person it names sealed it, and an agent can take its value."""
        decode_value(self.answer.body, where=where)
        check_own(Kind.ANSWER, self.digest, self.seal, self.answer.by, where=where)


def decode_value(body: bytes, *, where: str) -> Any:
    """Return the value that somebody gave. Raises `Rejected` for what no record of a journal could hold."""
    value = decode(body, Any, what=where, limit=BODY_BYTES_MAX)
    try:
        encode_block([value])
    except Rejected as error:
        raise Rejected(error.problem, reason=error.reason, where=where) from None
    return value


def people_of(
    groups: Sequence[str],
    keys: Sequence[bytes],
    declared: Sequence[Mapping[str, Approvers]],
    asked_ms: int,
    lasts_ms: int | None,
) -> tuple[People, ...]:
    """Return who may answer what is asked of groups, by name, and of keys at a time.

    `declared` are the groups of each document that rules; two of one name may both answer. A group escalates as its
    document says. `lasts_ms` is how long it is open; without it each group has its own time, and keys have no end.
    Raises `Rejected` ("no-group") for a group that no document declares.
    """
    until_ms = None if lasts_ms is None else asked_ms + lasts_ms
    named = tuple(dict.fromkeys(keys))
    found = [People(group="", keys=named, from_ms=asked_ms, until_ms=until_ms)] if named else []
    for name in dict.fromkeys(groups):
        having = [each for each in declared if name in each]
        if not having:
            known = ", ".join(sorted({group for each in declared for group in each})) or "none"
            problem = f"the agent's policies declare no group {name!r}; they declare {known}"
            raise Rejected(problem, reason="no-group", where="of")
        for each in having:
            found += _group(name, each, asked_ms, lasts_ms)
    return tuple(found)


def _group(
    name: str, groups: Mapping[str, Approvers], asked_ms: int, lasts_ms: int | None
) -> list[People]:
    from_ms, until_ms = asked_ms, asked_ms + (lasts_ms or groups[name].lasts_ms)
    found: list[People] = []
    at: Name | None = name
    while at is not None:
        group = groups[at]
        if from_ms < until_ms:
            found.append(
                People(
                    group=at,
                    keys=group.keys,
                    from_ms=from_ms,
                    until_ms=until_ms,
                    needed=group.needed,
                )
            )
        from_ms, at = from_ms + group.after_ms, group.escalate_to
    return found


def asked_of(inquiry: Inquiry) -> str:
    """Return who may answer, in words, and how many have to agree where that is more than one."""
    return " or ".join(dict.fromkeys(map(_named, inquiry.people)))


def _named(people: People) -> str:
    who = people.group or ", ".join(map(key_text, people.keys))
    return who if people.needed == 1 else f"{people.needed} of {who}"


def newest(said: Iterable[SignedAnswer]) -> tuple[SignedAnswer, ...]:
    """Return what each person said last, by the times that they state; the oldest first."""
    ordered = sorted(said, key=lambda each: (each.sent_ms, each.digest))
    last = {each.answer.by: each for each in ordered}
    return tuple(each for each in ordered if last[each.answer.by] is each)


def agreeing(inquiry: Inquiry, said: Iterable[SignedAnswer]) -> tuple[SignedAnswer, ...]:
    """Return answers that say the same, of as many of one group as it needs, the oldest first; or none.

    Groups are not added up. All were checked (`check_may_say`). Of each person the newest counts, where they had a
    say when giving it.
    """
    current = newest(said)
    for people in inquiry.people:
        same: dict[bytes, list[SignedAnswer]] = {}
        for each in current:
            if people.may_say(each.answer.by, each.sent_ms):
                same.setdefault(each.answer.body, []).append(each)
        enough = next((each for each in same.values() if len(each) >= people.needed), None)
        if enough is not None:
            return tuple(enough)
    return ()


def check_may_say(inquiry: Inquiry, signed: SignedAnswer, now_ms: int) -> None:
    """Raise `Rejected` unless an answer is to this inquiry, sealed, and by somebody who had a say when giving it.

    When that was, its person says; nobody answers from a time that has not come.
    """
    signed.check()
    answer = signed.answer
    if (answer.agent, answer.inquiry) != (inquiry.agent, digest_of(inquiry)):
        raise Rejected("the answer is to another inquiry", reason="no-inquiry", where="answer")
    if answer.answered_ms > now_ms + CLOCK_SKEW_MS:
        problem = f"it was given at {answer.answered_ms}, and it is {now_ms}"
        raise Rejected(problem, reason="too-early", where="answer.answered_ms")
    if not any(each.may_say(answer.by, answer.answered_ms) for each in inquiry.people):
        problem = f"{key_text(answer.by)} had no say in this inquiry then"
        raise Rejected(problem, reason="wrong-key", where="answer.by")
