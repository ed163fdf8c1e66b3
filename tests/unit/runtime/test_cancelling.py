"""Code that cancels the await of a step: what goes on, what does not, and the same in every replay."""

from collections.abc import Iterator

import pytest

from sojourn.runtime.host_side.execution import Ending
from sojourn.runtime.records import Intended, Outcome
from tests.unit.runtime import outside
from tests.unit.runtime.custody import Zone, place
from tests.unit.runtime.executing import Stage, desk, journal_of, on_stage


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


CANCELLING = """
    class Desk(Agent):
        @step({declared})
        async def work(self) -> str:
            outside.happen("begins")
            self.has_begun.set()
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                outside.happen("cancelled")
                raise
            outside.happen("ends")
            return "done"

        @step
        async def see_begin(self) -> None:
            await self.has_begun.wait()

        @step
        async def let_end(self) -> None:
            self.may_end.set()

        async def run(self, ctx) -> list:
            self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()
            working = asyncio.create_task(self.work())
            seeing = asyncio.create_task(self.see_begin())
            await asyncio.wait([working, seeing], return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            seeing.cancel()
            came, _ = await asyncio.gather(working, seeing, return_exceptions=True)
            ctx.memory["risk"].append(type(came).__name__)
            await self.let_end()
            await ctx.consider()
            return [*ctx.memory["risk"], ctx.random()]
"""
NONE = CANCELLING.format(declared="attempts=3, backoff_s=0")
EFFECT = CANCELLING.format(declared="effect='{}', action='order.place'")


def runs(text: str, zone: Zone, points: list[int]) -> Ending:
    async def act(stage: Stage) -> Ending:
        return await stage.execute_through(points, "desk:Desk", source=desk(text))

    ending: Ending = on_stage(act, zone=zone)
    return ending


def test_a_step_without_effect_is_cancelled_and_not_tried_again() -> None:
    zone = Zone()
    assert "CancelledError" == runs(NONE, zone, []).result[0]
    assert ["begins", "cancelled"] == outside.effects
    assert "work" not in [r.step for r in journal_of(zone) if isinstance(r, Outcome)]


@pytest.mark.parametrize("effect", ["idempotent", "once"])
def test_a_step_whose_effect_may_be_under_way_is_carried_through(effect: str) -> None:
    zone = Zone()
    assert "CancelledError" == runs(EFFECT.format(effect), zone, []).result[0]
    assert ["begins", "ends"] == outside.effects
    intents = [record.step for record in journal_of(zone) if isinstance(record, Intended)]
    assert ["work"] == intents


@pytest.mark.parametrize("text", [NONE, EFFECT.format("idempotent"), EFFECT.format("once")])
def test_a_call_is_cancelled_at_the_same_point_wherever_the_host_dies(text: str) -> None:
    """Before the cancelling is final it is another life, in which `once` may be uncertain instead."""
    whole = Zone(places=(place("home", 100, current=True), place("away", 50)))
    said = runs(text, whole, []).result
    assert 1 == whole.record.custody.term
    for point in range(whole.points):
        outside.forget()
        zone = Zone(places=(place("home", 100, current=True), place("away", 50)))
        came, drawn = runs(text, zone, [point]).result
        assert said[1] == drawn
        assert came == said[0] or (came == "UncertainOutcome" and "once" in text)
        begun = outside.effects.count("begins")
        assert begun <= (1 if "'once'" in text else 2), point
