"""Queries: what an agent would tell of its last final memory, without a step of its own (protocol §10.36).

    question   sealed by a person, or the certified intent of an agent ─► anchors check it, and keep it for a while
    disclosure sealed by the host that they ask ─► the anchors ─► whoever shows the same question

A question wakes nobody, and nothing of it is journaled where it is answered. The asker believes what more than f
anchors were told alike by a host that they asked.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from sojourn.core.agent.inquiries import decode_value
from sojourn.core.agent.memory.field import Labels
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import (
    Count,
    Digest,
    Name,
    PublicKey,
    Text,
    Value,
    decode,
    digest_of,
)
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import BODY_BYTES_MAX, CLOCK_SKEW_MS
from sojourn.core.base.seals import Kind, Role, Seal, check_seal
from sojourn.core.protocol.letters import Letter

__all__ = [
    "DISCLOSE",
    "QUERY",
    "AnyQuestion",
    "AskQuery",
    "Disclosure",
    "PersonQuestion",
    "PutDisclosure",
    "Queried",
    "Query",
    "SignedDisclosure",
    "SignedQuestion",
    "asker_name",
    "asker_of",
    "check_asked",
    "check_fresh",
    "query_in",
    "read_query",
]

QUERY: Final = "query"
"""The action of an agent that asks another, for policies: standard, with `counterpart` the one that is asked."""
DISCLOSE: Final = "disclose"
"""The action of the agent that is asked: to tell `counterpart` what its query `step` found, with these `labels`."""
FRESH_MS: Final = 4 * CLOCK_SKEW_MS
"""So long a person's question is asked: nobody who has seen it asks it again later."""
DISCLOSURES_MAX: Final = 4


class Query(Value):
    """Which method of the agent is asked, with which arguments, [positional, named]."""

    name: Name
    arguments: tuple[tuple[Any, ...], dict[str, Any]]


class PersonQuestion(Value, tag_field="kind", tag="question/1"):
    """A person's question to an agent. `spelled` are the bytes of the `Query`; `nonce` makes it exactly one."""

    agent: Digest
    sender: PublicKey
    asked_ms: Count
    nonce: Digest
    spelled: Annotated[bytes, Meta(max_length=BODY_BYTES_MAX)]


class SignedQuestion(Value, tag_field="kind", tag="signed-question/1"):
    """A person's question with their seal."""

    said: PersonQuestion
    seal: Seal

    @property
    def digest(self) -> bytes:
        """What its answers name."""
        return digest_of(self.said)

    @property
    def agent(self) -> bytes:
        """The agent that is asked."""
        return self.said.agent

    def check(self, *, where: str = "question") -> None:
        """Raise `Rejected` unless the person that it names sealed it, and it asks something."""
        query_in(self)
        if self.seal.signer != self.said.sender:
            raise Rejected("sealed by another key", reason="wrong-key", where=where)
        check_seal(Kind.QUESTION, Role.PERSON, self.digest, self.seal, where=where)


AnyQuestion = SignedQuestion | Letter
"""A question of a person, or of another agent: then a letter whose intent is the action "query"."""


class AskQuery(Value, tag_field="kind", tag="ask-query"):
    """Have this answered, or tell me what was answered. Asked again until it is."""

    question: AnyQuestion


class Disclosure(Value, tag_field="kind", tag="disclosure/1"):
    """What a query found in memory at a version of the agent, with the labels of what it read; or why not.

    `result` is the value's DAG-CBOR, nothing if it is `refused`: by the agent's method or its governance. What to do
    then says `remedy`. A method that refuses has read, too: `labels` are of its words as well.
    """

    question: Digest
    agent: Digest
    version: Count
    told_ms: Count
    result: Annotated[bytes, Meta(max_length=BODY_BYTES_MAX)] = b""
    labels: Labels = ()
    refused: Text = ""
    remedy: Text = ""

    @property
    def value(self) -> Any:
        """What was told. Raises `Rejected` for what is no value without links."""
        return decode_value(self.result, where="disclosure")


class SignedDisclosure(Value, tag_field="kind", tag="signed-disclosure/1"):
    """A disclosure with the seal of the host that read the memory."""

    disclosure: Disclosure
    seal: Seal

    def check(self, question: AnyQuestion, *, where: str = "disclosure") -> None:
        """Raise `Rejected` unless it is one to this question, sealed by the host that it names."""
        told = self.disclosure
        if (told.question, told.agent) != (question.digest, question.agent):
            raise Rejected("it is told to another question", reason="wrong-value", where=where)
        if not told.refused:
            decode_value(told.result, where=f"{where}.result")
        check_seal(Kind.DISCLOSURE, Role.HOST, digest_of(told), self.seal, where=where)


class PutDisclosure(Value, tag_field="kind", tag="put-disclosure"):
    """Tell this to whoever shows the question."""

    told: SignedDisclosure


class Queried(Value, tag_field="kind", tag="queried"):
    """What hosts told me so far; none yet, it may be: ask again."""

    told: Annotated[tuple[SignedDisclosure, ...], Meta(max_length=DISCLOSURES_MAX)] = ()


def query_in(question: AnyQuestion) -> Query:
    """Return what a question asks. Raises `Rejected` for one that asks nothing."""
    if isinstance(question, SignedQuestion):
        return read_query(question.said.spelled)
    try:
        return msgspec.convert(question.said.value, Query)
    except msgspec.ValidationError as error:
        raise Rejected(f"no query: {error}", reason="bad-field", where="question") from None


def read_query(spelled: bytes) -> Query:
    """Return the query that a person's question spells. Raises `Rejected`."""
    return decode(spelled, Query, what="question", limit=BODY_BYTES_MAX)


def asker_of(question: AnyQuestion) -> str:
    """Return who asks, as policies are told: an agent's identifier, or a person's key, in hexadecimal."""
    if isinstance(question, SignedQuestion):
        return question.said.sender.hex()
    return cid_text(question.sender)


def check_asked(question: AnyQuestion) -> None:
    """Raise `Rejected` unless a question asks something, and is its asker's as far as it proves that itself."""
    if isinstance(question, SignedQuestion):
        question.check()
    else:
        query_in(question)
        question.check(QUERY, where="question")


def check_fresh(question: AnyQuestion, now_ms: int) -> None:
    """Raise `Rejected` ("stale") for a person's question of another time: somebody who has seen it shows it again.

    An agent's may be asked again after its host has died. Its answer is of no use to anybody else but its zone.
    """
    if isinstance(question, SignedQuestion) and abs(now_ms - question.said.asked_ms) > FRESH_MS:
        raise Rejected("it was asked at another time than now", reason="stale", where="question")


def asker_name(question: AnyQuestion) -> str:
    """Return who asks, as the code of an agent is told who sends it messages."""
    if isinstance(question, SignedQuestion):
        return key_text(question.said.sender)
    return cid_text(question.sender)
