"""The agents that the auditor's tests read about."""

from collections.abc import Sequence

from sojourn import Agent, Assessment, Context, Denied, step


class Desk(Agent):
    """Places an order, tries to cancel it, moves on to where its plan says, and places another there."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step(effect="once", action="order.place")
    def place(self, number: int) -> str:
        """Place an order."""
        return f"placed {number}"

    @step(effect="once", action="order.cancel")
    def cancel(self, number: int) -> str:
        """Cancel one: its policy forbids that."""
        return f"cancelled {number}"

    async def run(self, ctx: Context) -> list[str]:
        """Follow the plan."""
        done = ctx.memory.log("done", str)
        plan = ctx.memory["plan"]["route"]
        async for number in ctx.turns(range(len(plan) + 1)):
            done.append(await self.place(number))
            try:
                await self.cancel(number)
            except Denied:
                done.append("no cancelling")
            if number < len(plan):
                self.goal = plan[number]
                await self._go(ctx)
            await ctx.sleep(30)
        return list(done)

    async def _go(self, ctx: Context) -> None:
        while True:
            here = next(place for place in (await ctx.consider()).places if place.current)
            if here.name == self.goal:
                return
            await ctx.sleep(1)


class Clerk(Agent):
    """Pays one bill, if people let it."""

    @step(effect="once", action="bill.pay", spends={"cost_micros": 100, "tokens": 5})
    def pay(self, amount: int) -> int:
        """Pay it."""
        return amount

    async def run(self, ctx: Context) -> None:
        """Pay, and stay."""
        ctx.memory.log("done", int).append(await self.pay(7))
        await ctx.sleep(1e6)


class Census(Desk):
    """Uses what is confidential, acts on it, releases a sum of it, and moves on without it."""

    @step(declassifies=("client-confidential",), into="done")
    def total(self, values: list[int]) -> list[int]:
        """Return how much there is, and of whom not."""
        return [sum(values)]

    async def run(self, ctx: Context) -> list[str]:
        """Count, then follow the plan."""
        route = ctx.memory["plan"]["route"]
        async for number in ctx.turns(range(len(route) + 1)):
            if number == 0:
                await self._count(ctx)
                continue
            self.goal = route[number - 1]
            await self._go(ctx)
        await ctx.sleep(3600)
        return []

    async def _count(self, ctx: Context) -> None:
        values = [value for _, value in ctx.memory["book"].items()]
        await self.place(0)
        try:
            await self.cancel(0)
        except Denied:
            ctx.log("no cancelling")
        await self.total(values)
        await ctx.sleep(30)
