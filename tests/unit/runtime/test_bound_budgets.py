"""Budgets that run out beneath code which labelled data binds: nothing is lost, done twice, or bound by less."""

import random
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Status
from sojourn.core.agent.orders import Act, carried_out
from sojourn.core.base.digests import ZERO
from sojourn.runtime.frames import Anew, digest_of_records
from sojourn.runtime.host_side.execution import How
from sojourn.runtime.questions import Done, Permitted, Release, Rest
from sojourn.runtime.records import (
    Apart,
    Began,
    Denial,
    Now,
    Outcome,
    Segment,
    Turn,
    encode_record,
)
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage
from tests.unit.runtime.labelled import content, labelled_zone, records_of
from tests.unit.runtime.test_flow import Side, play_side


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


def zone_with(**limits: int) -> Zone:
    zone = labelled_zone()
    budgets = {name: Budget(limit=limit) for name, limit in limits.items()}
    since = zone.now_ms if "wall_ms" in limits else None
    eligibility = replace(zone.record.eligibility, budgets=budgets, uncharged_since_ms=since)
    zone.record = replace(zone.record, eligibility=eligibility)
    return zone


def grant(zone: Zone, **amounts: int) -> None:
    eligibility = carried_out(Act.GRANT, zone.record.eligibility, amounts)
    zone.record = replace(zone.record, eligibility=eligibility)


BOUND = """
    class Desk(Agent):
        @step(declassifies=("pii",), into="totals")
        def total(self, values: list[int]) -> int:
            outside.happen("total")
            return sum(values)

        @step(effect="once", action="order.place")
        async def order(self, number: int) -> int:
            await asyncio.sleep(0.001 * (number % 3))
            outside.happen(str(number))
            return number

        async def run(self, ctx):
            async for turn in ctx.turns(range(4)):
                orders = asyncio.gather(*(self.order(3 * turn + n) for n in range(3)))
                if turn % 2:
                    values = [value for _, value in ctx.memory["clients"].items()]
                    await self.total(values)
                assert sum(await orders) == 9 * turn + 3
            return list(ctx.memory["totals"])
"""


def played(text: str, zone: Zone, *, crash_at: int | None = None, **granted: int) -> object:
    """Return what an agent returns that is granted more whenever it rests. Its first host dies at a point."""

    async def act(stage: Stage) -> object:
        for life in range(80):
            if not zone.record.eligibility.is_acting:
                grant(zone, **granted)
            custodian = FakeCustodian(zone, crash_at=None if life else crash_at)
            ending = await stage.execute_desk(text, custodian=custodian)
            if ending is not None and ending.how is How.RETURNED:
                return ending.result
            assert ending is None or ending.how in (How.RESTING, How.ANEW), ending
        raise AssertionError("it never ends")

    return on_stage(act, zone=zone)


@pytest.mark.parametrize("limit", range(1, 16))
def test_bound_code_loses_nothing_wherever_the_steps_run_out(limit: int) -> None:
    zone = zone_with(steps=limit)
    assert played(BOUND, zone, steps=2) == [12, 12]
    assert content(zone, "totals") == [12, 12]
    orders = [effect for effect in outside.effects if effect != "total"]
    assert sorted(orders, key=int) == [str(number) for number in range(12)]


@pytest.mark.parametrize("seed", range(12))
def test_bound_code_loses_nothing_wherever_time_runs_out(seed: int) -> None:
    chance, zone = random.Random(seed), zone_with(wall_ms=30)

    def passes(_: str) -> None:
        zone.now_ms += chance.randint(0, 40)

    outside.hooks.append(passes)
    assert played(BOUND, zone, wall_ms=20) == [12, 12]
    orders = [effect for effect in outside.effects if effect != "total"]
    assert sorted(orders, key=int) == [str(number) for number in range(12)]


@pytest.mark.parametrize("limit", range(1, 8))
def test_section_10_15_a_release_is_paid_for_once_wherever_the_steps_run_out(limit: int) -> None:
    text = RELEASING.replace('into="totals"', 'into="totals", spends={"sums": 3, "tokens": 5}')
    zone = zone_with(steps=limit, sums=6, tokens=10)
    assert played(text, zone, steps=1) == [12, 12]
    budgets = zone.record.eligibility.budgets
    assert (6, 10) == (budgets["sums"].spent, budgets["tokens"].spent)


