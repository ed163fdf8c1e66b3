"""Budgets as an agent's code meets them (protocol §2, §10): it is told, or it rests, and loses nothing."""

import random
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.orders import Act, carried_out
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.steps import step
from sojourn.runtime.host_side.execution import How
from sojourn.runtime.records import Outcome
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone, first_record
from tests.unit.runtime.executing import Stage, journal_of, on_stage


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


def zone_with(**budgets: int) -> Zone:
    zone = Zone(record=first_record({"book": Form.MAPPING, "risk": Form.LOG}, budgets))
    if "wall_ms" in budgets:
        eligibility = replace(zone.record.eligibility, uncharged_since_ms=zone.now_ms)
        zone.record = replace(zone.record, eligibility=eligibility)
    return zone


def grant(zone: Zone, **amounts: int) -> None:
    """Have the limits raised, as an order of the officers would."""
    eligibility = carried_out(Act.GRANT, zone.record.eligibility, amounts)
    zone.record = replace(zone.record, eligibility=eligibility)


def spent(zone: Zone) -> dict[str, int]:
    return {name: b.spent for name, b in zone.record.eligibility.budgets.items()}


COUNTING = """
    class Desk(Agent):
        @step
        def count(self, number: int) -> int:
            outside.happen(str(number))
            return number

        async def run(self, ctx) -> list:
            for number in range(10):
                ctx.memory["risk"].append(await self.count(number))
            return list(ctx.memory["risk"])
"""


def test_without_steps_an_agent_rests_and_goes_on_from_there_when_it_is_granted_more() -> None:
    zone = zone_with(steps=4)

    async def act(stage: Stage) -> list[object]:
        seen: list[object] = []
        for granted in (3, 20):
            ending = await stage.execute_desk(COUNTING)
            assert ending is not None
            eligibility = zone.record.eligibility
            seen.append((ending.how, len(outside.effects), spent(zone)["steps"]))
            assert "dormant, steps used up" == ending.text
            assert Status.DORMANT is eligibility.status and not eligibility.is_acting
            (wake,) = eligibility.wake
            assert wake.at_ms is not None and wake.at_ms <= zone.now_ms
            grant(zone, steps=granted)
        ending = await stage.execute_desk(COUNTING)
        assert ending is not None
        return [*seen, ending.result]

    first, second, result = on_stage(act, zone=zone)
    assert (How.RESTING, 4, 4) == first
    assert (How.RESTING, 7, 7) == second
    assert list(range(10)) == result
    assert [str(n) for n in range(10)] == outside.effects, "no step is done twice, or lost"


ACTING = """
    class Desk(Agent):
        @step(effect="once", action="order.place")
        def order(self, number: int) -> int:
            outside.happen(str(number))
            return number

        async def run(self, ctx) -> list:
            done = []
            for number in range(5):
                ctx.log("next", number=number)
                try:
                    done.append(await self.order(number))
                except UncertainOutcome:
                    done.append("uncertain")
            return done
"""


@pytest.mark.parametrize("limit", range(1, 12))
def test_what_was_begun_is_recorded_wherever_the_steps_run_out(limit: int) -> None:
    """An intent of an agent that could not record what came of it would be an act that is lost."""
    zone = zone_with(steps=limit)

    async def act(stage: Stage) -> object:
        for _ in range(12):
            ending = await stage.execute_desk(ACTING)
            assert ending is not None
            if ending.how is How.RETURNED:
                return ending.result
            assert How.RESTING is ending.how
            grant(zone, steps=1)
        raise AssertionError("it never ends")

    assert list(range(5)) == on_stage(act, zone=zone)
    assert [str(n) for n in range(5)] == outside.effects


GATHERING = """
    class Desk(Agent):
        @step(effect="once", action="order.place")
        async def order(self, number: int) -> int:
            await asyncio.sleep(0.001 * number)
            outside.happen(str(number))
            return number

        @step
        async def price(self, number: int) -> int:
            await asyncio.sleep(0.002)
            return number

        async def run(self, ctx) -> list:
            orders = (self.order(n) for n in range(4))
            prices = (self.price(n) for n in range(4))
            found = await asyncio.gather(*orders, *prices, return_exceptions=True)
            return [str(each) for each in found]
"""


