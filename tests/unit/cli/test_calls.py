"""`sojourn agent signal` and `update`: what is no call is refused before anything is sent."""

import pytest

from sojourn.cli.agent_calls import _call
from sojourn.core.base.errors import Misused
from tests.unit.cli.command import Command


def test_arguments_are_json_and_a_method_may_be_spelled_with_dashes() -> None:
    call = _call("update", "set-limit", ("5", '{"a": [1.5, null]}', '"text"'))
    assert ("update", "set_limit") == (call.call, call.name)
    assert ((5, {"a": [1.5, None]}, "text"), {}) == call.arguments
    assert call.id != _call("update", "set-limit", ()).id


@pytest.mark.parametrize(
    "text",
    ["text", "", "[1,", "NaN", "1e999", f"{2**64}", f"{-(2**64) + 1}", "[" * 90 + "]" * 90],
)
def test_what_is_no_json_is_refused_by_its_number(text: str) -> None:
    with pytest.raises(Misused, match=r"argument 2, .* is no JSON that can be sent"):
        _call("signal", "pause", ("1", text))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("",), "a query is called ''"),
        (("m" * 129,), "a query is called"),
        (("total", "no json"), "argument 1, 'no json', is no JSON"),
        (("total", "--timeout", "0"), "--timeout 0 is no time"),
        (("total",), "desk"),
    ],
)
def test_what_is_no_query_is_refused_before_anything_is_asked(
    sojourn: Command, words: tuple[str, ...], why: str
) -> None:
    assert 0 == sojourn("keys", "new", "ann", "--purpose", "person").code
    assert why in sojourn("agent", "query", "desk", *words).line()


@pytest.mark.parametrize("method", ["", "m" * 129])
def test_a_method_has_a_name(method: str) -> None:
    with pytest.raises(Misused, match="a method is called"):
        _call("signal", method, ())
