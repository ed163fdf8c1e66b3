"""An agent that does many workflows of three steps, one after the other, and notes when each step began."""

import asyncio
import json
import time
from pathlib import Path

from sojourn import Agent, Context, step

STEPS = 3

State = dict[str, int]
_began: dict[int, list[float]] = {}


class Stepper(Agent):
    """Waits for the start, works, and writes down the times."""

    @step
    async def line_up(self, course: str, number: int) -> None:
        """Say that it is ready, and wait until the course is open."""
        _touch(course, f"ready-{number}")
        while True:
            if _exists(course, "open"):
                return
            await asyncio.sleep(0.05)

    @step
    def work(self, number: int, state: State, index: int) -> State:
        """Do step `index`, from 0: the same work as the peers'."""
        _began.setdefault(number, []).append(time.perf_counter())
        return {"workflow": state["workflow"], "value": state["value"] * 3 + index}

    @step
    def write_down(self, course: str, number: int) -> None:
        """Write when each step began, in seconds of this machine's clock."""
        Path(course, f"done-{number}.part").write_text(json.dumps(_began.pop(number)))
        Path(course, f"done-{number}.part").rename(Path(course, f"done-{number}"))

    async def run(self, ctx: Context) -> int:
        """Do the workflows; return the last value."""
        lane = ctx.memory["lane"]
        course, number = lane["course"], lane["number"]
        workflows: int = lane["workflows"]
        await self.line_up(course, number)
        async for workflow in ctx.turns(range(workflows)):
            state = {"workflow": workflow, "value": workflow}
            for index in range(STEPS):
                state = await self.work(number, state, index)
        await self.write_down(course, number)
        return workflows


def _touch(course: str, name: str) -> None:
    Path(course, name).touch()


def _exists(course: str, name: str) -> bool:
    return Path(course, name).exists()
