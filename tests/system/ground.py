"""Zones of real processes under one home folder, and agents launched into them."""

import asyncio
import dataclasses
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import structlog
from msgspec.structs import replace

from sojourn.cli import processes
from sojourn.cli.address_book import keep
from sojourn.cli.founding import PERMIT_ALL, Plan, found_locally
from sojourn.cli.home import Home
from sojourn.cli.introducing import endorse, introduce
from sojourn.cli.launching import Launch, Officer, launch, prepare_launch
from sojourn.cli.messaging import send
from sojourn.cli.processes import Place, Started, end, processes_of, start
from sojourn.cli.raising import raise_zone
from sojourn.cli.reach import Reach, reaching
from sojourn.cli.showing.evidence import journal_of, values_of
from sojourn.cli.showing.follow import Follower
from sojourn.cli.standing import ZoneStanding, standing_of
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.zone.manifest import Attributes, ZoneManifest
from sojourn.host.folder import HostFolder
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.keyfile import Purpose, make_key, write_public_key
from sojourn.runtime.processes.pidfile import running, send_signal
from sojourn.runtime.records import Raised, Returned

__all__ = ["AGENTS", "LEASE_MS", "Ground", "Memory", "agent_text", "ground", "quiet", "until"]

AGENTS: Final = Path(__file__).parent / "agents"
ISSUER: Final = "issuer"
LEASE_MS: Final = 1_500
SOON_S: Final = 60.0
_LOOK_S: Final = 0.05
_UP_S: Final = 60.0
_YEAR_MS: Final = 365 * 24 * 3600 * 1000

Noun = Literal["anchor", "host"]
Memory = Mapping[str, Mapping[str, Any] | None]
"""Compartments and what is in them at first; None makes an empty log."""
T = TypeVar("T")


