"""Watermarks: what peers saw of an anchor's votes outlasts them, and is asked for before the first vote."""

import asyncio
import copy
from typing import Any

import pytest

from sojourn.anchor import gossiping
from sojourn.anchor.watermark import Watermarks
from sojourn.core.protocol.exchange import AskWatermark, Watermark
from sojourn.core.protocol.messages import Declined, Propose, Voted
from sojourn.core.protocol.validate import slot_for
from tests.unit.anchor.standing_in import answers, stand_in, until
from tests.village import House, Village, key, village

STEPS = 20


async def stepped(v: Village, house: House, count: int) -> Any:
    """Launch an agent and let it take steps; return its head."""
    head = await v.launch(house)
    for _ in range(count):
        head = await v.step(house, head)
    return head


def test_what_was_seen_is_found_again_in_the_store_but_for_the_last_few_votes() -> None:
    async def run() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            await stepped(v, house, STEPS)
            for index in range(4):
                anchor = house.anchors[index]
                kept = Watermarks(house.manifest.committee, house.stores[index])
                seen = [(anchor.seen.of(peer), kept.of(peer)) for peer in range(4)]
                lags = [a.ballot.counter - b.ballot.counter for a, b in seen if a and b]
                assert 3 <= len(lags)  # one may have been too late for every certificate
                assert max(lags) <= 16

    asyncio.run(run())


def test_trap_7_an_older_copy_is_noticed_when_all_anchors_start_at_once() -> None:
    async def run() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            head = await v.launch(house)
            older = copy.deepcopy(house.stores[2])
            for _ in range(STEPS):
                head = await v.step(house, head)
            await v.close(house, 2)
            for _ in range(3):  # so that no head shows a vote of anchor 2
                head = await v.step(house, head)
            for index in (0, 1, 3):
                await v.close(house, index)
            house.stores[2] = older
            await v.open(house)
            await until(house.anchors[2].failed.done)
            assert [False] * 3 == [house.anchors[i].failed.done() for i in (0, 1, 3)]

    asyncio.run(run())


def test_trap_7_no_vote_is_cast_before_peers_have_said_what_they_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gossiping, "_ASKING_S", 0.05)

    async def run() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            head = await stepped(v, house, 1)
            gate = asyncio.Event()

            async def held_back(request: Any, honest: Any) -> Any:
                if isinstance(request, AskWatermark):
                    await gate.wait()
                return honest

            await v.close(house, 0)
            for index in (1, 2, 3):
                await stand_in(v, house, index, held_back)
            await v.open(house, [0])
            v.introduce()
            client = v.client(house, key("somebody with connections of their own"))
            for each in (client, v.client(house, house.hosts[0])):
                await until(lambda each=each: answers(each, 0, head))
            await v.renew(house, head)
            proposal = v.step_proposal(house, head)
            slot = slot_for(head, proposal.transition, house.manifest)
            ask = Propose(slot=slot, round=0, proposal=proposal)
            said = await client.call(0, ask)
            assert isinstance(said, Declined)
            assert ("refused", True) == (said.reason, said.for_now)
            assert "what votes of it they saw" in said.problem
            gate.set()

            async def votes() -> bool:
                await v.renew(house, head)
                return isinstance(await client.call(0, ask), Voted)

            await until(votes)

    asyncio.run(run())


def test_an_anchor_alone_has_nobody_to_ask() -> None:
    async def run() -> None:
        async with village("a", n=1) as v:
            head = await stepped(v, v.houses["a"], 1)
            assert 2 == head.record.version
            watermark = await v.client(v.houses["a"]).call(0, AskWatermark(anchor=0))
            assert isinstance(watermark, Watermark)

    asyncio.run(run())
