"""Agents that have others work for them, in every way there is, and agents that keep secrets."""

import asyncio
from typing import Any

from sojourn import (
    Agent,
    BudgetExhausted,
    Context,
    Denied,
    Message,
    Unanswered,
    step,
    update,
)


class Hand(Agent):
    """Adds up its numbers, each counted outside, and gives the sum to whoever asks."""

    @step(effect="idempotent", action="desk.count", queue="counters")
    def count(self, number: int) -> int:
        """Count a number."""
        if number < 0:
            raise ValueError(f"{number} cannot be counted")
        return number

    async def run(self, ctx: Context, numbers: list[int], asked: int = 1) -> int:
        """Add up, then answer so often."""
        total = ctx.memory["sum"]
        total["amount"] = 0
        async for number in ctx.turns(numbers):
            total["amount"] = total["amount"] + await self.count(number)
        for _ in range(asked):
            message = await ctx.receive(str)
            assert message is not None
            await ctx.reply(message, [message.body, total["amount"]])
        return int(total["amount"])


class Hurried(Agent):
    """Answers one question after so long."""

    async def run(self, ctx: Context, seconds: float) -> str:
        """Sleep first."""
        message = await ctx.receive(str)
        assert message is not None
        await ctx.sleep(seconds)
        await ctx.reply(message, seconds)
        return "answered"


class Clock(Agent):
    """Is asked by updates, and stops when it is told to."""

    @update
    async def add(self, ctx: Context, seconds: int) -> int:
        """Add so many seconds."""
        if seconds < 0:
            raise ValueError("time does not go back")
        shown = ctx.memory["shown"]
        shown["seconds"] = shown.get("seconds", 0) + seconds
        return int(shown["seconds"])

    async def run(self, ctx: Context) -> str:
        """Wait for the word."""
        message = await ctx.receive(str)
        assert message is not None
        return message.body


class Master(Agent):
    """Has children, in the way that it is told."""

    def on_unread(self, ctx: Context, message: Message) -> None:
        """Note what a child has not read."""
        ctx.memory.log("unread", str).append(str(message.body))

    async def run(self, ctx: Context, way: str) -> Any:
        """Return what came of it."""
        return await getattr(self, f"do_{way}")(ctx)

    async def hand(self, ctx: Context, *arguments: Any) -> Any:
        """Have a child that adds up."""
        return await ctx.spawn(Hand, *arguments, memory={"sum": {}})

    async def do_gathered(self, ctx: Context) -> Any:
        """Have three at once, and ask two at a time."""
        numbers = [[1, 2], [3], [4, 5]]
        hands = await asyncio.gather(*(self.hand(ctx, each) for each in numbers))

        async def ask(number: int) -> Any:
            return await ctx.request(hands[number], f"hand {number}", list[Any], timeout=3600)

        return await ctx.map(ask, range(3), at_once=2)

    async def do_raced(self, ctx: Context) -> Any:
        """Ask a quick one and a slow one, and take the first answer."""
        slow, quick = await ctx.spawn(Hurried, 500), await ctx.spawn(Hurried, 5)
        first = await ctx.race(
            ctx.request(slow, "slow", timeout=3600), ctx.request(quick, "quick", timeout=3600)
        )
        await ctx.sleep(3600)
        return first

    async def do_failed(self, ctx: Context) -> Any:
        """Ask one that fails before it answers, and write to it when it has."""
        hand = await self.hand(ctx, [1, -1, 2])
        try:
            return await ctx.request(hand, "how much?", timeout=86_400)
        except Unanswered as error:
            await ctx.send(hand, "never mind")
            await ctx.receive(timeout=60)
            return ["ended" in error.problem, *ctx.memory["unread"]]

    async def do_told(self, ctx: Context) -> Any:
        """Tell all the same, call and query one of them."""
        clocks = [await ctx.spawn(Clock, memory={"shown": {}}) for _ in range(3)]
        said = [await ctx.update(clocks[1], "add", number, timeout=600) for number in (2, 3)]
        return [said, await ctx.broadcast(clocks, "stop", timeout=600)]

    async def do_cancelled(self, ctx: Context) -> Any:
        """Give up to have a child that was asked for already, and go on."""
        having = asyncio.create_task(self.hand(ctx, [7], 0))
        await asyncio.sleep(0)
        await ctx.sleep(1)
        having.cancel()
        await asyncio.gather(having, return_exceptions=True)
        return "went on"

    async def do_deep(self, ctx: Context) -> Any:
        """Have a child that has children."""
        below = await ctx.spawn(Master, "gathered", memory={"unread": None})
        await ctx.sleep(3600)
        return below.entry.rpartition(":")[2]

    async def do_denied(self, ctx: Context) -> Any:
        """Have one that is too dear, and two that are not permitted."""
        said = []
        for steps, outlives in ((10**9, False), (20, False), (20, True)):
            try:
                await ctx.spawn(
                    Hand,
                    [1],
                    0,
                    memory={"sum": {}},
                    budgets={"steps": steps},
                    outlives=outlives,
                )
                said.append("had")
            except (BudgetExhausted, Denied) as error:
                said.append(type(error).__name__)
        return said


class Ring(Agent):
    """Asks its child, which asks it: they wait for each other."""

    async def run(self, ctx: Context) -> str:
        """Return what came of it."""
        child = await ctx.spawn(Answering, str(ctx.address))
        try:
            await ctx.request(child, "after you", timeout=86_400)
        except Unanswered as error:
            return "cycle" if error.is_cycle else "silence"
        return "answered"


class Answering(Agent):
    """Asks its parent before it listens."""

    async def run(self, ctx: Context, parent: str) -> str:
        """Return what came of it."""
        try:
            await ctx.request(parent, "no, after you", timeout=86_400)
        except Unanswered as error:
            return "cycle" if error.is_cycle else "silence"
        return "answered"


class Mute(Agent):
    """Waits for its child to say something, which waits for it to."""

    async def run(self, ctx: Context, *, is_child: bool = False) -> str:
        """Wait."""
        if not is_child:
            await ctx.spawn(Mute)
        await ctx.receive()
        return "heard"


class Careless(Agent):
    """Has a child that cannot be."""

    async def run(self, ctx: Context, entry: Any, *, confined: bool = False) -> str:
        """Have it."""
        return str(await ctx.spawn(entry, [1], 0, memory={"sum": {}}, confined=confined))


class Confidant(Agent):
    """Keeps what it is told in an encrypted compartment, and counts that in one that is not."""

    @step(effect="idempotent", action="desk.hear", into="secrets")
    def hear(self, number: int) -> str:
        """Hear a secret."""
        return f"secret-{number}"

    async def run(self, ctx: Context, count: int) -> int:
        """Hear so many."""
        heard = ctx.memory["heard"]
        async for number in ctx.turns(range(count)):
            await self.hear(number)
            heard[str(number)] = True
            await ctx.sleep(3600)
        return len(heard)


class Keeper(Agent):
    """Writes what it knows into encrypted memory itself, and says where it could not."""

    async def run(self, ctx: Context, count: int) -> list[str]:
        """Write so many."""
        said = ctx.memory.log("said", str)
        async for number in ctx.turns(range(count)):
            await ctx.sleep(3600)
            try:
                ctx.memory["about"][str(number)] = f"secret-{number}"
                said.append("written")
            except Denied:
                said.append("denied")
            await ctx.sleep(60)
        return list(said)