async def until(
    look: Callable[[], Awaitable[T | None]], *, why: str, timeout_s: float = SOON_S
) -> T:
    """Look until there is something to see, and return it; fail with `why` when that takes too long."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = await look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"after {timeout_s:g} s still not: {why}"
        await asyncio.sleep(_LOOK_S)


def agent_text(entry: str, memory: Memory) -> str:
    """Return the file that an agent of `AGENTS` is launched from."""
    lines = ["[agent]", f"entry = {json.dumps(entry)}", "[governance]"]
    lines += ['policies = ["rules.cedar"]', 'actions = ["ledger.append"]']
    for name, values in memory.items():
        pairs = (f"{key} = {json.dumps(value)}" for key, value in (values or {}).items())
        lines += [f"[memory.{name}]"]
        lines += [f"values = {{ {', '.join(pairs)} }}"] if values is not None else []
    return "\n".join(lines) + "\n"


class Ground:
    """A home with zones whose processes are ours to kill."""

    def __init__(self, folder: Path, reach: Reach) -> None:
        """Use a new folder."""
        self.folder, self.reach = folder, reach
        self.home = Home(folder / "home")
        self.manifests: dict[str, ZoneManifest] = {}
        self.issuer = make_key(self.home.keys / f"{ISSUER}.key", Purpose.OFFICER)
        write_public_key(self.home.keys / f"{ISSUER}.pub", self.issuer.public, Purpose.OFFICER)
        self._launched = 0
        self._source = folder / "agents"
        shutil.copytree(AGENTS, self._source, ignore=shutil.ignore_patterns("__*"))
        (self._source / "rules.cedar").write_text(PERMIT_ALL)

    # --- zones ----------------------------------------------------------------------------------------

    def found(
        self, name: str, *, anchors: int = 4, hosts: int = 1, lease_ms: int = LEASE_MS
    ) -> ZoneManifest:
        """Found a zone; nothing of it runs yet."""
        attributes = Attributes(
            provider="test",
            region=name,
            country="Ireland",
            jurisdiction=("EU",),
            price_micros=1,
        )
        plan = Plan(
            name=name,
            realm="test",
            attributes=attributes,
            policy=PERMIT_ALL,
            policy_actions=("ledger.append",),
            lease_ms=lease_ms,
            not_after_ms=clock.wall_ms() + _YEAR_MS,
        )
        signed = found_locally(self.home, plan, anchors=anchors, hosts=hosts, slots=5000)
        self.manifests[name] = signed.manifest
        for path in self.home.zone(name).hosts():
            self._offer_no_packages(path / "offer.toml")
        return signed.manifest

    @staticmethod
    def _offer_no_packages(offer: Path) -> None:
        """State no package: reading all that are installed here takes a second of each host's start."""
        text = offer.read_text()
        assert 'packages = "all"' in text
        offer.write_text(text.replace('packages = "all"', "packages = []"))

    async def up(self, *names: str) -> None:
        """Start all processes of zones, and let the zones know each other and the issuer's word on them."""
        up = (raise_zone(self.reach, self.home, each, timeout_s=_UP_S, keep=True) for each in names)
        await asyncio.gather(*up)
        for name, other in pairwise(names):
            await introduce(self.reach, self.home, name, self.home.manifest(other))
        for name in names:
            await endorse(
                self.reach,
                self.home,
                name,
                self.issuer,
                level=5,
                operations=(),
                until=None,
                tell=names,
            )

    async def all_answer(self, *names: str) -> None:
        """Wait until every anchor of zones answers."""

        async def answering() -> bool:
            standings = [await self.standing(name) for name in names]
            return all(s.answering == len(s.anchors) for s in standings)

        await until(answering, why=f"all anchors of {', '.join(names)} answer")

    async def standing(self, name: str) -> ZoneStanding:
        """Return how a zone stands, as `sojourn zone status` shows it."""
        return await standing_of(self.reach, self.home, name)

    # --- processes ------------------------------------------------------------------------------------

    def place(self, noun: Noun, zone: str, index: int) -> Place:
        """Return the folder of an anchor or a host, by its index."""
        folder = self.home.zone(zone)
        return Place(noun, (folder.anchors() if noun == "anchor" else folder.hosts())[index])

    def kill(self, noun: Noun, zone: str, *indexes: int) -> None:
        """SIGKILL processes, and wait until the kernel has buried them."""
        places = [self.place(noun, zone, index) for index in indexes]
        for place in places:
            assert send_signal(place.folder, signal.SIGKILL), f"{place} of {zone} does not run"
        for place in places:
            while running(place.folder) is not None:
                time.sleep(0.005)

    @contextmanager
    def stopped(self, noun: Noun, zone: str, index: int) -> Iterator[None]:
        """Let a process stand still for as long as the block lasts."""
        folder = self.place(noun, zone, index).folder
        assert send_signal(folder, signal.SIGSTOP)
        try:
            yield
        finally:
            send_signal(folder, signal.SIGCONT)

    def host_of(self, follower: Follower) -> int:
        """Return the index of the host that an agent was last seen to be bound to."""
        folders = self.home.zone(follower.zone.name).hosts()
        keys = [HostFolder(folder).key().public for folder in folders]
        return keys.index(follower.newest.record.custody.host or b"")

    def start(self, noun: Noun, zone: str, *indexes: int) -> list[Started]:
        """Start those of some processes that do not run; return at once."""
        places = [self.place(noun, zone, index) for index in indexes]
        return [start(place) for place in places if running(place.folder) is None]

    def log(self, noun: Noun, zone: str, index: int) -> list[dict[str, Any]]:
        """Return the lines of a process's log."""
        file = self.place(noun, zone, index).folder / f"{noun}.log"
        return [json.loads(line) for line in file.read_text().splitlines() if line[:1] == "{"]

    def cpu_s(self, zone: str) -> float:
        """Return the processor time that a zone's processes have used so far, in seconds."""
        ticks = 0
        for place in processes_of(self.home.zone(zone)):
            stat = Path(f"/proc/{running(place.folder)}/stat").read_text()
            user, system = stat.rpartition(")")[2].split()[11:13]
            ticks += int(user) + int(system)
        return ticks / os.sysconf("SC_CLK_TCK")

    def down(self) -> None:
        """End every process that still runs."""
        for name in self.home.own_zones():
            end(processes_of(self.home.zone(name)))
        for process in processes._DETACHED:  # those just started do not hold their folders yet
            process.terminate()
            process.wait()

    # --- agents ---------------------------------------------------------------------------------------

    def prepare(self, zone: str, entry: str, memory: Memory) -> Launch:
        """Return the genesis of an agent of `tests/system/agents`."""
        self._launched += 1
        path = self._source / f"{self._launched}.toml"
        path.write_text(agent_text(entry, memory))
        return prepare_launch(self.home, path, self.manifests[zone], [Officer(ISSUER, self.issuer)])

    def sealed_again(self, prepared: Launch) -> Launch:
        """Return the genesis of the same agent, sealed as of now."""
        before = prepared.proposal
        transition = replace(before.transition, at_ms=clock.wall_ms())
        covered = statement(Kind.TRANSITION, Role.ISSUER, transition.digest)
        seal = Seal(signer=self.issuer.public, signature=self.issuer.sign(covered))
        proposal = replace(before, transition=transition, seals=(seal,))
        return dataclasses.replace(prepared, proposal=proposal)

    async def launch(self, zone: str, entry: str, memory: Memory) -> Follower:
        """Launch an agent, and follow it."""
        prepared = self.prepare(zone, entry, memory)
        born = await launch(self.reach, self.manifests[zone], prepared)
        manifests = {manifest.zone_id: manifest for manifest in self.manifests.values()}
        return Follower(self.reach, manifests, born)

    async def write(self, follower: Follower, body: object) -> None:
        """Send a message to an agent, as `sojourn send` does."""
        keep(self.home, "written-to", follower.agent, follower.zone.zone_id)
        await send(self.reach, self.home, "written-to", self.issuer, body)

    @staticmethod
    async def progress(follower: Follower, compartment: str) -> int:
        """Return how many values a log compartment has by now."""
        await follower.look()
        return await follower.length(compartment)

    async def advance(self, follower: Follower, compartment: str, by: int = 1) -> int:
        """Wait until a log compartment has grown; return its length."""
        goal = await self.progress(follower, compartment) + by

        async def look() -> int | None:
            length = await self.progress(follower, compartment)
            return length if length >= goal else None

        return await until(look, why=f"{goal} values in {compartment!r}")

    @staticmethod
    async def result(follower: Follower, *, timeout_s: float = SOON_S) -> Any:
        """Wait until the agent has returned, and return what it did."""

        async def ended() -> bool:
            eligibility = (await follower.look()).record.eligibility
            return eligibility.status is Status.DORMANT and not eligibility.wake

        await until(ended, why="the agent has ended", timeout_s=timeout_s)
        last = (await journal_of(follower))[-1]
        assert not isinstance(last, Raised), last.failure
        assert isinstance(last, Returned)
        return last.result

    @staticmethod
    async def resting(follower: Follower) -> None:
        """Wait until the agent only waits for a message."""

        async def rests() -> bool:
            eligibility = (await follower.look()).record.eligibility
            waits = [wake for wake in eligibility.wake if wake.on_message]
            return eligibility.status is Status.DORMANT and len(waits) == len(eligibility.wake) == 1

        await until(rests, why="the agent rests until somebody writes")

    @staticmethod
    async def values(follower: Follower, compartment: str) -> list[Any]:
        """Return the values of a log compartment."""
        return await values_of(follower, compartment)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what this process itself logs off the terminal: tracebacks of planted crashes cost seconds."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[_dropped])
    try:
        yield
    finally:
        structlog.configure(**before)


def _dropped(*_: object) -> Any:
    raise structlog.DropEvent


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    """Give a ground; whatever still runs there at the end is ended."""
    with quiet():
        async with reaching() as reach:
            made = Ground(folder, reach)
            try:
                yield made
            finally:
                made.down()