@pytest.mark.parametrize("limit", range(1, 14))
def test_many_at_once_lose_nothing_wherever_the_steps_run_out(limit: int) -> None:
    zone = zone_with(steps=limit)

    async def act(stage: Stage) -> object:
        for _ in range(20):
            ending = await stage.execute_desk(GATHERING)
            assert ending is not None
            if ending.how is How.RETURNED:
                return ending.result
            assert How.RESTING is ending.how
            grant(zone, steps=1)
        raise AssertionError("it never ends")

    assert [str(n) for n in (*range(4), *range(4))] == on_stage(act, zone=zone)
    assert sorted(outside.effects) == [str(n) for n in range(4)]


SPENDING = """
    class Desk(Agent):
        @step(effect="once", action="order.place", spends={"orders": 2})
        async def order(self, number: int) -> int:
            await asyncio.sleep(0.001 * number)
            outside.happen(str(number))
            return number

        @step(spends={"orders": 1})
        async def price(self, number: int) -> int:
            outside.happen("price")
            return number

        async def run(self, ctx) -> list:
            found = []
            for turn in range(2):
                await self.price(turn)
                orders = (self.order(2 * turn + n) for n in range(2))
                found += await asyncio.gather(*orders, return_exceptions=True)
            return [str(each) for each in found]
"""


def spending(zone: Zone, *, crash_at: int | None = None, **granted: int) -> object:
    """Return what an agent returns that is granted more whenever it rests. Its first host dies at a point."""

    async def act(stage: Stage) -> object:
        for life in range(20):
            custodian = FakeCustodian(zone, crash_at=None if life else crash_at)
            ending = await stage.execute_desk(SPENDING, custodian=custodian)
            if ending is not None and ending.how is How.RETURNED:
                return ending.result
            grant(zone, **granted)
        raise AssertionError("it never ends")

    return on_stage(act, zone=zone)


@pytest.mark.parametrize("limit", range(1, 12))
def test_section_10_2_an_act_is_paid_for_once_wherever_the_steps_run_out(limit: int) -> None:
    """Asked for when the steps are used up, it is not answered, and asked for again when there are more."""
    zone = zone_with(steps=limit, orders=10)
    assert ["0", "1", "2", "3"] == spending(zone, steps=1)
    assert (4 * 2 + 2, 4 + 2) == (spent(zone)["orders"], len(outside.effects))


@pytest.mark.parametrize("crash_at", range(18))
def test_section_10_2_an_act_is_paid_for_once_wherever_its_host_dies(crash_at: int) -> None:
    zone = zone_with(orders=10)
    done = spending(zone, crash_at=crash_at)
    assert isinstance(done, list) and 4 == len(done)
    assert 4 * 2 + 2 == spent(zone)["orders"], "what was paid for may have been done, or not"
    acts = [effect for effect in outside.effects if effect != "price"]
    assert sorted(set(acts)) == sorted(acts)


@pytest.mark.parametrize("first_ms", [40, 120])
def test_section_10_2_an_act_is_paid_for_once_where_the_time_runs_out(first_ms: int) -> None:
    zone, passing = zone_with(wall_ms=100, orders=10), [first_ms]

    def passes(_: str) -> None:
        zone.now_ms += passing.pop() if passing else 70

    outside.hooks.append(passes)
    assert ["0", "1", "2", "3"] == spending(zone, wall_ms=100)
    assert (4 * 2 + 2, 4 + 2) == (spent(zone)["orders"], len(outside.effects))


def test_section_10_2_acts_at_once_do_not_pass_a_budget_of_their_own() -> None:
    zone = zone_with(orders=6)
    text = SPENDING.replace("range(2))", "range(4))")
    result = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert (How.RETURNED, 6) == (result.how, spent(zone)["orders"])
    assert ["price", "0", "1", "price"] == outside.effects


