"""An agent that asks a model with a tool, for the tests on whole zones."""

from collections.abc import Sequence

from sojourn import Agent, Assessment, Context, Denied, step
from sojourn.models import converse, model


class Adviser(Agent):
    """Asks in every turn, and moves where its plan says."""

    goal = ""
    think = model("tiny", provider="local", base_url="http://127.0.0.1:9/v1", prices=(1, 1))

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step(effect="once", action="ledger.read")
    def balance(self, account: int) -> int:
        """Return what is on an account."""
        return 100 + account

    async def run(self, ctx: Context) -> list[str]:
        """Ask about one account after another."""
        plan = ctx.memory["plan"]
        said = ctx.memory.log("said", str)
        async for number in ctx.turns(range(plan["turns"])):
            self.goal = plan["moves"].get(str(number), "")
            while self.goal and not (await ctx.consider()).moved:
                await ctx.sleep(0.5)
            try:
                question = f"how much is on account {number}?"
                reply = await converse(self, Adviser.think, question, [Adviser.balance])
                said.append(reply.text)
            except Denied as error:
                said.append(f"denied: {error.problem[:20]}")
        return list(said)
