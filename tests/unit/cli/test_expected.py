"""What people type is held against what a question expects, and told what that is."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

import msgspec
import pytest
from pydantic import BaseModel

from sojourn.cli.expected import read_typed, told_expected
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.expecting import Expectation


class Order(msgspec.Struct):
    what: str
    count: int


@dataclass
class Book:
    name: str
    orders: list[Order]


class Speed(Enum):
    FAST = "fast"
    SLOW = "slow"


class Loan(BaseModel):
    amount: int
    note: str | None = None


def typed(text: str, form: Any, choices: Any = None) -> Any:
    """Return what the agent's code gets for what a person types."""
    expectation = Expectation(form, choices)
    return expectation.read(read_typed(text, expectation.schema))


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("hello there", str, "hello there"),
        ('"5"', str, "5"),
        ("5", str, "5"),
        ("5", int, 5),
        ("-2.5", float, -2.5),
        ("yes", bool, True),
        ("No", bool, False),
        ("true", bool, True),
        ("fast", Speed, Speed.FAST),
        ("slow", Literal["fast", "slow"], "slow"),
        ("2", Literal[1, 2], 2),
        ('{"what": "gold", "count": 3}', Order, Order("gold", 3)),
        ('{"name": "x", "orders": []}', Book, Book("x", [])),
        ('{"amount": 7}', Loan, Loan(amount=7)),
        ("[1, 2]", list[int], [1, 2]),
        ("2030-01-02T03:04:05Z", datetime, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("null", int | None, None),
    ],
)
def test_what_fits_is_what_the_code_gets(text: str, form: Any, value: Any) -> None:
    assert value == typed(text, form)


def test_choices_are_given_back_as_they_were_offered() -> None:
    assert Speed.SLOW is typed("slow", str, [Speed.FAST, Speed.SLOW])
    assert 2 == typed("2", str, [1, 2])
    assert "2" == typed("2", str, ["1", "2"])


@pytest.mark.parametrize(
    ("text", "form", "wrong", "expected"),
    [
        ("maybe", bool, "'maybe' is not of type 'boolean'", "true or false"),
        ("1", bool, "1 is not of type 'boolean'", "true or false"),
        ("2.5", int, "2.5 is not of type 'integer'", "a whole number"),
        ("NaN", float, "'NaN' is not of type 'number'", "a number"),
        ("warp", Speed, "'warp' is not one of", 'one of "fast", "slow"'),
        ('{"what": "x"}', Order, "'count' is a required property", "JSON of this schema"),
        ('{"what": "x", "count": "3"}', Order, "['count']: '3' is not of type", "JSON of"),
        ("{", Order, "'{' is not of type 'object'", "JSON of this schema"),
        (
            "2030-01-02T03:04:05",
            datetime,
            "says no time zone: write 2030-01-02T03:04:05Z",
            "a date",
        ),
        ("never", datetime, "'never' is not a 'date-time'", "a date and time with its zone"),
        ("[" * 20_000, list[int], "is not of type 'array'", "JSON of this schema"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_expected(
    text: str, form: Any, wrong: str, expected: str
) -> None:
    with pytest.raises(Misused) as refused:
        typed(text, form)
    assert wrong in refused.value.problem
    assert expected in refused.value.remedy


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "[",
        "7",
        '{"type": "nonsense"}',
        '{"$ref": "https://example.invalid/schema.json"}',
        '{"$ref": "#/$defs/missing"}',
        '{"$ref": "#"}',
    ],
)
def test_a_schema_that_is_none_is_said_to_be_the_agents_fault(schema: str) -> None:
    with pytest.raises(Misused, match="schema"):
        read_typed("x", schema)


def test_every_schema_has_words() -> None:
    assert "text" == told_expected(Expectation(str, None).schema)
    assert 'one of "a", 1, true' == told_expected(Expectation(str, ["a", 1, True]).schema)
    assert told_expected(Expectation(Loan, None).schema).startswith("JSON of this schema: {")


@pytest.mark.parametrize(
    ("form", "choices", "problem"),
    [
        (bytes, None, "nobody can type bytes"),
        (object(), None, "ctx.ask cannot expect"),
        (complex, None, "ctx.ask cannot expect"),
        (str, [], "0 choices"),
        (str, ["a", "a"], "twice"),
        (str, [["a"]], "a choice of ctx.ask is a list"),
        (str, [str(number) for number in range(257)], "257 choices"),
        (Literal[tuple(f"{n:0>200}" for n in range(99))], None, "characters to say"),
    ],
)
def test_what_nobody_can_be_asked_for_is_refused(form: Any, choices: Any, problem: str) -> None:
    with pytest.raises(Misused, match=problem):
        Expectation(form, choices)


def test_true_is_not_one() -> None:
    assert '{"enum":[1,true]}' == Expectation(str, [1, True]).schema
    assert True is typed("true", str, [1, True])
    assert json.dumps(1) == json.dumps(typed("1", str, [1, True]))


def test_a_time_without_zone_is_none_whoever_says_it() -> None:
    with pytest.raises(Misused):
        Expectation(datetime, None).read("2030-01-02T03:04:05")
