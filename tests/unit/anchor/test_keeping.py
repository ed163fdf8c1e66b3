"""Shares of keys at anchors: what is kept and given, and when and how it goes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor import keeping
from sojourn.anchor.gossiping import Gossip
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import SojournError
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.sharing import commit, deal, is_share, scalar
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import News, Tell
from sojourn.core.protocol.keeping import (
    AskErased,
    AskShare,
    ErasureCertificate,
    KeepShare,
    KeyShare,
    SignedErasure,
)
from sojourn.core.protocol.messages import Applied, Declined
from sojourn.core.protocol.ordering import carrying
from sojourn.runtime.processes import clock
from tests.dealt import KEY, SHARES, erasure
from tests.unit.anchor.standing_in import until
from tests.village import ISSUER, House, Village, key, village

MEMORY = Memory(compartments={"people": Compartment(form=Form.LOG, root=bytes(32), encryption=KEY)})
LAUNCHER = key("launcher")


@pytest.fixture(autouse=True)
def _no_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no anchor gossip but at once: what is told here is what a test has caused."""

    async def idle(_: Gossip) -> None:
        return None

    monkeypatch.setattr(Gossip, "run", idle)


def run(test: Callable[[Village], Awaitable[None]], *names: str) -> None:
    async def main() -> None:
        async with village(*(names or ("a",))) as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 60))


async def keep(v: Village, house: House, agent: bytes, indices: Iterable[int] = range(4)) -> None:
    for i in indices:
        ask = KeepShare(agent=agent, commitments=KEY.commitments, share=SHARES[i])
        assert Applied() == await v.client(house, LAUNCHER).call(i, ask)


async def launched(v: Village, house: House, indices: Iterable[int] = range(4)) -> Certified:
    genesis = v.genesis(house, memory=MEMORY)
    await keep(v, house, genesis.transition.record.agent_id, indices)
    return await v.bind(house, await v.decide(house, genesis))


async def asked(v: Village, house: House, head: Certified, by: KeyPair, index: int = 0) -> Any:
    ask = AskShare(agent=head.record.agent_id, key=KEY.key)
    return await v.client(house, by).call(index, ask)


def ordered(head: Certified, by: KeyPair = ISSUER) -> SignedOrder:
    return erasure(head, clock.wall_ms(), by)


async def erased(v: Village, house: House, head: Certified) -> tuple[Certified, SignedOrder]:
    signed = ordered(head)
    proposal = carrying(signed, head, key("bearer"), at_ms=clock.wall_ms())
    return await v.decide(house, proposal, head), signed


async def are_gone(house: House, indices: Iterable[int] = range(4)) -> None:
    await until(lambda: all(not house.shares[i].shares for i in indices))


def test_each_anchor_keeps_its_share_and_gives_it_to_the_bound_host() -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        for index in range(4):
            share = await asked(v, house, head, house.hosts[0], index)
            assert isinstance(share, KeyShare)
            assert is_share(share.share, index + 1, KEY.commitments)
        for other in (house.hosts[1], LAUNCHER, ISSUER):
            answer = await asked(v, house, head, other)
            assert isinstance(answer, Declined)
            assert "not the bound host" in answer.problem

    run(test)


def test_a_wrong_share_and_one_of_an_agent_that_exists_are_not_kept() -> None:
    async def test(v: Village) -> None:
        house, client = v.houses["a"], v.client(v.houses["a"], LAUNCHER)
        wrong = KeepShare(agent=digest(b"x"), commitments=KEY.commitments, share=SHARES[1])
        answer = await client.call(0, wrong)
        assert isinstance(answer, Declined)
        assert "bad-share" == answer.reason
        assert not house.shares[0].shares
        head = await launched(v, house, range(3))
        late = KeepShare(agent=head.record.agent_id, commitments=KEY.commitments, share=SHARES[3])
        answer = await client.call(3, late)
        assert isinstance(answer, Declined)
        assert answer.for_now
        assert not house.shares[3].shares

    run(test)


def test_a_quorum_with_shares_is_enough_for_a_birth_and_fewer_are_not() -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        genesis = v.genesis(house, memory=MEMORY)
        await keep(v, house, genesis.transition.record.agent_id, (0, 2))
        with pytest.raises(Exception, match="no share of the key"):
            await v.decide(house, genesis, timeout_s=1)
        await keep(v, house, genesis.transition.record.agent_id, (3,))
        head = await v.bind(house, await v.decide(house, genesis))
        answer = await asked(v, house, head, house.hosts[0], 1)
        assert isinstance(answer, Declined)
        assert "given no share" in answer.problem

    run(test)


def test_a_damaged_share_is_not_given() -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        house.shares[0].shares[KEY.key] = SHARES[1]
        answer = await asked(v, house, head, house.hosts[0])
        assert isinstance(answer, Declined)
        assert "damaged" in answer.problem

    run(test)


