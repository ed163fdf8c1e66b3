"""Sending to an agent: what it could not take is not sent, and the sender learns why."""

from typing import Any

import pytest

from sojourn.cli.messaging import message_to
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import BODY_BYTES_MAX
from sojourn.core.protocol.exchange import decode_body
from tests.samples import key

AGENT, SENDER = digest(b"agent"), key("sender")


def test_a_message_is_sealed_and_says_what_was_given() -> None:
    value = {"approve": True, "by": ["alice", None, 1.5]}
    signed = message_to(AGENT, SENDER, value)
    signed.check()
    assert (AGENT, value) == (signed.message.agent, decode_body(signed.message.body))


def deep(levels: int) -> list[Any]:
    return [deep(levels - 1)] if levels else []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("x" * BODY_BYTES_MAX, f"more than the limit of {BODY_BYTES_MAX}"),
        (2**70, "that cannot be sent"),
        (-(2**63) - 1, "that cannot be sent"),
        (deep(63), "nested deeper"),
    ],
)
def test_what_no_agent_could_take_is_not_sent(value: object, problem: str) -> None:
    with pytest.raises(Misused, match=problem):
        message_to(AGENT, SENDER, value)
