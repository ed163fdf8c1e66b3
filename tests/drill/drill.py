"""The drill: zones of real anchors and hosts, workflows launched into them, and a nemesis among the processes."""

import asyncio
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from sojourn.cli.launching import launch
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.errors import Failed, SojournError
from sojourn.core.protocol.exchange import Agents, AgentSummary, AnchorStatus, AskAgents, AskStatus
from sojourn.runtime.clients.zone_client import Overtaken, ZoneClient
from sojourn.runtime.processes.pidfile import running
from tests.drill.ledger import Account, Ledger
from tests.system.ground import LEASE_MS, Ground, Noun, ground, until

__all__ = ["ZONES", "Drill", "Outcome", "Part", "Stuck", "defects_in", "parts", "run"]

ZONES = ("north", "south")
TURNS = 2
_NOUNS: Final[tuple[Noun, ...]] = ("anchor", "host")
_HAULER = Path(__file__).with_name("hauler.py")
_AGAIN_S = 0.3
_LOOK_S = 0.2
_PAGE = 1000
_TELL_S = 10.0
_REST_S = 180.0
_PATIENT_STARTS = 4
_SLEEP_MS_MAX = 3_000
_ALL = 0.1
"""How often all anchors or hosts of a zone are killed at once."""
_LONG = 0.2
"""How often what was killed stays away until its leases are over, and others have taken over."""


@dataclass(frozen=True, slots=True)
class Drill:
    """What is to be done: so many workflows, and a kill every so many seconds on average.

    `at_once` are under way together: more would mean that what is bound anew after each kill is all that hosts do.
    `movers` is the share of those that try to move half way, `sleepers` of those that sleep there, `parents` of those
    that have a mate; `patience_s` is how long none may end.
    """

    count: int
    seed: int
    every_s: float = 3.0
    zones: int = 2
    anchors: int = 4
    hosts: int = 2
    at_once: int = 48
    movers: float = 0.25
    sleepers: float = 0.25
    parents: float = 0.25
    lease_ms: int = LEASE_MS
    patience_s: float = 300.0


class Part(NamedTuple):
    """What a workflow does besides what all do: where it tries to move ("" is nowhere), and how long it sleeps."""

    home: str
    goal: str
    sleep_ms: int
    mate: bool


def parts(drill: Drill) -> list[Part]:
    """Return what each workflow does, as the drill's seed has it."""
    names, found = ZONES[: drill.zones], list[Part]()
    for workflow in range(drill.count):
        chance = random.Random(f"{drill.seed} {workflow}")
        moves, sleeps, mate = (
            chance.random() < share for share in (drill.movers, drill.sleepers, drill.parents)
        )
        found.append(
            Part(
                home=names[workflow % drill.zones],
                goal=names[(workflow + 1) % drill.zones] if moves and drill.zones > 1 else "",
                sleep_ms=chance.randint(1, _SLEEP_MS_MAX) if sleeps else 0,
                mate=mate,
            )
        )
    return found


@dataclass(slots=True)
class Outcome:
    """What came of a drill."""

    account: Account
    kills: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0

    def __str__(self) -> str:
        """Return a line for people."""
        killed = " and ".join(f"{number:,} {noun}s" for noun, number in sorted(self.kills.items()))
        return f"{self.account}; {killed or 'nothing'} killed in {self.took_s:,.0f} s"


class Stuck(AssertionError):
    """Some workflows got no further."""


