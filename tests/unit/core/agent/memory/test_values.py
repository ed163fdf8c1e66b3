"""One value, kept in one way: inline, in a block of its own, or in chunks."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent.memory import chunks, values
from sojourn.core.agent.memory.blocks import NewBlocks, links
from sojourn.core.agent.memory.values import (
    INLINE_BYTES_MAX,
    Held,
    Reference,
    Unwritten,
    from_plain,
    hold,
    open_held,
    to_plain,
    write_held,
)
from sojourn.core.base.digests import Link, digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import CHUNK_BYTES, NESTING_DEPTH_MAX
from tests.unit.core.agent.memory.shelf import Shelf

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.binary(min_size=32, max_size=32).map(link_to)
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)
)


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


def kept(value: Any, shelf: Shelf, before: Held | None = None) -> Held:
    new = NewBlocks(shelf)
    held = write_held(hold(value, before), new)
    for named, data in new.made.items():
        shelf.blocks[named] = data
    return held


@given(trees)
def test_what_is_kept_is_read(value: Any) -> None:
    shelf = Shelf()
    held = hold(value)
    assert repr(open_held(held, shelf)) == repr(open_held(kept(value, shelf), shelf))
    assert open_held(held, shelf) == value


@pytest.mark.parametrize(
    ("size", "blocks"),
    [
        (1, 0),
        (INLINE_BYTES_MAX, 0),
        (INLINE_BYTES_MAX + 1, 1),
        (CHUNK_BYTES, 1),
        (CHUNK_BYTES + 1, 3),
        (300_000, 6),
    ],
)
def test_the_size_of_the_encoding_decides_where_it_is(size: int, blocks: int) -> None:
    header = next(h for h in (1, 2, 3, 5) if len(encode_block(bytes(size - h))) == size)
    value = random.Random(size).randbytes(size - header)
    shelf = Shelf()
    before = len(shelf.blocks)
    held = kept(value, shelf)
    assert open_held(held, shelf) == value
    assert len(shelf.blocks) - before == blocks
    assert isinstance(held, Reference) == (blocks > 0)


def test_a_value_with_links_has_a_block_of_its_own() -> None:
    shelf = Shelf()
    named = shelf.forge("below")
    held = kept({"see": link_to(named)}, shelf)
    assert isinstance(held, Reference)
    assert links(shelf.blocks[held.digest]) == [named]
    assert open_held(held, shelf) == {"see": link_to(named)}


def test_the_bytes_of_a_link_do_not_make_one() -> None:
    assert hold(b"\xd8\x2a") == encode_block(b"\xd8\x2a")


def test_setting_the_same_again_gives_the_same_back() -> None:
    shelf = Shelf()
    for value in ("small", "x" * 5000, {"see": link_to(digest(b""))}):
        waiting = hold(value)
        assert hold(value, waiting) == waiting
        written = kept(value, shelf)
        assert hold(value, written) == written


def test_a_large_value_set_again_makes_no_block() -> None:
    shelf = Shelf()
    written = kept(bytes(300_000), shelf)
    new = NewBlocks(shelf)
    assert write_held(hold(bytes(300_000), written), new) == written
    assert dict(new.made) == {}


def test_a_large_value_changed_twice_still_shares_with_what_is_stored() -> None:
    shelf = Shelf()
    value = bytearray(range(256)) * 2000
    stored = kept(bytes(value), shelf)
    value[0] ^= 1
    waiting = hold(bytes(value), stored)
    value[1] ^= 1
    new = NewBlocks(shelf)
    write_held(hold(bytes(value), waiting), new)
    assert len(new.made) == 2, "one chunk and the index"


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        2**64,
        (1, 2),
        {1: 2},
        {"x": object()},
        "\ud800",
        nested(NESTING_DEPTH_MAX + 1),
        {"see": link_to(bytes(32), raw=True)},
        Link(b"\x01\x70\x12\x20" + bytes(32)),
        [link_to(bytes(32)), bytes(CHUNK_BYTES)],
    ],
    ids=[
        "not-a-number",
        "infinity",
        "integer-of-65-bits",
        "tuple",
        "number-as-key",
        "object",
        "surrogate",
        "too-deep",
        "raw-link",
        "link-of-another-codec",
        "link-in-what-is-large",
    ],
)
def test_what_cannot_be_kept_is_misused(value: Any) -> None:
    with pytest.raises(Misused) as caught:
        hold(value)
    assert caught.value.remedy


def test_a_list_that_holds_itself_is_misused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Misused):
        hold(loop)


def test_too_large_a_value_is_misused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "VALUE_BYTES_MAX", 1000)
    with pytest.raises(Misused, match="1001 bytes"):
        hold(bytes(998))


# Hostile forms

PARENT = digest(b"parent")


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        (bytes(INLINE_BYTES_MAX + 1), "too-large"),
        ("text", "bad-field"),
        (None, "bad-field"),
        ([], "bad-field"),
        ([5], "bad-field"),
        ([0, link_to(PARENT)], "bad-field"),
        ([True, link_to(PARENT)], "bad-field"),
        ([-5, link_to(PARENT)], "bad-field"),
        ([values.VALUE_BYTES_MAX + 1, link_to(PARENT)], "bad-field"),
        ([5, PARENT], "bad-field"),
        ([5, link_to(PARENT), 1], "bad-field"),
        ([5, link_to(PARENT, raw=True)], "bad-link"),
    ],
)
def test_a_hostile_form_is_rejected(plain: Any, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        from_plain(plain, PARENT)
    assert caught.value.reason == reason


@given(trees)
def test_a_form_is_read_as_it_was_written(value: Any) -> None:
    held = kept(value, Shelf())
    assert not isinstance(held, Unwritten)
    assert from_plain(to_plain(held), PARENT) == held


def test_a_link_hidden_in_a_byte_string_is_rejected() -> None:
    """The store never saw it, so what it names may be nowhere."""
    with pytest.raises(Rejected) as caught:
        open_held(encode_block([link_to(PARENT)]), Shelf())
    assert caught.value.reason == "hidden-link"


def test_a_link_hidden_in_chunks_is_rejected() -> None:
    shelf = Shelf()
    new = NewBlocks(shelf)
    encoded = encode_block([link_to(PARENT), bytes(CHUNK_BYTES)])
    root = chunks.write(encoded, new)
    with pytest.raises(Rejected) as caught:
        open_held(Reference(len(encoded), root), new)
    assert caught.value.reason == "hidden-link"


def test_a_small_value_in_a_block_of_its_own_is_rejected() -> None:
    shelf = Shelf()
    named = shelf.forge("small")
    with pytest.raises(Rejected) as caught:
        open_held(Reference(len(shelf.blocks[named]), named), shelf)
    assert caught.value.reason == "non-canonical"


def test_a_value_of_another_length_is_rejected() -> None:
    shelf = Shelf()
    named = shelf.forge("x" * 5000)
    with pytest.raises(Rejected) as caught:
        open_held(Reference(4000, named), shelf)
    assert caught.value.reason == "wrong-length"


@pytest.mark.parametrize("encoded", [b"", b"\xff", b"\x18\x01", encode_block(1) + b"\x00"])
def test_bytes_that_are_no_value_are_rejected(encoded: bytes) -> None:
    with pytest.raises(Rejected):
        open_held(encoded, Shelf())
