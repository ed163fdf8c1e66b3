"""Agents whose methods are called wherever they wait."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sojourn import (
    Address,
    Agent,
    Assessment,
    Context,
    UpdateRefused,
    days,
    signal,
    step,
    update,
)

__all__ = [
    "Asks",
    "Busy",
    "Clerk",
    "Gate",
    "Greedy",
    "Harsh",
    "HarshReader",
    "Peer",
    "Plain",
    "Shelf",
    "Turning",
    "Waiter",
]

YEAR = 365 * 86_400.0


class Waiter(Agent):
    """Waits in the way that it is told, and has a limit that others set meanwhile."""

    @step
    def work(self) -> str:
        """Take as long as the test likes."""
        return "worked"

    @update
    async def limit(self, ctx: Context, amount: int) -> int:
        """Set the limit, and return what it was."""
        state = ctx.memory["state"]
        before, state["limit"] = state["limit"], amount
        return int(before)

    @signal
    def open(self, ctx: Context) -> None:
        """Let a condition hold."""
        self.is_open = True

    async def run(self, ctx: Context, way: str) -> list[Any]:
        """Wait, and return what that brought, and the limit by then."""
        self.is_open = False
        found = await getattr(self, f"by_{way}")(ctx)
        return [found, ctx.memory["state"]["limit"]]

    async def by_sleep(self, ctx: Context) -> Any:
        """Sleep for a year."""
        return await ctx.sleep(YEAR)

    async def by_ask(self, ctx: Context) -> Any:
        """Ask a person."""
        return await ctx.ask("Well?", of=["ann"])

    async def by_request(self, ctx: Context) -> Any:
        """Ask another agent."""
        return await ctx.request(bytes(31) + b"x", "well?", timeout=YEAR)

    async def by_until(self, ctx: Context) -> Any:
        """Wait for what a method does, and for nothing else."""
        return await ctx.until(lambda: self.is_open)

    async def by_until_in_time(self, ctx: Context) -> Any:
        """Do the same, for a year at most."""
        return await ctx.until(lambda: self.is_open, timeout=YEAR)

    async def by_place(self, ctx: Context) -> Any:
        """Wait for a place that is not known."""
        place = await ctx.until_place("nowhere", timeout=YEAR)
        return place is not None

    async def by_work(self, ctx: Context) -> Any:
        """Wait for a step."""
        return await self.work()

    async def by_gather(self, ctx: Context) -> Any:
        """Wait for several things."""
        return await asyncio.gather(ctx.sleep(YEAR), ctx.sleep(5))

    async def by_race(self, ctx: Context) -> Any:
        """Wait for the first of two."""
        return await ctx.race(ctx.sleep(YEAR), ctx.sleep(2 * YEAR))

    async def by_map(self, ctx: Context) -> Any:
        """Wait for many."""
        return await ctx.map(ctx.sleep, [days(1), YEAR])

    async def by_limit(self, ctx: Context) -> Any:
        """Wait for nothing until the time is up."""
        try:
            async with ctx.timeout(YEAR):
                await asyncio.Event().wait()
        except TimeoutError:
            return "over"


class Busy(Agent):
    """Sleeps; its methods take their time, call steps, and raise."""

    @step
    def count(self, amount: int) -> int:
        """Return an amount, counted."""
        return amount

    @update
    async def add(self, ctx: Context, amount: int) -> int:
        """Add an amount, slowly, and return what there is."""
        if amount < 0:
            raise ValueError("no less than nothing")
        said = ctx.memory.log("said", str)
        said.append(f"adds {amount}")
        sum_ = ctx.memory["state"]["sum"]
        counted = await self.count(amount)
        await ctx.sleep(3)
        ctx.memory["state"]["sum"] = sum_ + counted
        said.append(f"added {amount}")
        return int(sum_ + counted)

    @signal
    def stop(self, ctx: Context) -> None:
        """End what it does."""
        ctx.memory["state"]["stopped"] = True

    async def run(self, ctx: Context) -> list[Any]:
        """Wait to be stopped, for as long as it takes."""
        state = ctx.memory["state"]
        await ctx.until(lambda: state["stopped"])
        await ctx.sleep(1)
        return [state["sum"], list(ctx.memory.log("said", str))]


class Turning(Busy):
    """Does the same with a restart point every second."""

    async def run(self, ctx: Context) -> list[Any]:
        """Turn until it is stopped."""
        state = ctx.memory["state"]
        async for _ in ctx.turns():
            state["turns"] = state["turns"] + 1
            if state["stopped"]:
                break
            await ctx.sleep(1)
        return [state["sum"], list(ctx.memory.log("said", str))]


class Gate(Agent):
    """Counts in two steps; nobody changes the count between them."""

    @update
    def add(self, ctx: Context, amount: int) -> int:
        """Add an amount."""
        ctx.memory["state"]["sum"] = ctx.memory["state"]["sum"] + amount
        return int(ctx.memory["state"]["sum"])

    @signal
    async def nap(self, ctx: Context) -> None:
        """Take a while."""
        await ctx.sleep(20)
        ctx.memory["state"]["sum"] = ctx.memory["state"]["sum"] + 100

    async def run(self, ctx: Context) -> list[Any]:
        """Double the count, undisturbed."""
        state = ctx.memory["state"]
        await ctx.sleep(10)
        async with ctx.undisturbed():
            before = state["sum"]
            await ctx.sleep(10)
            state["sum"] = 2 * before
        after = state["sum"]
        await ctx.sleep(1)
        async with ctx.undisturbed():
            message = await ctx.receive(str)
        return [before, after, state["sum"], message and message.body]


class Harsh(Agent):
    """Its methods do what they may not."""

    @signal
    async def again(self, ctx: Context) -> None:
        """Begin anew, which is for run to do."""
        await ctx.restart()

    @signal
    async def loop(self, ctx: Context) -> None:
        """Turn, which is for run to do."""
        async for _ in ctx.turns():
            break

    @signal
    async def give_up(self, ctx: Context) -> None:
        """Cancel itself."""
        raise asyncio.CancelledError

    @update
    async def much(self, ctx: Context) -> str:
        """Return more than anybody can be told."""
        return "x" * 100_000

    @update
    def odd(self, ctx: Context) -> object:
        """Return what has no plain form."""
        return object()

    async def run(self, ctx: Context) -> str:
        """Sleep through it."""
        await ctx.sleep(60)
        return "slept"


class HarshReader(Harsh):
    """Receives meanwhile, and nothing comes."""

    async def run(self, ctx: Context) -> str:
        """Receive for a minute."""
        assert await ctx.receive(timeout=60) is None
        return "slept"


class Shelf(Agent):
    """Takes other messages when it likes, and calls at any time."""

    @signal
    def note(self, ctx: Context, text: str) -> None:
        """Take a note."""
        ctx.memory.log("said", str).append(text)

    async def run(self, ctx: Context) -> list[Any]:
        """Sleep for a minute, then take what has come for a while."""
        await ctx.sleep(60)
        said = ctx.memory.log("said", str)
        said.append("awake")
        while (message := await ctx.receive(str, timeout=5)) is not None:
            said.append(f"got {message.body}")
        return list(said)


class Plain(Agent):
    """Has no method that a message may call."""

    async def run(self, ctx: Context) -> Any:
        """Sleep, and then take what has come."""
        await ctx.sleep(100)
        message = await ctx.receive()
        return message and message.body["name"]


class Clerk(Agent):
    """Sleeps for a year in the zone where it was sent to, and is changed meanwhile."""

    @step
    def check(self, amount: int) -> int:
        """Return an amount that was looked at."""
        return amount

    @update
    async def add(self, ctx: Context, amount: int) -> int:
        """Add an amount that is no less than nothing."""
        if amount < 0:
            raise ValueError("no less than nothing")
        checked = await self.check(amount)
        state = ctx.memory["state"]
        state["sum"] = state["sum"] + checked
        return int(state["sum"])

    @signal
    def move(self, ctx: Context, zone: str) -> None:
        """Say where to go."""
        self.zone = zone

    @signal
    def close(self, ctx: Context) -> None:
        """Say that it is enough."""
        self.zone = "closed"

    async def run(self, ctx: Context) -> int:
        """Go where it is told to, until it is told to close."""
        self.zone = ""
        while self.zone != "closed":
            await ctx.until(lambda: self.zone, timeout=YEAR)
            if self.zone != "closed":
                await ctx.consider()
                self.zone = ""
        return int(ctx.memory["state"]["sum"])

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the zone that it was told of."""
        return next((p for p in places if p.name == self.zone and p.eligible), None)


