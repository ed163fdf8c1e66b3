"""Delegates in zones that run: what they sign reaches agents by gossip while they may, and nobody later (§8.14)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sojourn.core.agent.delegation import Mandate
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import News, Tell
from sojourn.core.protocol.messages import Applied, Declined
from sojourn.runtime.processes import clock
from tests.samples import PERMIT_ALL
from tests.unit.anchor.standing_in import until
from tests.unit.core.agent.delegations import (
    DESK,
    HOUR_MS,
    REGION,
    delegated,
    desks,
    ordered_under,
    regions,
    succeeding_under,
)
from tests.village import House, Village, key, village


def run(test: Callable[[Village], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a", "b", "c", n=1) as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 60))


def mandate(left_ms: int) -> Mandate:
    """Return the desk's mandate, which holds for so long from now on."""
    begun_ms = clock.wall_ms() - HOUR_MS
    whole = regions(not_before_ms=begun_ms, until_ms=clock.wall_ms() + HOUR_MS)
    part = desks(whole, not_before_ms=begun_ms, until_ms=clock.wall_ms() + left_ms)
    return Mandate(delegations=(delegated(whole), delegated(part, *REGION[:2])))


def order(head: Certified, given: Mandate) -> SignedOrder:
    now_ms = clock.wall_ms()
    agent = head.record.agent_id
    plain = Order(agent=agent, act=Act.SUSPEND, issued_ms=now_ms, expires_ms=now_ms + HOUR_MS)
    return ordered_under(given, plain, *DESK)


async def tell(v: Village, house: House, **news: Any) -> Any:
    return await v.client(house, key("a command")).call(0, Tell(news=News(**news)))


def record(house: House, head: Certified) -> Any:
    known = house.anchors[0].shelf.dossier(head.record.agent_id).head
    assert known is not None
    return known.record


def test_section_8_14_what_a_delegate_signs_reaches_agents_wherever_they_are() -> None:
    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        here, there = await v.launch(a), await v.launch(b)
        given = mandate(HOUR_MS)
        signed = succeeding_under(given, *DESK, cedar=PERMIT_ALL + " // the desk's")
        assert Applied() == await tell(v, c, documents=(signed,))
        named = (digest_of(signed.document),)
        for house, head in ((a, here), (b, there)):
            await until(lambda h=house, g=head: record(h, g).governance.documents == named)
        assert Applied() == await tell(v, c, orders=(order(here, given),))
        await until(lambda: record(a, here).eligibility.is_suspended)
        assert not record(b, there).eligibility.is_suspended

    run(test)


def test_section_8_14_what_is_signed_under_a_delegation_that_is_over_is_taken_nowhere() -> None:
    async def test(v: Village) -> None:
        a, *_ = v.houses.values()
        head = await v.launch(a)
        over = mandate(-1)
        signed = succeeding_under(over, *DESK, cedar=PERMIT_ALL + " // too late")
        for house in v.houses.values():
            reply = await tell(v, house, documents=(signed,))
            assert isinstance(reply, Declined)
            assert "the delegation to desk holds no more" in reply.problem
            reply = await tell(v, house, orders=(order(head, over),))
            assert isinstance(reply, Declined)
            assert "the delegation to desk holds no more" in reply.problem
        assert not record(a, head).eligibility.is_suspended
        assert 1 == record(a, head).governance.version

    run(test)