async def run(drill: Drill, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Carry out a drill in an empty folder. Raises `Stuck` where nothing ends for `patience_s`."""
    names = ZONES[: drill.zones]
    began = time.monotonic()
    async with ground(folder) as g:
        shutil.copy(_HAULER, g._source)
        for name in names:
            g.found(name, anchors=drill.anchors, hosts=drill.hosts, lease_ms=drill.lease_ms)
        await _up(g, names)
        ledger, nemesis, planned = (
            Ledger(folder / "ledger.db"),
            Nemesis(g, drill, names),
            parts(drill),
        )
        launches = Launches(g, drill, planned, ledger)
        working = [asyncio.create_task(work) for work in (*nemesis.hunts(), launches.run())]
        try:
            await _all_ended(drill, launches, nemesis, working, tell)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        nemesis.repent()
        mates = {workflow for workflow, part in enumerate(planned) if part.mate}
        await _all_rest(g, names, drill.count + len(mates))
        account = ledger.judge(drill.count, TURNS, mates)
        account = replace(account, problems=(*account.problems, *_defects(g, drill, names)))
    return Outcome(account, nemesis.kills, time.monotonic() - began)


async def _up(g: Ground, zones: tuple[str, ...]) -> None:
    """Start all processes; a machine that has much else to do takes longer than a person would wait."""
    for _ in range(_PATIENT_STARTS):
        try:
            return await g.up(*zones)
        except Failed:  # what has come up stays
            continue
    return await g.up(*zones)


class Nemesis:
    """Kills processes of all zones, sometimes all anchors or all hosts of one, and starts what it killed.

    What it killed stays away for a moment, or longer than a lease. Anchors and hosts of each zone are hunted apart,
    so that a kill does not wait for what was killed elsewhere to come back.
    """

    def __init__(self, g: Ground, drill: Drill, zones: tuple[str, ...]) -> None:
        """Choose by the drill's seed."""
        self._ground, self._drill, self._zones = g, drill, zones
        self._prey: list[tuple[str, Noun]] = [(z, noun) for z in zones for noun in _NOUNS]
        self.kills: Counter[str] = Counter()

    def hunts(self) -> list[Coroutine[None, None, None]]:
        """Return what is to be run side by side, and kills for ever."""
        return [self._hunt(zone, noun) for zone, noun in self._prey]

    async def _hunt(self, zone: str, noun: Noun) -> None:
        """Kill anchors or hosts of a zone; the next when its time has come, and the last are back."""
        chance = random.Random(f"{self._drill.seed} {zone} {noun}")
        count = self._drill.anchors if noun == "anchor" else self._drill.hosts
        due = time.monotonic()
        while True:
            due += self._drill.every_s * len(self._prey) * chance.uniform(0.5, 1.5)
            await asyncio.sleep(due - time.monotonic())
            there = list(range(count)) if chance.random() < _ALL else [chance.randrange(count)]
            self._ground.kill(noun, zone, *there)
            self.kills[noun] += len(there)
            leases = 2 if chance.random() < _LONG else 0
            away_s = chance.uniform(0, self._drill.every_s)
            await asyncio.sleep(away_s + leases * self._drill.lease_ms / 1000)
            self._ground.start(noun, zone, *there)
            await until(
                partial(self._back, noun, zone, there),
                why=f"{noun}s {there} of {zone} are back",
                timeout_s=self._drill.patience_s,
            )
            due = max(due, time.monotonic())

    async def _back(self, noun: Noun, zone: str, indexes: Sequence[int]) -> bool:
        """Tell whether processes run again; of anchors, whether they answer, or more than f would seldom do."""
        if not all(running(self._ground.place(noun, zone, index).folder) for index in indexes):
            return False
        client = self._ground.reach.zone(self._ground.manifests[zone])
        return noun == "host" or all([await _answers(client, index) for index in indexes])

    def repent(self) -> None:
        """Start whatever does not run."""
        for zone in self._zones:
            self._ground.start("anchor", zone, *range(self._drill.anchors))
            self._ground.start("host", zone, *range(self._drill.hosts))


class Launches:
    """Launches workflows, each into one of the zones: so many are under way at once."""

    def __init__(self, g: Ground, drill: Drill, planned: Sequence[Part], ledger: Ledger) -> None:
        """Launch nothing yet."""
        self._ground, self._parts, self._ledger = g, planned, ledger
        self._room = asyncio.Semaphore(drill.at_once)
        self.ended: set[int] = set()

    async def run(self) -> None:
        """Launch them all, as room comes."""
        async with asyncio.TaskGroup() as group:
            for workflow, part in enumerate(self._parts):
                await self._room.acquire()
                group.create_task(self._launch(workflow, part))

    def look(self) -> bool:
        """Make room for as many as have ended since the last look; tell whether any has."""
        new = self._ledger.ended() - self.ended
        self.ended |= new
        for _ in new:
            self._room.release()
        return bool(new)

    async def _launch(self, workflow: int, part: Part) -> None:
        """Launch one; a launch that fails, since anchors are down, is asked for again.

        It is the same agent, however often, so that it is born once; its officer seals it again, since a proposal
        grows too old to be voted for.
        """
        g = self._ground
        plan = {
            "ledger": str(self._ledger.path),
            "workflow": workflow,
            "turns": TURNS,
            "goal": part.goal,
            "sleep_ms": part.sleep_ms,
            "mate": part.mate,
        }
        memory = {"plan": plan, "facts": {"moved": 0, "mate": ""}, "unsure": None}
        prepared = g.prepare(part.home, "hauler:Hauler", memory)
        while True:
            try:
                await launch(g.reach, g.manifests[part.home], prepared)
                return
            except Overtaken:  # by an earlier try: nobody else proposes this one
                return
            except SojournError:
                await asyncio.sleep(_AGAIN_S)
            prepared = g.sealed_again(prepared)


async def _all_ended(
    drill: Drill,
    launches: Launches,
    nemesis: Nemesis,
    working: Sequence["asyncio.Task[None]"],
    tell: Callable[[str], None],
) -> None:
    """Wait until every workflow has closed its account."""
    since = told = time.monotonic()
    while len(launches.ended) < drill.count:
        for task in working:
            if task.done():
                task.result()
        now = time.monotonic()
        if launches.look():
            since = now
        if now - since > drill.patience_s:
            left = sorted(set(range(drill.count)) - launches.ended)
            raise Stuck(f"{len(left)} workflows have not ended, none of late: {left[:20]}")
        if now - told >= _TELL_S:
            told = now
            ended = len(launches.ended)
            tell(f"{ended:,} of {drill.count:,} ended; killed {dict(nemesis.kills)}")
        await asyncio.sleep(_LOOK_S)


def _defects(g: Ground, drill: Drill, zones: tuple[str, ...]) -> list[str]:
    """Return what processes logged of exceptions that none of our code expects, a line for each process."""
    processes: list[tuple[Noun, str, int]] = [
        *(("anchor", zone, index) for zone in zones for index in range(drill.anchors)),
        *(("host", zone, index) for zone in zones for index in range(drill.hosts)),
    ]
    found = [
        (each, defects_in((g.place(*each).folder / f"{each[0]}.log").read_text()))
        for each in processes
    ]
    return [
        f"{noun} {index} of {zone}: {len(defects)} defects, such as {defects[0]}"
        for (noun, zone, index), defects in found
        if defects
    ]


def defects_in(log: str) -> list[str]:
    """Return the last line of each exception that stands in a log, with what it is said of."""
    found: list[str] = []
    for line in log.splitlines():
        with suppress(ValueError):  # who wrote it was killed
            said = json.loads(line)
            if "exception" in said:
                found.append(f"{said['event']}: {said['exception'].strip().splitlines()[-1]}")
    return found


async def _all_rest(g: Ground, zones: tuple[str, ...], count: int) -> None:
    """Wait until the anchors say of every agent that it has come to rest in one of the zones."""

    async def rest() -> bool:
        resting = [each for name in zones for each in await _dormant(g, name)]
        assert len(resting) == len(set(resting)), "an agent rests in two zones"
        return len(resting) == count

    await until(rest, why=f"all {count} agents rest", timeout_s=_REST_S)


async def _answers(client: ZoneClient, anchor: int) -> bool:
    try:
        return isinstance(await client.call(anchor, AskStatus(), timeout_s=1), AnchorStatus)
    except SojournError:
        return False


async def _dormant(g: Ground, zone: str) -> set[bytes]:
    """Return the agents of a zone that are at rest: one that was down may have missed the last of each."""
    client = g.reach.zone(g.manifests[zone])
    newest: dict[bytes, AgentSummary] = {}
    for anchor in range(client.n):
        try:
            listed = await _listed(client, anchor)
        except SojournError:
            continue
        for each in listed:
            known = newest.setdefault(each.agent, each)
            newest[each.agent] = max(known, each, key=lambda listing: listing.version)
    return {agent for agent, each in newest.items() if each.status is Status.DORMANT}


async def _listed(client: ZoneClient, anchor: int) -> list[AgentSummary]:
    found: list[AgentSummary] = []
    after: bytes | None = None
    while True:
        reply = await client.call(anchor, AskAgents(after=after, limit=_PAGE))
        assert isinstance(reply, Agents)
        found += reply.agents
        if len(reply.agents) < _PAGE:
            return found
        after = reply.agents[-1].agent
