"""Agents of which one has scouts, who go to another place and report what they found there."""

import asyncio
from collections.abc import Sequence

from sojourn import Agent, Assessment, ChildFailed, Context, step


class Scout(Agent):
    """Goes to a place, if it has to, looks, and reports."""

    reports = True
    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose where it is sent."""
        return next((each for each in places if each.name == self.goal and each.eligible), None)

    @step
    def look(self, number: int) -> int:
        """Return what is seen."""
        return number * 10

    async def run(self, ctx: Context, number: int, goal: str) -> int:
        """Go there, and look."""
        self.goal = goal
        while goal and not (await ctx.consider()).moved:
            await ctx.sleep(0.2)
        seen = await self.look(number)
        if number == 3:
            raise LookupError("nothing there")
        return seen


class Chief(Agent):
    """Gathers what its scouts report; one of them finds nothing."""

    async def run(self, ctx: Context) -> list[str]:
        """Send three, wait for all of them, and say what they said."""
        plan = ctx.memory["plan"]
        scouts = [await ctx.spawn(Scout, each, plan["goal"]) for each in (1, 2, 3)]
        await ctx.sleep(plan["late"])
        told = await asyncio.gather(
            *(ctx.result(each, int) for each in scouts), return_exceptions=True
        )
        return [f"{each.kind}" if isinstance(each, ChildFailed) else str(each) for each in told]
