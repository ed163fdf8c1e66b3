"""Agents that tell what has labels, and agents that are told."""

from typing import Any

from sojourn import (
    Address,
    Agent,
    Assessment,
    Context,
    Denied,
    Message,
    query,
    signal,
    step,
    update,
)


class Teller(Agent):
    """Has a word in a vault, and tells it: by a letter, to who asks, and to who has it called."""

    @query
    def word(self, ctx: Context) -> str:
        """Tell the word."""
        return str(ctx.memory["vault"]["word"])

    @update
    def say(self, ctx: Context) -> str:
        """Tell the word."""
        return str(ctx.memory["vault"]["word"])

    async def on_unread(self, ctx: Context, message: Message) -> None:
        """Write down what was not read, where anybody may read it."""
        try:
            ctx.memory["open"]["unread"] = message.body
        except Denied:
            ctx.memory["vault"]["unread"] = message.body

    async def run(self, ctx: Context) -> list[str]:
        """Write to whom it is to, in a turn of its own; and be there until somebody says that it is enough."""
        plan = ctx.memory["plan"]
        async for turn in ctx.turns(range(2)):
            if turn == 0:
                for to in plan["to"]:
                    await ctx.send(Address(agent=to), ctx.memory["vault"]["word"])
            else:
                while True:
                    if await ctx.receive() is not None:
                        break
        return []


class Hearer(Agent):
    """Is told a word, tries to write it where anybody may read it, acts by it, and goes elsewhere with it."""

    @step(effect="idempotent", action="order.place")
    def pay(self, amount: int) -> int:
        """Pay."""
        return amount

    async def run(self, ctx: Context) -> dict[str, Any]:
        """Return what it has written where anybody may read it."""
        plan = ctx.memory["plan"]
        async for turn in ctx.turns(range(2)):
            if turn == 0:
                told = await self.told(ctx, plan)
                try:
                    ctx.memory["open"]["told"] = told
                except Denied:
                    ctx.memory["vault"]["told"] = told
                await self.pay(len(told))
                if plan["moves"]:
                    await ctx.consider()
                    await self.pay(len(told) + 1)
            else:
                ctx.memory["open"]["turn"] = turn
                await self.pay(0)
        return dict(ctx.memory["open"].items())

    async def told(self, ctx: Context, plan: dict[str, Any]) -> str:
        """Return the word, as its plan says how."""
        if plan["how"] == "letter":
            message = await ctx.receive(str)
            assert message is not None
            return str(message.body)
        to = Address(agent=plan["of"])
        if plan["how"] == "query":
            return str(await ctx.query(to, "word"))
        return str(await ctx.update(to, "say"))

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose zone b."""
        return next((p for p in places if p.name == "b" and p.eligible), None)


class Younger(Agent):
    """Is told a word by its parent."""

    async def run(self, ctx: Context) -> str:
        """Try to write it where anybody may read it."""
        message = await ctx.receive(str)
        assert message is not None
        try:
            ctx.memory["open"]["told"] = message.body
        except Denied:
            return f"denied {message.body} {message.labels}"
        return "written"


class Elder(Agent):
    """Has a child, and tells it a word."""

    async def run(self, ctx: Context, entry: str = "Younger") -> str:
        """Tell it, by a letter or by a call."""
        if entry == "Younger":
            child = await ctx.spawn(Younger, memory={"open": {}})
            await ctx.send(child, ctx.memory["vault"]["word"])
        else:
            child = await ctx.spawn(Drowsy, memory={"open": {}})
            await ctx.signal(child, "heed", ctx.memory["vault"]["word"])
        return "told"


class Drowsy(Agent):
    """Is called by its parent while it sleeps."""

    @signal
    def heed(self, ctx: Context, word: str) -> None:
        """Write the word where anybody may read it."""
        ctx.memory["open"]["heeded"] = word

    async def run(self, ctx: Context) -> dict[str, Any]:
        """Sleep, and then take what has come."""
        await ctx.sleep(60)
        ctx.memory["open"]["slept"] = True
        await ctx.receive(timeout=5)
        return dict(ctx.memory["open"].items())
