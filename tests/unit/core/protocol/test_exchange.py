"""What is exchanged beside votes: messages prove who sent them, and every request and reply has a kind of its own."""

import typing
from typing import Any

import pytest
from msgspec.structs import FieldInfo, replace

from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import Value, digest_of, encode, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX, BODY_BYTES_MAX, MESSAGE_BYTES_MAX
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import exchange
from sojourn.core.protocol.exchange import (
    AgentMessage,
    AnyReply,
    AnyRequest,
    SignedMessage,
    Work,
    decode_body,
    decode_reply,
    decode_request,
    decode_work,
)
from tests.samples import key, seal
from tests.unit.core.protocol.leaving_out import left_out, says_nothing

SENDER, EVE = key("sender"), key("eve")
MESSAGE = AgentMessage(
    agent=digest(b"agent"),
    sender=SENDER.public,
    sent_ms=5,
    nonce=digest(b"nonce"),
    body=encode({"say": "hello"}),
)


def signed(
    message: AgentMessage = MESSAGE, kind: Kind = Kind.MESSAGE, role: Role = Role.PERSON
) -> SignedMessage:
    return SignedMessage(message=message, seal=seal(SENDER, kind, role, digest_of(message)))


def test_a_message_is_sealed_by_its_sender() -> None:
    signed().check()
    assert digest_of(MESSAGE) == signed().digest


@pytest.mark.parametrize("field", ["agent", "sent_ms", "nonce", "body"])
def test_a_changed_message_is_not_the_one_sealed(field: str) -> None:
    others = {"agent": digest(b"x"), "sent_ms": 6, "nonce": digest(b"y"), "body": b"\xa0"}
    changed = replace(MESSAGE, **{field: others[field]})
    with pytest.raises(Rejected) as caught:
        replace(signed(), message=changed).check()
    assert "bad-signature" == caught.value.reason
    assert signed().digest != digest_of(changed)


def test_nobody_sends_in_anothers_name() -> None:
    taken = replace(MESSAGE, sender=EVE.public)
    with pytest.raises(Rejected) as caught:
        replace(signed(), message=taken).check()
    assert "wrong-key" == caught.value.reason


@pytest.mark.parametrize(
    ("kind", "role"), [(Kind.MESSAGE, Role.HOST), (Kind.TRANSITION, Role.PERSON)]
)
def test_trap_11_a_seal_as_something_else_is_none(kind: Kind, role: Role) -> None:
    with pytest.raises(Rejected):
        signed(kind=kind, role=role).check()


def kinds(union: object) -> list[str]:
    """Return the kinds of all members of a union."""
    return [str(each.__struct_config__.tag) for each in typing.get_args(union)]


def test_every_request_and_every_reply_has_a_kind_of_its_own() -> None:
    found = kinds(AnyRequest) + kinds(AnyReply)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(("struct", "field"), left_out(exchange))
def test_what_a_message_leaves_out_says_nothing(struct: type[Value], field: FieldInfo) -> None:
    """Neither a claim nor a count; but who asks for agents asks for as many as may be."""
    if (struct, field.name) == (exchange.AskAgents, "limit"):
        assert 1000 == field.default
    else:
        assert says_nothing(field)


def test_who_asks_for_a_past_and_says_no_more_asks_for_all_chapters_and_no_history() -> None:
    asked = exchange.AskPast(agent=digest(b"agent"))
    assert (0, 0, 0) == (asked.from_term, asked.from_version, asked.limit)


MANY = {
    "put-blocks": ("blocks", b"", 65_536),
    "blocks": ("blocks", b"", 65_536),
    "missing": ("digests", bytes(32), 65_536),
    "ask-missing": ("digests", bytes(32), 65_536),
    "ask-blocks": ("digests", bytes(32), 65_536),
}


