"""Telling all children the same: those that the code has had since its restart point, whatever dies meanwhile."""

from typing import Any

import pytest

from sojourn import Agent, Context
from sojourn.testing import Place, Rehearsal, rehearse, survives_kills, survives_moves

PLACES = [Place("home"), Place("elsewhere")]


class Hearer(Agent):
    """Repeats what it hears to who said it, so often."""

    async def run(self, ctx: Context, times: int) -> None:
        """Hear, and end."""
        for _ in range(times):
            message = await ctx.receive(str)
            assert message is not None
            await ctx.send(message, f"heard {message.body}")


class Mother(Agent):
    """Has two children, and one more in each of two turns; tells all that it knows of."""

    async def run(self, ctx: Context) -> list[Any]:
        """Return how many were told in each turn, who was not reached, and what they said."""
        said = ctx.memory.log("said", list)
        assert ctx.children == []
        for times in (2, 2):
            await ctx.spawn(Hearer, times)
        async for turn in ctx.turns(range(2)):
            child = await ctx.spawn(Hearer, 1)
            children = ctx.children
            assert children[-1] == child
            lost = await ctx.broadcast(ctx.children, f"news {turn}")
            heard = [await ctx.receive(str) for _ in children]
            said.append([len(children), len(lost), sorted(m.body for m in heard if m)])
        lost = await ctx.broadcast(ctx.children, "too late", timeout=5)
        return [*said, [len(ctx.children), len(lost)]]


EXPECTED = [[3, 0, [f"heard news {turn}"] * 3] for turn in range(2)] + [[2, 0]]
OPTIONS: dict[str, Any] = {"memory": {"said": None}, "places": PLACES}


def check(rehearsal: Rehearsal) -> None:
    assert EXPECTED == rehearsal.result()


def test_a_broadcast_reaches_all_children_that_the_code_knows_of() -> None:
    check(rehearse(Mother, **OPTIONS))


@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
@pytest.mark.parametrize("at", [range(5, 60, 18), pytest.param(None, marks=pytest.mark.soak)])
def test_its_children_are_the_same_in_every_replay(survives: Any, at: Any) -> None:
    survives(Mother, check=check, same=lambda rehearsal: rehearsal.outcome, at=at, **OPTIONS)
