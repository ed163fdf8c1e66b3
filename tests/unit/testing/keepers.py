"""An agent whose steps are handed a secret, and that goes about it without care: for the tests of secrets."""

from collections.abc import Sequence
from functools import partial

from sojourn import (
    Agent,
    Assessment,
    Context,
    Denied,
    StepFailed,
    UncertainOutcome,
    secret,
    step,
)


class Keeper(Agent):
    """Reads its account in every turn, with a key; moves where its plan says. Returns what it knows."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step(effect="idempotent", action="bank.read", secrets=("bank",), attempts=2, backoff_s=0.1)
    async def read(self, number: int) -> int:
        """Read so much, and say too much on the way."""
        held = secret("bank")
        print(f"reading with {held}")  # noqa: T201 (that is what is tested)
        self.heartbeat({"with": held})
        if number == 1 and self.progress is None:
            raise OSError(f"503 for Bearer {held}")
        return number + len(held)

    @step(effect="once", action="bank.tell", secrets=("bank",))
    def tell(self, careless: bool) -> str:
        """Tell what it knows, and fail if it is careless."""
        held = secret("bank")
        if careless:
            raise RuntimeError(f"bad key {held!r}")
        return held

    async def run(self, ctx: Context) -> list[str]:
        """Read, move and read."""
        plan = ctx.memory["plan"]
        said = ctx.memory.log("said", str)
        async for number in ctx.turns(range(plan["turns"])):
            self.goal = plan["moves"].get(str(number), "")
            while self.goal and not (await ctx.consider()).moved:
                await ctx.sleep(0.5)  # it is not known yet that one can go there
            for work in (partial(self.read, number), partial(self.tell, careless=number % 2 == 1)):
                try:
                    said.append(f"read {await work()}")
                except (StepFailed, Denied, UncertainOutcome) as error:
                    ctx.log(f"turn {number}: {error}")
                    said.append(f"{type(error).__name__}: {error}")
        return list(said)
