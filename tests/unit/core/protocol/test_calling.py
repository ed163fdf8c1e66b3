"""Protocol §10.39: which messages may be taken as calls, and that none passes what its sender sent earlier."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.protocol.calling import Call, Queued, call_in, has_call, queued
from sojourn.core.protocol.letters import Said
from tests.rulings import World
from tests.unit.anchor.letters import letter
from tests.unit.core.protocol.test_letters import TO, letter_of

CALL: dict[str, Any] = {"call": "update", "name": "add", "arguments": [[1], {}], "id": ""}
ANN, BEN = digest(b"ann"), digest(b"ben")


@pytest.mark.parametrize(
    "body",
    [
        "update",
        None,
        {},
        {**CALL, "more": 1},
        {**CALL, "call": "query"},
        {**CALL, "arguments": [[1]]},
        {**CALL, "name": 5},
        {key: value for key, value in CALL.items() if key != "id"},
    ],
)
def test_a_call_is_what_looks_like_one(body: Any) -> None:
    assert call_in(body) is None


def test_a_call_has_a_name_and_arguments() -> None:
    assert Call(call="update", name="add", arguments=((1,), {})) == call_in(CALL)


def test_a_persons_message_is_in_no_order_and_a_letter_in_that_of_its_sender() -> None:
    assert Queued(is_call=False) == queued(letter(TO, 1))
    assert Queued(is_call=True) == queued(letter(TO, 1, is_call=True))
    world = World("a")
    (a,) = world.zones
    head = world.launch(a)
    sent = letter_of(world, a, head, Said(to=TO, value=CALL))
    assert Queued(True, head.record.agent_id, head.record.version + 1) == queued(sent)
    assert queued(sent)._replace(is_call=False) == queued(letter_of(world, a, head))
    bound = replace(sent, intent=replace(sent.intent, labels=("secret",)))
    assert queued(sent)._replace(is_call=False) == queued(bound), "it would bind run anywhere"
    answer = letter_of(world, a, head, Said(to=TO, value=CALL, answers="a letter"))
    assert Queued(is_call=False) == queued(answer), "it goes to who waits for exactly it"


@pytest.mark.parametrize(
    ("waiting", "is_one"),
    [
        ([], False),
        ([Queued(is_call=False)], False),
        ([Queued(is_call=False), Queued(is_call=True)], True),
        ([Queued(True, ANN, 5)], True),
        ([Queued(True, ANN, 5), Queued(False, ANN, 4)], False),
        ([Queued(True, ANN, 5), Queued(False, ANN, 6)], True),
        ([Queued(True, ANN, 5), Queued(False, BEN, 4)], True),
        ([Queued(False, ANN, 4), Queued(True, ANN, 5), Queued(is_call=True)], True),
    ],
)
def test_section_10_39_a_call_passes_no_letter_that_its_sender_sent_earlier(
    waiting: list[Queued], is_one: bool
) -> None:
    assert is_one is has_call(waiting)
    assert is_one is has_call(reversed(waiting))
