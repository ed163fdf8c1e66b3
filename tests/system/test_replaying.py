"""An agent of real processes, exported while it sleeps, and its journal replayed by its code and by other code."""

import subprocess
from pathlib import Path

import pytest

from sojourn.testing import ReplayMismatch, replay
from tests.system.person import Person, until

DESK = '''\
"""Quotes, sleeps for a year, and goes on."""

from sojourn import Agent, Context, step


class Desk(Agent):
    @step
    def quote(self, number: int) -> int:
        return number * 10

    @step(effect="idempotent", action="order.place")
    async def place(self, amount: int) -> str:
        return f"placed {amount}"

    async def run(self, ctx: Context) -> str:
        log = ctx.memory.log("log", int)
        async for number in ctx.turns(range(3)):
            log.append(await self.quote(number))
        placed = await self.place(sum(log))
        ctx.log(placed, draw=ctx.random())
        await ctx.sleep(365 * 86_400)
        return placed
'''
FILE = """\
[agent]
entry = "desk:Desk"

[governance]
policies = ["rules.cedar"]
actions = ["order.place"]

[memory.log]
values = []
"""


@pytest.fixture
def capsule(sojourn: Person) -> Path:
    """Return the capsule of a desk that sleeps in a zone of four anchors and two hosts."""
    sojourn.write("desk.py", DESK)
    sojourn.write("rules.cedar", "permit (principal, action, resource);\n")
    sojourn.write("desk.toml", FILE)
    sojourn.good("keys", "new", "acme")
    sojourn.good("zone", "init", "home", "--local", 4, "--hosts", 2, "--lease-ms", 1000)
    sojourn.good("zone", "up", "home")
    sojourn.good("zone", "endorse", "home", "--level", 5)
    sojourn.good("agent", "launch", "desk.toml", "--zone", "home")
    until(lambda: sojourn.agent("desk")["status"] == "dormant", "the agent sleeps")
    sojourn.good("agent", "export", "desk", "desk.car")
    return sojourn.folder / "desk.car"


def test_a_capsule_of_real_processes_is_replayed_by_its_code_and_by_no_other(capsule: Path) -> None:
    replayed = replay(capsule, "desk:Desk", folder=capsule.parent)
    kinds = [type(record).__name__ for record in replayed.records]
    assert ["Intended", "Outcome", "Line", "Sleeping"] == kinds
    assert "sleep" in replayed.doing
    own = replay(capsule)
    assert replayed.records == own.records

    changed = capsule.parent / "changed"
    changed.mkdir()
    (changed / "desk.py").write_text(DESK.replace("sum(log)", "sum(log) + 1"))
    with pytest.raises(ReplayMismatch, match="differs  the arguments of step 'place'"):
        replay(capsule, "desk:Desk", folder=changed)


def test_an_older_version_is_debugged_by_its_code_and_by_other_code(
    sojourn: Person, capsule: Path
) -> None:
    newest = sojourn.good("agent", "history", "desk", "--json").json
    at = next(
        version["version"]
        for version in newest["versions"]
        if any(
            record["kind"] == "outcome" and "place" in record["text"]
            for record in version["records"]
        )
    )
    assert at < newest["newest"]

    def session(typed: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            sojourn.command("agent", "replay", "desk", "--at", at, "--pdb", *arguments),
            input=typed,
            cwd=sojourn.folder,
            env=sojourn.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    done = session("p list(log)\nn\np placed\nc\n")
    assert 0 == done.returncode, done.stderr
    assert "placed = await self.place(sum(log))\n(agent) [0, 10, 20]\n" in done.stdout
    assert "(agent) 'placed 30'\n" in done.stdout
    assert f"of version {at}" in done.stdout
    other = capsule.parent / "other"
    other.mkdir()
    (other / "desk.py").write_text(DESK.replace("sum(log)", "sum(log) + 1"))
    (other / "desk.toml").write_text(FILE)
    done = session("c\n", "--code", other / "desk.toml")
    assert (1, "Traceback" in done.stderr) == (done.returncode, False)
    assert "differs  the arguments of step 'place'" in done.stdout
