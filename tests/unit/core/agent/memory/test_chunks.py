"""Large byte strings: cut at fixed offsets, read in part, every block checked."""

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.core.agent.memory import chunks
from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks
from sojourn.core.agent.memory.chunks import (
    INDEX_LINKS_MAX,
    LENGTH_MAX,
    Chunks,
    Cutter,
    span,
    write,
)
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import CHUNK_BYTES
from tests.unit.core.agent.memory.shelf import Shelf

MIB = 1 << 20


def written(
    shelf: Shelf, data: bytes, like: bytes | None = None
) -> tuple[bytes, dict[bytes, bytes]]:
    new = NewBlocks(shelf)
    root = write(data, new, like=like)
    return root, shelf.save(new)


@pytest.mark.parametrize(
    "length",
    [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 17 * MIB + 5],
)
def test_what_is_written_is_read(length: int) -> None:
    data = random.Random(length).randbytes(length)
    shelf = Shelf()
    root, _ = written(shelf, data)
    opened = Chunks.load(root, shelf)
    assert len(opened) == length
    assert opened.read() == data


@given(
    st.integers(0, 5 * CHUNK_BYTES),
    st.integers(0, 6 * CHUNK_BYTES),
    st.integers(0, 6 * CHUNK_BYTES),
)
@settings(max_examples=60)
def test_a_range_is_a_slice(length: int, start: int, stop: int) -> None:
    data = random.Random(length).randbytes(length)
    shelf = Shelf()
    opened = Chunks.load(written(shelf, data)[0], shelf)
    assert opened.read(start, stop) == data[start:stop]


def test_a_range_reads_only_its_chunks() -> None:
    data = random.Random(1).randbytes(17 * MIB)
    shelf = Shelf()
    opened = Chunks.load(written(shelf, data)[0], shelf)
    shelf.reads.clear()
    at = 16 * MIB - 10
    assert opened.read(at, at + 20) == data[at : at + 20]
    assert len(shelf.reads) == 1 + 2 + 2, "the root, two indexes, two chunks"


def test_a_range_outside_is_misused() -> None:
    shelf = Shelf()
    opened = Chunks.load(written(shelf, b"abc")[0], shelf)
    with pytest.raises(Misused):
        opened.read(-1)
    assert opened.read(5, 9) == b""
    assert opened.read(2, 1) == b""


def test_one_percent_changed_in_place_shares_the_rest() -> None:
    data = bytearray(random.Random(2).randbytes(64 * MIB))
    shelf = Shelf()
    before, made = written(shelf, bytes(data))
    assert len(made) == 1024 + 4 + 1

    at, size = 20 * MIB + 123, 64 * MIB // 100
    data[at : at + size] = bytes(size)
    after, made = written(shelf, bytes(data), like=before)
    chunks_touched = (at + size) // CHUNK_BYTES - at // CHUNK_BYTES + 1
    zeros = chunks_touched - 3  # equal chunks of zeros are one block
    assert len(made) == chunks_touched - zeros + 2
    assert sum(map(len, made.values())) < 1.3 * size
    assert Chunks.load(after, shelf).read() == bytes(data)


def test_what_did_not_change_is_not_made() -> None:
    data = random.Random(3).randbytes(3 * CHUNK_BYTES)
    shelf = Shelf()
    root, _ = written(shelf, data)
    assert written(shelf, data, like=root) == (root, {})


def test_a_missing_chunk_can_be_fetched_and_the_read_done_again() -> None:
    data = random.Random(4).randbytes(3 * CHUNK_BYTES)
    full, copy = Shelf(), Shelf()
    root, _ = written(full, data)
    fetched = 0
    while True:
        try:
            assert Chunks.load(root, copy).read() == data
            break
        except MissingBlock as missing:
            copy.blocks[missing.digest] = full.blocks[missing.digest]
            fetched += 1
    assert fetched == 4


def test_more_than_the_limit_is_misused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LENGTH_MAX", 10)
    new = NewBlocks(Shelf())
    with pytest.raises(Misused, match="11 bytes"):
        write(bytes(11), new)
    assert dict(new.made) == {}


def test_the_span_of_a_link_follows_from_the_length() -> None:
    reach = CHUNK_BYTES * INDEX_LINKS_MAX
    assert [span(n) for n in (0, 1, reach, reach + 1, LENGTH_MAX)] == [
        CHUNK_BYTES,
        CHUNK_BYTES,
        CHUNK_BYTES,
        reach,
        reach,
    ]


# Hostile blocks


