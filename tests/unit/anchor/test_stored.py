"""Which blocks are known to be stored: whoever asks is told what the store would say, and it is seldom asked."""

import asyncio
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.anchor.loose import Share
from sojourn.anchor.shelf import Shelf
from sojourn.anchor.stored import KnownStored
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import StoreFailed
from sojourn.core.base.limits import LOOSE_KEPT_MS
from sojourn.runtime.store import DeleteBlock, PutBlock
from sojourn.stores.memory import MemoryStore

BLOCKS = [encode_block([number]) for number in range(8)]
NAMES = [digest(data) for data in BLOCKS]
WIDE = Share(b"me", 10**6)


class AskedStore(MemoryStore):
    """A store that notes which blocks it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def _present_blocks(self, digests: Collection[bytes]) -> Collection[bytes]:
        self.asked += digests
        return super()._present_blocks(digests)


def put(store: MemoryStore, *numbers: int) -> None:
    asyncio.run(store.commit([PutBlock(NAMES[n], "dag-cbor", BLOCKS[n]) for n in numbers]))


def test_a_block_that_was_found_is_not_looked_up_again() -> None:
    store = AskedStore()
    known = KnownStored(store)
    put(store, 0, 1)
    assert [NAMES[2]] == known.missing([NAMES[0], NAMES[2], NAMES[1], NAMES[2]])
    store.asked.clear()
    assert [NAMES[2]] == known.missing([NAMES[0], NAMES[2], NAMES[1]])
    assert [NAMES[2]] == store.asked


def test_a_block_that_was_missing_is_found_once_it_is_stored() -> None:
    store = MemoryStore()
    known = KnownStored(store)
    assert [NAMES[0]] == known.missing([NAMES[0]])
    put(store, 0)
    assert [] == known.missing([NAMES[0]])


def test_a_version_of_a_long_life_asks_the_store_for_what_is_new_alone() -> None:
    """The parts of its journal are many, and in every version nearly the same."""
    store = AskedStore()
    shelf = Shelf(store)
    put(store, *range(7))
    first = encode_block([[link_to(named) for named in NAMES[:6]], "first"])
    asyncio.run(store.commit(shelf.block_changes([first])))
    store.asked.clear()
    second = encode_block([[link_to(named) for named in NAMES[:7]], "second"])
    shelf.block_changes([second])
    assert {NAMES[6], digest(second)} == set(store.asked)


def test_what_is_remembered_is_bounded_and_what_is_asked_for_stays() -> None:
    store = AskedStore()
    known = KnownStored(store, most=4)
    put(store, *range(8))
    for named in NAMES:
        assert [] == known.missing([NAMES[0], named])
        assert len(known) <= 4
    assert 1 == store.asked.count(NAMES[0])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "remove", "ask"]), st.sets(st.integers(0, 7))),
        max_size=30,
    ),
    st.integers(1, 6),
)
def test_the_answer_is_always_the_stores_own(steps: list[tuple[str, set[int]]], most: int) -> None:
    store = MemoryStore()
    known = KnownStored(store, most=most)
    for what, numbers in steps:
        names = [NAMES[number] for number in sorted(numbers)]
        if what == "put":
            put(store, *numbers)
        elif what == "remove":
            asyncio.run(store.commit([DeleteBlock(named) for named in names]))
            known.forget(names)
        assert store.missing_blocks(names) == known.missing(names)


def test_trap_46_a_block_that_is_asked_for_while_it_is_removed_is_missing_afterwards() -> None:
    """It is in the store until the removal is durable, and would be remembered as stored."""
    store = MemoryStore()
    shelf = Shelf(store)
    asyncio.run(store.commit(shelf.loose_changes([BLOCKS[0]], WIDE, 0)))
    assert [] == shelf.lacking([NAMES[0]])
    removing = shelf.collect(shelf.loose.due(LOOSE_KEPT_MS, 9))
    assert [NAMES[0]] == shelf.lacking([NAMES[0]])
    asyncio.run(store.commit(removing))
    assert [NAMES[0]] == shelf.lacking([NAMES[0]])
    shelf.collected([NAMES[0]])
    assert [NAMES[0]] == shelf.lacking([NAMES[0]])


def test_a_store_that_has_failed_is_not_answered_for() -> None:
    store = MemoryStore()
    known = KnownStored(store)
    put(store, 0)
    assert [] == known.missing([NAMES[0]])
    store.reopened()
    with pytest.raises(StoreFailed):
        known.missing([NAMES[0]])
