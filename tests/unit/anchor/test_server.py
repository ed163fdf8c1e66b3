"""The anchor as it serves: order within an agent, what is durable first, what a failing store ends."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from sojourn.anchor.server import Anchor
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode, encode_block
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.core.protocol.admission import bound
from sojourn.core.protocol.binding import Claim, Heartbeat, HeartbeatReply
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskBlocks, Blocks, PutBlocks, Watermark, decode_reply
from sojourn.core.protocol.messages import Applied, AskHead, Declined, Head, Propose, Voted
from sojourn.core.protocol.validate import slot_for
from sojourn.runtime.processes import clock
from tests.unit.anchor.broken_stores import DamagedStore, FailingStore, GatedStore
from tests.village import House, Village, village

Test = Callable[[Village, House], Awaitable[None]]


def run(test: Test, *, n: int = 1, stores: type[Any] | None = None, lease_ms: int = 60_000) -> None:
    """Run a test in a village of one zone, its anchors on stores of that kind."""

    async def main() -> None:
        async with village() as v:
            house = v.found("a", n, lease_ms=lease_ms)
            if stores is not None:
                house.stores.update({index: stores() for index in range(n)})
            await v.open(house)
            v.introduce()
            await test(v, house)

    asyncio.run(asyncio.wait_for(main(), 20))


def heartbeat(head: Certified) -> Heartbeat:
    custody = head.record.custody
    assert custody.host is not None
    claim = Claim(agent=head.record.agent_id, term=custody.term, binding=custody.binding)
    return Heartbeat(host=custody.host, sequence=1, claims=(claim,))


def bind_proposal(v: Village, house: House, head: Certified, host: int) -> Propose:
    pair = house.hosts[host]
    record = bound(head, pair.public)
    proposal = v.proposal(TransitionKind.BIND, head, record, pair)
    return Propose(
        slot=slot_for(head, proposal.transition, house.manifest), round=0, proposal=proposal
    )


# Order


def test_section_6_no_lease_is_renewed_while_a_vote_for_its_successor_is_being_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the old host could act on that lease when the bind, with this vote, is committed."""

    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        anchor, store = house.anchors[0], house.stores[0]
        later_ms = clock.boot_ms() + 10_000
        monkeypatch.setattr(clock, "boot_ms", lambda: later_ms)  # the lease has run out
        assert isinstance(store, GatedStore)
        store.gate.clear()
        store.waiting.clear()
        rival = house.hosts[1].public
        voting = asyncio.create_task(anchor.decide(bind_proposal(v, house, head, 1), rival))
        await store.waiting.wait()
        client = v.client(house, house.hosts[0])
        reply = await client.call(0, heartbeat(head))
        assert isinstance(reply, HeartbeatReply)
        assert (head.record.agent_id,) == reply.declined
        store.gate.set()
        assert isinstance(await voting, Voted)

    run(test, stores=GatedStore, lease_ms=1_000)


def test_where_an_agent_went_is_noted_in_its_turn() -> None:
    """A ruling under way is neither lost nor overwritten by it."""

    async def main() -> None:
        async with village("a", "b", n=1) as v:
            a, b = v.houses.values()
            gone, visa, ask = await v.depart(a, b, await v.launch(a))
            done = await v.arrive(b, gone, visa, ask)
            anchor, agent = a.anchors[0], gone.record.agent_id
            async with anchor._turns.of(agent):
                noting = asyncio.create_task(anchor.note_onward(agent, done))
                for _ in range(10):
                    await asyncio.sleep(0)
                assert anchor.shelf.dossier(agent).onward is None
            await noting
            assert done == anchor.shelf.dossier(agent).onward

    asyncio.run(main())


def test_nothing_is_kept_of_agents_that_nobody_rules_on_any_more() -> None:
    async def test(v: Village, house: House) -> None:
        anchor = house.anchors[0]
        for number in range(100):
            await anchor.decide(AskHead(agent=digest(b"%d" % number)), b"")
        with pytest.raises(SojournError, match="missing-children"):
            await anchor.decide(_with_orphan(v, house), b"")
        assert 0 == len(anchor._turns)

    run(test)


def _with_orphan(v: Village, house: House) -> Propose:
    proposal = v.genesis(house)
    orphan = encode_block([link_to(digest(b"nowhere"))])
    slot = slot_for(None, proposal.transition, house.manifest)
    return Propose(slot=slot, round=0, proposal=proposal, blocks=(orphan,))


def test_an_anchor_that_stops_has_written_what_it_began() -> None:
    async def test(v: Village, house: House) -> None:
        store = house.stores[0]
        assert isinstance(store, GatedStore)
        anchor = house.anchors[0]
        store.gate.clear()
        block = encode_block(["late"])
        writing = asyncio.create_task(anchor.write(anchor.shelf.block_changes([block])))
        await store.waiting.wait()
        stopping = asyncio.create_task(anchor.stop())
        await asyncio.sleep(0)
        writing.cancel()
        store.gate.set()
        await stopping
        assert store.get_block(digest(block)) is not None

    run(test, stores=GatedStore)


