"""An agent whose workflow has every kind of effect at a ledger, and which may move half way."""

import json
import sqlite3
import time
from collections.abc import Sequence

from sojourn import Agent, Assessment, Context, UncertainOutcome, step

_BUSY_S = 60.0
_MOMENT_S = 0.003
_TRIES = 40


class Hauler(Agent):
    """In each turn it weighs, enters what it weighed, and pays for it; then it closes its account."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the place that the plan names, once it can be chosen."""
        return next((p for p in places if p.name == self.goal and p.eligible), None)

    @step
    def weigh(self, workflow: int, number: int) -> int:
        """Return what is to be entered: the judge knows, too."""
        return workflow * 1000 + number

    @step(effect="idempotent", action="ledger.append")
    def enter(self, ledger: str, workflow: int, number: int, weight: int) -> None:
        """Enter a weight; the ledger takes what comes under one key once."""
        sql = "INSERT INTO entered VALUES (?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET tries = tries + 1"
        self._write(ledger, sql, workflow, number, weight)

    @step(effect="once", action="ledger.append")
    def pay(self, ledger: str, workflow: int, number: int, weight: int) -> None:
        """Pay for a weight; the ledger would take it twice."""
        self._write(ledger, "INSERT INTO paid VALUES (?, ?, ?, ?)", workflow, number, weight)

    @step(effect="idempotent", action="ledger.append")
    def close(self, ledger: str, workflow: int, unsure: list[int], moved: int) -> None:
        """Say that the workflow has come to its end, and what it does not know."""
        sql = "INSERT INTO closed VALUES (?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET tries = tries + 1"
        self._write(ledger, sql, workflow, json.dumps(unsure), moved)

    def _write(self, ledger: str, sql: str, *values: object) -> None:
        time.sleep(_MOMENT_S)  # there is a moment before and after, in which a host may be killed
        connection = sqlite3.connect(ledger, timeout=_BUSY_S)
        try:
            with connection:
                connection.execute(sql, (self.effect_key, *values))
        finally:
            connection.close()
        time.sleep(_MOMENT_S)

    async def run(self, ctx: Context) -> list[int]:
        """Do the workflow; return the numbers of which it does not know whether they are paid."""
        plan = ctx.memory["plan"]
        ledger, workflow = plan["ledger"], plan["workflow"]
        unsure = ctx.memory.log("unsure", int)
        facts = ctx.memory["facts"]
        async for number in ctx.turns(range(plan["turns"])):
            weight = await self.weigh(workflow, number)
            await self.enter(ledger, workflow, number, weight)
            if number == 0 and plan["goal"]:
                facts["moved"] = await self._move(ctx, plan["goal"])
            try:
                await self.pay(ledger, workflow, number, weight)
            except UncertainOutcome:
                unsure.append(number)
        await self.close(ledger, workflow, list(unsure), facts["moved"])
        return list(unsure)

    async def _move(self, ctx: Context, goal: str) -> int:
        """Try to get to a place, for a while; return whether that came to pass."""
        self.goal = goal
        for _ in range(_TRIES):
            looked = await ctx.consider()
            if looked.moved:
                return 1
            await ctx.sleep(0.2)
        return 0
