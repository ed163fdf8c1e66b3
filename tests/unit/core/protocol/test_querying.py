"""Protocol §10.36: what a question and a disclosure prove."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import digest_of, encode, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.letters import Said, check_letter
from sojourn.core.protocol.querying import (
    FRESH_MS,
    QUERY,
    Disclosure,
    PersonQuestion,
    Query,
    SignedDisclosure,
    SignedQuestion,
    asker_of,
    check_asked,
    check_fresh,
    query_in,
)
from tests import samples
from tests.rulings import World
from tests.unit.core.protocol.test_letters import TO, letter_of

ASKED = Query(name="total", arguments=(("a",), {}))


def question(**changes: Any) -> SignedQuestion:
    person = samples.key("person")
    said = PersonQuestion(
        agent=TO,
        sender=person.public,
        asked_ms=samples.NOW_MS,
        nonce=digest(b"1"),
        spelled=encode(ASKED),
    )
    said = replace(said, **changes)
    seal = samples.seal(person, Kind.QUESTION, Role.PERSON, digest_of(said))
    return SignedQuestion(said=said, seal=seal)


def test_section_10_36_a_person_s_question_is_sealed_and_asks_something() -> None:
    asked = question()
    check_asked(asked)
    assert (ASKED, TO) == (query_in(asked), asked.agent)
    assert samples.key("person").public.hex() == asker_of(asked)
    for other in (
        replace(asked, said=replace(asked.said, nonce=digest(b"2"))),
        question(sender=samples.key("other").public),
        question(spelled=encode_block({"name": "total"})),
        question(spelled=b""),
    ):
        with pytest.raises(Rejected):
            check_asked(other)


def test_section_10_36_a_person_s_question_is_not_asked_again_later() -> None:
    asked = question()
    for now_ms in (samples.NOW_MS - FRESH_MS, samples.NOW_MS + FRESH_MS):
        check_fresh(asked, now_ms)
    with pytest.raises(Rejected, match="another time"):
        check_fresh(asked, samples.NOW_MS + FRESH_MS + 1)


def test_section_10_36_an_agent_s_question_is_no_message_and_its_message_no_question() -> None:
    world = World("a", "b")
    a, _ = world.zones
    said = Said(to=TO, value={"name": "total", "arguments": [["a"], {}]})
    head = world.launch(a)
    asked = letter_of(world, a, head, said, action=QUERY)
    check_asked(asked)
    check_letter(asked, a.anchors[0].view(), QUERY)
    assert (ASKED, cid_text(asked.sender)) == (query_in(asked), asker_of(asked))
    with pytest.raises(Rejected, match="the intent is 'query' about"):
        check_letter(asked, a.anchors[0].view())
    message = letter_of(world, a, head, said)
    with pytest.raises(Rejected, match="the intent is 'message' about"):
        check_asked(message)
    with pytest.raises(Rejected, match="no query"):
        check_asked(letter_of(world, a, head, action=QUERY))


def test_section_10_36_a_disclosure_names_its_question_and_is_sealed() -> None:
    asked, host = question(), samples.key("host")
    told = Disclosure(
        question=asked.digest, agent=TO, version=3, told_ms=1, result=encode_block([1, 2.5])
    )

    def signed(told: Disclosure) -> SignedDisclosure:
        seal = samples.seal(host, Kind.DISCLOSURE, Role.HOST, digest_of(told))
        return SignedDisclosure(disclosure=told, seal=seal)

    signed(told).check(asked)
    assert [1, 2.5] == told.value
    signed(replace(told, result=b"", refused="no")).check(asked)
    for other in (
        signed(replace(told, question=digest(b"2"))),
        signed(replace(told, agent=digest(b"2"))),
        signed(replace(told, result=b"\xff")),
        replace(signed(told), disclosure=replace(told, version=4)),
    ):
        with pytest.raises(Rejected):
            other.check(asked)