def hostile(case: str, shelf: Shelf) -> bytes:
    chunk = link_to(shelf.forge(bytes(CHUNK_BYTES)))
    tail = link_to(shelf.forge(b"tail"))
    index = link_to(shelf.forge(["chunks/1", CHUNK_BYTES * 2, [chunk, chunk]]))
    length = CHUNK_BYTES + 4
    wide = CHUNK_BYTES * INDEX_LINKS_MAX + 4
    cases: dict[str, Any] = {
        "no index": {"chunks/1": length},
        "another kind": ["log/1", length, [chunk, tail]],
        "a later version": ["chunks/2", length, [chunk, tail]],
        "no length": ["chunks/1", "four", [chunk, tail]],
        "a truth for a length": ["chunks/1", True, [tail]],
        "negative length": ["chunks/1", -1, []],
        "beyond the limit": ["chunks/1", LENGTH_MAX + 1, [chunk]],
        "a link too few": ["chunks/1", length, [chunk]],
        "a link too many": ["chunks/1", length, [chunk, tail, tail]],
        "digest for a link": ["chunks/1", length, [chunk, digest(b"x")]],
        "short chunk": ["chunks/1", length, [tail, tail]],
        "long chunk": ["chunks/1", length, [chunk, chunk]],
        "index for a chunk": ["chunks/1", length, [chunk, index]],
        "chunk for an index": ["chunks/1", wide, [chunk, tail]],
        "index of another length": ["chunks/1", wide, [index, index]],
    }
    return shelf.forge(cases[case])


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("no index", "wrong-kind"),
        ("another kind", "wrong-kind"),
        ("a later version", "unknown-version"),
        ("no length", "bad-field"),
        ("a truth for a length", "bad-field"),
        ("negative length", "bad-field"),
        ("beyond the limit", "bad-field"),
        ("a link too few", "wrong-count"),
        ("a link too many", "wrong-count"),
        ("digest for a link", "wrong-count"),
        ("short chunk", "wrong-length"),
        ("long chunk", "wrong-length"),
        ("index for a chunk", "wrong-kind"),
        ("chunk for an index", "wrong-kind"),
        ("index of another length", "wrong-length"),
    ],
)
def test_a_hostile_block_is_rejected_by_name(case: str, reason: str) -> None:
    shelf = Shelf()
    root = hostile(case, shelf)
    with pytest.raises(Rejected) as caught:
        Chunks.load(root, shelf).read()
    assert caught.value.reason == reason
    assert caught.value.where.startswith("block b")


# Cut piece by piece

EDGES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 16 * MIB - 1]
EDGES += [16 * MIB, 16 * MIB + 1, 33 * MIB + 5]


def some(length: int) -> bytes:
    """Return bytes, no two chunks of which are the same."""
    return (random.Random(7).randbytes(99_991) * (length // 99_991 + 1))[:length]


@pytest.mark.parametrize("length", EDGES)
def test_pieces_come_to_what_is_written_at_once(length: int) -> None:
    data = some(length)
    new = NewBlocks(Shelf())
    cutter, at = Cutter(), 0
    for size in itertools.cycle((1, 70_000, 500_000, 65_536, 10)):
        if at >= length:
            break
        cutter.feed(data[at : at + size])
        at += size
        if size == 10:
            cutter.finish(new)
    assert cutter.finish(new) == write(data, NewBlocks(Shelf()))
    assert cutter.made == {} and cutter.length == length


@pytest.mark.parametrize("length", EDGES)
@pytest.mark.parametrize("more", [0, 3 * CHUNK_BYTES + 7])
def test_cutting_goes_on_behind_what_is_there(length: int, more: int) -> None:
    data = some(length + more)
    shelf = Shelf()
    root, _ = written(shelf, data[:length])
    shelf.reads.clear()
    cutter = Cutter.after(root, shelf)
    assert len(shelf.reads) <= 6, "the indexes on the right edge, and the last chunk"
    cutter.feed(data[length:])
    new = NewBlocks(shelf)
    assert cutter.finish(new) == write(data, NewBlocks(Shelf()))
    assert sum(map(len, new.made.values())) < more + 2 * CHUNK_BYTES


def test_what_would_be_too_long_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LENGTH_MAX", 10)
    cutter = Cutter()
    cutter.feed(b"0123456789")
    with pytest.raises(Misused, match="11 bytes are more than the 10"):
        cutter.feed(b"x")
    assert Chunks.load(cutter.finish(new := NewBlocks(Shelf())), new).read() == b"0123456789"


@pytest.mark.parametrize("length", [1, 23, 24, 255, 256, 65_535, 65_536, 200_000])
def test_chunks_are_weighed_unread(length: int) -> None:
    shelf = Shelf()
    root, made = written(shelf, random.Random(1).randbytes(length))
    weighed = chunks.weigh_chunks(shelf.blocks[root])
    assert weighed == {named: len(data) for named, data in made.items() if named != root}
    assert chunks.weigh_chunks(encode_block(["log/1", 1, [], []])) is None
