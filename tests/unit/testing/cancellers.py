"""Agents that cancel what they have called, in every way that Python has."""

import asyncio
from typing import Any

from sojourn import Agent, Context, RetryableError, step


class Impatient(Agent):
    """Begins to pay, waits a second, cancels, and goes on in the way it is told."""

    @step(effect="idempotent", action="order.place", attempts=3, backoff_s=1, timeout_s=10)
    async def place(self, number: int) -> str:
        await asyncio.sleep(3)
        return "placed"

    @step(effect="once", action="order.pay")
    async def pay(self, number: int) -> str:
        await asyncio.sleep(3)
        return "paid"

    @step
    async def tick(self) -> None:
        await asyncio.sleep(1)

    async def give_up(self, how: str, number: int) -> str:
        """Call the step `how`, and give it up after a second; return what came of it."""
        act = self.pay(number) if how == "pay" else self.place(number)
        acting = asyncio.create_task(act)
        await self.tick()
        acting.cancel()
        (came,) = await asyncio.gather(acting, return_exceptions=True)
        return type(came).__name__

    async def run(self, ctx: Context, how: str, then: str, again: int = 0) -> Any:
        log = ctx.memory.log("log", str)
        if then == "turn":
            async for number in ctx.turns(range(2)):
                await self.give_up(how, number)
                log.append(f"{number}")
        elif not again:
            await self.give_up(how, 0)
            log.append("given up")
        if then == "restart" and not again:
            await ctx.restart(how, then, again=1)
        if then == "consider":
            await ctx.consider()
        if then == "sleep":
            await ctx.sleep(3600)
        if then == "raise":
            raise ValueError("enough")
        return list(log)


class Group(Agent):
    """A task group whose first failure cancels the rest, and a run that ends while something goes on."""

    @step(effect="idempotent", action="order.place", attempts=4, backoff_s=1)
    async def place(self, number: int) -> int:
        raise RetryableError("busy")

    @step(attempts=1)
    async def fail(self) -> None:
        await asyncio.sleep(1)
        raise ValueError("no")

    async def run(self, ctx: Context) -> list[str]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.fail())
                group.create_task(self.place(1))
                group.create_task(ctx.sleep(10**9))
                group.create_task(ctx.receive())
        except* Exception as errors:
            told = [type(error).__name__ for error in errors.exceptions]
        asyncio.create_task(self.place(2))  # noqa: RUF006 (nobody waits for it: that is the point)
        await asyncio.sleep(0)
        await ctx.sleep(1)
        return told


class Racer(Agent):
    """Races a step against a long sleep and a message, often, as the how-to says."""

    @step
    async def tick(self, number: int) -> int:
        return number

    async def run(self, ctx: Context, rounds: int) -> int:
        for number in range(rounds):
            sleeping = asyncio.create_task(ctx.sleep(10**8))
            hearing = asyncio.create_task(ctx.receive(timeout=10**9))
            ticking = asyncio.create_task(self.tick(number))
            await asyncio.wait([sleeping, hearing, ticking], return_when=asyncio.FIRST_COMPLETED)
            sleeping.cancel()
            hearing.cancel()
            await asyncio.gather(sleeping, hearing, return_exceptions=True)
        message = await ctx.receive()
        assert message is not None
        return rounds + int(message.body)


class Family(Agent):
    """Gives up to have a child."""

    @step
    async def tick(self) -> None:
        await asyncio.sleep(0)

    async def run(self, ctx: Context) -> str:
        having = asyncio.create_task(ctx.spawn(Impatient, "pay", "return", memory={"log": []}))
        await asyncio.sleep(0)
        await self.tick()
        having.cancel()
        await asyncio.gather(having, return_exceptions=True)
        return "alone"
