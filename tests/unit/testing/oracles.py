"""Agents that are asked what they remember, and agents that ask."""

import asyncio
from typing import Any

from sojourn import (
    Address,
    Agent,
    Assessment,
    Context,
    Denied,
    QueryRefused,
    query,
    step,
)
from sojourn.core.base.errors import Misused


class Ledger(Agent):
    """Counts by steps, sleeping between, and goes to the zones that its plan says."""

    @step
    def count(self, number: int) -> int:
        """Return a number."""
        return number

    @query
    def total(self, ctx: Context, desk: str = "a") -> int:
        """Tell how far a desk has come."""
        return int(ctx.memory["desks"].get(desk, 0))

    @query
    async def about(self, ctx: Context) -> list[Any]:
        """Tell who asks, and when the desks say."""
        assert ctx.caller is not None
        return [ctx.caller.sender, ctx.now().year, list(ctx.memory["desks"])]

    @query
    def told(self, ctx: Context) -> list[Any]:
        """Tell of the secret book."""
        return list(ctx.memory["book"])

    @query
    def bad(self, ctx: Context, what: str) -> str:
        """Try what no query may."""
        tries: dict[str, Any] = {
            "write": lambda: ctx.memory["desks"].update({"a": 0}),
            "append": lambda: ctx.memory["book"].append("x"),
            "sleep": lambda: ctx.sleep(1),
            "send": lambda: ctx.send(bytes(32), 1),
            "log": lambda: ctx.log("hello"),
            "raise": lambda: 1 // 0,
            "large": lambda: "x" * 70_000,
            "strange": object,
        }
        return tries[what]()  # type: ignore[no-any-return]

    @query
    async def worse(self, ctx: Context, what: str) -> str:
        """Try to wait, or a step, and hide it."""
        if what == "wait":
            await asyncio.get_running_loop().create_future()
        try:
            await self.count(1)
        except Misused:
            return "hidden"
        return "done"

    def secret(self) -> str:
        """Be no query."""
        return "secret"

    async def run(self, ctx: Context) -> int:
        """Count."""
        plan = ctx.memory["plan"]
        async for number in ctx.turns(range(plan["count"])):
            self.zone = plan["moves"].get(str(number), "")
            if self.zone:
                await ctx.consider()
            ctx.memory["desks"]["a"] = await self.count(number + 1)
            await ctx.sleep(plan["pause"])
        return int(ctx.memory["desks"]["a"])

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose the zone that it was told of."""
        return next((p for p in places if p.name == self.zone and p.eligible), None)


class Curious(Agent):
    """Asks a ledger again and again, and pays by what it says."""

    @step(effect="idempotent", action="order.place")
    def pay(self, amount: int) -> int:
        """Pay."""
        return amount

    async def run(self, ctx: Context) -> list[Any]:
        """Return what was told."""
        plan = ctx.memory["plan"]
        to = Address(agent=plan["to"], zone=plan.get("zone"))
        said = ctx.memory.log("said", Any)
        async for _ in ctx.turns(range(plan["count"])):
            total = await ctx.query(to, "total", desk="a")
            said.append([total, await self.pay(total)])
            await ctx.sleep(plan["pause"])
        try:
            await ctx.query(to, plan.get("last", "secret"))
        except (QueryRefused, Denied) as error:
            said.append(str(error))
        return list(said)
