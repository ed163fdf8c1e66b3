"""The processes of a simulated zone: production's anchors and hosts, wired as their mains wire them.

A process can be killed at any moment, also while one of its callbacks runs; its machine can lose power; it can be
paused, and started again. An anchor's disk outlives it, a host keeps nothing.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Protocol

from sojourn.anchor.server import Anchor
from sojourn.core.agent.capabilities import Offer
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.core.base.keys import KeyPair
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.host.provider import Entry, Rule, SecretProvider
from sojourn.host.queues import Queues
from sojourn.host.server import Host
from sojourn.runtime.clients.zone_client import Connections
from sojourn.runtime.host_side.turnstile import Limit
from sojourn.runtime.share_keep import ShareKeep
from sojourn.runtime.store import Store
from sojourn.runtime.transport import Connection, PeerIdentity
from sojourn.stores.shares import MemoryShares
from sojourn.testing.disks import Disk
from sojourn.testing.founding import FoundedZone, key
from sojourn.testing.life import Life, Machine
from sojourn.testing.loop import Complaints
from sojourn.testing.network import Network, SimulatedTransport
from sojourn.testing.substrate import SimulatedSubstrate, Watch
from sojourn.testing.timeline import NS_PER_S, Timeline
from sojourn.transports.pool import ConnectionPool

__all__ = [
    "AnchorLike",
    "AnchorProcess",
    "Client",
    "HostProcess",
    "Limit",
    "MakeAnchor",
    "Process",
    "Surroundings",
]


class AnchorLike(Protocol):
    """What an anchor process needs of an anchor: the real one, or one that lies."""

    failed: "asyncio.Future[StoreFailed]"

    async def serve(self, connection: Connection, body: bytes) -> bytes:
        """Answer a request."""

    def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """Stop."""


class MakeAnchor(Protocol):
    """Makes an anchor from what production's is made of: `Anchor` itself, or a liar's class."""

    def __call__(
        self,
        manifest: SignedManifest,
        index: int,
        identity: KeyPair,
        vote_key: KeyPair,
        store: Store,
        connections: Connections,
        chance: random.Random,
        shares: ShareKeep,
    ) -> AnchorLike:
        """Return the anchor; it is started afterwards."""


class Surroundings(Protocol):
    """What a process needs of the world it is in."""

    timeline: Timeline
    network: Network

    @property
    def watch(self) -> Watch:
        """What is told of every step."""

    @property
    def seed_text(self) -> str:
        """What every chance in this world comes from."""

    def complain(self, process: str) -> Complaints:
        """Return what takes note of what nobody in a process caught."""

    def note(self, process: str, what: str) -> None:
        """Take note of a happening."""


class Process(Machine):
    """A machine with one process on it."""

    def __init__(
        self, world: Surroundings, name: str, place: tuple[str, int] | None, drift: float
    ) -> None:
        """Be a machine on the network. Nothing runs before `start`."""
        super().__init__(name, world.timeline, world.seed_text, drift)
        self._world = world
        self.life: Life | None = None
        world.network.add(self, place)

    # --- what happens to it ---------------------------------------------------------------------------

    @property
    def runs(self) -> bool:
        """Whether the process lives; it may be paused."""
        return self.life is not None

    def start(self) -> None:
        """Start the process, on a machine that has power again if it was off."""
        if self.life is not None:
            return
        if self.is_off:
            self.is_off = False
            self.clock.boot()
        self.note("starts")
        self.life = Life(self, self._world.complain(self.name))
        self.life.post(self._begin, self.life)

    def kill(self) -> None:
        """Let the process be gone, in the midst of whatever it does."""
        if self.life is not None:
            self.note("is killed")
            self._end(silently=False)

    def power_off(self) -> None:
        """Let the machine be off: others hear nothing of it until it is started again."""
        self.note("loses power")
        self.is_off = True
        self._end(silently=True)

    def pause(self, seconds: float | None = None) -> None:
        """Let the process stand still, for so many seconds or until `resume`; its clocks go on."""
        if self.life is None or self.life.is_paused:
            return
        self.note("stands still")
        self.life.pause()
        if seconds is not None:
            self.timeline.after(round(seconds * NS_PER_S), self._resume, self.life)

    def resume(self) -> None:
        """Let the process go on."""
        if self.life is not None:
            self._resume(self.life)

    def _resume(self, life: Life) -> None:
        if life is self.life and life.is_paused:
            self.note("goes on")
            life.resume()

    def shift_wall_clock(self, seconds: float) -> None:
        """Let somebody set the wall clock, forward or back."""
        self.note(f"wall clock set by {seconds:+g} s")
        self.clock.wall_offset_ms += round(seconds * 1000)

    def note(self, what: str) -> None:
        """Take note of a happening."""
        self._world.note(self.name, what)

    # --- its life -------------------------------------------------------------------------------------

    def _begin(self, life: Life) -> None:
        life.main = life.loop.create_task(self._live(life))
        life.main.add_done_callback(lambda done: self._has_ended(life, done))

    def _has_ended(self, life: Life, done: "asyncio.Task[None]") -> None:
        if life is not self.life or done.cancelled():
            return
        error = done.exception()
        if isinstance(error, SojournError):
            self.note(f"ends: {error}")
        elif error is not None:
            self._world.complain(self.name)("the process failed", error)
        else:
            self.note("ends")
        self._end(silently=False)

    def _end(self, *, silently: bool) -> None:
        life, self.life = self.life, None
        if life is not None:
            life.end()
            self._world.network.end_wires(life, silently=silently)
            self._left_behind()

    async def _live(self, life: Life) -> None:
        """Be the main of the process."""
        raise NotImplementedError

    def _left_behind(self) -> None:
        """See to what outlives the process."""

    def _transport(self, life: Life, pair: KeyPair) -> SimulatedTransport:
        identity = PeerIdentity(pair.public, f"spiffe://simulated/{self.name}")
        return SimulatedTransport(self._world.network, life, identity)


class AnchorProcess(Process):
    """An anchor of a zone, on a machine with a disk."""

    def __init__(
        self,
        world: Surroundings,
        zone: FoundedZone,
        index: int,
        make: MakeAnchor,
        drift: float,
        on_row: Callable[[str, bytes], None],
    ) -> None:
        manifest = zone.signed.manifest
        self.endpoint = manifest.anchors[index].endpoint
        name = f"{manifest.name}/anchor/{index}"
        super().__init__(world, name, (self.endpoint.address, self.endpoint.port), drift)
        self.index = index
        self.is_honest = getattr(make, "func", make) is Anchor  # or a `partial` of it
        self.disk = Disk(world.timeline, self.chance, on_row)
        self.shares = MemoryShares()
        self._signed, self._make = zone.signed, make

    @property
    def manifest(self) -> ZoneManifest:
        """The manifest of its zone."""
        return self._signed.manifest

    async def _live(self, life: Life) -> None:
        identity, vote_key = key(self.name), key(f"{self.name}/vote")
        async with AsyncExitStack() as ending:
            store = self.disk.open()
            ending.callback(_close, store)
            transport = self._transport(life, identity)
            pool = ConnectionPool(transport, jitter=self.chance)
            ending.push_async_callback(pool.close)
            anchor = self._make(
                *(self._signed, self.index, identity, vote_key, store, pool, self.chance),
                self.shares,
            )
            ending.push_async_callback(anchor.stop)
            listener = await transport.listen(
                self.endpoint.address, self.endpoint.port, on_request=anchor.serve
            )
            ending.push_async_callback(listener.close)
            anchor.start()
            failure = await asyncio.shield(anchor.failed)
        raise failure

    def _left_behind(self) -> None:
        self.disk.crash()


def _close(store: Store) -> None:
    if store.failed is None:
        store.close()


class HostProcess(Process):
    """A host of a zone, and the agents it runs."""

    def __init__(
        self, world: Surroundings, zone: FoundedZone, index: int, offer: Offer, drift: float
    ) -> None:
        manifest = zone.signed.manifest
        super().__init__(world, f"{manifest.name}/host/{index}", None, drift)
        self.offer, self.price_micros = offer, manifest.attributes.price_micros or 0
        self.key = zone.hosts[index]
        self.host: Host | None = None
        self.secrets: dict[str, str] = {}
        self.queues: dict[str, Limit] = {}
        self._zone = zone

    async def _live(self, life: Life) -> None:
        async with AsyncExitStack() as ending:
            substrate = SimulatedSubstrate(life, self._world.watch)
            ending.push_async_callback(substrate.close)

            async def on_notice(connection: Connection, body: bytes) -> None:
                await host.on_notice(connection, body)

            transport = self._transport(life, self.key)
            pool = ConnectionPool(transport, on_notice=on_notice, jitter=self.chance)
            ending.push_async_callback(pool.close)
            membership = self._zone.memberships[self.key.public]
            host = Host(
                *(self._zone.signed, self.key, membership, pool, substrate, self._offering),
                provider=SecretProvider(self._provided),
                queues=Queues(lambda: self.queues),
            )
            host.entropy = self.chance.randbytes
            self.host = host
            await host.start()
            ending.push_async_callback(host.stop)
            await life.loop.create_future()  # it ends when it is killed

    def _offering(self) -> tuple[Offer, int]:
        return self.offer, self.price_micros

    def _provided(self) -> dict[str, Entry]:
        async def read(name: str) -> str:
            return self.secrets[name]

        return {name: Entry(Rule(everyone=True), partial(read, name)) for name in self.secrets}

    def _left_behind(self) -> None:
        self.host = None


class Client(Process):
    """A person's process: launches agents, writes to them."""

    def __init__(self, world: Surroundings) -> None:
        super().__init__(world, "person", None, 0.0)
        self.pool: ConnectionPool

    async def _live(self, life: Life) -> None:
        self.pool = ConnectionPool(self._transport(life, key("person")), jitter=self.chance)
        await life.loop.create_future()

    def perform(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> "asyncio.Future[Any]":
        """Begin some work; return a future that is done when it is."""
        assert self.life is not None
        done = self.life.loop.create_future()
        self.life.post(self._perform, self.life, work, done)
        return done

    @staticmethod
    def _perform(
        life: Life, work: Callable[[], Awaitable[Any]], done: "asyncio.Future[Any]"
    ) -> None:
        async def guarded() -> None:
            try:
                result = await work()
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(result)

        life.loop.create_task(guarded())
