"""An agent that has children, each of which enters its number into a book and has done."""

from pathlib import Path

from sojourn import Agent, Context, step


class Hand(Agent):
    """Enters one number."""

    @step(effect="idempotent", action="ledger.append")
    def enter(self, book: str, number: int) -> int:
        """Enter a number; the receiver counts what comes under one key once."""
        with Path(book).open("a") as file:
            file.write(f"{self.effect_key} {number}\n")
        return number

    async def run(self, ctx: Context, book: str, number: int) -> int:
        """Enter the number."""
        return await self.enter(book, number)


class Foreman(Agent):
    """Has as many children as its plan says, and returns who they are."""

    async def run(self, ctx: Context) -> list[str]:
        """Have one child in each turn."""
        plan = ctx.memory["plan"]
        done = ctx.memory.log("done", str)
        async for number in ctx.turns(range(plan["turns"])):
            child = await ctx.spawn(Hand, plan["book"], number)
            done.append(str(child))
        return list(done)


class Heir(Agent):
    """Waits to be told something."""

    async def run(self, ctx: Context) -> None:
        """Wait."""
        await ctx.receive()


class Testator(Agent):
    """Has a child that goes on when it has ended, and ends."""

    async def run(self, ctx: Context) -> str:
        """Have it, and return who it is."""
        return str(await ctx.spawn(Heir, outlives=True))
