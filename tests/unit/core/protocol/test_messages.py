"""What hosts, anchors and clients say to an anchor: a field that is left out claims nothing."""

import typing

import pytest
from msgspec.structs import FieldInfo

from sojourn.core.base.encoding import Value
from sojourn.core.protocol import messages
from tests.unit.core.protocol.leaving_out import left_out, says_nothing


@pytest.mark.parametrize(("struct", "field"), left_out(messages))
def test_what_a_message_leaves_out_says_nothing(struct: type[Value], field: FieldInfo) -> None:
    assert says_nothing(field), struct


def test_every_request_is_one_and_every_reply_is_one() -> None:
    requests, replies = (set(typing.get_args(each)) for each in (messages.Request, messages.Reply))
    named = {struct.__struct_config__.tag for struct in requests | replies}
    assert (8, 7, 15) == (len(requests), len(replies), len(named))
