"""Who is bound: what a quorum knows counts, what one anchor makes up does not, and one host wins."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Offer, Requirements
from sojourn.core.protocol.gossip import News
from sojourn.core.protocol.messages import Head
from sojourn.host.binding import head_to_run, newest_head, rank
from sojourn.host.server import Host
from sojourn.runtime.processes import clock
from tests.samples import envelope, found, genesis
from tests.unit.anchor.standing_in import hang, stand_in
from tests.unit.host.hosting import hosted
from tests.village import House, Village, village


def run(test: Callable[[Village, House, Host, Host], Awaitable[None]]) -> None:
    """Run a test with the two hosts of a zone of four, which know of each other."""

    async def main() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            async with hosted(v, house, 0) as first, hosted(v, house, 1) as second:
                for host in (first, second):
                    lacking = house.anchors[0].places.lacking_in(host.places.summary())
                    host.places.learn(lacking, clock.wall_ms())
                await test(v, house, first, second)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_the_newest_head_is_what_a_quorum_knows_whatever_one_of_them_says() -> None:
    async def test(v: Village, house: House, first: Host, second: Host) -> None:
        head = await v.launch(house)
        agent = head.record.agent_id
        record = replace(head.record, version=1_000)
        forged = replace(head, transition=replace(head.transition, record=record))

        async def lie(_request: Any, honest: Any) -> Any:
            return Head(certified=forged) if isinstance(honest, Head) else honest

        await stand_in(v, house, 0, lie)
        assert head == await newest_head(first, agent)
        assert await newest_head(first, b"x" * 32) is None

    run(test)


def test_one_that_hangs_holds_up_no_failover() -> None:
    async def test(v: Village, house: House, first: Host, second: Host) -> None:
        born = await v.decide(house, v.genesis(house))
        gate = await hang(v, house, 2)
        async with asyncio.timeout(1.5):
            head = await head_to_run(first, born.record.agent_id)
        assert head is not None
        assert first.key.public == head.record.custody.host
        gate.set()

    run(test)


def test_section_6_of_two_hosts_one_is_bound_and_the_other_leaves_it() -> None:
    async def test(v: Village, house: House, first: Host, second: Host) -> None:
        for number in range(4):
            born = await v.decide(
                house, v.genesis(house, f"permit(principal,action,resource);//{number}")
            )
            agent = born.record.agent_id
            assert {0, 1} == {rank(host, born.record) for host in (first, second)}
            heads = await asyncio.gather(head_to_run(first, agent), head_to_run(second, agent))
            assert 1 == sum(head is not None for head in heads)
            winner = first if heads[0] else second
            assert 0 == rank(winner, born.record)

    run(test)


NEEDY = replace(genesis(found("a")).transition.record.capabilities, requires=Requirements(gpus=1))


@pytest.mark.parametrize(
    "offer", [Offer(slots=10), Offer(slots=0, gpus=1)], ids=["lacks what it needs", "has no slot"]
)
def test_6_6_a_host_that_cannot_run_an_agent_does_not_bind_it(offer: Offer) -> None:
    async def main() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            born = await v.decide(house, v.genesis(house, capabilities=NEEDY))
            async with hosted(v, house, offer=offer) as host:
                assert await head_to_run(host, born.record.agent_id) is None
                assert born == await newest_head(host, born.record.agent_id)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_6_6_nobody_waits_for_one_that_by_its_envelope_cannot_run_the_agent() -> None:
    async def test(v: Village, house: House, first: Host, second: Host) -> None:
        record = v.genesis(house, capabilities=NEEDY).transition.record
        hosts, now_ms = (first, second), clock.wall_ms()
        assert [0, 0] == [rank(host, record) for host in hosts]  # there is nobody to wait for
        able, unable = Offer(gpus=1, slots=1), Offer(gpus=0, slots=1)
        for turn, offers in enumerate(((able, unable), (unable, able)), start=1):
            stated = tuple(
                envelope(house.sample, pair, now_ms + turn, offer=offer)
                for pair, offer in zip(house.hosts, offers, strict=True)
            )
            for host in hosts:
                host.places.learn(News(envelopes=stated), now_ms)
            assert [offers.index(able) == i for i in (0, 1)] == [
                rank(host, record) == 0 for host in hosts
            ]

    run(test)


def test_an_agent_that_left_is_nobodys_here() -> None:
    async def main() -> None:
        async with village("a", "b", n=1) as v:
            a, b = v.houses.values()
            done = await v.move(a, b, await v.launch(a))
            async with hosted(v, a, 1) as host:
                assert await head_to_run(host, done.record.agent_id) is None

    asyncio.run(main())
