"""Agents that the simulation's tests launch."""

import asyncio
from collections.abc import Sequence

from sojourn import (
    Agent,
    Assessment,
    BudgetExhausted,
    Context,
    Denied,
    UncertainOutcome,
    step,
)
from sojourn.runtime.agent_side.logs import LogCompartment


class Payer(Agent):
    """Enters and pays every number of its plan; returns those of which it does not know whether they are paid."""

    @step(effect="idempotent", action="ledger.enter")
    def enter(self, number: int) -> int:
        """Enter a number; what comes under one key counts once."""
        return number

    @step(effect="once", action="ledger.pay")
    async def pay(self, number: int, pace_s: float) -> int:
        """Pay a number, which takes its time; twice would be twice."""
        await asyncio.sleep(pace_s)
        return number

    async def run(self, ctx: Context) -> list[int]:
        """Enter and pay, number by number."""
        unsure = ctx.memory.log("unsure", int)
        done = ctx.memory.log("done", int)
        plan = ctx.memory["plan"]
        async for number in ctx.turns(range(plan["turns"])):
            await self.enter(number)
            try:
                await self.pay(number, plan["pace_s"])
            except UncertainOutcome:
                unsure.append(number)
            done.append(number)
        return list(unsure)


class Buyer(Agent):
    """Buys what its plan says, if people let it, and returns what came of each."""

    @step(effect="once", action="order.place")
    async def buy(self, what: str, count: int) -> str:
        """Buy so many of something."""
        return f"{count} {what}"

    async def run(self, ctx: Context) -> list[str]:
        """Buy, item by item, and give up on what takes too long."""
        done = ctx.memory.log("done", str)
        plan = ctx.memory["plan"]
        async for what in ctx.turns(plan["wants"]):
            buying = asyncio.ensure_future(self.buy(what, count=plan["count"]))
            waiting = asyncio.ensure_future(ctx.sleep(plan["patience_s"]))
            await asyncio.wait((buying, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not buying.done():
                buying.cancel()
            (came, _) = await asyncio.gather(buying, waiting, return_exceptions=True)
            if isinstance(came, Denied):
                done.append(f"no: {came.problem}")
            else:
                done.append("gave up" if isinstance(came, BaseException) else came)
        return list(done)


class Shopper(Buyer):
    """Looks at many things while people think about what it wants to buy."""

    @step
    async def look(self, number: int) -> int:
        """Look at one."""
        return number

    async def run(self, ctx: Context) -> list[str]:
        """Buy, and look meanwhile."""
        plan = ctx.memory["plan"]
        buying = asyncio.ensure_future(self.buy(plan["wants"][0], count=plan["count"]))
        for number in range(plan["looks"]):
            await self.look(number)
            await ctx.sleep(1)
        return [await buying]


class Asker(Agent):
    """Asks as often as its plan says; where it cannot pay for it, it writes that down and asks again later."""

    @step(effect="once", action="model.ask", spends={"cost_micros": 100, "tokens": 50})
    async def ask(self, number: int, pace_s: float) -> int:
        """Ask a model, which takes its time and more tokens than was thought."""
        await asyncio.sleep(pace_s)
        self.used(tokens=60, cost_micros=20)
        return number

    async def run(self, ctx: Context) -> list[str]:
        """Ask, number by number; return why it had to wait."""
        waits = ctx.memory.log("waits", str)
        plan = ctx.memory["plan"]
        async for number in ctx.turns(range(plan["turns"])):
            while not await self._has_asked(number, plan["pace_s"], waits):
                await ctx.sleep(5)
        return list(waits)

    async def _has_asked(self, number: int, pace_s: float, waits: LogCompartment[str]) -> bool:
        try:
            await self.ask(number, pace_s)
        except BudgetExhausted as error:
            waits.append(error.problem)
            return False
        return True


class Caller(Asker):
    """Asks on a budget that its author has named."""

    @step(effect="once", action="model.ask", spends={"questions": 2})
    async def ask(self, number: int, pace_s: float) -> int:
        """Ask a model, which takes its time."""
        await asyncio.sleep(pace_s)
        return number


class Walker(Agent):
    """Goes where its plan says, and writes down where it was."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step
    def visit(self, place: str) -> str:
        """Be there."""
        return place

    async def run(self, ctx: Context) -> list[str]:
        """Follow the route."""
        diary = ctx.memory.log("diary", str)
        route = ctx.memory["plan"]["route"]
        async for number in ctx.turns(range(len(route))):
            self.goal = route[number]
            while not await self._is_there(ctx):
                await ctx.sleep(0.2)
            diary.append(await self.visit(self.goal))
        return list(diary)

    async def _is_there(self, ctx: Context) -> bool:
        looked = await ctx.consider()
        here = next(place for place in looked.places if place.current)
        return looked.moved or here.name == self.goal


class Listener(Agent):
    """Sleeps, then returns the next message."""

    async def run(self, ctx: Context) -> object:
        """Sleep for ten seconds; then wait for whoever writes."""
        await ctx.sleep(10)
        message = await ctx.receive()
        return message.body if message is not None else None


class Trader(Agent):
    """Places an order in every turn, if it may; writes down when it might."""

    @step(effect="idempotent", action="order.place")
    def place(self, number: int) -> int:
        """Place an order."""
        return number

    async def run(self, ctx: Context) -> None:
        """Trade, turn by turn."""
        said = ctx.memory.log("said", str)
        async for number in ctx.turns(range(ctx.memory["plan"]["turns"])):
            try:
                said.append(f"placed {await self.place(number)}")
            except Denied:
                said.append("denied")
            await ctx.sleep(1)


class Nomad(Agent):
    """Adds up squares wherever that is cheapest, and looks round before each of them."""

    @step
    def add(self, total: int, number: int) -> int:
        """Add a square."""
        return total + number * number

    async def run(self, ctx: Context) -> int:
        """Add up the squares of all numbers below `turns`."""
        plan = ctx.memory["plan"]
        sums = ctx.memory.log("sums", int)
        async for number in ctx.turns(range(plan["turns"])):
            await ctx.consider()
            sums.append(await self.add(sums[-1] if len(sums) else 0, number))
            await ctx.sleep(plan["pause_s"])
        return sums[-1]
