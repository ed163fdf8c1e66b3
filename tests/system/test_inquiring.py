"""An agent's code asks, and people answer from a terminal: typed, signed, and kept whoever dies meanwhile."""

import pytest

from tests.system.person import Person, until

DESK = '''\
"""Asks what to buy."""

from typing import Literal

import msgspec

from sojourn import Agent, Context


class Order(msgspec.Struct):
    what: str
    count: int


class Desk(Agent):
    async def run(self, ctx: Context) -> list[object]:
        how = await ctx.ask("How?", Literal["fast", "slow"], of="desk", timeout=3600)
        order = await ctx.ask("What, \\x1b[1mand\\x1b[0m how much?", Order, of="desk")
        where = await ctx.ask("Where?", of="both")
        return [how, order.what, order.count, where]
'''
FILE = """\
[agent]
entry = "desk:Desk"

[governance]
policies = ["rules.cedar"]

[approvers.desk]
keys = ["alice", "bob"]
lasts = "8h"

[approvers.both]
keys = ["alice", "bob"]
needed = 2
lasts = "8h"
"""


@pytest.fixture
def desk(sojourn: Person) -> Person:
    """Return a person with a zone of four anchors and two hosts, and an agent that asks alice or bob."""
    sojourn.write("desk.py", DESK)
    sojourn.write("rules.cedar", "permit (principal, action, resource);\n")
    sojourn.write("desk.toml", FILE)
    sojourn.good("keys", "new", "acme")
    for name in ("alice", "bob", "eve"):
        sojourn.good("keys", "new", name, "--purpose", "person")
    sojourn.good("zone", "init", "home", "--local", 4, "--hosts", 2, "--lease-ms", 1000)
    sojourn.good("zone", "up", "home")
    sojourn.good("zone", "endorse", "home", "--level", 5)
    sojourn.good("agent", "launch", "desk.toml", "--zone", "home")
    return sojourn


def asked(desk: Person) -> list[str]:
    return [each["question"] for each in desk.good("agent", "asks", "desk", "--json").json]


def test_section_10_an_agent_asks_its_host_dies_and_it_is_answered_from_a_terminal(
    desk: Person,
) -> None:
    until(lambda: ["How?"] == asked(desk), "its question")
    text = desk.good("agent", "asks", "desk").text
    assert 'expects    one of "fast", "slow"' in text
    assert "may answer desk: any of alice, bob" in text
    until(lambda: "agent asks desk" in desk.good("agent", "show", "desk").text, "it rests")

    for value, options, problem in (
        ("warp", ("--key", "bob"), "'warp' is not one of ['fast', 'slow']"),
        ("fast", ("--key", "eve"), "has no say in this question now"),
        ("fast", ("--key", "bob", "--question", "ffff"), "there is no such question"),
        ("fast", ("--key", "nobody"), "nobody"),
    ):
        wrong = desk("agent", "answer", "desk", value, *options)
        assert (2, True) == (wrong.code, problem in wrong.line()), wrong
    assert ["How?"] == asked(desk), "nothing of that was taken for an answer"

    for index in (0, 1):
        desk.kill("home", "hosts", index)
    desk.kill("home", "anchors", 3)
    done = desk.good("agent", "answer", "desk", "slow", "--key", "bob", "--json").json
    assert ("slow", 3) == (done["value"], done["anchors"])
    assert 'answered   "slow" by bob, not taken yet' in desk.good("agent", "asks", "desk").text
    desk.good("zone", "up", "home")
    until(lambda: "How?" not in asked(desk) and bool(asked(desk)), "the next question", 40)
    assert "\x1b" not in desk.good("agent", "asks", "desk").text

    desk.good("agent", "answer", "desk", '{"what": "gold", "count": 3}', "--key", "alice")
    until(lambda: ["Where?"] == asked(desk), "the last question")
    for by, where in (("alice", "here"), ("bob", "there")):
        desk.good("agent", "answer", "desk", where, "--key", by)
        until(lambda: f'was told "{where}"' in desk.good("agent", "logs", "desk").text, by)  # noqa: B023
    text = desk.good("agent", "asks", "desk").text
    assert "may answer both: 2, who say the same, of alice, bob" in text
    assert 'answered   "there" by bob, others have to say the same' in text
    desk.good("agent", "answer", "desk", "there", "--key", "alice")
    until(lambda: "returned" == _journal(desk)[-1]["kind"], "its end")
    logs = desk.good("agent", "logs", "desk").text
    assert 'was answered "slow" by ' in logs
    assert 'finished with ["slow", "gold", 3, "there"]' in logs
    assert "asks nobody anything" in desk.good("agent", "asks", "desk").text
    assert "its run has ended: it returned [" in desk.good("agent", "show", "desk").text
    nothing = desk("agent", "answer", "desk", "x", "--key", "bob")
    assert (2, True) == (nothing.code, "asks nothing now" in nothing.line())


def _journal(desk: Person) -> list[dict[str, object]]:
    found: list[dict[str, object]] = desk.good("agent", "logs", "desk", "--json").json
    return found
