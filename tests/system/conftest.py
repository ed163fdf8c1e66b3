"""What the system tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.person import Person, person


@pytest.fixture
def sojourn(tmp_path: Path) -> Iterator[Person]:
    """Return a person with an empty home."""
    with person(tmp_path) as someone:
        yield someone


COUNTER = '''\
"""Counts, and asks."""

from sojourn import Agent, Context, step


class Counter(Agent):
    @step
    def square(self, n: int) -> int:
        return n * n

    async def run(self, ctx: Context) -> int:
        total = 0
        for n in range(5):
            total += await self.square(n)
            ctx.memory["sums"].append(total)
        ctx.log("counted", total=total)
        return total


class Asker(Agent):
    async def run(self, ctx: Context) -> int:
        message = await ctx.receive()
        ctx.log("was told something")
        return message.index


class Mover(Agent):
    async def run(self, ctx: Context) -> str:
        while not (await ctx.consider()).moved:
            await ctx.sleep(0.2)  # gossip has not reached this host yet
        ctx.memory["sums"].append(1)
        return "moved"
'''
AGENT = """\
[agent]
entry = "counter:{entry}"

[governance]
policies = ["rules.cedar"]

[memory.sums]
labels = ["internal"]

[memory.clients]
residency = ["EU"]
values = {{ first = "secret" }}
"""


@pytest.fixture
def agents(sojourn: Person) -> Person:
    """Return a person with agents to launch: counter.toml, asker.toml, mover.toml; and a key."""
    sojourn.write("counter.py", COUNTER)
    sojourn.write("rules.cedar", "permit (principal, action, resource);\n")
    for entry in ("Counter", "Asker", "Mover"):
        sojourn.write(f"{entry.lower()}.toml", AGENT.format(entry=entry))
    sojourn.good("keys", "new", "acme")
    return sojourn
