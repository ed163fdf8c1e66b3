"""The same attempts on other occasions: after a resume, after a move, and out of what a tool returned."""

from desk import Desk
from trying import tried

from sojourn import step

__all__ = ["AfterAMove", "AfterAResume", "OutOfAToolsResult"]


class AfterAResume(Desk):
    """Makes its attempts in the process that replays what another has begun."""

    async def run(self, ctx, names: list, at: dict) -> dict:
        await ctx.sleep(1)  # its host dies when this is final
        return await super().run(ctx, names, at)


class AfterAMove(Desk):
    """Makes its attempts in the zone that it has come to."""

    async def run(self, ctx, names: list, at: dict) -> dict:
        came = await ctx.consider()
        assert came.moved, came.reason
        return await super().run(ctx, names, at)


class OutOfAToolsResult(Desk):
    """Does what a tool's result says in Python, in `run` itself, as a model might be talked into."""

    @step
    def look_up(self, names: list) -> str:
        return "\n".join(f"got[{name!r}] = tried({name!r}, at)" for name in names)

    async def run(self, ctx, names: list, at: dict) -> dict:
        got: dict[str, str] = {}
        exec(await self.look_up(names), {"tried": tried, "at": at, "got": got})
        return got
