"""Agents that write streams: launched by the simulation's tests of streams."""

from collections.abc import Sequence

from sojourn import Agent, Assessment, Context, step


class Writer(Agent):
    """Writes a report piece by piece, in several sections, in the places of its plan."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step
    def think(self, number: int) -> str:
        """Think of what to write."""
        return f"line {number}\n"

    @step(effect="idempotent", action="report.send")
    def send(self, number: int) -> int:
        """Send something, with an effect."""
        return number

    async def run(self, ctx: Context) -> int:
        """Write ten lines in each section."""
        plan = ctx.memory["plan"]
        async with ctx.stream("report") as out:
            for section in range(plan["sections"]):
                for number in range(10 * section, 10 * section + 10):
                    await out.write(await self.think(number))
                await self.send(section)
                if plan["route"]:
                    self.goal = plan["route"][section]
                    while not (await ctx.consider()).moved:
                        await ctx.sleep(1)
        return len(ctx.memory.log("report"))


class Breaker(Agent):
    """Writes what no stream takes, and when none is open."""

    async def run(self, ctx: Context) -> list[str]:
        """Try."""
        said = []
        async with ctx.stream("report") as out:
            for piece in (b"\x00\xff", "", {"a": [1, None]}, "x" * 300_000, object()):
                try:
                    await out.write(piece)
                except Exception as error:  # sojourn: allow swallowed (it is told)
                    said.append(str(error))
        try:
            await out.write("late")
        except Exception as error:  # sojourn: allow swallowed (it is told)
            said.append(str(error))
        async with ctx.stream("report") as out:
            raise ValueError("\udc80 no more")
        return said
