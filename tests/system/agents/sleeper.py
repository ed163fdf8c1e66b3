"""An agent that works a little, sleeps, works again, and in the end waits for a message."""

import time

from sojourn import Agent, Context, step


class Sleeper(Agent):
    """Takes its steps with sleeps in between, and returns when each was taken."""

    @step
    def look_at_the_clock(self, number: int) -> int:
        """Return the time of this step, in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    async def run(self, ctx: Context) -> list[int]:
        """Take the steps; then rest until somebody writes."""
        plan = ctx.memory["plan"]
        times = ctx.memory.log("times", int)
        async for number in ctx.turns(range(plan["turns"])):
            times.append(await self.look_at_the_clock(number))
            await ctx.sleep(plan["pause_ms"] / 1000)
        await ctx.receive()
        return list(times)
