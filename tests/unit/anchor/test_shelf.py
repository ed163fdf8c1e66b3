"""The shelf: what is read while it is being written, what strangers ask about, what is damaged or too long."""

import asyncio

import pytest

from sojourn.anchor.shelf import Shelf
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode, encode_block
from sojourn.core.base.errors import Refused, Rejected, StoreFailed
from sojourn.core.protocol.dossier import Dossier
from sojourn.runtime.store import DeleteBlock, Put, PutBlock
from sojourn.stores.memory import MemoryStore
from tests.unit.anchor.broken_stores import DamagedStore

AGENT = digest(b"agent")
BEFORE, AFTER = Dossier(agent=AGENT, high_term=1), Dossier(agent=AGENT, high_term=2)


def stored(*dossiers: Dossier) -> MemoryStore:
    store = MemoryStore()
    changes = [Put("dossier", dossier.agent, encode(dossier)) for dossier in dossiers]
    asyncio.run(store.commit(changes))
    return store


def leaf(text: str = "leaf") -> bytes:
    return encode_block([text])


# Dossiers


def test_nothing_is_kept_of_agents_that_strangers_ask_about() -> None:
    shelf = Shelf(stored(BEFORE))
    for number in range(10_000):
        assert Dossier(agent=digest(b"%d" % number)) == shelf.dossier(digest(b"%d" % number))
    assert {} == shelf._dossiers
    assert BEFORE == shelf.dossier(AGENT)


def test_what_is_being_written_is_what_is_read() -> None:
    shelf = Shelf(stored(BEFORE))
    with shelf.replacing(AFTER):
        assert AFTER == shelf.dossier(AGENT)
        for number in range(5_000):  # even when the cache is full of others
            shelf._keep(Dossier(agent=digest(b"%d" % number)))
        assert AFTER == shelf.dossier(AGENT)
    assert AFTER == shelf.dossier(AGENT)


def test_what_could_not_be_written_never_counted() -> None:
    shelf = Shelf(stored(BEFORE))
    with pytest.raises(Refused), shelf.replacing(AFTER):
        raise Refused("planted")
    assert BEFORE == shelf.dossier(AGENT)


def test_who_is_cancelled_while_it_is_written_recalls_nothing() -> None:
    shelf = Shelf(stored(BEFORE))
    with pytest.raises(asyncio.CancelledError), shelf.replacing(AFTER):
        raise asyncio.CancelledError
    assert AFTER == shelf.dossier(AGENT)


def test_every_dossier_comes_once_however_many_there_are() -> None:
    dossiers = [Dossier(agent=digest(b"%d" % number)) for number in range(300)]
    shelf = Shelf(stored(*dossiers))
    assert sorted(d.agent for d in dossiers) == [d.agent for d in shelf.every_dossier()]


def test_a_row_that_cannot_be_read_is_damage_and_nobodys_mistake() -> None:
    store = MemoryStore()
    asyncio.run(store.commit([Put("dossier", AGENT, b"\x00")]))
    with pytest.raises(StoreFailed, match="a stored Dossier cannot be read"):
        Shelf(store).dossier(AGENT)


# Blocks


def test_blocks_come_after_what_they_link_to() -> None:
    shelf = Shelf(MemoryStore())
    root = encode_block([link_to(digest(leaf()))])
    with pytest.raises(Rejected, match=r"missing-children: block .* links to .* not stored"):
        shelf.block_changes([root, leaf()])
    named = [change.digest for change in shelf.block_changes([leaf(), root])]
    assert [digest(leaf()), digest(root)] == named


def test_blocks_that_are_stored_are_not_written_again() -> None:
    store = MemoryStore()
    shelf = Shelf(store)
    asyncio.run(store.commit(shelf.block_changes([leaf()])))
    assert [] == shelf.block_changes([leaf()])


def test_a_damaged_block_is_missing_until_somebody_puts_it_again() -> None:
    store = DamagedStore()
    shelf, named = Shelf(store), digest(leaf())
    asyncio.run(store.commit(shelf.block_changes([leaf()])))
    store.damage(named)
    assert shelf.block(named) is None
    assert store.failed is None
    assert [named] == shelf.lacking([named])
    assert named not in shelf.documents
    changes = shelf.block_changes([leaf()])
    assert [DeleteBlock, PutBlock] == [type(change) for change in changes]
    asyncio.run(store.commit(changes))
    assert leaf() == shelf.block(named)
    assert [] == shelf.lacking([named])


def test_a_store_that_has_failed_is_not_taken_for_a_damaged_block() -> None:
    store = MemoryStore()
    shelf = Shelf(store)
    store.reopened()
    with pytest.raises(StoreFailed):
        shelf.block(digest(leaf()))
