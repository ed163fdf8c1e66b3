"""The scribe: what waits together is written together, and nobody pays for what another asks."""

import asyncio

import pytest

from sojourn.anchor.scribe import Scribe
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused, StoreFailed
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Ballot, Phase, Slot, check_vote
from sojourn.runtime.store import Change, Put, PutBlock
from tests.unit.anchor.broken_stores import FailingStore, GatedStore
from tests.village import key

ZONE, KEY = digest(b"zone"), key("vote")
COMMITTEE = Committee(zone=ZONE, epoch=0, vote_keys=(KEY.public,), f=0)


def ballot(version: int) -> Ballot:
    slot = Slot(realm="test", group=ZONE, epoch=0, agent=digest(b"agent"), term=0, version=version)
    value = digest(b"%d" % version)
    return Ballot(slot=slot, round=0, phase=Phase.LOCK, value=value, anchor=0, counter=0)


def put(name: bytes, size: int = 1) -> list[Change]:
    return [Put("rows", name, b"x" * size)]


def block(number: int, size: int) -> PutBlock:
    data = encode_block([number, b"x" * size])
    return PutBlock(digest(data), "dag-cbor", data)


def test_what_waits_while_a_group_is_written_is_the_next_group_under_one_signature() -> None:
    async def run() -> None:
        store = GatedStore()
        scribe = Scribe(store, KEY)
        store.gate.clear()
        first = asyncio.create_task(scribe.write(put(b"1"), ballot(1)))
        await store.waiting.wait()
        others = [asyncio.create_task(scribe.write(put(b"%d" % i), ballot(i))) for i in (2, 3, 4)]
        await asyncio.sleep(0)
        store.gate.set()
        votes = [await first, *await asyncio.gather(*others)]
        assert [1, 2, 3, 4] == [vote.ballot.counter for vote in votes if vote]
        for vote in votes:
            assert vote is not None
            check_vote(vote, COMMITTEE)
        assert 1 == len({vote.seal.signature for vote in votes[1:] if vote})
        assert [2, 4] == store.commits  # the counter is one change more
        assert 4 == scribe.counter == Scribe(store, KEY).counter

    asyncio.run(run())


def test_whoever_asks_for_too_much_is_told_so_alone() -> None:
    """Else one sender of blocks could keep an anchor from voting."""

    async def run() -> None:
        store = GatedStore()
        scribe = Scribe(store, KEY)
        store.gate.clear()
        first = asyncio.create_task(scribe.write(put(b"first")))
        await store.waiting.wait()
        vote = asyncio.create_task(scribe.write(put(b"1"), ballot(1)))
        too_large = asyncio.create_task(scribe.write(put(b"large", 5 * 1024 * 1024)))
        other = asyncio.create_task(scribe.write(put(b"2"), ballot(2)))
        await asyncio.sleep(0)
        store.gate.set()
        await first
        with pytest.raises(Misused, match="5242880 bytes"):
            await too_large
        for cast in (await vote, await other):
            assert cast is not None
            check_vote(cast, COMMITTEE)
        assert store.get("rows", b"large") is None
        assert b"x" == store.get("rows", b"2")

    asyncio.run(run())


def test_bulk_goes_in_several_groups() -> None:
    async def run() -> None:
        store = GatedStore()
        scribe = Scribe(store, KEY)
        writes = [scribe.write([block(number, 900_000)]) for number in range(80)]
        await asyncio.gather(*writes)
        assert 80 == sum(store.commits)
        assert max(store.commits) <= 10

    asyncio.run(run())


def test_a_store_that_fails_fails_all_who_wait_and_no_vote_leaves() -> None:
    async def run() -> None:
        store = FailingStore()
        store.is_full = True
        scribe = Scribe(store, KEY)
        writes = [scribe.write(put(b"%d" % i), ballot(i)) for i in range(3)]
        for result in await asyncio.gather(*writes, return_exceptions=True):
            assert isinstance(result, StoreFailed)

    asyncio.run(run())


def test_who_is_cancelled_recalls_nothing() -> None:
    async def run() -> None:
        store = GatedStore()
        scribe = Scribe(store, KEY)
        store.gate.clear()
        writing = asyncio.create_task(scribe.write(put(b"1"), ballot(1)))
        await store.waiting.wait()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        store.gate.set()
        await scribe.finish()
        assert b"x" == store.get("rows", b"1")
        assert 1 == Scribe(store, KEY).counter

    asyncio.run(run())
