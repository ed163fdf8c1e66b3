"""Agents that call each other."""

from typing import Any

from sojourn import Agent, Context, UpdateRefused, query, signal, update


class Till(Agent):
    """Keeps an amount that others change by calls, and returns it when it is told to close."""

    @update
    def add(self, ctx: Context, amount: int) -> int:
        """Add an amount that is no less than nothing, and return what there is."""
        if amount < 0:
            raise ValueError(f"{amount} cannot be added")
        purse = ctx.memory["purse"]
        purse["amount"] = purse["amount"] + amount
        return int(purse["amount"])

    @signal
    def close_at(self, ctx: Context, amount: int) -> None:
        """Close once there is so much."""
        ctx.memory["purse"]["most"] = amount

    @query
    def amount(self, ctx: Context) -> int:
        """Tell what there is."""
        return int(ctx.memory["purse"]["amount"])

    async def run(self, ctx: Context) -> int:
        """Wait until somebody says to close."""
        async for _ in ctx.turns():
            await ctx.receive(timeout=1)
            purse = ctx.memory["purse"]
            if purse["amount"] >= purse["most"]:
                break
        return int(purse["amount"])


class Customer(Agent):
    """Pays into a till of another zone, and is refused once."""

    async def run(self, ctx: Context) -> list[Any]:
        """Return what the till said."""
        till = ctx.memory["plan"]["till"]
        said: list[Any] = [await ctx.update(till, "add", 5)]
        try:
            await ctx.update(till, "add", -5)
        except UpdateRefused as error:
            said.append(error.problem)
        return [*said, await ctx.query(till, "amount")]
