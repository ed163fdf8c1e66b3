"""An agent that moves to and fro between two zones, and notes when it worked last here and first there."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

from sojourn import Agent, Assessment, Context, step

PARTS = 100


class Mover(Agent):
    """Fills its memory; then, in each turn, changes a hundredth of it and moves."""

    @step
    async def work(self) -> int:
        """Return when this step was done, in nanoseconds of this machine's clock."""
        return time.time_ns()

    @step
    async def wait(self) -> None:
        """Give the zones time to hear of each other."""
        await asyncio.sleep(0.5)

    @step
    async def write_down(self, path: str, moves: list[list[int]]) -> None:
        """Write, for each move, when it worked last at the old place and first at the new one."""
        part = Path(path).with_suffix(".part")
        part.write_text(json.dumps(moves))
        part.rename(path)

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose another place than this one, whatever it costs."""
        return next((place for place in places if place.eligible and not place.current), None)

    async def run(self, ctx: Context) -> int:
        """Fill memory as ordered, then move as often as ordered."""
        orders = ctx.memory["orders"]
        size = orders["bytes"] // PARTS
        moves: int = orders["moves"]
        ballast, seen = ctx.memory["ballast"], ctx.memory["seen"]
        async for turn in ctx.turns():
            ballast[str(turn % PARTS)] = random.Random(turn).randbytes(size)
            if turn < PARTS:
                await self.work()
                continue
            left = await self.work()
            considered = await ctx.consider()
            arrived = await self.work()
            if not considered.moved:
                await self.wait()
                continue
            seen.append([left, arrived])
            if len(seen) >= moves:
                break
        await self.write_down(orders["path"], list(seen))
        return moves
