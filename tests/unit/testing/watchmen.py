"""Agents that wait for time, and for what it brings: launched by the simulation's tests of timers."""

import asyncio
from collections.abc import Sequence

from sojourn import Agent, Assessment, Context, UncertainOutcome, step


class Watchman(Agent):
    """Rings a bell every five seconds until its shift is over, and moves on in its midst if that is the plan."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step(effect="once", action="bell.ring")
    async def ring(self, number: int, due_ms: int) -> int:
        """Ring."""
        await asyncio.sleep(0.01)
        return number

    async def run(self, ctx: Context) -> list[str]:
        """Keep watch for as long as the plan says."""
        plan = ctx.memory["plan"]
        said = ctx.memory.log("said", str)
        try:
            async with ctx.timeout(plan["shift_s"]):
                async for due in ctx.schedule("*/5 * * * * *", missed="catch-up"):
                    number = len(said)
                    try:
                        await self.ring(number, round(due.timestamp() * 1000))
                        said.append(f"rang {number}")
                    except UncertainOutcome:
                        said.append(f"uncertain {number}")
                    self.goal = plan["moves"].get(str(number), "")
                    if self.goal:
                        await self._go(ctx)
        except TimeoutError:
            said.append("over")
        return list(said)

    async def _go(self, ctx: Context) -> None:
        while True:
            looked = await ctx.consider()
            here = next(place for place in looked.places if place.current)
            if looked.moved or here.name == self.goal:
                return
            await ctx.sleep(0.5)


class Ringers(Agent):
    """Ring many bells, some at a time, and race the last; between the rounds they move if that is the plan."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step(effect="idempotent", action="bell.ring", backoff_s=0.1)
    async def ring(self, number: int) -> int:
        """Ring."""
        await asyncio.sleep(0.01)
        return number

    async def run(self, ctx: Context) -> list[int]:
        """Ring them in two rounds."""
        plan = ctx.memory["plan"]
        queue = ctx.queue(2, rate=3, per=1)

        async def through(number: int) -> int:
            async with queue:
                return await self.ring(number)

        said = await ctx.map(through, range(6))
        self.goal = plan["moves"]
        moved = not self.goal
        while not moved:
            moved = (await ctx.consider()).moved
            if not moved:
                await ctx.sleep(0.5)
        said += await ctx.map(self.ring, range(6, 12), at_once=3)
        said.append(await ctx.race(ctx.sleep(5), self.ring(12)) or 0)
        return said


class Bargainer(Agent):
    """Waits until a place is cheap, and goes there."""

    @step
    def note(self, number: int) -> int:
        """Note how far it is."""
        return number

    async def run(self, ctx: Context) -> list[str]:
        """Wait, go, and say where it is."""
        found = await ctx.until_place(price_micros_below=500_000, timeout=100_000)
        assert found is not None
        await self.note(1)
        looked = await ctx.consider()
        return [found.name, "moved" if looked.moved else looked.reason]


class Sleeper(Agent):
    """Sleeps, and has an effect when it wakes."""

    @step(effect="once", action="bell.ring")
    async def ring(self, number: int, until_ms: int) -> int:
        """Ring."""
        return number

    async def run(self, ctx: Context) -> int:
        """Sleep twice."""
        plan = ctx.memory["plan"]
        for number in range(2):
            began = ctx.now()
            await ctx.sleep(plan["sleep_s"])
            await self.ring(number, round((began.timestamp() + plan["sleep_s"]) * 1000))
        return 2
