"""Leases as a host holds them: one heartbeat for all, given up where they are not granted, over in time."""

import asyncio
from typing import Any

import pytest

from sojourn.core.protocol.binding import Claim, Heartbeat, HeartbeatReply, HostLease
from sojourn.host.leases import Leases
from sojourn.runtime.errors import LeaseLost
from sojourn.runtime.processes import clock
from tests.unit.anchor.standing_in import stand_in, until
from tests.village import House, Village, village


async def beating(v: Village, house: House) -> tuple[Leases, "asyncio.Task[None]"]:
    leases = Leases(house.hosts[0].public, v.client(house))
    return leases, asyncio.create_task(leases.run())


async def over(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_new_claim_is_granted_at_once_and_held_for_as_long_as_it_is_claimed() -> None:
    async def run() -> None:
        async with village("a", lease_ms=400) as v:
            house = v.houses["a"]
            head = await v.launch(house)
            agent, fence = head.record.agent_id, head.record.custody.fence
            leases, beats = await beating(v, house)
            async with asyncio.timeout(0.3):
                await leases.hold(agent, fence)
            for _ in range(20):
                assert leases.is_held(agent, fence)
                assert 0 < leases.left_ms(agent, fence) <= 400
                await asyncio.sleep(0.03)
            leases.release(agent)
            assert not leases.is_held(agent, fence)
            assert 0 == leases.left_ms(agent, fence)
            await over(beats)

    asyncio.run(run())


def test_a_lease_that_the_anchors_do_not_grant_is_given_up() -> None:
    """They may know of a later binding: who waited for ever would never look again."""

    async def run() -> None:
        async with village("a", lease_ms=200) as v:
            house = v.houses["a"]
            head = await v.launch(house)
            agent, (term, binding) = head.record.agent_id, head.record.custody.fence
            leases, beats = await beating(v, house)
            with pytest.raises(LeaseLost, match="do not grant"):
                await asyncio.wait_for(leases.hold(agent, (term, binding - 1)), 2)
            assert {} == leases._claims
            await over(beats)

    asyncio.run(run())


def test_claims_that_are_not_granted_do_not_multiply_heartbeats() -> None:
    beats_heard: list[Heartbeat] = []

    async def note(request: Any, honest: Any) -> Any:
        beats_heard.extend([request] if isinstance(request, Heartbeat) else [])
        return honest

    async def run() -> None:
        async with village("a", lease_ms=1_000) as v:
            house = v.houses["a"]
            heads = [await v.launch(house)]
            await stand_in(v, house, 0, note)
            leases, beats = await beating(v, house)
            holds = [leases.hold(heads[0].record.agent_id, (0, 7 + i)) for i in range(20)]
            await asyncio.wait([asyncio.ensure_future(hold) for hold in holds], timeout=0.9)
            assert len(beats_heard) <= 6
            await over(beats)

    asyncio.run(run())


def test_many_claims_in_a_row_do_not_take_a_heartbeat_each() -> None:
    """Each carries all: a host that has lost a thousand leases at once would do nothing but claim them."""
    beats_heard: list[Heartbeat] = []

    async def note(request: Any, honest: Any) -> Any:
        beats_heard.extend([request] if isinstance(request, Heartbeat) else [])
        return honest

    async def run() -> None:
        async with village("a", lease_ms=4_000) as v:
            house = v.houses["a"]
            head = await v.launch(house)
            await stand_in(v, house, 0, note)
            leases, beats = await beating(v, house)
            strangers = [bytes([i]) * 32 for i in range(200)]
            holds = []
            for agent in strangers:
                holds.append(asyncio.ensure_future(leases.hold(agent, (0, 1))))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            await asyncio.wait_for(leases.hold(head.record.agent_id, head.record.custody.fence), 2)
            await until(lambda: bool(beats_heard) and 200 < len(beats_heard[-1].claims))
            assert len(beats_heard) <= 60
            for hold in holds:
                hold.cancel()
            await asyncio.gather(*holds, return_exceptions=True)
            await over(beats)

    asyncio.run(run())


def test_section_6_a_lease_is_over_before_the_anchors_count_it_as_over() -> None:
    async def run() -> None:
        async with village("a", lease_ms=300) as v:
            house = v.houses["a"]
            head = await v.launch(house)
            agent, fence = head.record.agent_id, head.record.custody.fence
            leases, beats = await beating(v, house)
            await leases.hold(agent, fence)
            await over(beats)  # no heartbeat any more
            await until(lambda: not leases.is_held(agent, fence))
            now_ms = clock.boot_ms()
            still = [a.leases.until_ms(agent, fence) for a in house.anchors.values()]
            assert all(now_ms < until_ms for until_ms in still)

    asyncio.run(run())


def test_what_is_under_way_ends_with_the_heartbeats() -> None:
    gate = asyncio.Event()

    async def wait(request: Any, honest: Any) -> Any:
        await gate.wait()
        return honest

    async def run() -> None:
        async with village("a", lease_ms=60_000) as v:
            house = v.houses["a"]
            head = await v.launch(house)
            await stand_in(v, house, 0, wait)
            leases, beats = await beating(v, house)
            await leases.hold(head.record.agent_id, head.record.custody.fence)
            before = len(asyncio.all_tasks())
            await over(beats)
            assert len(asyncio.all_tasks()) < before
            gate.set()

    asyncio.run(run())


def test_one_anchor_that_grants_nothing_prevents_nothing() -> None:
    async def refuse(request: Any, honest: Any) -> Any:
        if isinstance(request, Heartbeat):
            declined = tuple(claim.agent for claim in request.claims)
            return HeartbeatReply(sequence=request.sequence, declined=declined)
        return honest

    async def run() -> None:
        async with village("a", lease_ms=1_000) as v:
            house = v.houses["a"]
            head = await v.launch(house)
            await stand_in(v, house, 3, refuse)
            leases, beats = await beating(v, house)
            async with asyncio.timeout(1):
                await leases.hold(head.record.agent_id, head.record.custody.fence)
            await over(beats)

    asyncio.run(run())


def test_an_answer_that_comes_late_changes_nothing_of_a_later_claim() -> None:
    agent, lease = b"a" * 32, HostLease(1_000, n=1, quorum=1)

    def claim(sequence: int, *fences: tuple[int, int]) -> None:
        claims = tuple(Claim(agent=agent, term=t, binding=b) for t, b in fences)
        lease.sent(Heartbeat(host=b"h" * 32, sequence=sequence, claims=claims), sequence)

    claim(1, (0, 1))
    claim(2, (0, 2))
    lease.acknowledged(0, HeartbeatReply(sequence=2))
    lease.acknowledged(0, HeartbeatReply(sequence=1))
    assert lease.is_held(agent, (0, 2), 3)
    lease.forget(agent)
    lease.acknowledged(0, HeartbeatReply(sequence=2))  # after its claim was given up
    claim(3)
    assert {} == lease._acknowledged
