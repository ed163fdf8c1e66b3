"""What containers announce is held against what is there, before the codec reserves memory for it (protocol §1)."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sojourn.core.base import encoding
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import Count, Value, decode, decode_block, encode, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import NESTING_DEPTH_MAX

LIMIT = 1 << 24
ARRAY = 4 << 5
LINK = link_to(digest(b"block"))
EVERY_HEADER = [
    *(0, 23, 24, 255, 256, 65_535, 65_536, 2**32, -1, -25, -257, -65_537, -(2**33)),
    *(bytes(size) for size in (0, 1, 23, 24, 255, 256, 65_536)),
    *("x" * size for size in (0, 1, 23, 24, 255, 256, 65_536)),
    *([None] * size for size in (0, 1, 23, 24, 255, 256)),
    *({f"{key}": None for key in range(size)} for size in (0, 1, 23, 24)),
    *(None, True, False, 1.5, LINK, [LINK, {"a": LINK}], {"a": {"b": [1, {}]}, "c": [[], [2]]}),
]
"""One item of every kind, and of every width that its header can have."""
LEAVES = (
    st.none()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.binary(max_size=30)
    | st.text(max_size=30)
    | st.just(LINK)
)
BLOCKS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=26) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=40,
)


class Sample(Value, tag_field="kind", tag="sample/1"):
    count: Count = 0


class Plain(Value):
    """A value without a kind of its own."""

    count: Count


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever is a container be walked, however small."""
    monkeypatch.setattr(encoding, "_UNCHECKED_SLOTS_MAX", -1)


