"""A stream is read from a terminal while it is written, by index, and gone on with after a host has died."""

import json

import pytest

from tests.system.person import Person, until

DESK = '''\
"""Writes a report."""

from sojourn import Agent, Context


class Desk(Agent):
    async def run(self, ctx: Context) -> int:
        async with ctx.stream("report") as out:
            for number in range(5):
                await out.write(f"line {number}\\n")
            await out.write({"so": "far"})
            await ctx.receive()
            await out.write("\\x1b[1mmore\\n")
            await out.write(b"\\x00\\x01")
        return await out.write("late")
'''
FILE = """\
[agent]
entry = "desk:Desk"

[governance]
policies = ["rules.cedar"]

[memory.report]
form = "log"

[memory.plan]
values = { a = 1 }
"""


@pytest.fixture
def desk(sojourn: Person) -> Person:
    """Return a person with a zone of one anchor and two hosts, and an agent that writes."""
    sojourn.write("desk.py", DESK)
    sojourn.write("rules.cedar", "permit (principal, action, resource);\n")
    sojourn.write("desk.toml", FILE)
    sojourn.good("keys", "new", "acme")
    sojourn.good("keys", "new", "alice", "--purpose", "person")
    sojourn.good("zone", "init", "home", "--local", 1, "--hosts", 2, "--lease-ms", 1000)
    sojourn.good("zone", "up", "home")
    sojourn.good("zone", "endorse", "home", "--level", 5)
    sojourn.good("agent", "launch", "desk.toml", "--zone", "home")
    return sojourn


def test_a_stream_is_read_and_gone_on_with(desk: Person) -> None:
    until(lambda: len(pieces(desk)) == 6, "what it has written so far")
    assert (
        'line 3\nline 4\n{"so":"far"}\n'
        == desk.good("agent", "read", "desk", "report", "--from", 3).text
    )

    for name, options, problem in (
        ("other", (), "has no log called 'other'"),
        ("plan", (), "has a mapping, and no log, called 'plan'"),
        ("report", ("--from", 7), "has 6 values, and value 7 is not among them"),
        ("report", ("--from", "x"), "'x' is not a valid integer range"),
    ):
        wrong = desk("agent", "read", "desk", name, *options)
        assert (2, True) == (wrong.code, problem in wrong.line()), wrong

    for index in (0, 1):
        desk.kill("home", "hosts", index)
    desk.good("zone", "up", "home")
    desk.good("agent", "send", "desk", "1", "--key", "alice")
    rest = desk.good("agent", "read", "desk", "report", "--from", 6, "--follow", "--json")
    lines = [json.loads(line) for line in rest.text.splitlines()]
    assert [(6, "\x1b[1mmore\n"), (7, "0001"), (8, None)] == [
        (each["index"], each.get("value")) for each in lines
    ]
    assert "" == lines[-1]["end"]
    shown = desk.good("agent", "read", "desk", "report", "--from", 6)
    assert b"\\x1b[1mmore\n\x00\x01" == shown.out
    until(lambda: "which is not open" in desk.good("agent", "logs", "desk").text, "its end")


def pieces(desk: Person) -> list[str]:
    return desk.good("agent", "read", "desk", "report", "--json").text.splitlines()
