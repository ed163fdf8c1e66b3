"""The host process: leases, envelopes, work from the anchors, and a run for each agent it is bound to.

notice or answer of an anchor ─► bind ─► hold the lease ─► execute ─► final steps, moves, rest
                              └► admit ─┘
"""

import asyncio
import heapq
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import msgspec
import structlog

from sojourn.core.agent.capabilities import Offer
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.memory.field import may_reside
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.encoding import decode, digest_of
from sojourn.core.base.errors import Failed, SojournError, Unreachable
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.limits import (
    DOCUMENT_BYTES_MAX,
    ENVELOPE_LIFETIME_MS,
    GOSSIP_ROUND_MS,
    RANK_STEP_MS,
)
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.admission import bound
from sojourn.core.protocol.assessment import Assessment, assess
from sojourn.core.protocol.binding import rank
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import KnownPlaces
from sojourn.core.protocol.messages import AskHead, Head, Proposal
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.core.zone.envelope import Envelope, SignedEnvelope
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.host.blocks import BlockCache
from sojourn.host.leases import Leases
from sojourn.host.run import AgentRun
from sojourn.host.signer import Signer
from sojourn.host.travel import admit
from sojourn.runtime import clock
from sojourn.runtime.ports import Substrate
from sojourn.runtime.transport import Connection
from sojourn.runtime.zone_client import Connections, Overtaken, Stalled, ZoneClient

__all__ = ["Host", "Offering"]

log = structlog.get_logger("host")

Offering = tuple[Offer, int]
"""What a host offers now, and its price now, per hour, in millionths of the currency unit."""

T = TypeVar("T")

