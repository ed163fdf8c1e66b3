"""A hostile agent: it makes the attempts that it is told to make, one after the other."""

import doors  # noqa: F401 (each adds its attempts)
import files  # noqa: F401
import left_behind  # noqa: F401
import network  # noqa: F401
import processes  # noqa: F401
import programs  # noqa: F401
import too_much  # noqa: F401
from trying import ATTEMPTS, tried

from sojourn import Agent, step

__all__ = ["ATTEMPTS", "Desk"]


class Desk(Agent):
    """Returns what each attempt got."""

    @step
    def tries(self, name: str, at: dict) -> str:
        return tried(name, at)

    async def run(self, ctx, names: list, at: dict) -> dict:
        return {name: await self.tries(name, at) for name in names}