class Greedy(Agent):
    """Asks for more than a message can say."""

    async def run(self, ctx: Context) -> str:
        """Return why it is refused."""
        try:
            return str(await ctx.update(ctx.memory["plan"]["to"], "much", timeout=30))
        except UpdateRefused as error:
            return error.problem


class Asks(Agent):
    """Calls a clerk, and returns what it said."""

    async def run(self, ctx: Context) -> list[Any]:
        """Add, move the clerk, and add."""
        plan = ctx.memory["plan"]
        to = Address(agent=plan["to"], zone=plan["zone"])
        said: list[Any] = [await ctx.update(to, "add", 1)]
        for zone in plan["moves"]:
            await ctx.signal(to, "move", zone)
            said.append(await ctx.update(to, "add", 10))
        await ctx.signal(to, "close")
        return said


class Peer(Agent):
    """Calls another, which calls it back before it answers."""

    @update
    async def greet(self, ctx: Context, name: str) -> str:
        """Ask who calls what it is called, and answer with that."""
        assert ctx.caller is not None
        own = await ctx.update(ctx.caller, "name", timeout=60)
        return f"{name} is {own}"

    @update
    def name(self, ctx: Context) -> str:
        """Return what it is called."""
        return str(ctx.memory["plan"]["name"])

    async def run(self, ctx: Context) -> str:
        """Greet the other one, if it is told of one, and wait to be greeted."""
        plan = ctx.memory["plan"]
        if plan["to"]:
            return str(await ctx.update(plan["to"], "greet", "it", timeout=100))
        await ctx.sleep(50)
        return "greeted"
