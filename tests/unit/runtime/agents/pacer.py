"""Agents that measure: many steps in a row, or one a turn."""

from sojourn import Agent, Context, step


class Pacer(Agent):
    @step
    def tick(self, x: int) -> int:
        return x

    @step
    async def tock(self, x: int) -> int:
        return x

    async def run(self, ctx: Context, steps: int, kind: str = "tick") -> int:
        call = getattr(self, kind)
        for i in range(steps):
            await call(i)
        return steps


class Turner(Agent):
    @step
    async def tock(self, x: int) -> int:
        return x

    async def run(self, ctx: Context, turns: int) -> int:
        async for turn in ctx.turns(range(turns)):
            ctx.memory["risk"].append(await self.tock(turn))
        return len(ctx.memory["risk"])
