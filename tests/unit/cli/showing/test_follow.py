"""Following an agent by certificates: what one anchor makes up leads nowhere, and nothing decided is missed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor import answers
from sojourn.cli.reach import Reach
from sojourn.cli.showing.follow import Follower
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import Past
from sojourn.core.protocol.messages import Head
from tests.unit.anchor.standing_in import hang, stand_in, until
from tests.village import Village, key, village


def run(test: Callable[[Village, Follower, Certified], Awaitable[None]]) -> None:
    """Run a test in two zones, with an agent in the first that is followed."""

    async def main() -> None:
        async with village("a", "b") as v:
            a = v.houses["a"]
            head = await v.launch(a)
            manifests = {house.zone: house.manifest for house in v.houses.values()}
            await test(v, Follower(Reach(v.pool(key("person"))), manifests, head), head)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_an_agent_is_found_where_it_went() -> None:
    async def test(v: Village, follower: Follower, head: Certified) -> None:
        a, b = v.houses.values()
        done = await v.step(b, await v.move(a, b, head))

        async def found() -> bool:
            return await follower.look() == done

        await until(found)
        assert b.manifest == follower.zone

    run(test)


def test_the_genuine_head_of_another_agent_is_not_taken_for_this_ones() -> None:
    async def test(v: Village, follower: Follower, head: Certified) -> None:
        a = v.houses["a"]
        budgets = {"calls": Budget(limit=1)}
        other = await v.launch(a, eligibility=Eligibility(status=Status.ACTIVE, budgets=budgets))
        other = await v.step(a, other)

        async def lie(_request: Any, honest: Any) -> Any:
            return Head(certified=other) if isinstance(honest, Head) else honest

        await stand_in(v, a, 0, lie)
        for _ in range(5):
            assert head == await follower.look()

    run(test)


def test_one_that_hangs_holds_nobody_up() -> None:
    async def test(v: Village, follower: Follower, head: Certified) -> None:
        gate = await hang(v, v.houses["a"], 1)
        async with asyncio.timeout(1):
            assert head == await follower.look()
        gate.set()

    run(test)


def test_the_history_holds_every_transition_of_every_zone_and_nothing_made_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "_REPLY_BYTES_MAX", 10_000)

    async def test(v: Village, follower: Follower, head: Certified) -> None:
        a, b = v.houses.values()
        for _ in range(12):
            head = await v.step(a, head)
        head = await v.step(b, await v.move(a, b, head))

        async def longer(request: Any, honest: Any) -> Any:
            if isinstance(honest, Past) and honest.history:
                last = honest.history[-1]
                record = replace(last.record, version=last.record.version + 1)
                forged = replace(last, transition=replace(last.transition, record=record))
                return replace(honest, history=(*honest.history, forged))
            return honest

        await stand_in(v, a, 0, longer)
        history = await follower.history()
        assert list(range(head.record.version + 1)) == [c.record.version for c in history]
        assert head == history[-1]

    run(test)
