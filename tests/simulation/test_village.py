"""Zones of real anchors in one process: the good path, lost anchors, refusals and returns."""

import asyncio
import itertools

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol.custody import check_chain, check_head
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.core.protocol.messages import AskHead, Head
from sojourn.runtime.clients.zone_client import Stalled
from tests.village import village


@pytest.mark.parametrize("n", [1, 4, 7])
def test_an_agent_is_launched_bound_and_steps(n: int) -> None:
    async def run() -> None:
        async with village("a", n=n) as v:
            a = v.houses["a"]
            head = await v.launch(a)
            for _ in range(3):
                head = await v.step(a, head)
            assert head.record.version == 4
            assert head.record.lineage.count == 4

    asyncio.run(run())


def test_an_agent_crosses_three_zones_and_its_chain_proves_itself() -> None:
    async def run() -> None:
        async with village("a", "b", "c") as v:
            a, b, c = v.houses.values()
            head = await v.launch(a)
            for source, target in itertools.pairwise([a, b, c, a, b]):
                head = await v.move(source, target, head)
                head = await v.step(target, head)
            past = await v.client(b).ask_any(AskPast(agent=head.record.agent_id), Past)
            manifests = {house.zone: house.manifest for house in v.houses.values()}
            check_chain(head.record.agent_id, past.chapters, manifests)
            check_head(past.chapters[-1], head, manifests)
            assert head.record.custody.term == 4
            assert len(past.chapters) == 5

    asyncio.run(run())


def test_a_zone_decides_with_one_anchor_dead_and_stalls_with_two() -> None:
    async def run() -> None:
        async with village("a", "b") as v:
            a, b = v.houses.values()
            head = await v.launch(a)
            await v.close(a, 3)
            await v.close(b, 0)
            head = await v.move(a, b, head)
            await v.close(b, 1)
            stuck = v.step_proposal(b, head)
            with pytest.raises(Stalled, match="anchor 0 does not answer; anchor 1 does not answer"):
                await v.decide(b, stuck, head)
            await v.open(b, [1])
            v.introduce()
            while len(await v.renew(b, head)) < 3:
                await asyncio.sleep(0.02)  # the client backs off before it connects anew
            head = await v.decide(b, stuck, head)
            assert head.record.eligibility.status is Status.ACTIVE

    asyncio.run(run())


def test_a_departure_that_nobody_admits_is_refused_and_returns_by_itself() -> None:
    async def run() -> None:
        async with village("a", "b") as v:
            a, b = v.houses.values()
            head = await v.launch(a)
            gone, _visa, _ask = await v.depart(a, b, head, deadline_ms=300)
            while True:  # the anchors of a press, those of b refuse, those of a return it
                reply = await v.client(a).ask_any(AskHead(agent=gone.record.agent_id), Head)
                if reply.certified and reply.certified.transition.kind is TransitionKind.RETURN:
                    break
                await asyncio.sleep(0.05)
            back = reply.certified.record
            assert back.custody.term == 2
            assert back.custody.zone == a.zone

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_departure_is_admitted_once_and_only_where_it_names() -> None:
    async def run() -> None:
        async with village("a", "b", "c") as v:
            a, b, c = v.houses.values()
            head = await v.launch(a)
            gone, visa, ask = await v.depart(a, b, head)
            with pytest.raises(SojournError, match="could not decide"):
                await v.admit(c, gone, visa, ask)
            done = await v.arrive(b, gone, visa, ask)
            done = await v.move(b, c, done)
            with pytest.raises(SojournError):  # the old departure is dead at b: trap 21
                await v.admit(b, gone, visa, ask)
            assert done.record.custody.zone == c.zone

    asyncio.run(run())


def test_a_source_learns_of_an_admission_that_later_steps_have_outrun() -> None:
    async def run() -> None:
        async with village("a", "b") as v:
            a, b = v.houses.values()
            gone, visa, ask = await v.depart(a, b, await v.launch(a))
            head = await v.arrive(b, gone, visa, ask)
            for _ in range(3):
                head = await v.step(b, head)
            agent = AskHead(agent=head.record.agent_id)
            while (await v.client(a).ask_any(agent, Head)).onward is None:
                await asyncio.sleep(0.05)
            onward = (await v.client(a).ask_any(agent, Head)).onward
            assert onward is not None
            assert onward.transition.kind is TransitionKind.ADMIT

    asyncio.run(asyncio.wait_for(run(), 20))


def test_an_anchor_that_missed_decisions_is_shown_them_when_its_vote_is_needed() -> None:
    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            head = await v.launch(a)
            await v.close(a, 3)
            for _ in range(3):
                head = await v.step(a, head)
            await v.open(a, [3])
            v.introduce()
            await v.close(a, 0)
            while len(await v.renew(a, head)) < 3:
                await asyncio.sleep(0.02)  # the client backs off before it connects anew
            head = await v.step(a, head)
            assert head.certificate.signers() == (1, 2, 3)

    asyncio.run(asyncio.wait_for(run(), 20))