def test_who_applies_an_erasure_destroys_its_share_and_states_it() -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        early = await v.client(house, LAUNCHER).call(0, AskErased(order=ordered(head)))
        assert isinstance(early, Declined)
        assert all(house.shares[i].shares for i in range(4))
        after, signed = await erased(v, house, head)
        await are_gone(house)
        statements = await v.client(house, LAUNCHER).ask_all(AskErased(order=signed), SignedErasure)
        certificate = ErasureCertificate(
            order=signed,
            manifest=house.signed,
            statements=tuple(statements[i] for i in sorted(statements)),
        )
        certificate.check()
        assert certificate.is_complete
        answer = await asked(v, house, after, house.hosts[0])
        assert isinstance(answer, Declined)
        assert "erased by order" in answer.problem

    run(test)


def test_an_anchor_that_was_down_destroys_its_share_at_its_next_start() -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        await erased(v, house, head)
        await are_gone(house)
        house.shares[1].shares[KEY.key] = SHARES[1]  # as if it had crashed before it did
        await v.close(house, 1)
        await v.open(house, [1])
        await are_gone(house)

    run(test)


def test_where_the_agent_was_an_order_is_enough_and_a_strangers_is_not() -> None:
    async def test(v: Village) -> None:
        here, there = v.houses["a"], v.houses["b"]
        head = await launched(v, here)
        await v.move(here, there, head)
        client = v.client(here, LAUNCHER)
        await client.call(0, Tell(news=News(orders=(ordered(head, key("eve")),))))
        answer = await client.call(0, AskErased(order=ordered(head, key("eve"))))
        assert isinstance(answer, Declined)
        assert here.shares[0].shares
        await client.call(0, Tell(news=News(orders=(ordered(head),))))
        await are_gone(here)  # told on to all anchors of the zone

    run(test, "a", "b")


def test_shares_that_nobody_was_born_for_are_destroyed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        await keep(v, house, digest(b"never launched"), (0,))
        anchor = house.anchors[0]
        await anchor.keeping.forget_loose()
        assert house.shares[0].shares
        monkeypatch.setattr(keeping, "LOOSE_KEPT_MS", -1)
        await anchor.keeping.forget_loose()
        assert not house.shares[0].shares

    run(test)


def test_shares_of_a_known_agent_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        await launched(v, house)
        await v.close(house, 0)
        await v.open(house, [0])
        monkeypatch.setattr(keeping, "LOOSE_KEPT_MS", -1)
        for anchor in house.anchors.values():
            await anchor.keeping.forget_loose()
        assert all(house.shares[i].shares for i in range(4))

    run(test)


def test_strangers_fill_their_room_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        await keep(v, house, digest(b"one"), (0,))
        other = [scalar(bytes([i]) * 64) for i in (7, 8)]
        ask = KeepShare(agent=digest(b"two"), commitments=commit(other), share=deal(other, 4)[0])
        answer = await v.client(house, LAUNCHER).call(0, ask)
        assert isinstance(answer, Declined)
        assert "no room" in answer.problem
        assert answer.for_now

    monkeypatch.setattr(keeping, "LOOSE_SHARES_MAX", 1)
    run(test)


def test_a_key_is_for_the_agent_that_it_was_dealt_for_after_a_start_too() -> None:
    """To name a key, which stands in a record, gives nobody a share of it, and nobody a say over it."""

    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        thief = v.genesis(house, memory=MEMORY, parent=digest(b"thief"))
        stolen = thief.transition.record.agent_id
        ask = KeepShare(agent=stolen, commitments=KEY.commitments, share=SHARES[0])
        answer = await v.client(house, LAUNCHER).call(0, ask)
        assert isinstance(answer, Declined)
        assert "dealt for another agent" in answer.problem
        for index in range(4):
            await v.close(house, index)
        await v.open(house)

        async def is_refused() -> bool:  # once they answer again
            with pytest.raises(SojournError) as raised:
                await v.decide(house, thief, timeout_s=1)
            return "was dealt for another agent" in str(raised.value)

        await until(is_refused)
        held = house.anchors[0].keeping
        assert KEY.key in held
        assert held.is_for(KEY.key, head.record.agent_id)
        assert not held.is_for(KEY.key, stolen)
        gone = Compartment(form=Form.LOG, root=bytes(32), encryption=replace(KEY, is_erased=True))
        said = replace(head.record, memory=Memory(compartments={"people": gone}))
        assert {KEY.key} == held._destroyed_in(said)
        assert not held._destroyed_in(replace(said, agent=stolen))

    run(test)


def test_one_whose_agent_nobody_wrote_down_is_for_who_was_born_with_it() -> None:
    """So are those that an anchor kept before it wrote down for whom."""

    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        house.shares[0]._agents.clear()
        share = await asked(v, house, head, house.hosts[0])
        assert KeyShare(share=SHARES[0]) == share

    run(test)
