"""An agent that is handed a secret, and is careless with it in every way that is no malice."""

import sys

from sojourn import Agent, Context, StepFailed, UncertainOutcome, secret, step


class Keeper(Agent):
    """Uses its key in every turn; returns what it may say of it."""

    @step(effect="idempotent", action="ledger.append", secrets=("bank",), attempts=1)
    def use(self, number: int, careless: str) -> int:
        """Use the key."""
        held = secret("bank")
        print(f"{number}: {held}")  # noqa: T201 (that is what is tested)
        print(f"{number}: {held}", file=sys.stderr)  # noqa: T201
        if careless == "raises":
            raise OSError(f"Authorization: Bearer {held}")
        return len(held) + number

    @step(effect="once", action="ledger.append", secrets=("bank",))
    async def give(self) -> dict[str, str]:
        """Return the key."""
        return {"key": secret("bank")}

    async def run(self, ctx: Context) -> list[str]:
        """Use it, turn by turn."""
        plan = ctx.memory["plan"]
        done = ctx.memory.log("done", str)
        async for number in ctx.turns(range(plan["turns"])):
            done.append(str(await self.use(number, "")))
            for call in (lambda: self.use(number, "raises"), self.give):  # noqa: B023 (called at once)
                try:
                    await call()
                except (StepFailed, UncertainOutcome) as error:  # its host may be killed in it
                    ctx.log(str(error))
                    done.append(str(error))
        return list(done)
