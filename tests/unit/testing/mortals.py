"""Agents that end with messages unread, and agents that wrote to them."""

from typing import Any

from sojourn import Address, Agent, Assessment, Context, Message, Unanswered


class Mortal(Agent):
    """Goes where its plan says, takes so many messages, each after a while, and ends or sleeps for ever."""

    async def run(self, ctx: Context) -> list[Any]:
        """Return what was read."""
        plan = ctx.memory["plan"]
        read: list[Any] = []
        await ctx.sleep(plan["pause"])
        if plan["moves"]:
            await ctx.consider()
        for _ in range(plan["count"]):
            message = await ctx.receive()
            assert message is not None
            read.append(message.body)
        if plan["lives"]:
            await ctx.sleep(10**8)
        return read

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose zone b."""
        return next((p for p in places if p.name == "b" and p.eligible), None)


class Bereft(Agent):
    """Writes numbers to a mortal, goes elsewhere if it is to, and waits for word of each that was not read."""

    async def on_unread(self, ctx: Context, message: Message) -> None:
        """Note what was not read, by whom."""
        assert message.mark is not None
        ctx.memory["dead"].append([message.sender, message.body, message.mark.key])

    async def run(self, ctx: Context) -> list[Any]:
        """Return what was not read, when somebody says that it is enough."""
        plan = ctx.memory["plan"]
        to = Address(agent=plan["to"], zone=plan["zone"])
        for number in range(plan["count"]):
            await ctx.send(to, number, key=f"k{number}")
        if plan["moves"]:
            await ctx.consider()
        while await ctx.receive(str) is None:
            pass
        return list(ctx.memory["dead"])

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose zone c."""
        return next((p for p in places if p.name == "c" and p.eligible), None)


class Hopeful(Agent):
    """Asks a mortal, for an hour."""

    async def run(self, ctx: Context) -> str:
        """Return why it was not answered."""
        plan = ctx.memory["plan"]
        try:
            await ctx.request(Address(agent=plan["to"], zone=plan["zone"]), "anybody there?")
        except Unanswered as error:
            return error.problem
        return "answered"
