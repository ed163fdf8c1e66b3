"""A fourth cloud joins three that run: an agent at work there goes to it by itself; nothing is reconfigured anywhere.

Real processes, and the commands that people type. A fifth one is cheaper still, and nobody vouches for it whom the
agent knows.
"""

import json
import time
from typing import Any

from sojourn.core.base.limits import GOSSIP_ROUND_MS
from tests.system.person import Person, until

ROUNDS_MAX = 10
"""Within how many rounds of gossip it must have left: on a machine that is busy with other things one is too few."""
TURNS = 500
NOMAD = f'''\
"""Adds up squares, and looks round for a cheaper place until it has found one."""

from sojourn import Agent, Context, step


class Nomad(Agent):
    @step
    def square(self, n: int) -> int:
        return n * n

    async def run(self, ctx: Context) -> int:
        sums = ctx.memory.log("sums", int)
        found = ctx.memory.log("found", str)
        async for n in ctx.turns(range({TURNS})):
            if not len(found) and (await ctx.consider()).moved:
                found.append("a cheaper place")
            sums.append((sums[-1] if len(sums) else 0) + await self.square(n))
            if not len(found):
                await ctx.sleep(0.1)
        return sums[-1]
'''
AGENT = """\
[agent]
entry = "nomad:Nomad"

[governance]
policies = ["rules.cedar"]

[memory.sums]

[memory.found]
"""


def clouds(sojourn: Person, *names: str) -> None:
    """Found zones of one price that know each other and that the issuer vouches for."""
    for name in names:
        sojourn.zone(name, "--price", "1.0")
    for name in names[1:]:
        sojourn.good("zone", "meet", names[0], name)
    for name in names:
        sojourn.good("zone", "endorse", name, "--issuer", "acme", "--level", 5, "--tell", names[0])


def test_an_agent_goes_to_a_fourth_cloud_that_its_issuer_vouches_for(sojourn: Person) -> None:
    sojourn.good("keys", "new", "acme")
    sojourn.good("keys", "new", "mallory")
    clouds(sojourn, "a", "b", "c")
    sojourn.write("nomad.py", NOMAD)
    sojourn.write("rules.cedar", "permit (principal, action, resource);\n")
    sojourn.write("nomad.toml", AGENT)
    sojourn.good("agent", "launch", "nomad.toml", "--zone", "a", "--key", "acme")
    until(lambda: sojourn.agent("nomad")["version"] > 10, "some work")

    sojourn.zone("e", "--price", "0.01")
    sojourn.good("zone", "meet", "a", "e")
    sojourn.good("zone", "endorse", "e", "--issuer", "mallory", "--level", 10, "--tell", "a")
    sojourn.zone("d", "--price", "0.1")
    assert "a" == sojourn.agent("nomad")["zone_name"]
    sojourn.good("zone", "meet", "a", "d")
    sojourn.good("zone", "endorse", "d", "--issuer", "acme", "--level", 5, "--tell", "a")
    joined_ms = time.time_ns() // 1_000_000

    watched = sojourn.good("agent", "watch", "nomad", "--json").text.splitlines()
    events = [json.loads(line) for line in watched]
    sojourn.good("agent", "export", "nomad", "nomad.car")
    itinerary = sojourn.good("capsule", "verify", "nomad.car", "--json").json["itinerary"]
    [left_ms] = [each["at_ms"] for each in itinerary if each["kind"] == "depart"]
    rounds = (left_ms - joined_ms) / GOSSIP_ROUND_MS
    assert rounds < ROUNDS_MAX, f"it left after {rounds:.2f} rounds"
    assert "d" == sojourn.agent("nomad")["zone_name"]
    total = sum(n * n for n in range(TURNS))
    [finished] = [event["text"] for event in events if event["kind"] == "returned"]
    assert f"finished with {total}" in finished
    assert any("e" in _refused(event) for event in events), "it knew of the other one"
    assert not any(", e is best" in event["text"] for event in events)


def _refused(event: Any) -> list[str]:
    """Return the places that were considered, and found wanting in trust."""
    if event["kind"] != "considered":
        return []
    places = event["journal"]["record"]["places"]
    return [place["name"] for place in places if not place["trust"]["passes"]]
