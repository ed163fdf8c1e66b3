"""Agents that write to each other."""

import asyncio
from typing import Any

from sojourn import (
    Address,
    Agent,
    Assessment,
    Context,
    Denied,
    Unanswered,
    Undeliverable,
    UpdateRefused,
    WrongMessage,
    signal,
    step,
    update,
)


class Writer(Agent):
    """Writes numbers to the agent that its plan names, and goes to the zones that it says, before each."""

    @step
    def prepare(self, number: int) -> int:
        """Return a number, after work that may be done twice."""
        return number

    async def run(self, ctx: Context) -> list[str]:
        """Write all, and return what became of each."""
        plan = ctx.memory["plan"]
        said = ctx.memory.log("said", str)
        async for number in ctx.turns(range(plan["count"])):
            self.zone = plan["moves"].get(str(number), "")
            if self.zone:
                await ctx.consider()
            to = Address(agent=plan["to"], zone=plan.get("zone"))
            said.append(await self.write(ctx, to, await self.prepare(number), plan))
        return list(said)

    async def write(self, ctx: Context, to: Address, number: int, plan: dict[str, Any]) -> str:
        """Write a number and return what became of it."""
        try:
            await ctx.send(to, number, key=plan.get("key", ""), timeout=plan.get("timeout", 3600))
        except (Denied, Undeliverable) as error:
            return type(error).__name__
        return "sent"

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose the zone that it was told of."""
        return next((p for p in places if p.name == self.zone and p.eligible), None)


class Reader(Agent):
    """Takes so many messages, and goes to the zones that its plan says, before each."""

    async def run(self, ctx: Context) -> list[Any]:
        """Return who sent what, in the order in which it came."""
        plan = ctx.memory["plan"]
        got = ctx.memory.log("got", list)
        async for number in ctx.turns(range(plan["count"])):
            self.zone = plan["moves"].get(str(number), "")
            if self.zone:
                await ctx.consider()
            if plan.get("pause"):
                await ctx.sleep(plan["pause"])
            got.append(await self.read(ctx))
        return list(got)

    async def read(self, ctx: Context) -> list[Any]:
        """Take one message, which is to be a number."""
        try:
            message = await ctx.receive(int)
        except WrongMessage as wrong:
            return [wrong.message.sender[-4:], "wrong"]
        assert message is not None
        return ["" if message.mark is None else message.mark.agent.hex(), message.body]

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose the zone that it was told of."""
        return next((p for p in places if p.name == self.zone and p.eligible), None)


class Kid(Agent):
    """Greets whom it was told to, and waits for the answer."""

    async def run(self, ctx: Context, parent: str) -> str:
        """Greet, and return what was answered."""
        await ctx.send(parent, "hello from a child")
        message = await ctx.receive(str)
        assert message is not None
        return str(message.body)


class Parent(Agent):
    """Has a child, is greeted, answers the message, and waits for the last word."""

    async def run(self, ctx: Context) -> list[str]:
        """Return what was said."""
        child = await ctx.spawn(Kid, str(ctx.address))
        message = await ctx.receive(str)
        assert message is not None and message.mark is not None
        assert child.agent_id == message.mark.agent
        await ctx.send(message, "thanks")
        await ctx.send(child, "nobody reads this")
        return [message.body, "thanks"]


class Asker(Agent):
    """Asks another agent to double numbers, one by one, and goes to the zones that its plan says."""

    async def run(self, ctx: Context) -> list[Any]:
        """Return the answers."""
        plan = ctx.memory["plan"]
        said = ctx.memory.log("said", Any)
        async for number in ctx.turns(range(plan["count"])):
            self.zone = plan["moves"].get(str(number), "")
            if self.zone:
                await ctx.consider()
            said.append(await self.ask(ctx, Address(agent=plan["to"], zone=plan["zone"]), number))
        return list(said)

    async def ask(self, ctx: Context, to: Address, number: int) -> Any:
        """Ask one number, in two ways at once."""
        one, two = await asyncio.gather(
            ctx.request(to, number, int), ctx.request(to, number + 100, int)
        )
        return [one, two]

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose the zone that it was told of."""
        return next((p for p in places if p.name == self.zone and p.eligible), None)


class Doubler(Agent):
    """Answers so many requests with twice the number, and sends a note that nobody waits for before each answer."""

    async def run(self, ctx: Context) -> int:
        """Return how many were answered."""
        plan = ctx.memory["plan"]
        async for number in ctx.turns(range(plan["count"])):
            self.zone = plan["moves"].get(str(number), "")
            if self.zone:
                await ctx.consider()
            message = await ctx.receive(int)
            assert message is not None
            await ctx.send(message, "working on it")
            await ctx.reply(message, 2 * message.body)
        return int(plan["count"])

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose the zone that it was told of."""
        return next((p for p in places if p.name == self.zone and p.eligible), None)


class Selfish(Agent):
    """Asks whom it is told to by a message, answers nobody, and returns what came of it."""

    async def run(self, ctx: Context) -> str:
        """Wait for a message that says whom to ask, and for how long."""
        message = await ctx.receive()
        assert message is not None
        try:
            await ctx.request(message.body["to"], "please", timeout=message.body["seconds"])
        except Unanswered as error:
            return ("cycle: " if error.is_cycle else "silence: ") + error.problem
        return "answered"


