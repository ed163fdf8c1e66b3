"""Blocks: what they link to, and which of them a copy lacks (architecture §8, trap 46)."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent.memory.blocks import (
    MissingBlock,
    NewBlocks,
    links,
    load_block,
    missing_closure,
    missing_levels,
)
from sojourn.core.base.digests import Link, cid_text, digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from tests.unit.core.agent.memory.shelf import Shelf, under

A, B = digest(b"a"), digest(b"b")


def test_links_are_found_wherever_they_stand_each_once() -> None:
    block = [link_to(B), {"x": [link_to(A), {"y": link_to(B)}]}, 1.5, "text", b"bytes"]
    assert links(encode_block(block)) == [B, A]


@pytest.mark.parametrize(
    "link",
    [
        link_to(A, raw=True),
        Link(b"\x01\x70\x12\x20" + A),
        Link(b"\x01\x71\x12\x20" + A[:-1]),
        Link(b"\x01\x71\x12\x20" + A + b"\x00"),
        Link(b"\x12\x20" + A),
        Link(b""),
    ],
    ids=["raw", "another-codec", "short", "long", "version-0", "empty"],
)
def test_a_link_to_anything_but_a_block_is_rejected(link: Link) -> None:
    with pytest.raises(Rejected) as caught:
        links(encode_block(["x", link]))
    assert caught.value.reason == "bad-link"


@pytest.mark.parametrize("data", [b"", b"\xff", encode_block([1]) + b"\x00", b"\x18\x01"])
def test_bytes_that_are_no_block_have_no_links(data: bytes) -> None:
    with pytest.raises(Rejected):
        links(data)


def test_a_block_is_read_only_under_its_own_digest() -> None:
    shelf = Shelf()
    shelf.blocks[A] = encode_block("another")
    with pytest.raises(Rejected) as caught:
        load_block(shelf, A)
    assert caught.value.reason == "wrong-digest"
    assert caught.value.where == f"block {cid_text(A)}"


def test_a_malformed_block_is_named() -> None:
    shelf = Shelf()
    named = digest(b"\xff")
    shelf.blocks[named] = b"\xff"
    with pytest.raises(Rejected) as caught:
        load_block(shelf, named)
    assert caught.value.where == f"block {cid_text(named)}"


def test_new_blocks_stand_over_their_source_until_it_has_them() -> None:
    shelf = Shelf()
    stored = shelf.forge("stored")
    new = NewBlocks(shelf)
    made = new.add(encode_block("made"))
    assert (new.get(stored), new.get(made)) == (encode_block("stored"), encode_block("made"))
    assert dict(new.made) == {made: encode_block("made")}

    shelf.save(new)
    assert dict(new.made) == {}
    assert new.get(made) == encode_block("made")


def test_a_block_known_to_be_stored_is_not_made_anew() -> None:
    new = NewBlocks(Shelf())
    data = encode_block("known")
    assert new.add(data, stored=(digest(data),)) == digest(data)
    assert dict(new.made) == {}


def test_a_missing_block_says_which() -> None:
    with pytest.raises(MissingBlock) as caught:
        NewBlocks(Shelf()).get(A)
    assert caught.value.digest == A
    assert cid_text(A) in str(caught.value)


# What a copy lacks


@st.composite
def webs(draw: st.DrawFn) -> tuple[Shelf, bytes, list[bytes]]:
    """Blocks that link to any earlier ones, so that they are shared on several levels."""
    shelf, made = Shelf(), list[bytes]()
    for number in range(draw(st.integers(1, 12))):
        below = draw(st.lists(st.sampled_from(made), max_size=4)) if made else []
        made.append(shelf.forge([number, [link_to(named) for named in below]]))
    return shelf, made[-1], made


@given(webs(), st.data())
def test_what_a_copy_lacks_completes_it(
    web: tuple[Shelf, bytes, list[bytes]], data: st.DataObject
) -> None:
    shelf, root, made = web
    copy = Shelf()
    for kept in data.draw(st.lists(st.sampled_from(made), max_size=3)):
        for named in reversed(under(shelf, kept)):
            copy.blocks[named] = shelf.blocks[named]
    before = set(copy.blocks)

    missing = missing_closure(root, copy.have, shelf)
    for named in missing:
        copy.take(named, shelf.blocks[named])
    assert set(missing) == set(under(shelf, root)) - before
    assert len(missing) == len(set(missing))


def test_nothing_is_asked_twice_or_below_what_is_there() -> None:
    shelf = Shelf()
    leaf = shelf.forge("leaf")
    kept = shelf.forge([link_to(leaf)])
    shared = shelf.forge("shared")
    middle = shelf.forge([link_to(kept), link_to(shared)])
    root = shelf.forge([link_to(middle), link_to(shared)])
    asked: list[Sequence[bytes]] = []

    def have(digests: Sequence[bytes]) -> set[bytes]:
        asked.append(digests)
        return {kept} & set(digests)

    assert missing_closure(root, have, shelf) == [shared, middle, root]
    assert asked == [[root], [middle, shared], [kept]]
    assert leaf not in shelf.reads
    assert kept not in shelf.reads


def test_a_complete_copy_is_asked_once() -> None:
    shelf = Shelf()
    root = shelf.forge([link_to(shelf.forge(1))])
    assert missing_closure(root, shelf.have, shelf) == []
    assert shelf.reads == []


def test_the_levels_can_be_answered_one_at_a_time() -> None:
    shelf = Shelf()
    child = shelf.forge("child")
    root = shelf.forge([link_to(child)])
    search = missing_levels([root], shelf)
    assert next(search) == [root]
    assert search.send(set()) == [child]
    with pytest.raises(StopIteration) as done:
        search.send({child})
    assert done.value.value == [root]


def test_plain_bytes_do_not_pass_for_an_index_whose_children_nobody_has() -> None:
    """Whoever stores a block has been asked for everything its bytes link to: there is one codec."""
    index = encode_block([link_to(A)])
    shelf = Shelf()
    value = encode_block(index)  # a byte string that happens to be an index
    shelf.take(digest(value), value)
    assert shelf.have([digest(index)]) == set()
    with pytest.raises(AssertionError, match="before its children"):
        shelf.take(digest(index), index)
