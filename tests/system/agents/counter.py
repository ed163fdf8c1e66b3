"""An agent that adds up numbers at a given pace: small, deterministic, and busy for as long as it is told."""

import asyncio

from sojourn import Agent, Context, step


class Counter(Agent):
    """Keeps every partial sum, and returns the last."""

    @step
    async def add(self, total: int, number: int, pace_s: float) -> int:
        """Add a number, in about `pace_s` seconds."""
        await asyncio.sleep(pace_s)
        return total + number * number

    async def run(self, ctx: Context) -> int:
        """Add up `turns` numbers."""
        plan = ctx.memory["plan"]
        sums = ctx.memory.log("sums", int)
        async for number in ctx.turns(range(plan["turns"])):
            before = sums[-1] if len(sums) else 0
            sums.append(await self.add(before, number, plan["pace_ms"] / 1000))
        return sums[-1]