# Stores that fail


def test_section_13_a_store_that_fails_ends_the_process_whoever_noticed() -> None:
    async def test(v: Village, house: House) -> None:
        anchor, store = house.anchors[0], house.stores[0]
        assert isinstance(store, FailingStore)
        store.is_full = True
        anchor.begin(anchor.write, anchor.shelf.block_changes([encode_block(["x"])]))
        failure = await asyncio.wait_for(anchor.failed, 5)
        assert "the disk is full" == failure.problem

    run(test, stores=FailingStore)


def test_section_13_a_ruling_that_could_not_read_is_no_answer() -> None:
    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        anchor, store = house.anchors[0], house.stores[0]
        anchor.shelf.dossier(head.record.agent_id)
        store._fail(StoreFailed("the disk is gone"))
        step = v.step_proposal(house, head)
        slot = slot_for(head, step.transition, house.manifest)
        with pytest.raises(SojournError, match="the disk is gone"):
            await v.client(house).call(0, Propose(slot=slot, round=0, proposal=step))
        assert anchor.failed.done()

    run(test)


def test_a_damaged_block_ends_nothing_and_is_mended_by_whoever_puts_it() -> None:
    async def test(v: Village, house: House) -> None:
        client, block = v.client(house), encode_block(["a block"])
        ask = AskBlocks(digests=(digest(block),))
        await client.put(0, [block])
        store = house.stores[0]
        assert isinstance(store, DamagedStore)
        store.damage(digest(block))
        assert Blocks(blocks=()) == await client.call(0, ask)
        assert not house.anchors[0].failed.done()
        assert Applied() == await client.call(0, PutBlocks(blocks=(block,)))
        assert Blocks(blocks=(block,)) == await client.call(0, ask)

    run(test, stores=DamagedStore)


def test_a_defect_in_the_background_is_logged_and_ends_nothing() -> None:
    async def test(v: Village, house: House) -> None:
        async def planted() -> None:
            raise RuntimeError("planted")

        anchor = house.anchors[0]
        anchor.begin(planted)
        await asyncio.sleep(0.01)
        assert not anchor.failed.done()
        assert isinstance(await v.client(house).call(0, AskHead(agent=digest(b"x"))), Head)

    run(test)


# Watermarks


def test_trap_7_a_vote_that_this_store_does_not_know_of_retires_the_anchor() -> None:
    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        anchor = house.anchors[0]
        vote = anchor.seen.of(0)
        assert vote is not None
        anchor.check_watermark(Watermark(vote=vote))
        assert not anchor.failed.done()
        anchor._scribe._counter = vote.ballot.counter - 1
        anchor.check_watermark(Watermark(vote=vote))
        assert "was seen" in anchor.failed.result().problem
        assert head.record.eligibility.status is Status.ACTIVE

    run(test)


def test_trap_7_a_vote_that_the_anchor_never_cast_retires_nobody() -> None:
    async def test(v: Village, house: House) -> None:
        await v.launch(house)
        anchor = house.anchors[0]
        vote = anchor.seen.of(0)
        assert vote is not None
        later = msgspec.structs.replace(vote.ballot, counter=10_000)
        forged = msgspec.structs.replace(vote, ballot=later)
        with pytest.raises(SojournError, match="bad-signature"):
            anchor.check_watermark(Watermark(vote=forged))
        assert not anchor.failed.done()

    run(test)


def test_watermarks_are_found_again_in_the_store() -> None:
    async def test(v: Village, house: House) -> None:
        await v.launch(house)
        votes = [house.anchors[1].seen.of(index) for index in range(4)]
        await v.close(house, 1)
        await v.open(house, [1])
        again = [house.anchors[1].seen.of(index) for index in range(4)]
        assert [v.ballot.counter for v in votes if v] == [v.ballot.counter for v in again if v]

    run(test, n=4)


# Answers that are errors


def test_what_is_wrong_with_a_request_is_in_the_answer() -> None:
    async def test(v: Village, house: House) -> None:
        client = v.client(house)
        reply = await client.call(0, Heartbeat(host=digest(b"another"), sequence=1, claims=()))
        assert isinstance(reply, Declined)
        assert "wrong-key" == reply.reason

    run(test)


def test_a_reply_is_decoded_as_what_it_is() -> None:
    async def test(v: Village, house: House) -> None:
        class Caller:
            peer = type("Peer", (), {"public_key": digest(b"caller")})()

        anchor: Anchor = house.anchors[0]
        caller: Any = Caller()
        body = await anchor.serve(caller, encode(AskHead(agent=digest(b"x"))))
        assert isinstance(decode_reply(body), Head)

    run(test)
