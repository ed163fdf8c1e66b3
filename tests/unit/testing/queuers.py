"""Agents whose steps stand in queues of their host's."""

import asyncio

from sojourn import Agent, Context, StepFailed, step


class Queuer(Agent):
    """Calls steps in the queue "gpu", many at once, and moves in between if its plan says so."""

    goal = ""

    @step(queue="gpu")
    async def look(self, number: int, pace_s: float) -> int:
        """Look, which takes its time."""
        await asyncio.sleep(pace_s)
        return number

    @step(effect="idempotent", action="gpu.use", queue="gpu")
    async def use(self, number: int, pace_s: float) -> int:
        """Have an effect, which takes its time."""
        await asyncio.sleep(pace_s)
        return number

    @step
    def note(self, number: int) -> int:
        """Do something that stands in no queue."""
        return number

    def rank(self, places):  # type: ignore[no-untyped-def]
        """Choose the place it is to go to."""
        return next((place for place in places if place.name == self.goal), None)

    async def run(self, ctx: Context) -> list[int]:
        """Call them all."""
        plan = ctx.memory["plan"]
        count, pace_s = plan["count"], plan["pace_s"]
        looks = [self.look(number, pace_s) for number in range(count)]
        noted = await asyncio.gather(*looks, self.note(count))
        self.goal = plan["moves"]
        moved = not self.goal
        while not moved:
            moved = (await ctx.consider()).moved
            if not moved:
                await ctx.sleep(0.5)
        uses = [self.use(number, pace_s) for number in range(count)]
        return [*noted, *await asyncio.gather(*uses)]


class Leaver(Agent):
    """Gives up what it waits for, and what it holds, and looks at last."""

    @step(queue="gpu")
    async def look(self, number: int, pace_s: float) -> int:
        """Look, which takes its time."""
        await asyncio.sleep(pace_s)
        return number

    @step(queue="gpu", timeout_s=1, attempts=2, backoff_s=0)
    async def hang(self) -> None:
        """Take too long."""
        await asyncio.sleep(100)

    async def run(self, ctx: Context) -> list[int]:
        """Give up one that runs with one that waits; then let one hang."""
        first = await ctx.race(self.look(0, 100), self.look(1, 100), ctx.sleep(3))
        try:
            await self.hang()
        except StepFailed as error:
            return [first or -1, error.attempts, await self.look(2, 0.1)]
        return []