_HEAD_S: Final = 2.0
_ASK_AGAIN_S: Final = 15.0
"""Anchors tell of work as it comes; this is for when a notice was lost."""
_HERE: Final = frozenset({Status.ACTIVE, Status.DORMANT, Status.QUARANTINED})


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
    ) -> None:
        """Wire a host from verified parts. `offering` is asked again for every envelope."""
        self.manifest, self.key = manifest.manifest, key
        self.connections, self.substrate = connections, substrate
        self.zone = ZoneClient(self.manifest, connections)
        self.leases = Leases(key.public, self.zone)
        self.signer, self.blocks, self.memo = Signer(key), BlockCache(), Memo()
        self.places = KnownPlaces(self.manifest.realm)
        self.places.learn(gossip.News(manifests=(manifest,)), clock.wall_ms())
        self.entropy = os.urandom
        self._membership, self._offering = membership, offering
        self._offered: Offering | None = None
        self._runs: dict[bytes, AgentRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[bytes] = set()
        self._arrivals: dict[bytes, asyncio.Event] = {}
        self._documents: dict[bytes, Document] = {}
        self._stalls: dict[bytes, str] = {}
        self._mail: set[bytes] = set()
        self._wakes: list[tuple[int, bytes]] = []
        self._woken = asyncio.Event()

    @property
    def zone_id(self) -> bytes:
        """The zone this host serves."""
        return self.manifest.zone_id

    # --- life -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """State what is offered, then ask for work; returns at once."""
        loops = (
            self.leases.run(),
            self._keep_offering(),
            self._keep_learning(),
            self._keep_asking(),
            self._keep_waking(),
        )
        for loop in loops:
            self._spawn(loop)

    async def stop(self) -> None:
        """End every run and every loop. Leases run out by themselves; what is final stays final."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.zone.close()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except SojournError as error:
            log.warning("work failed", problem=str(error))
        except Exception:
            log.exception("a defect in the host")

    async def on_notice(self, connection: Connection, body: bytes) -> None:
        """Take a notice of an anchor of this zone: work to see to."""
        if connection.peer.public_key not in {a.identity for a in self.manifest.anchors}:
            return
        for item in exchange.decode_work(body).items:
            self.take(item)

    def take(self, item: exchange.WorkItem) -> None:
        """See to a piece of work, unless it is being seen to already."""
        certified = item.arrive.departure if item.arrive else item.head
        if certified is None:
            return
        agent = certified.record.agent_id
        if item.has_mail:
            self._mail.add(agent)
            self._arrivals.pop(agent, asyncio.Event()).set()
        if agent in self._busy:
            return
        self._busy.add(agent)
        self._spawn(self._see_to(agent, item))

    async def _see_to(self, agent: bytes, item: exchange.WorkItem) -> None:
        try:
            head = await admit(self, item) if item.arrive else await self._bound(agent)
            if head is not None and head.record.custody.host == self.key.public:
                await self._run(head)
        finally:
            self._busy.discard(agent)

    # --- custody --------------------------------------------------------------------------------------

    async def newest(self, agent: bytes) -> Certified | None:
        """Return the newest certified head of an agent that a quorum of anchors knows; None if it is not here.

        What an anchor made up is passed over.
        """
        heads: list[Certified] = []
        answers = 0

        def take(_anchor: int, reply: object) -> bool:
            nonlocal answers
            if not isinstance(reply, Head):
                return False
            head = reply.certified
            if head is not None and head.record.agent_id == agent:
                head.check({self.zone_id: self.manifest})
                heads.append(head)
            answers += 1
            return answers >= self.zone.quorum

        await self.zone.ask_each(AskHead(agent=agent), take, timeout_s=_HEAD_S)
        return max(heads, key=lambda head: head.record.version, default=None)

    async def _bound(self, agent: bytes) -> Certified | None:
        """Return the head of an agent bound to this host, binding it first if it is free."""
        head = await self.newest(agent)
        if head is None or not self._may_bind(head.record):
            return head
        await asyncio.sleep(self.rank(head.record) * RANK_STEP_MS / 1000)
        newer = await self.newest(agent)
        if newer is None or newer.record != head.record:
            return newer
        return await self._bind(newer)

    def _may_bind(self, record: AgentRecord) -> bool:
        status = record.eligibility.status
        return (
            record.custody.zone == self.zone_id
            and record.custody.host != self.key.public
            and status in _HERE
        )

    def rank(self, record: AgentRecord) -> int:
        """Return this host's place among the live ones for the next binding (protocol §6)."""
        live = set(self.places.envelopes_of(self.zone_id, clock.wall_ms())) | {self.key.public}
        custody = record.custody
        fence = custody.term.to_bytes(8, "big") + (custody.binding + 1).to_bytes(8, "big")
        return list(rank(record.agent_id + fence, live)).index(self.key.public)

    async def _bind(self, head: Certified) -> Certified | None:
        record = bound(head.record, head.certificate.slot, self.key.public)
        transition = Transition(
            kind=TransitionKind.BIND,
            parent=head.record.digest,
            record=record,
            author=self.key.public,
            at_ms=clock.wall_ms(),
        )
        seal = await self.signer.seal(statement(Kind.TRANSITION, Role.HOST, transition.digest))
        proposal = Proposal(transition=transition, seals=(seal,))
        slot = slot_for(head, transition, self.manifest)
        proposer = Proposer(proposal, slot, self.manifest, parent=head)
        try:
            done = await self.zone.decide(proposer, self.blocks, until_applied=True)
        except Overtaken as overtaken:
            return overtaken.decided
        except Stalled as stalled:
            log.info("not bound", agent=head.record.agent_id.hex()[:12], problem=str(stalled))
            return None
        log.info("bound", agent=head.record.agent_id.hex()[:12], binding=record.custody.binding)
        return done

    async def _run(self, head: Certified) -> None:
        """Run an agent for as long as it is bound here and has something to do."""
        run = AgentRun(self, head)
        self._runs[head.record.agent_id] = run
        try:
            await run.live()
        finally:
            self._mail.discard(head.record.agent_id)
            self._runs.pop(head.record.agent_id, None)
            self.leases.release(head.record.agent_id)

    def record_of(self, agent: bytes) -> AgentRecord:
        """Return the newest final record of an agent that runs here."""
        return self._runs[agent].custody.record

    def arrival_of(self, agent: bytes) -> asyncio.Event:
        """Return the event that is set when there may be a message for an agent."""
        return self._arrivals.setdefault(agent, asyncio.Event())

    def has_mail(self, agent: bytes) -> bool:
        """Tell whether the anchors said that messages wait for an agent."""
        return agent in self._mail

    def wake_at(self, at_ms: int, agent: bytes) -> None:
        """Look at an agent again at a time: one timer for all that sleep."""
        heapq.heappush(self._wakes, (at_ms, agent))
        self._woken.set()

    async def _keep_waking(self) -> None:
        while True:
            self._woken.clear()
            now_ms = clock.wall_ms()
            while self._wakes and self._wakes[0][0] <= now_ms:
                _, agent = heapq.heappop(self._wakes)
                self._see_again(agent)
            left_s = (self._wakes[0][0] - now_ms) / 1000 if self._wakes else None
            try:
                async with asyncio.timeout(None if left_s is None else min(left_s, 3600)):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _see_again(self, agent: bytes) -> None:
        if agent not in self._busy:
            self._busy.add(agent)
            self._spawn(self._see_to(agent, exchange.WorkItem()))

    def note_stall(self, agent: bytes, problem: str) -> None:
        """Say once why an agent makes no progress, until the reason changes."""
        if self._stalls.get(agent) != problem:
            self._stalls[agent] = problem
            log.warning("no quorum", agent=agent.hex()[:12], problem=problem)

    # --- blocks ---------------------------------------------------------------------------------------

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Bring blocks to hand. Raises `MissingBlock` for one that no anchor has."""
        wanted = list(dict.fromkeys(d for d in digests if d not in self.blocks))
        while wanted:
            try:
                self.blocks.add(await self.zone.fetch(wanted[:256]))
            except Unreachable:
                raise MissingBlock(wanted[0]) from None
            wanted = [digest for digest in wanted if digest not in self.blocks]

    async def with_blocks(self, read: Callable[[], T]) -> T:
        """Return what `read` gives, fetching the blocks it misses on the way."""
        while True:
            try:
                return read()
            except MissingBlock as missing:
                await self.fetch([missing.digest])

    async def upload(self, zone: ZoneClient, blocks: Sequence[bytes]) -> None:
        """Store new blocks, children first, with every anchor of this zone that can be reached."""
        puts = (zone.put(anchor, blocks) for anchor in range(zone.n))
        results = await asyncio.gather(*puts, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        if zone.n - len(failed) < zone.manifest.committee.quorum:
            raise Failed(f"{len(failed)} anchors cannot take the memory: {failed[0]}")

    @staticmethod
    def left_behind(record: AgentRecord, target: ZoneManifest) -> list[bytes]:
        """Return the roots of compartments that may not reside in `target`."""
        jurisdiction = target.attributes.jurisdiction
        compartments = record.memory.compartments.values()
        return [c.root for c in compartments if not may_reside(c, jurisdiction)]

    # --- places ---------------------------------------------------------------------------------------

    async def documents(self, record: AgentRecord) -> tuple[Document, ...]:
        """Return the policy documents that rule an agent."""
        await self.fetch([d for d in record.governance.documents if d not in self._documents])
        for named in record.governance.documents:
            if named not in self._documents:
                data = self.blocks.get(named)
                self._documents[named] = decode(
                    data, Document, what="document", limit=DOCUMENT_BYTES_MAX
                )
        return tuple(self._documents[named] for named in record.governance.documents)

    async def assess(self, record: AgentRecord) -> tuple[Assessment, ...]:
        """Return the agent's judgement of every place known here, by name."""
        now_ms = clock.wall_ms()
        documents = await self.documents(record)
        found = [
            assess(
                record,
                documents,
                signed.manifest,
                self.places.envelopes_of(signed.manifest.zone_id, now_ms),
                self.places.endorsements,
                self.manifest,
                self.memo,
                now_ms,
            )
            for signed in self.places.known_zones()
        ]
        return tuple(sorted(found, key=lambda place: (place.name, place.zone)))

    async def _keep_offering(self) -> None:
        """Renew the envelope well before it expires, and at once when the offer changes."""
        stated_ms = 0
        while True:
            offering = self._current_offering()
            is_old = clock.boot_ms() - stated_ms > ENVELOPE_LIFETIME_MS // 3
            if offering != self._offered or is_old:
                await self._state(offering)
                self._offered, stated_ms = offering, clock.boot_ms()
            await asyncio.sleep(GOSSIP_ROUND_MS / 4000)

    def _current_offering(self) -> Offering:
        """Return what is offered now: the slots that running agents hold are not free."""
        offer, price_micros = self._offering()
        free = max(0, offer.slots - len(self._runs))
        return msgspec.structs.replace(offer, slots=free), price_micros

    async def _state(self, offering: Offering) -> None:
        """Sign an envelope and give it to every anchor of the zone; gossip carries it on."""
        offer, price_micros = offering
        now_ms = clock.wall_ms()
        envelope = Envelope(
            zone=self.zone_id,
            host=self.key.public,
            membership=self._membership,
            offer=offer,
            price_micros=price_micros,
            sequence=now_ms,
            issued_ms=now_ms,
            expires_ms=now_ms + ENVELOPE_LIFETIME_MS,
        )
        covered = statement(Kind.ENVELOPE, Role.HOST, digest_of(envelope))
        seal = Seal(signer=self.key.public, signature=self.key.sign(covered))
        news = gossip.News(envelopes=(SignedEnvelope(envelope=envelope, seal=seal),))
        self.places.learn(news, now_ms)
        await self.zone.ask_all(gossip.Tell(news=news), object, timeout_s=2)

    async def _keep_learning(self) -> None:
        """Learn of places from one anchor after another."""
        anchor = 0
        while True:
            ask = gossip.Exchange(summary=self.places.summary())
            try:
                reply = await self.zone.call(anchor % self.zone.n, ask, timeout_s=2)
                if isinstance(reply, gossip.Exchanged):
                    self.places.learn(reply.news, clock.wall_ms())
            except SojournError as error:
                log.debug("nothing learned", anchor=anchor % self.zone.n, problem=str(error))
            self.places.expire(clock.wall_ms())
            anchor += 1
            await asyncio.sleep(GOSSIP_ROUND_MS / 2000)

    async def _keep_asking(self) -> None:
        """Ask every anchor for work at the start, and again now and then: a notice may be lost."""
        ask = exchange.AskWork(host=self.key.public)
        while True:
            replies = await self.zone.ask_all(ask, exchange.Work, timeout_s=5)
            for reply in replies.values():
                for item in reply.items:
                    self.take(item)
            await asyncio.sleep(_ASK_AGAIN_S if replies else 0.2)

    def describe(self) -> str:
        """Return who this host is, for logs."""
        return f"host {key_text(self.key.public)} of {self.manifest.name}"
