"""Data that may not travel stays, encrypted; nobody else can read it, and after erasure nobody at all."""

import json
from pathlib import Path
from typing import Any

from tests.system.person import Person, until

CANARY = "wolframite-canary"
KEEPER = '''\
"""Keeps what people said in confidence, and goes where it is told."""

from collections.abc import Sequence

from sojourn import Agent, Assessment, Context, Denied


class Keeper(Agent):
    wanted = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        wanted = (p for p in places if p.eligible and p.name == self.wanted)
        return next(wanted, None)

    async def run(self, ctx: Context) -> None:
        async for number in ctx.turns(range(100)):
            said = (await ctx.receive()).body
            if said == "use":
                self.use(ctx, number)
            else:
                self.wanted = said
                while not (await ctx.consider()).moved:
                    await ctx.sleep(0.2)
                ctx.log("arrived", number=number, zone=said)

    def use(self, ctx: Context, number: int) -> None:
        ctx.memory["turns"].append(number)
        try:
            people = ctx.memory["people"]
            people[f"seen {number}"] = people["first"][::-1] * 5000
            assert all(value for _, value in people.items())
            ctx.log("used", number=number, count=len(people))
        except Denied as denied:
            ctx.log("denied", number=number, why=str(denied))
'''
FILE = f"""\
[agent]
entry = "keeper:Keeper"

[governance]
policies = ["rules.cedar"]

[memory.turns]
form = "log"

[memory.people]
labels = ["confidential"]
encrypted = true
values = {{ first = "{CANARY} said Ann", second = "{CANARY} said Bob" }}

[memory.others]
encrypted = "others"
values = ["{CANARY} said Eve"]
"""


class Desk:
    """The keeper, from a terminal."""

    def __init__(self, person: Person) -> None:
        self.person, self._told = person, -1

    def tell(self, said: str) -> str:
        """Tell it something, and return what it says of that."""
        self.person.good("agent", "send", "keeper", f'"{said}"', "--key", "alice")
        self._told += 1
        lines: list[str] = []

        def is_done() -> bool:
            journal = self.person.good("agent", "logs", "keeper", "--json").json
            texts = [line["text"] for line in journal if line["kind"] == "log"]
            lines[:] = [text for text in texts if f"number={self._told}" in text]
            return bool(lines)

        until(is_done, f"what comes of {said!r}", 60)
        return lines[0]


def found(folder: Path, *wanted: bytes) -> list[Path]:
    """Return the files below a folder that hold any of these bytes."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return [f for f in files if any(each in f.read_bytes() for each in wanted)]


def prepared(person: Person) -> Desk:
    person.write("keeper.py", KEEPER)
    person.write("keeper.toml", FILE)
    person.good("keys", "new", "alice", "--purpose", "person")
    a = ("--local", 4, "--hosts", 2, "--lease-ms", 1000, "--jurisdiction", "EU")
    person.good("zone", "init", "a", *a)
    person.good("zone", "up", "a")
    person.zone("b", "--jurisdiction", "EU")
    person.good("zone", "meet", "a", "b")
    for name in ("a", "b"):
        issued = ("--issuer", "acme", "--level", 5, "--tell", "a", "--tell", "b")
        person.good("zone", "endorse", name, *issued)
    person.good("agent", "launch", "keeper.toml", "--zone", "a", "--key", "acme")
    return Desk(person)


def shown(person: Person, name: str = "people") -> Any:
    return next(each for each in person.agent("keeper")["memory"] if each["name"] == name)


def shares(person: Person) -> list[bytes]:
    folders = [person.folder_of("a", "anchors", index) / "shares" for index in range(4)]
    return [file.read_bytes() for folder in folders for file in folder.iterdir()]


def test_what_is_encrypted_stays_is_read_by_its_host_alone_and_is_erased(agents: Person) -> None:
    desk = prepared(agents)
    zones = agents.home
    canaries = (CANARY.encode(), CANARY[::-1].encode())
    assert "count=3" in desk.tell("use")

    assert 'zone="b"' in desk.tell("b")
    assert "stayed behind in zone" in desk.tell("use"), "where its key is"
    assert agents.good("zone", "show", "a", "--json").json["zone"] == shown(agents)["held_by"]
    assert 'zone="a"' in desk.tell("a")
    assert "count=4" in desk.tell("use")

    for index in range(2):
        agents.kill("a", "hosts", index)
    agents.good("zone", "up", "a")
    assert "count=5" in desk.tell("use"), "after a crash of all hosts"
    assert [] == found(zones, *canaries)
    dealt = shares(agents)
    assert 8 == len(set(dealt)) == len(found(zones, *dealt)), "two keys"

    erased = agents.good("agent", "erase", "keeper", "people", "--key", "acme", "--json").json
    assert (["people"], 4, 4, True) == tuple(
        erased[field] for field in ("compartments", "anchors", "of", "complete")
    )
    others = shares(agents)
    assert 4 == len(others)
    assert ("erased", "encrypted") == (
        shown(agents)["encryption"],
        shown(agents, "others")["encryption"],
    )
    again = agents("agent", "erase", "keeper", "people", "--key", "acme")
    assert "keeper.erasure exists already" in again.line()
    clear = ("agent", "erase", "keeper", "turns", "--key", "acme", "--certificate", "t.erasure")
    assert "is not encrypted" in agents(*clear).line()
    anew = agents.good(*clear[:3], "people", *clear[4:], "--json").json
    assert anew["complete"], "officers may have it stated again"
    assert [] == found(zones, *set(dealt).difference(others)), "no byte of a share is left"
    assert "was erased by order" in desk.tell("use")
    assert [] == found(zones, *canaries)

    assert 'zone="b"' in desk.tell("b")
    files = ("--certificate", "o.erasure", "--json")
    away = agents.good("agent", "erase", "keeper", "others", "--key", "acme", *files).json
    assert (["others"], "a", True) == (away["compartments"], away["zone"], away["complete"])
    assert [] == found(zones, *dealt)
    agents.good("audit", "keeper", "--json", "r.json", "--capsule", "k.car")
    report = json.loads((agents.folder / "r.json").read_text())
    assert ["erase", "erase"] == [order["act"] for order in report["orders"]]
    for zone in ("a", "b"):
        agents.good("zone", "down", zone)
    agents.good("capsule", "verify", "k.car")
    agents.good("audit", "verify", "r.json", "--capsule", "k.car")
    abroad = agents.good("audit", "erasure", "o.erasure", "--capsule", "k.car", "--json").json
    assert (["others"], "a", True) == tuple(
        abroad[field] for field in ("compartments", "zone_name", "recorded")
    )
    told = ("audit", "erasure", "keeper.erasure", "--capsule", "k.car")
    proved = agents.good(*told, "--json").json
    assert (["people"], True, [0, 1, 2, 3], True) == tuple(
        proved[field] for field in ("compartments", "recorded", "anchors", "complete")
    )
    assert "All anchors state it: the key is gone" in agents.good(*told).text
    spoilt = bytearray((agents.folder / "keeper.erasure").read_bytes())
    spoilt[-5] ^= 1
    (agents.folder / "spoilt").write_bytes(spoilt)
    assert 4 == agents("audit", "erasure", "spoilt").code
