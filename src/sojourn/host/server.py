"""The host process: leases, envelopes, work from the anchors, and a run for each agent it is bound to.

notice or answer of an anchor ─► bind ─► hold the lease ─► execute ─► final steps, moves, rest
                              └► admit ─┘
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Rejected, SojournError
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.limits import DECISIONS_AT_ONCE
from sojourn.core.base.merkle import Inclusion
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import KnownPlaces
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.host.arrivals import Arrivals
from sojourn.host.binding import head_to_run
from sojourn.host.blocks import HostBlocks
from sojourn.host.leases import Leases
from sojourn.host.outbox import Whereabouts
from sojourn.host.outlook import LEARN_EVERY_S, STATE_EVERY_S, Offering, Outlook
from sojourn.host.place_watch import PlaceWatch
from sojourn.host.provider import SecretProvider
from sojourn.host.querying import Querying
from sojourn.host.queues import Queues
from sojourn.host.run import AgentRun
from sojourn.host.signer import Signer
from sojourn.host.sleepers import Sleepers
from sojourn.host.travel import admit
from sojourn.models.relayed import ModelCaller
from sojourn.runtime.clients.drive import ended
from sojourn.runtime.clients.zone_client import Connections, ZoneClient
from sojourn.runtime.ports import Mode, Substrate
from sojourn.runtime.processes import clock
from sojourn.runtime.transport import Connection

__all__ = ["Host", "Offering"]

log = structlog.get_logger("host")

_ASK_S: Final = 5.0
_ASK_AGAIN_S: Final = 15.0
"""Anchors tell of work as it comes; this is for when a notice was lost."""
_ASK_SOON_S: Final = 1.0
"""There may be more than fitted the last answer."""
_RETRY_S: Final = 0.2
_BINDINGS_AT_ONCE: Final = 32
"""After a failure there may be a thousand agents to bind."""


class Host:
    """One host of one zone."""

    def __init__(
        self,
        manifest: SignedManifest,
        key: KeyPair,
        membership: Inclusion,
        connections: Connections,
        substrate: Substrate,
        offering: Callable[[], Offering],
        provider: SecretProvider | None = None,
        queues: Queues | None = None,
        caller: ModelCaller | None = None,
    ) -> None:
        """Wire a host from verified parts. `offering` is asked again for every envelope."""
        self._caller = caller or ModelCaller()
        self.provider, self.queues = provider or SecretProvider(), queues or Queues()
        self.manifest, self.key = manifest.manifest, key
        self.connections, self.substrate = connections, substrate
        self.zone = ZoneClient(self.manifest, connections)
        self.leases = Leases(key.public, self.zone)
        self.signer, self.blocks, self.memo = Signer(key), HostBlocks(self.zone), Memo()
        self.places = KnownPlaces(self.manifest.realm, self.zone_id, keeps_expired=True)
        self.places.learn(gossip.News(manifests=(manifest,)), clock.wall_ms())
        self.outlook = Outlook(self, membership, offering)
        self.sleepers, self.whereabouts = Sleepers(), Whereabouts()
        self.watch = PlaceWatch(self.places)
        self.entropy = os.urandom
        self.running = 0
        self._peers: dict[bytes, ZoneClient] = {}
        self._anchors = frozenset(anchor.identity for anchor in self.manifest.anchors)
        self._tasks: set[asyncio.Task[None]] = set()
        self._mail: dict[bytes, asyncio.Event] = {}
        self._following: dict[bytes, exchange.WorkItem] = {}
        self._arrivals = Arrivals(self.manifest.f)
        self._binding = asyncio.Semaphore(_BINDINGS_AT_ONCE)
        self.deciding = asyncio.Semaphore(DECISIONS_AT_ONCE)
        self._querying = Querying(self)

    @property
    def zone_id(self) -> bytes:
        """The zone this host serves."""
        return self.manifest.zone_id

    def peer(self, manifest: ZoneManifest) -> ZoneClient:
        """Return the client of another zone's anchors, which is closed when this host stops."""
        return self._peers.setdefault(manifest.digest, ZoneClient(manifest, self.connections))

    def caller_for(self, mode: Mode) -> ModelCaller | None:
        """Return who makes the model calls of code that runs so; None if it does itself."""
        return self._caller if mode == "confined" else None

    def describe(self) -> str:
        """Return who this host is, for logs."""
        return f"host {key_text(self.key.public)} of {self.manifest.name}"

    # --- life -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """State what is offered, then ask for work; returns at once."""
        self._begin(self.leases.run)
        self._begin(self._repeat, self.outlook.state, STATE_EVERY_S)
        self._begin(self._repeat, self._learn, LEARN_EVERY_S)
        self._begin(self._keep_asking)
        self._begin(self._ask_once_settled)
        self._begin(self._keep_waking)

    async def stop(self) -> None:
        """End every run and every loop. Leases run out by themselves; what is final stays final."""
        await ended(self._tasks)
        await asyncio.gather(*(client.close() for client in (self.zone, *self._peers.values())))

    def _begin(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        task = asyncio.create_task(self._guarded(work, *args))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        try:
            await work(*args)
        except SojournError as error:
            log.warning("work failed", problem=str(error))
        except Exception:
            log.exception("a defect in the host")

    async def _repeat(self, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """Do some work again and again, for ever, whether or not it succeeds."""
        while True:
            await self._guarded(work)
            await asyncio.sleep(pause_s)

    # --- work -----------------------------------------------------------------------------------------

    async def on_notice(self, connection: Connection, body: bytes) -> None:
        """Take a notice of an anchor of this zone: work to see to."""
        if connection.peer.public_key not in self._anchors:
            return
        try:
            items = exchange.decode_work(body).items
        except Rejected as error:
            log.warning("a false notice", peer=str(connection.peer), problem=str(error))
            return
        for item in items:
            self._offered(connection.peer.public_key, item)

    def _offered(self, anchor: bytes, item: exchange.WorkItem) -> bool:
        """See to what an anchor offers, to an arrival once enough of them do; tell whether it is new."""
        if item.question is not None:
            self._querying.offered(anchor, item.question, self._begin)
            return False
        if item.arrive is not None and not self._arrivals.is_witnessed(anchor, item.arrive):
            return False
        return self.take(item)

    def take(self, item: exchange.WorkItem) -> bool:
        """See to a piece of work, unless it is being seen to already or sleeps; tell whether it is new."""
        certified = item.arrive.departure if item.arrive else item.head
        if certified is None:
            return False
        agent = certified.record.agent_id
        mail = self._mail.get(agent)
        if mail is None:
            if not item.has_mail and self.sleepers.is_asleep(certified.record):
                return False
            if item.arrive is None and not self._may_run(certified.record):
                return False
            self._see_to(agent, item)
            return True
        if item.has_mail:
            mail.set()
        if item.arrive is not None:
            self._following[agent] = item
        return False

    def _may_run(self, record: AgentRecord) -> bool:
        """Tell whether an agent is bound to this host, or could be: what it cannot run is left to others."""
        lacks = [] if record.custody.host == self.key.public else self.outlook.lacks(record)
        if lacks:
            log.debug("left alone", agent=record.agent_id.hex()[:12], problem="; ".join(lacks))
        return not lacks

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of this host's slots: for an agent that runs, or is being bound to run."""
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1

    def _see_to(self, agent: bytes, item: exchange.WorkItem) -> None:
        """Begin to see to an agent that is not being seen to."""
        mail = asyncio.Event()
        if item.has_mail:
            mail.set()
        self._mail[agent] = mail
        self.sleepers.discard(agent)
        self._begin(self._bind_and_run, agent, item, mail)

    async def _bind_and_run(
        self, agent: bytes, item: exchange.WorkItem, mail: asyncio.Event
    ) -> None:
        """Have the agent bound to this host, or admitted, and run it for as long as there is something to do."""
        try:
            if item.arrive:
                head = await admit(self, item)
            else:
                async with self._binding:
                    head = await head_to_run(self, agent)
            if head is not None:
                await self._run(head, mail)
        finally:
            del self._mail[agent]
        following = self._following.pop(agent, None)
        if following is not None and following.arrive != item.arrive:
            self.take(following)  # it came meanwhile, and what was seen to may have been made up

    async def _run(self, head: Certified, mail: asyncio.Event) -> None:
        try:
            with self.slot():
                await AgentRun(self, head, mail).live()
        finally:
            self.leases.release(head.record.agent_id)

    async def _keep_asking(self) -> None:
        """Ask for work at the start, and again now and then: a notice may be lost."""
        while True:
            is_answered, is_new = await self._ask_for_work()
            pause_s = _ASK_SOON_S if is_new else _ASK_AGAIN_S
            await asyncio.sleep(pause_s if is_answered else _RETRY_S)

    async def _ask_once_settled(self) -> None:
        """Ask again for what was left alone, since it was not known yet that this host confines."""
        before = self.substrate.confines
        await self.substrate.settled()
        if self.substrate.confines and not before:
            await self.outlook.state()
            await self._ask_for_work()

    async def _ask_for_work(self) -> tuple[bool, bool]:
        """Ask every anchor; tell whether any answered, and whether there was anything new."""
        ask = exchange.AskWork(host=self.key.public)
        replies = await self.zone.ask_all(
            ask, exchange.Work, timeout_s=_ASK_S, enough=self.zone.quorum
        )
        new = [
            self._offered(self.manifest.anchors[anchor].identity, item)
            for anchor, reply in replies.items()
            for item in reply.items
        ]
        return bool(replies), any(new)

    async def _learn(self) -> None:
        """Learn of places, and see to the agents at rest that wait for such."""
        await self.outlook.learn()
        for agent in self.watch.with_news():
            if agent not in self._mail:
                self._see_to(agent, exchange.WorkItem())

    async def _keep_waking(self) -> None:
        """See to agents whose time to wake has come, for ever: one timer for all that sleep."""
        while True:
            for agent in await self.sleepers.due():
                if agent not in self._mail:
                    self._see_to(agent, exchange.WorkItem())