@pytest.fixture
def suspected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever is a container be walked, and its levels be counted."""
    monkeypatch.setattr(encoding, "_UNCHECKED_SHORT_MAX", -LIMIT)


def claim(data: bytes) -> str:
    """Return why the claims in `data` are rejected, or nothing."""
    try:
        encoding._check_claims(data, "block")
    except Rejected as error:
        return error.reason
    return ""


def nest(levels: int, wrap: Any) -> Any:
    block: Any = None
    for _ in range(levels):
        block = wrap(block)
    return block


# The walk


@pytest.mark.usefixtures("walked")
@given(BLOCKS)
@example(EVERY_HEADER)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_whole_is_accepted_and_each_item_that_is_missing_is_noticed(block: Any) -> None:
    data = encode_block([0, block, None])
    assert "" == claim(data)
    ends = {*range(2, min(len(data), 400)), *range(max(2, len(data) - 400), len(data))}
    assert {"truncated"} == {claim(data[:end]) for end in ends}


@pytest.mark.usefixtures("walked")
@pytest.mark.parametrize("argument", [28, 29, 30, 31])
@pytest.mark.parametrize("major", range(8))
def test_what_is_no_header_is_left_for_the_codec_to_name(major: int, argument: int) -> None:
    data = b"\x83\x00" + bytes([major << 5 | argument]) + b"\xff" * 40
    assert "" == claim(data)
    with pytest.raises(Rejected) as caught:
        decode_block(data, what="block", limit=LIMIT)
    assert "malformed" == caught.value.reason


@pytest.mark.usefixtures("suspected")
@given(BLOCKS)
@example(EVERY_HEADER)
@example([[None]] * 1_000)
@example([[None, None]] * 1_000)
@example([{"a": [1, [2, 3], 4]}, []] * 100)
@example(nest(NESTING_DEPTH_MAX - 1, lambda inner: [inner]))
@example(nest(NESTING_DEPTH_MAX - 1, lambda inner: [inner, 0]))
@example(nest(NESTING_DEPTH_MAX - 1, lambda inner: [0, inner]))
@example(nest(NESTING_DEPTH_MAX - 1, lambda inner: {"a": 0, "b": inner}))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_not_too_deep_is_accepted_however_wide(block: Any) -> None:
    assert "" == claim(encode_block(block))


@pytest.mark.usefixtures("suspected")
@pytest.mark.parametrize(
    "before", [b"", b"\x82\x82\x00\x00", b"\x82\x80", b"\x82\x81\xa1\x61a\x00"]
)
@pytest.mark.parametrize("level", [b"\x81", b"\x82\x00", b"\x83\x81\x00\x00", b"\xa1\x61a"])
def test_levels_are_counted_and_not_what_stands_beside_them(before: bytes, level: bytes) -> None:
    data = before + level * (NESTING_DEPTH_MAX + 2) + b"\xf6"
    assert "too-deep" == claim(data)


# Where it is taken


def with_bytes(*, short: int = 0, long: int = 0, size: int = 200) -> bytes:
    """Return a map of `size` bytes, so many of which could be headers of either kind."""
    content = b"\x81" * short + b"\x98" * long
    data = encode_block({"": content + bytes(size - len(content) - 4)})
    assert size == len(data)
    return data


@pytest.mark.parametrize(
    ("short", "long", "is_walked"),
    [(0, 0, False), (30, 0, False), (31, 0, True), (0, 2, False), (0, 3, True), (30, 3, True)],
)
def test_the_walk_is_taken_where_headers_could_reserve_too_much(
    monkeypatch: pytest.MonkeyPatch, short: int, long: int, is_walked: bool
) -> None:
    monkeypatch.setattr(encoding, "_UNCHECKED_SHORT_MAX", 10)  # and 20 of the 200 bytes
    monkeypatch.setattr(encoding, "_UNCHECKED_SLOTS_MAX", 400)  # 2 headers, each of all 200
    steps: list[int] = []
    monkeypatch.setattr(encoding, "_enter", lambda levels, items: steps.append(items))
    assert "" == claim(with_bytes(short=short, long=long))
    assert is_walked == bool(steps)


def test_a_list_of_few_items_is_no_reason_to_walk_and_each_header_of_a_list_counts() -> None:
    assert bytes(ARRAY | items for items in range(1, 24)) == encoding._SHORT_HEADERS
    assert bytes(ARRAY | width for width in range(24, 28)) == encoding._LONG_HEADERS
    assert "" == claim(with_bytes(short=9, long=9))
    assert 4 << 20 == 8 * encoding._UNCHECKED_SLOTS_MAX
    assert 23 << 20 == 8 * 23 * encoding._UNCHECKED_SHORT_MAX


# What is said of what nests without end

ENDLESS = b"\x81" * 300_000 + b"\xf6"


def rejection(data: bytes, form: Any) -> tuple[str, str]:
    with pytest.raises(Rejected) as caught:
        decode(data, form, what="sample", limit=LIMIT)
    return caught.value.reason, caught.value.problem


@pytest.mark.parametrize("data", [ENDLESS, b"\x81\x00"], ids=["endless", "shallow"])
def test_a_list_where_a_value_should_be_is_called_one_however_deep(data: bytes) -> None:
    assert ("wrong-kind", "the sample is of kind NoneType, not 'sample/1'") == rejection(
        data, Sample
    )
    assert ("bad-field", "Expected `object`, got `array`") == rejection(data, Plain)


def test_a_map_that_nests_without_end_is_too_deep() -> None:
    problem = f"the sample is nested deeper than {NESTING_DEPTH_MAX} levels"
    assert ("too-deep", problem) == rejection(b"\xa1\x64kind" + ENDLESS, Sample)
    assert ("too-deep", problem) == rejection(b"\xa1\x65count" + ENDLESS, Plain)


@pytest.mark.usefixtures("walked")
def test_what_cannot_reserve_much_is_judged_by_what_it_is_before_how_deep_it_is() -> None:
    data = b"\xa2\x64kind\x67other/1\x65value" + b"\x81" * (NESTING_DEPTH_MAX + 9) + b"\xf6"
    assert ("wrong-kind", "the sample is of kind 'other/1', not 'sample/1'") == rejection(
        data, Sample
    )


def test_what_is_deep_and_not_endless_is_too_deep_for_a_field_of_any_type() -> None:
    class Open(Value):
        value: Any

    data = b"\xa1\x65value" + b"\x81" * 50_000 + b"\xf6"
    assert ("too-deep", "the sample is nested too deeply") == rejection(data, Open)
    assert Open(value=[1]) == decode(encode(Open(value=[1])), Open, what="sample", limit=LIMIT)
