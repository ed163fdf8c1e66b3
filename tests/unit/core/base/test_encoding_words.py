"""Values as types: their ranges to the last byte, what they forbid, and the words in which they are rejected."""

from typing import Any

import pytest

from sojourn.core.base.encoding import (
    Count,
    Digest,
    Name,
    PublicKey,
    Signature,
    Text,
    Value,
    decode,
    encode,
    encode_block,
    shown,
)
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import NESTING_DEPTH_MAX

LIMIT = 1 << 20


class Sample(Value, tag_field="kind", tag="sample/1"):
    count: Count = 7


class Plain(Value):
    count: Count


class Outer(Value):
    inner: Plain


def rejected(data: bytes, form: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decode(data, form, what="sample", limit=LIMIT)
    return caught.value


# Ranges


@pytest.mark.parametrize(
    ("form", "smallest", "largest", "beyond"),
    [
        (Count, 0, 2**63 - 1, [-1, 2**63]),
        (Name, "x", "x" * 128, ["", "x" * 129]),
        (Text, "", "x" * 65_536, ["x" * 65_537]),
        (Digest, bytes(32), b"\xff" * 32, [bytes(31), bytes(33)]),
        (PublicKey, bytes(32), b"\xff" * 32, [bytes(31), bytes(33)]),
        (Signature, bytes(64), b"\xff" * 64, [bytes(63), bytes(65)]),
    ],
    ids=["count", "name", "text", "digest", "key", "signature"],
)
def test_a_range_holds_its_ends_and_nothing_beyond(
    form: Any, smallest: object, largest: object, beyond: list[object]
) -> None:
    for value in (smallest, largest):
        assert value == decode(encode(value), form, what="sample", limit=LIMIT)
    assert {"bad-field"} == {rejected(encode_block(value), form).reason for value in beyond}


def test_a_value_does_not_change_and_names_its_fields() -> None:
    sample = Sample(count=1)
    with pytest.raises(AttributeError):
        sample.count = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        Plain(1)  # type: ignore[misc]
    assert encode({"kind": "sample/1", "count": 1}) == encode(sample)
    assert {Sample(): "seven"}[Sample(count=7)] == "seven"


# Words


@pytest.mark.parametrize(
    ("found", "reason", "problem"),
    [
        ("sample/2", "unknown-version", "the sample has format 'sample/2'; this version reads 'sample/1'"),
        ("sample/1/2", "unknown-version", "the sample has format 'sample/1/2'; this version reads 'sample/1'"),
        ("simple/1", "wrong-kind", "the sample is of kind 'simple/1', not 'sample/1'"),
        ("/1", "wrong-kind", "the sample is of kind '/1', not 'sample/1'"),
        (7, "wrong-kind", "the sample is of kind int, not 'sample/1'"),
        (None, "wrong-kind", "the sample is of kind NoneType, not 'sample/1'"),
    ],
)  # fmt: skip
def test_another_kind_is_named_and_so_is_the_one_expected(
    found: object, reason: str, problem: str
) -> None:
    error = rejected(encode_block({"kind": found}), Sample)
    assert (reason, problem) == (error.reason, error.problem)


def test_a_value_that_is_wrong_as_a_whole_is_wrong_at_its_name() -> None:
    error = rejected(encode_block(1), Plain)
    assert ("bad-field", "Expected `object`, got `int`", "sample") == (
        error.reason,
        error.problem,
        error.where,
    )


@pytest.mark.parametrize("key", ["x", "Invalid value ", "x` - at `$.count"])
def test_a_field_that_is_unknown_is_named_whatever_it_calls_itself(key: str) -> None:
    error = rejected(encode_block({"inner": {"count": 1, key: 1}}), Outer)
    assert ("unknown-field", "sample.inner") == (error.reason, error.where)
    assert f"Object contains unknown field `{key}`" == error.problem


def test_what_is_written_too_deep_is_said_to_be() -> None:
    deep: Any = None
    for _ in range(NESTING_DEPTH_MAX):
        deep = [deep]
    with pytest.raises(Rejected) as caught:
        encode_block(deep)
    assert f"the value is nested deeper than {NESTING_DEPTH_MAX} levels" == caught.value.problem


def test_200_characters_are_shown_of_what_came() -> None:
    assert "x" * 200 == shown("x" * 201)
    assert r"\n\xe9\u20ac" == shown("\n\xe9\u20ac")
