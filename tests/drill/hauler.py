"""An agent whose workflow has every kind of effect at a ledger; some sleep, move half way, or have a mate to ask."""

import json
import sqlite3
import time
from collections.abc import Sequence

from sojourn import Agent, Assessment, Context, UncertainOutcome, step

_BUSY_S = 60.0
_MOMENT_S = 0.003
_TRIES = 40
_ENTER = (
    "INSERT INTO entered VALUES (?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET tries = tries + 1"
)
_PAY = "INSERT INTO paid VALUES (?, ?, ?, ?)"
_CLOSE = (
    "INSERT INTO closed VALUES (?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET tries = tries + 1"
)


def _write(ledger: str, sql: str, *values: object) -> None:
    time.sleep(_MOMENT_S)  # there is a moment before and after, in which a host may be killed
    connection = sqlite3.connect(ledger, timeout=_BUSY_S)
    try:
        with connection:
            connection.execute(sql, values)
    finally:
        connection.close()
    time.sleep(_MOMENT_S)


class Mate(Agent):
    """A hauler's child: it is asked to enter one weight, and answers with the next."""

    @step(effect="idempotent", action="ledger.append")
    def enter(self, ledger: str, workflow: int, number: int, weight: int) -> None:
        """Enter a weight; the ledger takes what comes under one key once."""
        _write(ledger, _ENTER, self.effect_key, workflow, number, weight)

    async def run(self, ctx: Context, ledger: str, workflow: int, number: int) -> None:
        """Wait to be asked, enter what is said, and answer."""
        asked = await ctx.receive(int)
        assert asked is not None
        await self.enter(ledger, workflow, number, asked.body)
        await ctx.reply(asked, asked.body + 1)


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
        _write(ledger, _ENTER, self.effect_key, workflow, number, weight)

    @step(effect="once", action="ledger.append")
    def pay(self, ledger: str, workflow: int, number: int, weight: int) -> None:
        """Pay for a weight; the ledger would take it twice."""
        _write(ledger, _PAY, self.effect_key, workflow, number, weight)

    @step(effect="idempotent", action="ledger.append")
    def close(self, ledger: str, workflow: int, unsure: list[int], moved: int) -> None:
        """Say that the workflow has come to its end, and what it does not know."""
        _write(ledger, _CLOSE, self.effect_key, workflow, json.dumps(unsure), moved)

    async def run(self, ctx: Context) -> list[int]:
        """Do the workflow; return the numbers of which it does not know whether they are paid."""
        plan = ctx.memory["plan"]
        ledger, workflow = plan["ledger"], plan["workflow"]
        unsure = ctx.memory.log("unsure", int)
        facts = ctx.memory["facts"]
        turns = plan["turns"]
        async for number in ctx.turns(range(turns)):
            weight = await self.weigh(workflow, number)
            await self.enter(ledger, workflow, number, weight)
            if number == 0:
                if plan["mate"]:
                    child = await ctx.spawn(Mate, ledger, workflow, turns)
                    facts["mate"] = str(child)
                if plan["goal"]:
                    facts["moved"] = await self._move(ctx, plan["goal"])
                if plan["sleep_ms"]:
                    await ctx.sleep(plan["sleep_ms"] / 1000)
            try:
                await self.pay(ledger, workflow, number, weight)
            except UncertainOutcome:
                unsure.append(number)
        if plan["mate"]:
            weight = await self.weigh(workflow, turns)
            answer = await ctx.request(facts["mate"], weight, int)
            await self.enter(ledger, workflow, turns + 1, answer)
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
