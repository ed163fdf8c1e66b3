"""An agent that does very many steps, and notes now and then when it did them."""

import time
from pathlib import Path

from sojourn import Agent, Context, step

TURN = 10
"""Steps between two restart points."""

_running: list[bool] = []


class Marathoner(Agent):
    """Does as many steps as ordered, with a restart point before every tenth."""

    @step
    def work(self, course: str, every: int, number: int) -> int:
        """Note when it was done, if it is one of those to be noted or the first in this process."""
        if number % every == 0:
            _note(Path(course, "marks"), number)
        if not _running:
            _running.append(True)
            _note(Path(course, "resumed"), number)
        return number

    async def run(self, ctx: Context) -> int:
        """Do the steps; memory holds the number of the last of each turn."""
        orders = ctx.memory["orders"]
        course, every = orders["course"], orders["every"]
        steps: int = orders["steps"]
        reached = ctx.memory["reached"]
        async for turn in ctx.turns(range(steps // TURN)):
            for number in range(turn * TURN, (turn + 1) * TURN):
                last = await self.work(course, every, number)
            reached["step"] = last
        return steps


def _note(file: Path, number: int) -> None:
    """Add a line: a step's number, and this machine's clock in seconds."""
    with file.open("a", encoding="ascii") as notes:
        notes.write(f"{number} {time.monotonic()}\n")
