"""The anchor process: requests in, rulings by the core, answers out; and its duties.

request ─► ruled on, one after the other for each agent ─► written, signed ─► answered
                                                                │
              a store that fails ends the process ◄─────────────┘
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from typing import Any, Final

import structlog

from sojourn.anchor.caretaker import Caretaker
from sojourn.anchor.scribe import Scribe
from sojourn.anchor.shelf import Shelf
from sojourn.anchor.watermark import Watermarks
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Refused, Rejected, SojournError, StoreFailed
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.limits import MESSAGES_WAITING_MAX
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.anchor import agent_of, declined, note_onward, renews, rule
from sojourn.core.protocol.binding import Heartbeat, HeartbeatReply, LeaseBook
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import CastRound, CastVote, Dossier, Ruling, View
from sojourn.core.protocol.gossip import KnownPlaces
from sojourn.core.protocol.messages import (
    Applied,
    AskHead,
    AskVisa,
    Propose,
    Reply,
    Request,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.certificates import RoundVote
from sojourn.core.quorum.votes import check_vote
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime import clock
from sojourn.runtime.store import Change, Store
from sojourn.runtime.transport import Connection
from sojourn.runtime.zone_client import Connections, ZoneClient

__all__ = ["Anchor"]

log = structlog.get_logger("anchor")

_BLOCKS_REPLY_BYTES: Final = 2 * 1024 * 1024
SOFTWARE: Final = "sojourn/1"


class Anchor:
    """One voter: its key, its store, what it knows, and what it owes."""

    def __init__(
        self,
        manifest: SignedManifest,
        index: int,
        identity: KeyPair,
        vote_key: KeyPair,
        store: Store,
        connections: Connections,
    ) -> None:
        """Wire an anchor from verified parts; nothing runs before `start`."""
        self.manifest, self.index = manifest.manifest, index
        self.identity = identity
        self.places = KnownPlaces(self.manifest.realm)
        self.leases = LeaseBook(self.manifest.lease_ms, clock.boot_ms())
        self.shelf = Shelf(store)
        self.zone = ZoneClient(self.manifest, connections)
        self.connections = connections
        self.failed: asyncio.Future[StoreFailed] = asyncio.get_running_loop().create_future()
        self._store = store
        self._scribe = Scribe(store, vote_key)
        self._memo = Memo()
        self._locks: dict[bytes, asyncio.Lock] = {}
        self._hosts: dict[bytes, Connection] = {}
        self._boot, self._started_ms = clock.boot_id(), clock.boot_ms()
        self._manifests = {self.zone_id: self.manifest}
        self._caretaker = Caretaker(self)
        self._seen = Watermarks(self.manifest.committee, self.shelf)
        self.learn(gossip.News(manifests=(manifest,)))
        self.learn(self.shelf.places())

    @property
    def zone_id(self) -> bytes:
        """The zone this anchor votes in."""
        return self.manifest.zone_id

    def start(self) -> None:
        """Begin to see to duties and to gossip."""
        self._caretaker.start()

    async def stop(self) -> None:
        """Stop duties and gossip; what is being written is finished by the store."""
        await self._caretaker.stop()
        await self.zone.close()

    # --- requests -------------------------------------------------------------------------------------

    async def serve(self, connection: Connection, body: bytes) -> bytes:
        """Answer one request. Raises `Rejected` for bytes that are none; the connection goes on."""
        request = exchange.decode_request(body)
        sender = connection.peer.public_key
        try:
            return encode(await self._answer(connection, request, sender))
        except StoreFailed as failure:
            self._give_up(failure)
            raise
        except SojournError as error:
            return encode(declined(error))

    async def _answer(
        self, connection: Connection, request: exchange.AnyRequest, sender: bytes
    ) -> exchange.AnyReply:
        if isinstance(request, Request):
            return await self.decide(request, sender)
        if isinstance(request, Heartbeat | exchange.AskWork):
            self._note_host(connection, request.host, sender)
        if isinstance(request, exchange.Consumed):
            self._check_bound(request.agent, sender)
        handler = self._HANDLERS[type(request)]
        return await handler(self, request)

    def _give_up(self, failure: StoreFailed) -> None:
        """A store that failed is never answered from again: the process ends (protocol §13)."""
        if not self.failed.done():
            log.critical("store failed", problem=str(failure))
            self.failed.set_result(failure)

    async def decide(self, request: Request, sender: bytes) -> Reply:
        """Rule on a request, write what must be durable, sign, and only then answer."""
        agent = agent_of(request)
        lock = self._locks.setdefault(agent, asyncio.Lock())
        async with lock:
            blocks = (
                self.shelf.block_changes(request.blocks) if isinstance(request, Propose) else []
            )
            view = self.view(given={change.digest for change in blocks})
            ruling = rule(self.shelf.dossier(agent), request, sender, view)
            answer = await self._perform(ruling, blocks)
        if not lock.locked() and not lock._waiters:  # noqa: SLF001
            self._locks.pop(agent, None)
        if ruling.dossier is not None:
            self._after(ruling)
        if ruling.dossier is not None and isinstance(request, ShowLock | ShowCommit):
            self._seen.note(request.certificate)
        if isinstance(request, AskVisa) and isinstance(answer, Voted):
            await self.take_news(gossip.News(manifests=request.manifests))
        return answer

    async def _perform(self, ruling: Ruling, blocks: Sequence[Change] = ()) -> Reply:
        changes = self.shelf.changes_of(ruling)
        if ruling.dossier is not None:
            # What a vote vouches for is stored with it (trap 23), and what a NACK remembers likewise.
            changes = [*blocks, *changes]
        answer = ruling.answer
        ballot = answer.ballot if isinstance(answer, CastVote | CastRound) else None
        vote = await self._scribe.write(changes, ballot) if changes or ballot else None
        if ruling.dossier is not None:
            self.shelf.keep(ruling.dossier)
        if isinstance(answer, CastVote):
            assert vote is not None
            return Voted(vote=vote)
        if isinstance(answer, CastRound):
            assert vote is not None
            round_vote = RoundVote(vote=vote, summary=answer.summary)
            return RoundVoted(vote=round_vote, lock=answer.lock, proposal=answer.proposal)
        return answer

    def _after(self, ruling: Ruling) -> None:
        """Run what follows from a durable ruling: leases, notices, duties."""
        dossier, done = ruling.dossier, ruling.applied
        assert dossier is not None
        if done is not None:
            self._log_decision(done)
            record = done.record
            if record.custody.zone != self.zone_id or record.eligibility.status in _GONE:
                self.leases.forget(dossier.agent)
            elif done.transition.kind in _BINDING:
                # To be bound is to be granted a first lease: nobody else is offered the agent meanwhile.
                self.leases.renew(dossier.agent, record.custody.fence, clock.boot_ms())
        if dossier.arrival is not None and done is None:
            self.offer_arrival(dossier)
        self._caretaker.plan(dossier)

    def _log_decision(self, done: Certified) -> None:
        kind = done.transition.kind
        slot = done.certificate.slot
        say = log.debug if kind in ("step", "intend") else log.info
        say(
            "decided",
            kind=str(kind),
            agent=done.record.agent_id.hex()[:12],
            term=slot.term,
            version=slot.version,
            signers=done.certificate.signers(),
        )

    def view(self, given: Set[bytes] = frozenset()) -> View:
        """Return what this anchor knows at this moment; `given` blocks count as stored."""
        now_ms = clock.wall_ms()

        def lacking(digests: Sequence[bytes]) -> list[bytes]:
            return self.shelf.lacking([named for named in digests if named not in given])

        return View(
            manifest=self.manifest,
            index=self.index,
            manifests=self._manifests,
            documents=self.shelf.documents,
            endorsements=self.places.endorsements,
            envelopes=self.places.envelopes_of(self.zone_id, now_ms),
            leases=self.leases,
            lacking=lacking,
            memo=self._memo,
            now_ms=now_ms,
            boot_ms=clock.boot_ms(),
            boot=self._boot,
        )

    async def note_onward(self, agent: bytes, admission: Certified) -> None:
        """Remember, durably, where a departed agent was admitted."""
        dossier = note_onward(self.shelf.dossier(agent), admission, self.view())
        await self._perform(Ruling(answer=Applied(), dossier=dossier))
        self._caretaker.plan(dossier)

    # --- hosts ----------------------------------------------------------------------------------------

    def _note_host(self, connection: Connection, host: bytes, sender: bytes) -> None:
        """Remember over which connection a host of this zone can be told of work."""
        if host != sender:
            problem = f"{key_text(sender)} speaks for host {key_text(host)}"
            raise Rejected(problem, reason="wrong-key", where="host")
        self._hosts[host] = connection

    def _check_bound(self, agent: bytes, sender: bytes) -> None:
        """Raise `Rejected` unless the sender is the agent's bound host: only it may drop messages."""
        head = self.shelf.dossier(agent).head
        if head is None or head.record.custody.host != sender:
            problem = f"{key_text(sender)} is not the bound host"
            raise Rejected(problem, reason="wrong-key", where="agent")

    def offer(self, hosts: Sequence[bytes], item: exchange.WorkItem) -> None:
        """Tell hosts of work; one that is gone or slow learns of it when it asks."""
        notice = encode(exchange.Work(items=(item,)))
        for host in hosts:
            connection = self._hosts.get(host)
            if connection is None:
                continue
            try:
                connection.notify(notice)
            except SojournError:
                self._hosts.pop(host, None)

    def live_hosts(self) -> list[bytes]:
        """Return the hosts of this zone with a current envelope."""
        return sorted(self.places.envelopes_of(self.zone_id, clock.wall_ms()))

    def offer_arrival(self, dossier: Dossier, *, to_all: bool = False) -> None:
        """Tell the host that the visa names of the arrival; or, when it does not act, every live one."""
        if dossier.arrival is None:
            return
        arrive = dossier.arrival.arrive
        item = exchange.WorkItem(arrive=arrive, application=dossier.application)
        self.offer(self.live_hosts() if to_all else [arrive.visa.terms.host], item)

    # --- what is no ruling ----------------------------------------------------------------------------

    async def _heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        now_ms = clock.boot_ms()
        refused = []
        for claim in beat.claims:
            if renews(self.shelf.dossier(claim.agent), beat.host, claim):
                self.leases.renew(claim.agent, claim.fence, now_ms)
            else:
                refused.append(claim.agent)
        return HeartbeatReply(sequence=beat.sequence, declined=tuple(refused))

    async def _ask_work(self, ask: exchange.AskWork) -> exchange.Work:
        """Return what is bound to the asker, or without a live host, or arriving for it."""
        items: list[exchange.WorkItem] = []
        for dossier in self.shelf.dossiers(limit=100_000):
            item = self._work_in(dossier, ask.host)
            if item is not None:
                items.append(item)
        return exchange.Work(items=tuple(items[:1000]))

    def _work_in(self, dossier: Dossier, host: bytes) -> exchange.WorkItem | None:
        arrival, head = dossier.arrival, dossier.head
        if arrival is not None and arrival.arrive.visa.terms.host == host:
            return exchange.WorkItem(arrive=arrival.arrive, application=dossier.application)
        if head is None or head.record.custody.zone != self.zone_id:
            return None
        eligibility = head.record.eligibility
        if eligibility.status in _GONE or head.record.custody.host not in (None, host):
            return None
        has_mail = bool(self.shelf.messages(dossier.agent, 1))
        timed = any(wake.at_ms is not None for wake in eligibility.wake)
        if eligibility.status is Status.DORMANT and not (has_mail or timed):
            return None
        return exchange.WorkItem(head=head, has_mail=has_mail)

    async def _put_blocks(self, put: exchange.PutBlocks) -> Applied:
        await self._scribe.write(self.shelf.block_changes(put.blocks))
        return Applied()

    async def _ask_missing(self, ask: exchange.AskMissing) -> exchange.Missing:
        return exchange.Missing(digests=tuple(self.shelf.lacking(ask.digests)))

    async def _ask_blocks(self, ask: exchange.AskBlocks) -> exchange.Blocks:
        found: list[bytes] = []
        size = 0
        for named in ask.digests:
            data = self.shelf.block(named)
            if data is None:
                continue
            size += len(data)
            if found and size > _BLOCKS_REPLY_BYTES:
                break
            found.append(data)
        return exchange.Blocks(blocks=tuple(found))

    async def _ask_past(self, ask: exchange.AskPast) -> exchange.Past:
        history = self.shelf.history(ask.agent, ask.from_version, ask.limit) if ask.limit else []
        return exchange.Past(chapters=tuple(self.shelf.chapters(ask.agent)), history=tuple(history))

    async def _put_message(self, put: exchange.PutMessage) -> Reply:
        put.message.check()
        agent = put.message.message.agent
        dossier = self.shelf.dossier(agent)
        head = dossier.head
        if head is None:
            raise Refused("this zone has never held that agent")
        if head.record.eligibility.status is Status.DEPARTED or dossier.onward is not None:
            return await self.decide_head(agent)
        if len(self.shelf.messages(agent, MESSAGES_WAITING_MAX)) >= MESSAGES_WAITING_MAX:
            raise Refused(f"{MESSAGES_WAITING_MAX} messages are waiting for that agent already")
        await self._scribe.write(self.shelf.message_changes(put.message))
        bound = head.record.custody.host
        hosts = [bound] if bound in self._hosts else self.live_hosts()
        self.offer(hosts, exchange.WorkItem(head=head, has_mail=True))
        return Applied()

    async def decide_head(self, agent: bytes) -> Reply:
        """Return the newest certified transition of an agent, and where it went on to."""
        return await self.decide(AskHead(agent=agent), b"")

    async def _ask_messages(self, ask: exchange.AskMessages) -> exchange.Messages:
        return exchange.Messages(messages=tuple(self.shelf.messages(ask.agent, 100)))

    async def _consumed(self, done: exchange.Consumed) -> Applied:
        await self._scribe.write(self.shelf.consumed_changes(done.agent, done.messages))
        return Applied()

    async def _ask_agents(self, ask: exchange.AskAgents) -> exchange.Agents:
        dossiers = self.shelf.dossiers(after=ask.after or b"", limit=ask.limit)
        return exchange.Agents(agents=tuple(_summary(d) for d in dossiers if d.head is not None))

    async def _ask_status(self, ask: exchange.AskStatus) -> exchange.AnchorStatus:
        return exchange.AnchorStatus(
            zone=self.zone_id,
            index=self.index,
            epoch=self.manifest.epoch,
            agents=self.shelf.count(),
            places=len(self._manifests),
            votes=self._scribe.counter,
            up_ms=clock.boot_ms() - self._started_ms,
            software=SOFTWARE,
        )

    async def _ask_watermark(self, ask: exchange.AskWatermark) -> exchange.Watermark:
        return exchange.Watermark(vote=self._seen.of(ask.anchor))

    def check_watermark(self, mark: exchange.Watermark) -> None:
        """Stop for good if a peer proves that this anchor cast a later vote than its store knows (trap 7).

        Such a store is a copy from before: voting from it could contradict what was voted since.
        """
        vote = mark.vote
        if vote is None or vote.ballot.anchor != self.index:
            return
        if vote.ballot.counter <= self._scribe.counter:
            return
        check_vote(vote, self.manifest.committee)
        problem = (
            f"this store ends at vote {self._scribe.counter}, vote {vote.ballot.counter} was seen"
        )
        self._give_up(
            StoreFailed(problem, remedy="Retire this anchor; it may not vote again under this key")
        )

    # --- places ---------------------------------------------------------------------------------------

    def learn(self, news: gossip.News) -> gossip.News:
        """Take in statements about places; return what was new. Raises `Rejected` for a false one."""
        new = self.places.learn(news, clock.wall_ms())
        if new.manifests:
            self._manifests = self.places.manifests
        return new

    async def take_news(self, news: gossip.News) -> None:
        """Take in statements about places, and keep durably those that last."""
        changes = self.shelf.place_changes(self.learn(news))
        if changes:
            await self._scribe.write(changes)

    async def _exchange(self, ask: gossip.Exchange) -> gossip.Exchanged:
        lacking = self.places.lacking_in(ask.summary)
        return gossip.Exchanged(news=lacking, summary=self.places.summary())

    async def _tell(self, tell: gossip.Tell) -> Applied:
        await self.take_news(tell.news)
        return Applied()

    _HANDLERS: Final[dict[type, Callable[["Anchor", Any], Awaitable[exchange.AnyReply]]]] = {
        Heartbeat: _heartbeat,
        exchange.AskWork: _ask_work,
        exchange.PutBlocks: _put_blocks,
        exchange.AskMissing: _ask_missing,
        exchange.AskBlocks: _ask_blocks,
        exchange.AskPast: _ask_past,
        exchange.PutMessage: _put_message,
        exchange.AskMessages: _ask_messages,
        exchange.Consumed: _consumed,
        exchange.AskAgents: _ask_agents,
        exchange.AskStatus: _ask_status,
        exchange.AskWatermark: _ask_watermark,
        gossip.Exchange: _exchange,
        gossip.Tell: _tell,
    }


_BINDING: Final = frozenset({TransitionKind.BIND, TransitionKind.ADMIT, TransitionKind.RETURN})
_GONE: Final = frozenset({Status.DEPARTED, Status.RETIRED, Status.REVOKED})


def _summary(dossier: Dossier) -> exchange.AgentSummary:
    assert dossier.head is not None
    record = (dossier.onward or dossier.head).record
    custody = record.custody
    return exchange.AgentSummary(
        agent=dossier.agent,
        status=record.eligibility.status,
        version=record.version,
        term=custody.term,
        binding=custody.binding,
        host=custody.host,
        to_zone=custody.zone if dossier.onward else None,
    )
