"""Itineraries, seed by seed: agents that travel between jurisdictions, and what was seen of what they carry."""

import random
from collections import Counter
from contextlib import nullcontext
from typing import Final

from sojourn.testing import World, simulate
from sojourn.testing.agents import LaunchedAgent
from sojourn.testing.checkers.residency import Canaries
from sojourn.testing.founding import Keep
from sojourn.testing.processes import HostProcess
from sojourn.testing.schedules.running import is_real
from tests.itineraries.rulings import asked_once
from tests.itineraries.traveller import Traveller

__all__ = ["AGENTS", "Outcome", "Uneventful", "itineraries"]

AGENTS: Final = 25
"""Itineraries of one seed: so many share a world, and what it costs to have one."""
_AT_ONCE: Final = 8
"""So many are launched, then something befalls the hosts."""
_LARGE: Final = 0.03
"""This part of the zones has four anchors, which cost three times as much as one: one world in nine."""
_WITHIN_S: Final = 600.0
ZONES: Final = {"ie": ("EU", "IE"), "de": ("EU", "DE"), "ch": ("CH",), "us": ("US",)}
BOUND: Final = {
    "people": (("people",), ("EU",)),
    "accounts": (("accounts",), ("CH", "EU")),
    "archive": (("accounts", "people"), ("EU",)),
}
ABROAD: Final = {"ch", "us"}
"""Where something of every agent's may not be."""
_ACTS: Final = ("read", "copy", "remember", "stumble", "send", "count")


class Outcome(Counter[str]):
    """What came of itineraries, counted.

    `itineraries`; `moves` among them; `abroad`, those that went where something of theirs may not be; `seen`, how
    often a canary was seen where it may be.
    """


class Uneventful(AssertionError):
    """Nothing could have been found, so that finding nothing says nothing."""


def itineraries(seed: int, agents: int = AGENTS) -> Outcome:
    """Run the itineraries of a seed, in one world.

    Raises `AssertionError` if a canary is where it may not be, and `Uneventful` if none was seen anywhere, or nobody
    went abroad.
    """
    with nullcontext() if is_real(seed) else asked_once(), simulate(seed=seed) as world:
        return _travel(world, random.Random(f"itineraries {seed}"), agents)


def _travel(world: World, chance: random.Random, agents: int) -> Outcome:
    for name, jurisdiction in ZONES.items():
        anchors = 4 if chance.random() < _LARGE else 1
        world.zone(name, anchors=anchors, jurisdiction=jurisdiction)
    canaries = _watched(world)
    fetched = _canary(canaries, chance, "people")
    world.stand_in("fetch", lambda: {"fetched": fetched})
    travelling: list[LaunchedAgent] = []
    while len(travelling) < agents:
        some = min(_AT_ONCE, agents - len(travelling))
        travelling += [_launch(world, canaries, chance) for _ in range(some)]
        _disturb(world, chance)
    for agent in travelling:
        agent.result(_WITHIN_S)
    _look_at_disks(world, canaries)
    assert not canaries.violations, "\n".join(map(str, canaries.violations))
    return _outcome(canaries, travelling)


def _outcome(canaries: Canaries, travelling: list[LaunchedAgent]) -> Outcome:
    went = [_went(agent) for agent in travelling]
    abroad = sum(not ABROAD.isdisjoint(places) for places in went)
    if not canaries.seen:
        raise Uneventful("no canary was seen anywhere")
    if not abroad:
        raise Uneventful("nobody went where something may not be")
    return Outcome(
        itineraries=len(travelling),
        moves=sum(map(len, went)),
        abroad=abroad,
        seen=canaries.seen,
    )


def _watched(world: World) -> Canaries:
    """Return canaries that see every byte that is sent in a world."""
    canaries = Canaries(
        {
            process.name: zone.manifest.attributes.jurisdiction
            for zone in world.zones()
            for process in zone.processes
        }
    )
    told = world.network.on_sent

    def sent(source: str, target: str, data: bytes) -> None:
        told(source, target, data)
        canaries.sent(source, target, data)

    world.network.on_sent = sent
    return canaries


def _canary(canaries: Canaries, chance: random.Random, name: str) -> str:
    canary = f"CANARY-{name}-{chance.randbytes(8).hex()}"
    canaries.add(canary.encode(), BOUND[name][1])
    return canary


def _launch(world: World, canaries: Canaries, chance: random.Random) -> LaunchedAgent:
    """Launch an agent with a plan of its own where all its memory may be."""
    turns = [_turn(chance) for _ in range(chance.randrange(6, 14))]
    people = {str(number): _canary(canaries, chance, "people") for number in range(2)}
    accounts = [_canary(canaries, chance, "accounts")]
    values = {"people": people, "accounts": accounts, "archive": ()}
    kept = {
        name: Keep(values=values[name], labels=labels, residency=residency)
        for name, (labels, residency) in BOUND.items()
    }
    home = world.zones()[chance.randrange(2)]
    plan = {"plan": {"turns": turns}, "totals": None, "diary": None}
    return world.launch(Traveller, home, memory=plan | kept)


def _turn(chance: random.Random) -> list[str]:
    kind = chance.random()
    if kind < 0.3:
        return ["flee" if kind < 0.05 else "go", chance.choice(list(ZONES))]
    if kind < 0.4:
        return [chance.choice(("tell", "fetch")), ""]
    return [chance.choice(_ACTS), chance.choice(("people", "accounts"))]


def _disturb(world: World, chance: random.Random) -> None:
    """Kill hosts while agents travel, and start them again."""
    hosts = [p for zone in world.zones() for p in zone.processes if isinstance(p, HostProcess)]
    for _ in range(chance.randrange(4)):
        world.run(chance.uniform(0.1, 2.0))
        host = chance.choice(hosts)
        host.kill()
        world.run(chance.uniform(0.1, 1.0))
        host.start()


def _look_at_disks(world: World, canaries: Canaries) -> None:
    for anchor in world.anchors():
        content = anchor.disk.copy()
        for table, rows in content.rows.items():
            for key, value in rows.items():
                canaries.stored(anchor.name, table, key + value)
        for block in content.blocks.values():
            canaries.stored(anchor.name, "a block", block.data)


def _went(agent: LaunchedAgent) -> list[str]:
    """Return where an agent went to stay there for a while, by its own diary."""
    return [line.partition(":")[0] for line in agent.memory("diary") if line.endswith(": moved")]