def test_section_10_2_what_is_denied_is_not_paid_for() -> None:
    zone = zone_with(orders=3)
    text = """
        class Desk(Agent):
            @step(effect="once", action="order.place", spends={"orders": 3})
            def order(self) -> None:
                pass

            @step(spends={"orders": 3})
            def price(self) -> int:
                return 1

            async def run(self, ctx) -> int:
                try:
                    await self.order()
                except Denied:
                    return await self.price()
    """
    custodian = FakeCustodian(zone, denied=frozenset({"order.place"}))
    ending = on_stage(lambda stage: stage.execute_desk(text, custodian=custodian), zone=zone)
    assert (1, 3) == (ending.result, spent(zone)["orders"])


def test_without_time_what_is_under_way_ends_and_is_recorded_and_nothing_else_begins() -> None:
    zone = zone_with(wall_ms=100)

    def passes(_: str) -> None:
        zone.now_ms += 60

    outside.hooks.append(passes)

    async def act(stage: Stage) -> object:
        for _ in range(12):
            ending = await stage.execute_desk(ACTING)
            assert ending is not None
            if ending.how is How.RETURNED:
                return ending.result
            assert How.RESTING is ending.how
            assert spent(zone)["wall_ms"] == zone.record.eligibility.budgets["wall_ms"].limit
            zone.now_ms += 10_000  # asleep
            grant(zone, wall_ms=50)
        raise AssertionError("it never ends")

    assert list(range(5)) == on_stage(act, zone=zone)
    assert [str(n) for n in range(5)] == outside.effects


@pytest.mark.parametrize("seed", range(8))
def test_time_that_runs_out_anywhere_loses_nothing(seed: int) -> None:
    chance, zone = random.Random(seed), zone_with(wall_ms=30)

    def passes(_: str) -> None:
        zone.now_ms += chance.randint(0, 40)

    outside.hooks.append(passes)

    async def act(stage: Stage) -> object:
        for _ in range(30):
            ending = await stage.execute_desk(GATHERING)
            assert ending is not None
            if ending.how is How.RETURNED:
                return ending.result
            grant(zone, wall_ms=20)
        raise AssertionError("it never ends")

    assert [str(n) for n in (*range(4), *range(4))] == on_stage(act, zone=zone)
    assert sorted(outside.effects) == [str(n) for n in range(4)]


def test_a_host_that_dies_before_it_lays_an_exhausted_agent_to_rest_loses_nothing() -> None:
    """The next one finds it active and exhausted, and lays it to rest."""
    for crash_at in range(10):
        outside.forget()
        zone = zone_with(steps=3)

        async def act(stage: Stage, zone: Zone = zone, crash_at: int = crash_at) -> object:
            custodian = FakeCustodian(zone, crash_at=crash_at)
            await stage.execute_desk(COUNTING, custodian=custodian)
            while zone.record.eligibility.is_acting:
                ending = await stage.execute_desk(COUNTING)
                assert ending is not None and How.RESTING is ending.how
            assert 3 == spent(zone)["steps"]
            grant(zone, steps=20)
            ending = await stage.execute_desk(COUNTING)
            assert ending is not None
            return ending.result

        assert list(range(10)) == on_stage(act, zone=zone)


def test_the_end_is_recorded_when_it_took_the_last_step() -> None:
    text = """
        class Desk(Agent):
            @step
            def count(self) -> int:
                return 1

            async def run(self, ctx) -> int:
                return await self.count()
    """
    zone = zone_with(steps=1)
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert (How.RETURNED, 1) == (ending.how, ending.result)
    assert Status.DORMANT is zone.record.eligibility.status


# Acts


