"""The agent that travels: it does what its plan says, most of which an agent should not do."""

from collections.abc import Sequence
from typing import Any

from sojourn import Agent, Assessment, Context, Denied, StepFailed, TerminalError, step


class Traveller(Agent):
    """Uses what it has as its plan says, and tries to take it along."""

    goal = ""
    kept: Any = None

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, if it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step
    def think(self, about: object) -> object:
        """Return what it was given: the result is journaled."""
        return about

    @step(attempts=1)
    def stumble(self, about: object) -> None:
        """Fail, and say over what."""
        raise TerminalError(f"stumbled over {about}")

    @step(effect="idempotent", action="mail.send")
    def send(self, what: object) -> object:
        """Act on the world with what it was given."""
        return what

    @step(declassifies=("people", "accounts"), into="totals")
    def count(self, values: list[object]) -> int:
        """Say how many there are, and no more."""
        return len(values)

    @step(into="people")
    def fetch(self) -> dict[str, str]:
        """Bring what belongs to a compartment; tests stand in for it."""
        return {}

    async def run(self, ctx: Context) -> list[str]:
        """Do what the plan says, turn by turn."""
        plan = ctx.memory["plan"]["turns"]
        ctx.log("sets out")
        await self.think("about all that is to come")
        async for number in ctx.turns(range(len(plan))):
            act, name = plan[number]
            try:
                await getattr(self, f"do_{act}")(ctx, name)
            except (Denied, StepFailed) as error:
                ctx.log("could not", why=str(error))
        return list(ctx.memory["diary"])

    def read(self, ctx: Context, name: str) -> list[object]:
        """Return all that is in a compartment."""
        found = ctx.memory[name]
        return [value for _, value in found.items()] if name == "people" else list(found)

    async def do_read(self, ctx: Context, name: str) -> None:
        """Have what it reads journaled in every way there is."""
        values = self.read(ctx, name)
        ctx.log("read", values=values)
        await self.think(values)

    async def do_copy(self, ctx: Context, name: str) -> None:
        """Copy to where as much binds, and to where less does."""
        for value in self.read(ctx, name):
            ctx.memory["archive"].append(value)
            await self.think(value)
            ctx.memory["diary"].append(value)

    async def do_remember(self, ctx: Context, name: str) -> None:
        """Keep it in an attribute, for a later turn."""
        self.kept = self.read(ctx, name)
        await self.think("remembered")

    async def do_tell(self, ctx: Context, _name: str) -> None:
        """Write what it remembers."""
        ctx.memory["diary"].append(f"{self.kept}")
        await self.think(self.kept)

    async def do_stumble(self, ctx: Context, name: str) -> None:
        """Fail over what it has read."""
        await self.stumble(self.read(ctx, name))

    async def do_send(self, ctx: Context, name: str) -> None:
        """Send what it has read."""
        await self.send(self.read(ctx, name))

    async def do_count(self, ctx: Context, name: str) -> None:
        """Say how many there are."""
        await self.count(self.read(ctx, name))

    async def do_fetch(self, ctx: Context, _name: str) -> None:
        """Bring more."""
        await self.fetch()

    async def do_flee(self, ctx: Context, name: str) -> None:
        """Go somewhere else with what it has just read."""
        self.read(ctx, "people")
        self.goal = name
        looked = await ctx.consider()
        ctx.log("fled", moved=looked.moved, why=looked.reason)

    async def do_go(self, ctx: Context, name: str) -> None:
        """Go somewhere else."""
        self.goal = name
        looked = await ctx.consider()
        ctx.memory["diary"].append(f"{name}: {'moved' if looked.moved else looked.reason}")
