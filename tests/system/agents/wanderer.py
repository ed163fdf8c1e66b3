"""An agent that goes where its plan says, place by place, and works a little in each."""

from collections.abc import Sequence

from sojourn import Agent, Assessment, Context, step


class Wanderer(Agent):
    """Visits the places of its route, asking until they take it, and writes down where it was."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the place of that name, once it can be chosen."""
        return next((p for p in places if p.name == self.goal and p.eligible), None)

    @step
    def work(self, place: str, number: int) -> str:
        """Do something worth remembering."""
        return f"{number} in {place}"

    async def run(self, ctx: Context) -> list[str]:
        """Follow the route; return what was done where."""
        diary = ctx.memory.log("diary", str)
        async for number in ctx.turns(range(len(ctx.memory["plan"]["route"]))):
            self.goal = ctx.memory["plan"]["route"][number]
            while not await self._is_there(ctx):
                await ctx.sleep(0.1)
            diary.append(await self.work(self.goal, number))
            await ctx.sleep(ctx.memory["plan"]["rest_ms"] / 1000)
        return list(diary)

    async def _is_there(self, ctx: Context) -> bool:
        looked = await ctx.consider()
        here = next(place for place in looked.places if place.current)
        return looked.moved or here.name == self.goal