REFUSED = """
    class Desk(Agent):
        @step(effect="once", action="order.place", spends={"cost_micros": 40, "tokens": 5})
        def order(self, number: int) -> int:
            outside.happen(str(number))
            self.used(tokens=number, cost_micros=1)
            self.used(tokens=number)
            return number

        async def run(self, ctx) -> list:
            done = []
            for number in range(4):
                try:
                    done.append(await self.order(number))
                except BudgetExhausted as error:
                    done.append(str(error))
            return done
"""


@pytest.mark.parametrize(
    ("budgets", "count", "problem"),
    [
        ({"calls": 2}, 2, "1 of budget 'calls' needed, 2 of 2 are spent"),
        ({"cost_micros": 100}, 2, "40 of budget 'cost_micros' needed, 80 of 100 are spent"),
        ({"tokens": 14}, 2, "5 of budget 'tokens' needed, 10 of 14 are spent"),
    ],
    ids=lambda value: str(*value) if isinstance(value, dict) else "",
)
def test_an_act_beyond_its_budget_is_an_error_that_code_can_catch(
    budgets: dict[str, int], count: int, problem: str
) -> None:
    zone = zone_with(**budgets)
    result = on_stage(lambda stage: stage.execute_desk(REFUSED), zone=zone).result
    assert list(range(count)) == result[:count]
    assert [problem] * (4 - count) == [text.split(". ")[0] for text in result[count:]]
    assert f"sojourn agent grant AGENT {next(iter(budgets))}=+" in result[-1]
    assert [str(n) for n in range(count)] == outside.effects


def test_what_an_act_turned_out_to_cost_is_charged_too_as_far_as_it_reaches() -> None:
    zone = zone_with(tokens=1_000, cost_micros=1_000)
    on_stage(lambda stage: stage.execute_desk(REFUSED), zone=zone)
    # It declared 5 tokens of each of four, and told 0, 2, 4 and 6; of money, 40 each, and told 1.
    assert {"tokens": 21, "cost_micros": 160} == spent(zone)
    short = zone_with(tokens=20)
    on_stage(lambda stage: stage.execute_desk(REFUSED), zone=short)
    assert {"tokens": 20} == spent(short)


def test_a_step_without_effect_is_charged_what_it_declared_and_what_it_told() -> None:
    text = """
        class Desk(Agent):
            @step(spends={"tokens": 10}, attempts=2, backoff_s=0)
            def ask(self, number: int) -> int:
                self.used(tokens=8, cost_micros=3)
                if len(outside.effects) < 1:
                    outside.happen("tried")
                    raise RetryableError("again")
                return number

            async def run(self, ctx) -> list:
                return [await self.ask(1), await self.ask(2)]
    """
    zone = zone_with(tokens=100, cost_micros=4)
    assert [1, 2] == on_stage(lambda stage: stage.execute_desk(text), zone=zone).result
    assert {"tokens": 16 + 10, "cost_micros": 4} == spent(zone)


def test_an_agent_without_budgets_declares_costs_for_nothing() -> None:
    zone = zone_with()
    result = on_stage(lambda stage: stage.execute_desk(REFUSED), zone=zone).result
    assert list(range(4)) == result


# What code may say


@pytest.mark.parametrize("name", ["steps", "calls", "wall_ms", "hops"])
def test_a_step_does_not_declare_what_is_counted(name: str) -> None:
    with pytest.raises(Misused, match=f"declared to spend {name}"):
        step(spends={name: 1})


def test_used_is_told_in_a_step() -> None:
    with pytest.raises(Misused, match="Call it in a step"):
        Agent().used(tokens=1)


def test_a_replay_charges_nothing_again() -> None:
    zone = zone_with(tokens=100)

    async def act(stage: Stage) -> object:
        custodian = FakeCustodian(zone, crash_at=5)
        await stage.execute_desk(REFUSED, custodian=custodian)
        ending = await stage.execute_desk(REFUSED)
        assert ending is not None
        return ending.result

    on_stage(act, zone=zone)
    tokens = [r.result or 0 for r in journal_of(zone) if isinstance(r, Outcome)]
    assert sum(max(5, 2 * n) for n in tokens) == spent(zone)["tokens"]
