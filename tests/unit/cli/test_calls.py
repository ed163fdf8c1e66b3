"""`sojourn agent signal` and `update`: what is no call is refused before anything is sent."""

import pytest

from sojourn.cli.agent_calls import _call
from sojourn.core.base.errors import Misused


def test_arguments_are_json_and_a_method_may_be_spelled_with_dashes() -> None:
    call = _call("update", "set-limit", ("5", '{"a": [1.5, null]}', '"text"'))
    assert ("update", "set_limit") == (call.call, call.name)
    assert ((5, {"a": [1.5, None]}, "text"), {}) == call.arguments
    assert call.id != _call("update", "set-limit", ()).id


@pytest.mark.parametrize(
    "text", ["text", "", "[1,", "NaN", "1e999", "99999999999999999999", "[" * 90 + "]" * 90]
)
def test_what_is_no_json_is_refused_by_its_number(text: str) -> None:
    with pytest.raises(Misused, match=r"argument 2, .* is no JSON that can be sent"):
        _call("signal", "pause", ("1", text))


@pytest.mark.parametrize("method", ["", "m" * 129])
def test_a_method_has_a_name(method: str) -> None:
    with pytest.raises(Misused, match="a method is called"):
        _call("signal", method, ())
