"""An agent whose code is not what it was: it asks the environment, as no `run` may."""

import os

from sojourn import Agent, Context, step


class Fickle(Agent):
    """Takes steps whose names and arguments are what somebody says from outside."""

    @step
    def old(self, number: int) -> int:
        """Do it as it was done."""
        return number

    @step
    def new(self, number: int) -> int:
        """Do it as it is done now."""
        return number

    async def run(self, ctx: Context) -> list[int]:
        """Take a step, wait, take another."""
        is_changed = os.environ.get("FICKLE") == "changed"
        first = await (self.new(1) if is_changed else self.old(1))
        second = await self.old(2)
        await ctx.sleep(30)
        return [first, second]


class Secretive(Fickle):
    """The same, with data in use that may not be everywhere."""

    async def run(self, ctx: Context) -> list[int]:
        """Use what is bound, then go on so."""
        ctx.memory.log("book", int).append(7)
        return await super().run(ctx)
