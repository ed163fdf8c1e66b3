"""Rehearsals in which policies in Cedar decide, and queues hold attempts up."""

from typing import Any

import pytest

from sojourn import Agent, Context, Denied, step
from sojourn.core.base.errors import Misused
from sojourn.testing import Limit, Place, rehearse

RULES = """
permit (principal, action, resource);
forbid (principal, action == Action::"bank.pay", resource) when { context.cost_micros > 500 };
@id("two eyes") @ask("desk")
permit (principal, action == Action::"bank.close", resource);
forbid (principal, action == Action::"bank.close", resource) unless { context.step == "close" };
"""
ASKS = """
permit (principal, action == Action::"bank.pay", resource);
@ask("desk")
permit (principal, action == Action::"bank.close", resource);
"""


class Desk(Agent):
    @step(effect="once", action="bank.pay", spends={"cost_micros": 100})
    def pay(self, amount: int) -> int:
        return amount

    @step(effect="once", action="bank.pay", spends={"cost_micros": 900})
    def pay_dearly(self, amount: int) -> int:
        return amount

    @step(effect="once", action="bank.close")
    def close(self) -> str:
        return "closed"

    async def run(self, ctx: Context, *what: str) -> list[Any]:
        said: list[Any] = []
        for each in what:
            try:
                said.append(await (self.close() if each == "close" else getattr(self, each)(7)))
            except Denied as error:
                said.append(f"denied: {error.problem}")
        return said


@pytest.mark.parametrize("kill_at", [(), (1,), (2,)])
def test_the_agents_policy_decides_on_what_is_asked(kill_at: tuple[int, ...]) -> None:
    rehearsal = rehearse(Desk, "pay_dearly", "pay", policy=RULES, kill_at=kill_at)
    denied, paid = rehearsal.result()
    assert "denied: Denied" in denied and "context.cost_micros > 500" in denied
    assert 7 == paid or "UncertainOutcome" in str(paid)
    assert 0 == rehearsal.ledger.count("pay_dearly")
    assert "bank.pay" == rehearsal.denials()[0].action


def test_the_places_policy_is_asked_as_well() -> None:
    here = 'permit (principal, action, resource) unless { context.step == "pay" };'
    permits = "permit (principal, action, resource);"
    (denied,) = rehearse(Desk, "pay", policy=permits, places=[Place("home", policy=here)]).result()
    assert "denied: Denied" in denied and "zone" in denied
    assert [7] == rehearse(Desk, "pay", policy=permits).result()


def test_a_rule_that_asks_waits_for_people() -> None:
    rehearsal = rehearse(Desk, "close", policy=ASKS)
    assert "bank.close" == rehearsal.asks().petition.action
    rehearsal.approve()
    assert ["closed"] == rehearsal.result()
    declined = rehearse(Desk, "close", policy=ASKS)
    declined.decline("not today")
    assert "not today" in declined.result()[0]


@pytest.mark.parametrize(
    "policy", ["permit (", 'permit (principal, action == Action::"x.y", resource);']
)
def test_a_policy_that_cannot_be_is_told_at_once(policy: str) -> None:
    with pytest.raises((Misused, Denied)) as caught:
        rehearse(Desk, "pay", policy=policy)
    assert "polic" in str(caught.value)


class Renders(Agent):
    @step(queue="gpu")
    async def render(self, number: int) -> int:
        return number

    async def run(self, ctx: Context) -> list[int]:
        return await ctx.map(self.render, range(3))


def test_attempts_wait_in_the_queues_of_the_place() -> None:
    slow = rehearse(Renders, places=[Place("home", queues={"gpu": Limit(rate=1, per_s=60)})])
    began = slow.now
    assert [0, 1, 2] == slow.result()
    assert 120 <= (slow.now - began).total_seconds() < 180
    free = rehearse(Renders)
    began = free.now
    assert [0, 1, 2] == free.result()
    assert (free.now - began).total_seconds() < 60
