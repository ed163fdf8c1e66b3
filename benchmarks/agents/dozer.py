"""An agent that sleeps until a time, and says by how much it woke late."""

from datetime import UTC, datetime

from sojourn import Agent, Context, step


class Dozer(Agent):
    """Sleeps once."""

    @step
    async def tell(self, late_ms: float) -> None:
        """Say it, for whoever reads the log of the host."""
        print(f"late {late_ms:.0f} ms")

    async def run(self, ctx: Context) -> str:
        """Sleep, and tell."""
        at = datetime.fromtimestamp(ctx.memory["plan"]["at_ms"] / 1000, UTC)
        await ctx.sleep(until=at)
        await self.tell((ctx.now() - at).total_seconds() * 1000)
        return "awake"
