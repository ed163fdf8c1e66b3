"""`ctx.consider`: the agent judges the places it knows, chooses, and moves; or stays, and why."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.memory.blocks import load_block
from sojourn.core.agent.memory.field import Form
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.ports import Address, Assessment
from sojourn.runtime.records import Considered, Settled
from tests.unit.runtime.custody import Blocks, FakeCustodian, Zone, place
from tests.unit.runtime.executing import Stage, desk, journal_of, on_stage

HERE = place("home", 100, current=True)


def choose(*places: Assessment) -> str | None:
    chosen = Agent().rank(places)
    return None if chosen is None else chosen.name


def test_by_default_the_cheapest_eligible_place_is_chosen() -> None:
    assert choose(HERE, place("a", 80), place("b", 60), place("c", 10, eligible=False)) == "b"


def test_by_default_it_stays_for_less_than_five_percent() -> None:
    assert choose(HERE, place("a", 96)) == "home"
    assert choose(HERE, place("a", 95)) == "a"


def test_by_default_an_unknown_price_is_the_highest_and_a_free_place_is_not_left() -> None:
    unknown = replace(HERE, price_micros=None)
    assert choose(unknown, replace(place("a", 0), price_micros=None)) == "home"
    assert choose(unknown, place("a", 10**9)) == "a"
    assert choose(replace(HERE, price_micros=0), place("a", 0)) == "home"


def test_by_default_a_place_that_is_not_eligible_any_more_is_left() -> None:
    bad = place("home", 1, current=True, eligible=False)
    assert choose(bad, place("a", 500)) == "a"
    assert choose(bad) is None


MOVER = """
    class Desk(Agent):
        @step
        def work(self, x: int) -> int:
            return x

        async def run(self, ctx) -> list:
            ctx.memory["risk"].append(await self.work(1))
            came = await ctx.consider()
            ctx.memory["risk"].append(await self.work(2))
            return [came.moved, came.reason, [place.name for place in came.places]]
"""


def test_it_moves_and_goes_on_from_there() -> None:
    async def act(stage: Stage) -> tuple[Ending | None, Ending | None]:
        stage.zone.places = (HERE, place("away", 50))
        first = await stage.execute_desk(MOVER)
        return first, await stage.execute_desk(MOVER)

    zone = Zone()
    left, ending = on_stage(act, zone=zone)
    assert left.how is How.DEPARTED
    assert ending.result == [True, "", ["home", "away"]]
    considered, settled = journal_of(zone)[2:4]
    assert isinstance(considered, Considered)
    assert isinstance(settled, Settled)
    assert considered.places == (HERE, place("away", 50))
    assert considered.chosen == settled.zone == zone.record.custody.zone
    assert settled.moved


def test_the_address_that_code_asks_for_is_the_same_when_it_is_replayed_elsewhere() -> None:
    code = """
        class Desk(Agent):
            async def run(self, ctx) -> list:
                before = str(ctx.address)
                ctx.memory["risk"].append(float(len(ctx.address.zone)))
                await ctx.consider()
                return [before, str(ctx.address)]
    """

    async def act(stage: Stage) -> tuple[Ending | None, Ending | None]:
        stage.zone.places = (HERE, place("away", 50))
        first = await stage.execute_desk(code)
        return first, await stage.execute_desk(code)

    zone = Zone()
    agent, home = zone.record.agent_id, zone.record.custody.zone
    left, ending = on_stage(act, zone=zone)
    assert left.how is How.DEPARTED
    there = zone.record.custody.zone
    assert home != there
    assert ending.result == [str(Address(agent=agent, zone=zone)) for zone in (home, there)]


def test_it_stays_where_nothing_is_better_and_says_so_in_one_record() -> None:
    zone = Zone(places=(HERE, place("away", 500)))
    ending = on_stage(lambda stage: stage.execute_desk(MOVER), zone=zone)
    assert ending.result == [False, "", ["home", "away"]]
    assert [type(record) for record in journal_of(zone)].count(Settled) == 0


def test_it_goes_on_where_it_is_when_the_place_refuses() -> None:
    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(stage.zone, refuses="full up")
        return await stage.execute_desk(MOVER, custodian=custodian)

    zone = Zone(places=(HERE, place("away", 50)))
    assert on_stage(act, zone=zone).result == [False, "refused: full up", ["home", "away"]]


@pytest.mark.parametrize("point", range(8))
def test_its_host_may_die_at_any_point_of_a_move(point: int) -> None:
    async def act(stage: Stage) -> Ending:
        return await stage.execute_through([point], "desk:Desk", source=desk(MOVER))

    zone = Zone(places=(HERE, place("away", 50)))
    ending = on_stage(act, zone=zone)
    assert ending.how is How.RETURNED
    moved = zone.record.custody.zone == place("away", 0).zone
    assert ending.result[0] is moved
    assert zone.record.custody.term == int(moved)


@pytest.mark.parametrize(
    ("rank", "problem"),
    [
        ("return places[2]", "rank chose 'bad', which is not one of the eligible places"),
        ("return 1 / 0", "step 'rank' failed after 1 attempts: ZeroDivisionError"),
    ],
)
def test_a_rank_that_chooses_badly_fails_in_run_and_moves_nothing(rank: str, problem: str) -> None:
    text = f"""
        class Desk(Agent):
            def rank(self, places):
                {rank}

            async def run(self, ctx) -> str:
                try:
                    await ctx.consider()
                except TerminalError as error:
                    return str(error)
    """
    zone = Zone(places=(HERE, place("away", 50), place("bad", 1, eligible=False)))
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert problem in ending.result
    assert zone.record.custody.term == 0


LEAVING = """
    class Desk(Agent):
        @step
        def work(self, x: int) -> int:
            return x

        async def run(self, ctx) -> list:
            async for turn in ctx.turns(range(3)):
                if turn == {used}:
                    ctx.memory["book"]["secret"] = 1
                await self.work(turn)
                if turn == {considered}:
                    came = await ctx.consider()
                    ctx.memory["risk"].append([came.moved, came.reason])
            return list(ctx.memory["risk"])
"""


def test_what_may_not_travel_stays_and_the_journal_does_not_link_to_it() -> None:
    async def act(stage: Stage) -> Ending | None:
        text = LEAVING.format(used=0, considered=1)
        left = await stage.execute_desk(text)
        assert left is not None
        assert left.how is How.DEPARTED
        return await stage.execute_desk(text)

    zone = Zone(places=(HERE, place("away", 50, stays=("book",))))
    ending = on_stage(act, zone=zone)
    assert ending.result == [[True, ""]]
    book = zone.record.memory.compartments["book"]
    assert book.held_by == HERE.zone
    assert book.root not in zone.stored
    resume = load_block(Blocks(zone.stored), zone.record.memory.journal)["resume"]
    assert resume["segments"][-1]["memory"]["book"] == book.root  # a digest and no link


def test_it_does_not_leave_behind_what_a_replay_there_would_need() -> None:
    zone = Zone(places=(HERE, place("away", 50, stays=("book",))))
    text = LEAVING.format(used=1, considered=1)
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    moved, reason = ending.result[0]
    assert not moved
    assert reason.startswith("compartment 'book' would stay behind, and a replay there would need")
    assert zone.record.memory.compartments["book"].held_by is None
    assert zone.record.memory.compartments["book"].form is Form.MAPPING
