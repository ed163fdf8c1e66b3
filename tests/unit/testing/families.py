"""Agents that have children."""

from typing import Any

from sojourn import Agent, Assessment, BudgetExhausted, Child, Context, Denied, step


class Clerk(Agent):
    """Enters what it was told to, one a second, and goes to the zone that it was told of, if any."""

    @step(effect="idempotent", action="ledger.enter")
    def enter(self, number: int) -> int:
        """Enter a number."""
        return number

    async def run(self, ctx: Context, numbers: list[int], zone: str = "") -> int:
        """Go where it is to go, and enter number by number."""
        self.zone = zone
        entered = ctx.memory["book"]
        async for number in ctx.turns(numbers):
            if zone:
                await ctx.consider()
            entered[str(number)] = await self.enter(number)
            await ctx.sleep(1)
        return len(numbers)

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose the zone that it was told of."""
        return next((p for p in places if p.name == self.zone and p.eligible), None)


class Head(Agent):
    """Has the children that its plan says, and returns who they are, or why it has none."""

    async def run(self, ctx: Context) -> list[str]:
        """Have one child after the other, and then wait for ever."""
        plan = ctx.memory["plan"]
        told = ctx.memory.log("told", str)
        async for wish in ctx.turns(plan["wishes"]):
            told.append(await self.have(ctx, wish))
        await ctx.receive()
        return list(told)

    async def have(self, ctx: Context, wish: dict[str, Any]) -> str:
        """Return the child's identifier, or why there is none."""
        try:
            child: Child = await ctx.spawn(
                Clerk,
                wish.get("numbers", [1, 2, 3]),
                wish.get("zone", ""),
                budgets=wish.get("budgets", {}),
                memory={"book": {}},
                outlives=wish.get("outlives", False),
            )
        except (Denied, BudgetExhausted) as denied:
            return type(denied).__name__
        return str(child)


class Widow(Agent):
    """Has a child after a step, outside of any loop, and then needs no host for a while."""

    @step
    def think(self) -> int:
        """Return how many hours it takes."""
        return 1

    async def run(self, ctx: Context) -> str:
        """Think, have a child, sleep, and return who it is."""
        hours = await self.think()
        child = await ctx.spawn(Clerk, [1], memory={"book": {}})
        await ctx.sleep(3600 * hours)
        return str(child)
