"""The marks, digests and links of a store's chain: each part counts."""

from random import Random
from typing import Any

import pytest

from sojourn.runtime.store import Change, Delete, DeleteBlock, Put, PutBlock, row_mark
from sojourn.stores.sqlite.chain import (
    GENESIS,
    TOTAL_MODULUS,
    as_number,
    change_mark,
    is_intact,
    row_term,
)

NAME = bytes(range(32))


def test_no_two_changes_have_one_mark() -> None:
    changes: list[Change] = [
        Put("a", b"b", b"c"),
        Put("a", b"bc", b""),
        Put("ab", b"", b"c"),
        Put("a", b"b", b"d"),
        Delete("a", b"b"),
        Delete("ab", b""),
        PutBlock(NAME, "raw", b""),
        PutBlock(NAME, "dag-cbor", b""),
        DeleteBlock(NAME),
    ]
    assert len({change_mark(change) for change in changes}) == len(changes)


def test_a_value_is_bound_to_its_row() -> None:
    mark = row_mark("a", b"b", b"c")
    assert is_intact("a", b"b", mark, b"c")
    assert not is_intact("b", b"b", mark, b"c")
    assert not is_intact("a", b"c", mark, b"c")
    assert not is_intact("a", b"b", bytes(32), b"c")
    assert not is_intact("a", b"b", mark, b"d")


def test_a_term_is_that_of_one_row_one_commit_and_one_place() -> None:
    terms = {
        row_term("a", b"b", 7, NAME, 9),
        row_term("b", b"b", 7, NAME, 9),
        row_term("a", b"c", 7, NAME, 9),
        row_term("ab", b"", 7, NAME, 9),
        row_term("a", b"b", 8, NAME, 9),
        row_term("a", b"b", 7, bytes(32), 9),
        row_term("a", b"b", 7, NAME, 8),
        row_term("a", b"b", 9, NAME, 7),
    }
    assert len(terms) == 8
    assert all(0 <= term < TOTAL_MODULUS for term in terms)


@pytest.mark.parametrize("odd", [None, -1, 2**64, 1.5, "text", "\ud800", b"", b"x" * 70_000])
def test_a_damaged_row_may_hold_anything(odd: Any) -> None:
    row = {"table": "a", "key": b"b", "mark": row_mark("a", b"b", b"c"), "value": b"c"}
    for part in row:
        assert not is_intact(**row | {part: odd})
    for part in GENESIS._fields:
        assert not GENESIS._replace(**{part: odd}).is_intact(GENESIS.digest)
    assert not GENESIS.is_intact(odd)


def test_a_link_names_the_one_before_and_the_changes_in_order() -> None:
    one, other = (change_mark(Put("a", b"b", value)) for value in (b"1", b"2"))
    link = GENESIS.next([one, other], 5)
    assert (link.seq, link.previous, as_number(link.total)) == (1, GENESIS.digest, 5)
    assert link.changes != GENESIS.next([other, one], 5).changes
    assert link.is_intact(link.digest)
    for wrong in (
        link._replace(seq=2),
        link._replace(previous=NAME),
        link._replace(changes=NAME),
        link._replace(total=NAME),
    ):
        assert not wrong.is_intact(link.digest)


def test_the_total_knows_no_order_and_forgets_what_is_taken_away() -> None:
    random = Random(1)
    terms = [random.randrange(TOTAL_MODULUS) for _ in range(20)]
    link = GENESIS
    for term in terms + [-term for term in random.sample(terms, 20)]:
        link = link.next([], term)
    assert link.total == GENESIS.total
    assert link.seq == 40


def test_the_total_has_256_bits_and_no_more() -> None:
    """Fewer would let some damage pass."""
    highest = GENESIS.next([], 2**256 - 1)
    assert b"\xff" * 32 == highest.total
    assert GENESIS.total == highest.next([], 1).total
    assert b"\xff" * 32 == GENESIS.next([], -1).total