RELEASING = """
    class Desk(Agent):
        @step(declassifies=("pii",), into="totals")
        async def total(self, values: list[int]) -> int:
            await asyncio.sleep(0.005)
            return sum(values)

        @step(effect="idempotent", action="order.place")
        async def order(self) -> None:
            pass

        async def run(self, ctx):
            for _ in range(2):
                values = [value for _, value in ctx.memory["clients"].items()]
                await asyncio.gather(self.total(values), self.order())
            return list(ctx.memory["totals"])
"""


@pytest.mark.parametrize("crash_at", range(14))
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_what_declassifies_is_asked_for_anew_once_there_are_steps(
    limit: int, crash_at: int
) -> None:
    zone = zone_with(steps=limit)
    assert played(RELEASING, zone, crash_at=crash_at, steps=1) == [12, 12]
    assert content(zone, "totals") == [12, 12]


def test_what_declassifies_is_an_act_that_a_budget_bounds() -> None:
    text = RELEASING.replace("for _ in range(2):", "try:").replace(
        "return list", "except BudgetExhausted: pass\n            return list"
    )
    zone = zone_with(calls=0)
    assert played(text, zone, calls=1) == []
    denials = [record for record in records_of(zone) if isinstance(record, Denial)]
    assert ("declassify", "exhausted") in {(each.action, each.cause) for each in denials}
    assert not any(isinstance(record, Denial) for record in journal_of(zone)), "they are kept apart"


# What waits to become final with the last step


BEGAN = Began(arguments=((), {}))


def _now(call: int) -> Now:
    return Now(call=call, at_ms=1)


def test_what_begins_anew_without_steps_rests_with_all_that_was_made() -> None:
    async def script(side: Side) -> None:
        assert await side.commit(BEGAN) == Done(is_spent=True)
        segments = (Segment(memory={}, start=1, stop=1), Segment(memory={}, start=2, turn=0))
        resume = side.resume(segments=segments)
        assert await side.commit(Turn(loop=0, turn=0), resume=resume) == Done(is_spent=True)
        side.channel.say(Anew())

    ending, zone = play_side(script, zone_with(steps=1))
    assert (ending.how, ending.text) == (How.RESTING, "dormant, steps used up")
    assert journal_of(zone) == [BEGAN, Turn(loop=0, turn=0)]
    assert zone.record.eligibility.status is Status.DORMANT


def test_what_waits_is_bound_by_what_was_announced_when_it_was_made() -> None:
    async def script(side: Side) -> None:
        assert await side.commit(BEGAN) == Done(is_spent=True)
        side.touch("secrets")
        assert await side.commit(_now(0)) == Done(is_spent=True)
        made = encode_record(_now(1), what="a record")
        side.touch("clients", records=1, digest=digest_of_records((made,)))
        rest = Rest(until_ms=1, listening=False)
        assert await side.commit(_now(1), _now(2), rest=rest) == Done(is_spent=True)

    ending, zone = play_side(script, zone_with(steps=1))
    assert ending.how is How.RESTING
    assert [type(record) for record in journal_of(zone)] == [Began, Now, Now, Apart]


def test_what_was_released_before_its_compartment_was_locked_waits_as_well() -> None:
    total = {"call": 0, "step": "total", "arguments": ZERO}

    async def script(side: Side) -> None:
        side.touch("clients")
        assert await side.commit(BEGAN) == Done()
        asked = await side.ask(Release, **total, labels=("pii",), into="archive")
        assert isinstance(asked, Permitted)
        side.length += 1
        assert await side.commit(_now(1)) == Done(is_spent=True)
        side.write("archive", 12)
        outcome = Outcome(**total, attempts=1, result=12)
        assert await side.commit(outcome) == Done(is_spent=True)
        side.touch("secrets")
        rest = Rest(until_ms=1, listening=False)
        assert await side.commit(_now(2), rest=rest) == Done(is_spent=True)

    ending, zone = play_side(script, zone_with(steps=2))
    assert ending.how is How.RESTING
    assert content(zone, "archive") == [12]