@pytest.mark.parametrize("kind", MANY)
def test_a_message_names_so_many_blocks_and_no_more(kind: str) -> None:
    field, each, most = MANY[kind]
    read = decode_request if kind.startswith(("put", "ask")) else decode_reply
    assert most == len(getattr(read(encode_block({"kind": kind, field: [each] * most})), field))
    with pytest.raises(Rejected) as caught:
        read(encode_block({"kind": kind, field: [each] * (most + 1)}))
    assert "bad-field" == caught.value.reason


def test_a_block_has_a_limit_to_the_byte() -> None:
    for size, is_one in ((BLOCK_BYTES_MAX, True), (BLOCK_BYTES_MAX + 1, False)):
        data = encode_block({"kind": "blocks", "blocks": [bytes(size)]})
        if is_one:
            assert isinstance(decode_reply(data), exchange.Blocks)
            continue
        with pytest.raises(Rejected) as caught:
            decode_reply(data)
        assert "bad-field" == caught.value.reason


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(exchange.AskPast(agent=bytes(32)), 0, 1024), (exchange.AskAgents(), 1, 1000)],
    ids=["past", "agents"],
)
def test_what_is_asked_for_at_once_has_limits(asked: Any, least: int, most: int) -> None:
    for limit in (least, most):
        wanted = replace(asked, limit=limit)
        assert wanted == decode_request(encode(wanted))
    for limit in (least - 1, most + 1):
        with pytest.raises(Rejected) as caught:
            decode_request(encode(replace(asked, limit=limit)))
        assert "bad-field" == caught.value.reason


def test_requests_and_replies_are_not_taken_for_each_other() -> None:
    status = encode(exchange.AskStatus())
    assert exchange.AskStatus() == decode_request(status)
    for read in (decode_reply, decode_work):
        with pytest.raises(Rejected) as caught:
            read(status)
        assert "wrong-kind" == caught.value.reason
    notice = encode(Work(items=()))
    assert Work(items=()) == decode_work(notice) == decode_reply(notice)
    with pytest.raises(Rejected):
        decode_request(notice)


def test_a_message_beyond_the_limit_is_not_even_parsed() -> None:
    for read in (decode_request, decode_reply, decode_work):
        with pytest.raises(Rejected) as caught:
            read(bytes(MESSAGE_BYTES_MAX + 1))
        assert "too-large" == caught.value.reason


def nested(levels: int) -> list[object]:
    inner: list[object] = []
    for _ in range(levels - 1):
        inner = [inner]
    return inner


@pytest.mark.parametrize("value", [None, -1, 1.5, "hi", b"\x00", [1, {"a": [None]}], nested(63)])
def test_a_messages_body_says_what_was_sent(value: object) -> None:
    body = encode_block(value)
    signed(replace(MESSAGE, body=body)).check()
    assert value == decode_body(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x18\x01", "non-canonical"),
        (b"\xff", "malformed"),
        (b"", "truncated"),
        (encode_block(link_to(digest(b"x"))), "bad-field"),
        (encode_block(-(2**63) - 1), "bad-field"),
        (encode_block(nested(64)), "too-deep"),
    ],
)
def test_a_body_that_no_agent_could_take_is_refused_although_it_is_sealed(
    body: bytes, reason: str
) -> None:
    """It would stop the agent that receives it, for good: it stays first in the inbox."""
    with pytest.raises(Rejected) as caught:
        signed(replace(MESSAGE, body=body)).check()
    assert reason == caught.value.reason


def test_a_body_too_long_is_refused_by_name_with_its_size_and_the_limit() -> None:
    longest = encode_block("x" * (BODY_BYTES_MAX - 3))
    assert BODY_BYTES_MAX == len(longest)
    signed(replace(MESSAGE, body=longest)).check()
    body = encode_block("x" * (BODY_BYTES_MAX - 2))
    with pytest.raises(Rejected) as caught:
        signed(replace(MESSAGE, body=body)).check()
    assert ("too-large", "message.body") == (caught.value.reason, caught.value.where)
    expected = f"{BODY_BYTES_MAX + 1} bytes, more than the limit of {BODY_BYTES_MAX}"
    assert expected in caught.value.problem