class Patient(Agent):
    """Asks, and once it has slept a while answers what it is asked meanwhile."""

    async def run(self, ctx: Context) -> list[str]:
        """Return what came of both."""
        message = await ctx.receive()
        assert message is not None

        async def answer(seconds: float) -> str:
            await ctx.sleep(seconds)
            request = await ctx.receive(str)
            assert request is not None
            await ctx.reply(request, "yes")
            return str(request.body)

        asking = ctx.request(message.body["to"], "please", timeout=600)
        told = await asyncio.gather(asking, answer(message.body["busy"]))
        return ["answered" if told[0] == "done" else told[0], told[1]]


class Obliging(Agent):
    """Asks another on behalf of who asks it, before it answers."""

    async def run(self, ctx: Context) -> str:
        """Take one request."""
        plan = ctx.memory["plan"]
        request = await ctx.receive()
        assert request is not None
        try:
            await ctx.request(plan["further"], "for somebody else", timeout=120)
        except Unanswered as error:
            return "cycle" if error.is_cycle else "silence"
        await ctx.reply(request, "done")
        return "answered"


class Herald(Agent):
    """Has children, and tells them all the same."""

    async def run(self, ctx: Context) -> list[Any]:
        """Return who was not reached, and what the children said."""
        children = [await ctx.spawn(Listener) for _ in range(3)]
        assert children == ctx.children
        lost = await ctx.broadcast([*ctx.children, bytes(32)], "the news", timeout=30)
        heard = [await ctx.receive(str) for _ in children]
        return [len(lost), sorted(message.body for message in heard if message is not None)]


class Listener(Agent):
    """Repeats what it hears to who said it."""

    async def run(self, ctx: Context) -> None:
        """Hear once."""
        message = await ctx.receive(str)
        assert message is not None
        await ctx.send(message, f"heard {message.body}")


class Till(Agent):
    """Keeps an amount that others change by calls, and returns it when it is told to close."""

    @step
    def count(self, amount: int) -> int:
        """Return an amount, counted."""
        return amount

    @update
    async def add(self, ctx: Context, amount: int) -> int:
        """Add an amount that is no less than nothing, and return what there is."""
        if amount < 0:
            raise ValueError(f"{amount} cannot be added")
        purse = ctx.memory["purse"]
        purse["amount"] = purse["amount"] + await self.count(amount)
        return int(purse["amount"])

    @signal
    def name(self, ctx: Context, name: str) -> None:
        """Take a name, and who gave it."""
        assert ctx.caller is not None
        ctx.memory["purse"]["name"] = [name, ctx.caller.mark is not None]

    def secret(self, ctx: Context) -> str:
        """Be no business of anybody's."""
        return "secret"

    async def run(self, ctx: Context) -> list[Any]:
        """Wait until somebody says to close."""
        self.zone = "b"
        async for _ in ctx.turns():
            message = await ctx.receive(str)
            assert message is not None
            if message.body == "close":
                break
            await ctx.consider()
        purse = ctx.memory["purse"]
        return [purse["amount"], purse["name"]]

    def rank(self, places: tuple[Assessment, ...]) -> Assessment | None:
        """Choose zone b."""
        return next((p for p in places if p.name == "b" and p.eligible), None)


class Customer(Agent):
    """Calls a till, and returns what it said."""

    async def run(self, ctx: Context) -> list[Any]:
        """Pay, be refused, and say good-bye."""
        till = ctx.memory["plan"]["till"]
        said: list[Any] = [await ctx.update(till, "add", 5)]
        await ctx.signal(till, "name", "Ada")
        for name, amount in (("add", -1), ("add", "much"), ("secret", 0), ("name", 0)):
            try:
                said.append(await ctx.update(till, name, amount))
            except UpdateRefused as error:
                said.append(error.problem)
        await ctx.send(till, "go")
        said.append(await ctx.update(till, "add", amount=2))
        await ctx.send(till, "close")
        return said


class Fickle(Agent):
    """Cancels what it sends first, after a while, and at once sends something else to the same agent."""

    async def run(self, ctx: Context) -> list[Any]:
        """Return what came of both, as the code saw it."""
        plan = ctx.memory["plan"]
        to = Address(agent=plan["to"], zone=plan["zone"])
        first = asyncio.create_task(ctx.send(to, 0))
        await ctx.sleep(plan["after"])
        first.cancel()
        (came,) = await asyncio.gather(first, return_exceptions=True)
        await ctx.send(to, 1)
        return [type(came).__name__, "sent"]


class Capricious(Agent):
    """Cancels all that it sends but the last."""

    async def run(self, ctx: Context) -> str:
        """Send three, one second after the other."""
        plan = ctx.memory["plan"]
        to = Address(agent=plan["to"], zone=plan["zone"])
        for number in range(2):
            sending = asyncio.create_task(ctx.send(to, number))
            await ctx.sleep(3)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        await ctx.send(to, 2)
        return "sent"
