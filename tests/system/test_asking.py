"""People approve what an agent asks, from a terminal: shown all they have to know, once, whoever dies meanwhile."""

import pytest

from tests.system.person import Person, until

DESK = '''\
"""Buys what it is let."""

from pathlib import Path

from sojourn import Agent, Context, Denied, step


class Desk(Agent):
    @step(effect="once", action="order.place")
    def buy(self, book: str, what: str, count: int) -> str:
        with open(book, "a") as lines:
            lines.write(f"{count} {what}\\\\n")
        return f"{count} {what}"

    async def run(self, ctx: Context) -> list[str]:
        done = []
        plan = ctx.memory["plan"]
        for what in plan["wants"]:
            try:
                done.append(await self.buy(plan["book"], what, count=3))
            except Denied as denied:
                done.append(denied.problem)
        return done
'''.replace("\\\\n", "\\n")
RULES = """\
permit (principal, action, resource) unless { action == Action::"order.place" };
@id("orders") @ask("desk")
permit (principal, action == Action::"order.place", resource) when { context.cost_micros < 5 };
"""
FILE = """\
[agent]
entry = "desk:Desk"

[governance]
policies = ["rules.cedar"]
actions = ["order.place"]

[approvers.desk]
keys = ["alice", "bob"]
lasts = "8h"
escalate_to = "risk"
after = "2h"

[approvers.risk]
keys = ["carol"]
lasts = "1h"

[memory.plan]
values = {{ wants = ["bonds", "gold"], book = "{book}" }}
"""


@pytest.fixture
def desk(sojourn: Person) -> Person:
    """Return a person with a zone of four anchors and two hosts, and an agent that asks alice or bob."""
    sojourn.write("desk.py", DESK)
    sojourn.write("rules.cedar", RULES)
    sojourn.write("desk.toml", FILE.format(book=sojourn.folder / "book"))
    sojourn.good("keys", "new", "acme")
    for name in ("alice", "bob", "carol", "eve"):
        sojourn.good("keys", "new", name, "--purpose", "person")
    sojourn.good("zone", "init", "home", "--local", 4, "--hosts", 2, "--lease-ms", 1000)
    sojourn.good("zone", "up", "home")
    sojourn.good("zone", "endorse", "home", "--level", 5)
    sojourn.good("agent", "launch", "desk.toml", "--zone", "home")
    return sojourn


def asked(desk: Person) -> list[dict[str, object]]:
    found: list[dict[str, object]] = desk.good("agent", "asks", "desk", "--json").json
    return found


def test_section_10_an_agent_asks_its_host_dies_and_it_is_approved_from_a_terminal(
    desk: Person,
) -> None:
    until(lambda: bool(asked(desk)), "its petition")
    [first] = asked(desk)
    assert ("order.place", "buy", "once") == tuple(first[f] for f in ("action", "step", "effect"))
    book = desk.folder / "book"
    assert [[str(book), "bonds"], {"count": 3}] == first["arguments"]
    text = desk.good("agent", "asks", "desk").text
    assert '"bonds", count=3' in text
    assert '"orders" (acme/rules, line 2)' in text
    assert "desk: any of alice, bob" in text
    assert "risk: any of carol, from" in text
    assert (
        "waits for 1 approval: see `sojourn agent asks desk`"
        in desk.good("agent", "show", "desk").text
    )
    assert "asks desk to approve order.place" in desk.good("agent", "logs", "desk").text

    for key, said in (("carol", "has no say"), ("eve", "has no say")):
        refused = desk("agent", "approve", "desk", "--key", key)
        assert (3, True) == (refused.code, said in refused.line())
    wrong = desk("agent", "approve", "desk", "ffff", "--key", "alice")
    assert (2, True) == (wrong.code, "there is no such petition" in wrong.line())

    for index in (0, 1):
        desk.kill("home", "hosts", index)
    desk.kill("home", "anchors", 3)
    assert [first] == asked(desk)
    done = desk.good(
        "agent", "approve", "desk", str(first["petition"])[:8], "--key", "bob", "--json"
    )
    assert (True, 3) == (done.json["is_approved"], done.json["anchors"])
    assert "approved   by bob" in desk.good("agent", "asks", "desk").text
    assert not book.exists()
    desk.good("zone", "up", "home")
    until(book.exists, "bonds are bought")
    until(lambda: [p["petition"] for p in asked(desk)] not in ([], [first["petition"]]), "the next")

    desk.good("agent", "decline", "desk", "--key", "alice", "--reason", "too dear")
    until(lambda: "returned" == _journal(desk)[-1]["kind"], "its end")
    assert "3 bonds\n" == book.read_text(), "once, whoever died"
    text = desk.good("agent", "logs", "desk").text
    assert "too dear" in text
    assert "approved by" in text
    assert "asks nobody anything" in desk.good("agent", "asks", "desk").text
    nothing = desk("agent", "approve", "desk", "--key", "bob")
    assert (2, True) == (nothing.code, "asks nothing now" in nothing.line())


def _journal(desk: Person) -> list[dict[str, object]]:
    found: list[dict[str, object]] = desk.good("agent", "logs", "desk", "--json").json
    return found
