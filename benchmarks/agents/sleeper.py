"""An agent that does one step, and then waits for a message that nobody sends."""

from sojourn import Agent, Context, step


class Sleeper(Agent):
    """Is dormant for ever."""

    @step
    async def settle(self) -> str:
        """Do something once, so that there is a journal."""
        return "settled"

    async def run(self, ctx: Context) -> str:
        """Settle, and wait."""
        ctx.memory["notes"]["state"] = await self.settle()
        await ctx.receive()
        return "woken"
