"""Agents that rehearsals put through things."""

import asyncio
from datetime import timedelta
from typing import Any

from sojourn import Agent, Context, Denied, StepFailed, UncertainOutcome, step


class Desk(Agent):
    """Orders, pays and books, with every kind of effect."""

    @step
    def quote(self, number: int) -> int:
        return number * 10

    @step(effect="idempotent", action="order.place")
    async def place(self, amount: int) -> int:
        raise NotImplementedError("talks to an exchange")

    @step(effect="once", action="order.pay")
    async def pay(self, amount: int) -> None:
        raise NotImplementedError("talks to a bank")

    async def run(self, ctx: Context, orders: int = 3) -> list[int]:
        unsure = ctx.memory.log("unsure", int)
        async for number in ctx.turns(range(orders)):
            amount = await self.quote(number)
            ctx.memory["book"][f"{number}"] = await self.place(amount)
            try:
                await self.pay(amount)
            except UncertainOutcome:
                unsure.append(amount)
        return list(unsure)


class Sleeper(Agent):
    """Sleeps for ten years, then waits for a message."""

    async def run(self, ctx: Context) -> list[Any]:
        begun = ctx.now()
        await ctx.sleep(until=begun + timedelta(days=3652))
        message = await ctx.receive()
        assert message is not None
        return [(ctx.now() - begun).days, message.body]


class Fickle(Agent):
    """Calls a step that fails in ways of its own."""

    @step(attempts=3, backoff_s=60, timeout_s=5)
    async def fetch(self) -> str:
        raise NotImplementedError("talks to a server")

    async def run(self, ctx: Context) -> str:
        try:
            return await self.fetch()
        except StepFailed as failed:
            return f"{failed.kind} after {failed.attempts}"


class Petitioner(Agent):
    """Does one thing that people may have a say in."""

    @step(effect="once", action="order.pay")
    async def pay(self, amount: int) -> str:
        raise NotImplementedError("talks to a bank")

    async def run(self, ctx: Context) -> str:
        try:
            return await self.pay(5)
        except Denied as denied:
            return denied.problem


class Nomad(Agent):
    """Goes where it is cheapest, twice."""

    async def run(self, ctx: Context) -> list[str]:
        seen = ctx.memory.log("seen", str)
        async for _ in ctx.turns(range(2)):
            considered = await ctx.consider()
            seen.append(f"{considered.moved} {considered.reason}".strip())
            await ctx.sleep(3600)
        return list(seen)


class Parent(Agent):
    """Has a child."""

    async def run(self, ctx: Context) -> str:
        child = await ctx.spawn(Petitioner, 7, budgets={"steps": 3})
        return child.entry


class Forgetful(Agent):
    """Breaks the rules: what it does hangs on a counter that no journal knows."""

    runs = 0

    @step(effect="idempotent", action="desk.quote")
    def quote(self, number: int) -> int:
        return number

    async def run(self, ctx: Context) -> int:
        Forgetful.runs += 1
        return sum([await self.quote(number) for number in range(Forgetful.runs, 4)])


class Careless(Agent):
    """Pays again what it does not know to be paid."""

    @step(effect="once", action="order.pay")
    async def pay(self) -> str:
        raise NotImplementedError("talks to a bank")

    async def run(self, ctx: Context) -> str:
        try:
            return await self.pay()
        except UncertainOutcome:
            return await self.pay()


class Hoarder(Agent):
    """Keeps in its class what belongs into memory: what its steps return hangs on how often they were called."""

    drawn = 0

    @step(effect="idempotent", action="desk.draw")
    def draw(self) -> int:
        Hoarder.drawn += 1
        return Hoarder.drawn

    async def run(self, ctx: Context) -> int:
        Hoarder.drawn = 0
        return [await self.draw() for _ in range(3)][-1]


def forgetful() -> int:
    """Forget to await something, as code of a test may, that is no agent's."""
    asyncio.sleep(1)  # type: ignore[unused-coroutine]
    return 7
