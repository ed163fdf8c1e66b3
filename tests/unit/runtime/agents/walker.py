"""A small agent that does a little of everything."""

from sojourn import Agent, Context, step


class Walker(Agent):
    @step
    def square(self, x: int) -> int:
        return x * x

    @step
    async def double(self, x: int) -> int:
        return 2 * x

    async def run(self, ctx: Context, n: int = 3) -> list[int]:
        found = []
        for i in range(n):
            found.append(await self.square(i))
            ctx.memory["risk"].append(await self.double(i))
        ctx.memory["book"]["total"] = sum(found)
        return found
