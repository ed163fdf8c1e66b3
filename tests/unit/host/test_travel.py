"""Departures and admissions: whatever one anchor of either zone does, the agent moves, or stays and knows why."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Refused
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import exchange
from sojourn.core.protocol.exchange import WorkItem
from sojourn.core.protocol.messages import AskVisa, Declined, Need, Propose, Voted
from sojourn.core.quorum.votes import Vote
from sojourn.host.custody import AgentCustody
from sojourn.host.travel import admit
from sojourn.runtime import clock
from tests.unit.anchor.standing_in import hang, stand_in, until
from tests.unit.host.hosting import hosted, taken_up
from tests.village import Village, key, seal, village


class Scene:
    """Two zones of four, and custody of an agent in the first."""

    def __init__(self, v: Village, custody: AgentCustody) -> None:
        self.v, self.custody = v, custody
        self.a, self.b = v.houses["a"], v.houses["b"]

    async def depart(self) -> None:
        """Move the agent to b."""
        await self.custody.depart(self.b.zone)

    async def arrived(self) -> list[WorkItem]:
        """Return the arrival as the anchors of b offer it."""
        items: list[WorkItem] = []

        async def look() -> bool:
            items.clear()
            for host in self.b.hosts:
                client = self.v.client(self.b, host)
                replies = await client.ask_all(exchange.AskWork(host=host.public), exchange.Work)
                items.extend(i for reply in replies.values() for i in reply.items if i.arrive)
            return len(items) >= 3

        await until(look)
        return items


def run(test: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a", "b") as v:
            a = v.houses["a"]
            head = await v.launch(a)
            async with hosted(v, a) as host:
                lacking = a.anchors[0].places.lacking_in(host.places.summary())
                host.places.learn(lacking, clock.wall_ms())
                custody, _ = await taken_up(host, head)
                await test(Scene(v, custody))

    asyncio.run(asyncio.wait_for(main(), 30))


def test_an_agent_departs_and_is_admitted_by_the_host_that_its_visa_names() -> None:
    async def test(s: Scene) -> None:
        await s.depart()
        item = (await s.arrived())[0]
        assert item.arrive is not None
        named = [pair.public for pair in s.b.hosts].index(item.arrive.visa.terms.host)
        async with hosted(s.v, s.b, named) as host:
            done = await admit(host, item)
        assert done is not None
        custody = done.record.custody
        assert (s.b.zone, 1, 0) == (custody.zone, custody.term, custody.binding)
        assert s.b.hosts[named].public == custody.host

    run(test)


async def _another_value(honest: Voted) -> Voted:
    ballot = replace(honest.vote.ballot, value=b"x" * 32)
    return Voted(vote=replace(honest.vote, ballot=ballot))


async def _another_round(honest: Voted) -> Voted:
    """A vote that this anchor has signed, for nothing that was asked."""
    ballot = replace(honest.vote.ballot, round=1)
    sealed = seal(key("b/vote/0"), Kind.VOTE, Role.ANCHOR, digest_of(ballot))
    return Voted(vote=Vote(ballot=ballot, seal=sealed))


async def _wants_what_is_nowhere(_honest: Any) -> Need:
    return Need(what="blocks", digests=(b"x" * 32,))


async def _says_never(_honest: Any) -> Declined:
    return Declined(reason="denied", problem="never", for_now=False)


async def _nonsense(_honest: Any) -> exchange.Missing:
    return exchange.Missing(digests=())


@pytest.mark.parametrize(
    "lie", [_another_value, _another_round, _wants_what_is_nowhere, _says_never, _nonsense]
)
def test_one_anchor_of_the_target_that_lies_about_a_visa_keeps_nobody(
    lie: Callable[[Any], Awaitable[Any]],
) -> None:
    async def test(s: Scene) -> None:
        async def answer(request: Any, honest: Any) -> Any:
            return await lie(honest) if isinstance(request, AskVisa) else honest

        await stand_in(s.v, s.b, 0, answer)
        await s.depart()
        assert TransitionKind.DEPART is s.custody.head.transition.kind

    run(test)


@pytest.mark.parametrize("zone", ["a", "b"])
def test_one_anchor_that_hangs_costs_a_departure_no_time(zone: str) -> None:
    async def test(s: Scene) -> None:
        gate = await hang(s.v, s.v.houses[zone], 0)
        began = time.monotonic()
        await s.depart()
        assert time.monotonic() - began < 3
        gate.set()

    run(test)


def test_a_longer_chain_of_custody_is_not_a_better_one() -> None:
    async def test(s: Scene) -> None:
        async def longer(request: Any, honest: Any) -> Any:
            if isinstance(honest, exchange.Past):
                return replace(honest, chapters=honest.chapters * 3)
            return honest

        await stand_in(s.v, s.a, 0, longer)
        await s.depart()

    run(test)


def test_an_agent_that_gets_no_visa_stays_and_is_told_why() -> None:
    async def test(s: Scene) -> None:
        async def full(request: Any, honest: Any) -> Any:
            no = Declined(reason="refused", problem="that host has no free slot", for_now=True)
            return no if isinstance(request, AskVisa) else honest

        for index in (0, 1):
            await stand_in(s.v, s.b, index, full)
        with pytest.raises(Refused, match=r"b gives no visa.*no free slot"):
            await s.depart()
        assert TransitionKind.BIND is s.custody.head.transition.kind

    run(test)


def test_a_denial_by_more_than_f_is_a_denial() -> None:
    async def test(s: Scene) -> None:
        async def deny(request: Any, honest: Any) -> Any:
            return await _says_never(honest) if isinstance(request, AskVisa) else honest

        for index in (0, 1):
            await stand_in(s.v, s.b, index, deny)
        with pytest.raises(Denied, match="never"):
            await s.depart()

    run(test)


def test_a_departure_that_its_own_zone_rejects_leaves_the_agent_where_it_is() -> None:
    """It is refused; were it rejected, the agent would have failed for it."""

    async def test(s: Scene) -> None:
        async def reject(request: Any, honest: Any) -> Any:
            no = Declined(reason="bad-change", problem="no", for_now=False)
            return no if isinstance(request, Propose) else honest

        for index in (0, 1):
            await stand_in(s.v, s.a, index, reject)
        with pytest.raises(Refused, match="the departure was rejected"):
            await s.depart()

    run(test)


def test_an_arrival_that_is_closed_is_given_up() -> None:
    async def test(s: Scene) -> None:
        await s.depart()
        items = await s.arrived()
        arrive = items[0].arrive
        assert arrive is not None
        gone, visa = arrive.departure, arrive.visa
        application = items[0].application
        assert application is not None
        done = await s.v.admit(s.b, gone, visa, application)
        assert done.record.custody.zone == s.b.zone
        async with hosted(s.v, s.b, 1) as other:
            late = WorkItem(arrive=arrive, application=application)
            assert await admit(other, late) is None

    run(test)


def test_an_arrival_that_one_anchor_made_up_holds_up_nothing() -> None:
    """Not even one that would have all the time in the world."""

    async def test(s: Scene) -> None:
        await s.depart()
        item = (await s.arrived())[0]
        assert item.arrive is not None
        visa = item.arrive.visa
        endless = replace(visa, terms=replace(visa.terms, deadline_ms=2**50))
        false = replace(item, arrive=replace(item.arrive, visa=endless))
        async with hosted(s.v, s.b, 1) as host, asyncio.timeout(1):
            assert await admit(host, false) is None
            assert await admit(host, replace(item, application=None)) is None

    run(test)
