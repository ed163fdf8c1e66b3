"""Agents whose own code asks people: launched by the simulation's tests of inquiries."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from sojourn import Agent, Assessment, Context, NoAnswer, step


class Order(msgspec.Struct):
    """What somebody may order."""

    what: str
    count: int


class Asker(Agent):
    """Asks what its plan says, and returns what it was told."""

    @step
    def note(self, number: int) -> int:
        """Do a little."""
        return number

    async def run(self, ctx: Context) -> list[object]:
        """Ask question by question, between steps, before and behind restart points."""
        plan, told = ctx.memory["plan"], ctx.memory.log("told", str)
        async for question in ctx.turns(plan["questions"]):
            await self.note(1)
            try:
                said = await ctx.ask(question, of=plan["of"], timeout=plan["timeout_s"])
            except NoAnswer as nobody:
                said = f"nobody: {nobody.question}"
            told.append(said)
            await self.note(2)
        return list(told)


class Chooser(Agent):
    """Asks for values of several types."""

    async def run(self, ctx: Context) -> list[object]:
        """Ask."""
        of = ctx.memory["plan"]["of"]
        is_wanted = await ctx.ask("Shall I?", bool, of=of)
        how = await ctx.ask("How?", Literal["fast", "slow"], of=of)
        when = await ctx.ask("When?", choices=["now", "later"], of=of)
        order = await ctx.ask("What?", Order, of=of)
        return [is_wanted, how, when, order.what, order.count]


class Doubter(Agent):
    """Asks, and gives up after a while; then asks something else."""

    async def run(self, ctx: Context) -> str:
        """Race the question against time."""
        of = ctx.memory["plan"]["of"]
        asking = asyncio.ensure_future(ctx.ask("Now?", of=of))
        waiting = asyncio.ensure_future(ctx.sleep(10))
        await asyncio.wait((asking, waiting), return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return await ctx.ask("Then?", of=of)


class Emigrant(Agent):
    """Asks, and moves on while people think about it."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    async def run(self, ctx: Context) -> list[object]:
        """Ask, walk the route, and wait for the answer there."""
        plan = ctx.memory["plan"]
        asking = asyncio.ensure_future(ctx.ask("Stay there?", bool, of=plan["of"]))
        for goal in plan["route"]:
            self.goal = goal
            while not (await ctx.consider()).moved:
                await ctx.sleep(1)
        message = await ctx.receive() if plan["listens"] else None
        return [await asking, message and message.body]


class Mistaken(Agent):
    """Asks a group that there is not."""

    async def run(self, ctx: Context) -> str:
        """Ask."""
        return await ctx.ask("Who are you?", of="nobody")


class Curious(Agent):
    """Asks too much at once."""

    async def run(self, ctx: Context) -> object:
        """Ask seventeen things."""
        return await asyncio.gather(*(ctx.ask(f"{n}?", of="desk") for n in range(17)))
