"""An agent whose steps have effects outside: it writes into books, as onto a receiver's ledger."""

import time
from pathlib import Path

from sojourn import Agent, Context, UncertainOutcome, step


class Bookkeeper(Agent):
    """Enters every number into both books; returns those of which it does not know whether they are paid."""

    @step(effect="idempotent", action="ledger.append")
    def enter(self, book: str, number: int) -> int:
        """Enter a number; the receiver counts what comes under one key once."""
        return self._append(book, number)

    @step(effect="once", action="ledger.append")
    def pay(self, book: str, number: int) -> int:
        """Pay a number; the receiver would count it twice."""
        return self._append(book, number)

    def _append(self, book: str, number: int) -> int:
        time.sleep(0.005)
        with Path(book).open("a") as file:
            file.write(f"{self.effect_key} {number}\n")
        time.sleep(0.005)
        return number

    async def run(self, ctx: Context) -> list[int]:
        """Keep the books."""
        plan = ctx.memory["plan"]
        unsure = ctx.memory.log("unsure", int)
        done = ctx.memory.log("done", int)
        async for number in ctx.turns(range(plan["turns"])):
            await self.enter(plan["entered"], number)
            try:
                await self.pay(plan["paid"], number)
            except UncertainOutcome:
                unsure.append(number)
            done.append(number)
        return list(unsure)
