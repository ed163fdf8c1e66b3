"""Steps or time run out while people are asked (protocol §2, §10): the agent lies down, and later asks the same."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.ports import Draft
from sojourn.runtime.records import Asked, Intended
from tests.unit.runtime import outside
from tests.unit.runtime.custody import Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage
from tests.unit.runtime.test_asking import Approved, Desk, Hesitant
from tests.unit.runtime.test_budgets import grant, zone_with


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


BUYING = """
    class Desk(Agent):
        @step(effect="once", action="order.place", spends={"cost_micros": 10, "tokens": 3, "orders": 2})
        def buy(self, what: str) -> str:
            outside.happen(what)
            return what

        @step
        def look(self, number: int) -> int:
            return number

        async def run(self, ctx) -> list:
            seen = []
            async for turn in ctx.turns(range(3)):
                calls = (self.look(turn), self.buy(f"a{turn}"), self.buy(f"b{turn}"))
                seen += await asyncio.gather(*calls)
            return seen
"""


class Slow(Approved):
    """To ask people takes its time."""

    async def ask(self, petition: Any, draft: Draft) -> None:
        self.zone.now_ms += 7
        await super().ask(petition, draft)


def lives(zone: Zone, name: str) -> list[Any]:
    """Execute an agent, and grant it a little of a budget as often as it rests for want of it."""

    async def act(stage: Stage) -> Any:
        for _ in range(60):
            ending = await stage.execute_desk(BUYING, custodian=Slow(zone))
            assert ending is not None
            if ending.how is How.RETURNED:
                return ending.result
            assert (How.RESTING, f"dormant, {name} used up") == (ending.how, ending.text)
            grant(zone, **{name: 1})
        raise AssertionError("it never ends")

    return on_stage(act, zone=zone)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["steps", "wall_ms"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 8, 9, 11, 15, 22])
def test_what_was_asked_is_asked_once_wherever_steps_or_time_run_out(name: str, limit: int) -> None:
    zone = zone_with(**{name: limit, "cost_micros": 60, "tokens": 18, "calls": 6, "orders": 12})
    bought = [f"{letter}{turn}" for turn in range(3) for letter in "ab"]
    assert [2, "a2", "b2"] == lives(zone, name)[-3:]
    assert sorted(bought) == sorted(outside.effects)
    assert 6 == len(zone.petitions) == sum(isinstance(each, Asked) for each in journal_of(zone))
    assert [(10, 3)] * 6 == [(each.cost_micros, each.tokens) for each in zone.petitions]
    costs = [each.cost_micros for each in journal_of(zone) if isinstance(each, Intended)]
    assert [10] * 6 == costs
    spent = {n: b.spent for n, b in zone.record.eligibility.budgets.items() if n != name}
    assert {"cost_micros": 60, "tokens": 18, "calls": 6, "orders": 12} == spent


CANCELLED = """
    class Desk(Agent):
        @step(effect="once", action="order.place", spends={"orders": 2})
        def buy(self) -> None:
            pass

        @step(spends={"orders": 2})
        def look(self) -> int:
            return 1

        async def run(self, ctx) -> int:
            buying = asyncio.ensure_future(self.buy())
            await ctx.sleep(1)
            buying.cancel()
            await asyncio.gather(buying, return_exceptions=True)
            return await self.look()
"""


class Unanswered(Desk):
    """Nobody answers, and no time passes before they are asked."""

    async def sleep_until(self, at_ms: int) -> None:
        await self.zone.until(lambda: self.zone.waiting > 0)


def test_what_the_code_gives_up_while_people_are_asked_is_not_paid_for() -> None:
    zone = zone_with(orders=2)
    ending = on_stage(
        lambda stage: stage.execute_desk(CANCELLED, custodian=Unanswered(zone)), zone=zone
    )
    assert (How.RETURNED, 1) == (ending.how, ending.result)
    assert 2 == zone.record.eligibility.budgets["orders"].spent


GIVING_UP = """
    class Desk(Agent):
        @step(effect="once", action="order.place")
        def buy(self, what: str) -> str:
            outside.happen(what)
            return what

        @step
        def look(self, turn: int) -> int:
            return turn

        async def run(self, ctx) -> list:
            seen = []
            async for turn in ctx.turns(range(2)):
                seen.append(await self.look(turn))
                if turn == 0:
                    buying = [asyncio.ensure_future(self.buy(what)) for what in ("bonds", "gold")]
                    await asyncio.wait([asyncio.ensure_future(ctx.sleep(1))])
                    for each in buying:
                        each.cancel()
                    await asyncio.gather(*buying, return_exceptions=True)
            return seen
"""


def test_what_is_not_answered_any_more_keeps_nobody_from_lying_down() -> None:
    """A turn waits for two calls that were given up: the first used up the time, so the host drops the second."""
    zone = zone_with(wall_ms=500)

    async def act(stage: Stage) -> tuple[Ending | None, Ending | None]:
        custodian = Hesitant(stage.zone, at="ask")
        running = asyncio.ensure_future(stage.execute_desk(GIVING_UP, custodian=custodian))
        await custodian.has_begun.wait()
        for _ in range(50):
            await asyncio.sleep(0)  # the code is woken, and gives both of them up
        custodian.goes_on.set()
        first = await asyncio.wait_for(running, 10)
        grant(stage.zone, wall_ms=5_000)
        return first, await stage.execute_desk(GIVING_UP)

    first, second = on_stage(act, zone=zone)
    assert first is not None and second is not None
    assert (How.RESTING, "dormant, wall_ms used up") == (first.how, first.text)
    assert (How.RETURNED, [0, 1]) == (second.how, second.result), second.text
    assert [] == outside.effects
