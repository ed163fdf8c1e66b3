"""The anchor process: requests in, rulings by the core, answers out; and its duties.

request ─► ruled on, one after the other for each agent ─► written, signed ─► answered
                                                                │
              a store that fails ends the process ◄─────────────┘
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence, Set
from contextlib import AbstractAsyncContextManager

import msgspec
import structlog

from sojourn.anchor.answers import Answers
from sojourn.anchor.caretaker import Caretaker
from sojourn.anchor.collecting import Collecting
from sojourn.anchor.edicts import Edicts
from sojourn.anchor.forwarding import Forwarding
from sojourn.anchor.gossiping import Gossip, fitting
from sojourn.anchor.heralding import Heralding
from sojourn.anchor.hosts import GONE, Hosts, Wanted
from sojourn.anchor.keeping import Keeping
from sojourn.anchor.mail import Mail
from sojourn.anchor.mending import Mending
from sojourn.anchor.proofs import Proofs
from sojourn.anchor.recalling import Recalling
from sojourn.anchor.returning import Returning
from sojourn.anchor.scribe import Scribe
from sojourn.anchor.shelf import Shelf
from sojourn.anchor.tidying import Tidying
from sojourn.anchor.turns import Turns
from sojourn.anchor.watermark import Watermarks
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.core.base.keys import KeyPair
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.anchor import agent_of, declined, note_onward, rule
from sojourn.core.protocol.applying import caught_up
from sojourn.core.protocol.binding import LeaseBook
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import (
    CastRound,
    CastVote,
    Dossier,
    Ruling,
    View,
    zones_of,
)
from sojourn.core.protocol.gossip import KnownPlaces
from sojourn.core.protocol.governed import proving_zones
from sojourn.core.protocol.messages import (
    Applied,
    AskRound,
    AskVisa,
    Declined,
    Need,
    Propose,
    Reply,
    Request,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.promises import PromiseBook
from sojourn.core.protocol.rates import RateBook
from sojourn.core.protocol.validate import is_rated
from sojourn.core.quorum.certificates import RoundVote
from sojourn.core.quorum.votes import check_vote
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.clients.drive import ended
from sojourn.runtime.clients.zone_client import Connections, ZoneClient
from sojourn.runtime.processes import clock
from sojourn.runtime.share_keep import ShareKeep
from sojourn.runtime.store import Change, Store
from sojourn.runtime.transport import Connection

__all__ = ["Anchor"]

log = structlog.get_logger("anchor")

_BINDING = (TransitionKind.BIND, TransitionKind.ADMIT, TransitionKind.RETURN)
_ROUTINE = (TransitionKind.STEP, TransitionKind.INTEND)
_VOTED_ON = (Propose, ShowLock, AskRound, AskVisa)


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
        chance: random.Random | None = None,
        shares: ShareKeep | None = None,
        keep_versions: int | None = None,
    ) -> None:
        """Wire an anchor from verified parts; nothing runs before `start`.

        `chance` chooses whom to tell, and first: nothing secret. Without `shares` it takes no shares of keys.
        Of each agent's memory it keeps the newest `keep_versions`, by default all.
        """
        self.manifest, self.index = manifest.manifest, index
        self.identity, self.connections = identity, connections
        self.chance = chance or random.Random()  # noqa: S311
        self.zone = ZoneClient(self.manifest, connections)
        self.failed: asyncio.Future[StoreFailed] = asyncio.get_running_loop().create_future()
        self.started_ms = clock.boot_ms()
        self.leases = LeaseBook(self.manifest.lease_ms, self.started_ms)
        self._rates, self.promises = RateBook(), PromiseBook()
        self._store = store
        self._scribe = Scribe(store, vote_key)
        self.shelf = Shelf(store)
        self.mail = Mail(store, self._scribe)
        self.hosts, self.wanted = Hosts(), Wanted(self.zone_id, self.chance)
        self.seen = Watermarks(self.manifest.committee, store)
        self.forwarding, self.returning = Forwarding(self), Returning(self)
        self._answers, self._caretaker, self._gossip = Answers(self), Caretaker(self), Gossip(self)
        self._tidying, self._mending = Tidying(self), Mending(self, store)
        self._collecting = Collecting(self, keep_versions)
        self.keeping = Keeping(self, shares)
        self._heralding = Heralding(self, self._gossip)
        self.edicts = Edicts(self, self._caretaker, self._heralding)
        self.proofs = Proofs(self, self._caretaker, self._heralding)
        self._turns, self._boot = Turns(), clock.boot_id()
        self._memo, self._chains = Memo(), ChainMemo()
        self._working: set[asyncio.Task[None]] = set()
        self.places = KnownPlaces(self.manifest.realm, self.zone_id)
        self._recalling = Recalling(self, self._caretaker)
        self._survey()
        self._recall_places(manifest)
        self.edicts.recall()
        self.proofs.recall()

    @property
    def zone_id(self) -> bytes:
        """The zone this anchor votes in."""
        return self.manifest.zone_id

    @property
    def votes_cast(self) -> int:
        """How many votes this anchor ever cast."""
        return self._scribe.counter

    # --- life -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take up what the store says is owed, and begin to see to it and to gossip."""
        self._recalling.duties()
        for agent in self.mail.agents():
            self.announce_mail(agent)
        self.begin(self.keeping.recall)
        self.begin(self._caretaker.run)
        self.begin(self._gossip.ask_watermarks)
        self.begin(self._gossip.run)
        self.shelf.watch_damage(self._mending.begin)
        self.begin(self._mending.run)
        self.begin(self._collecting.run)

    async def stop(self) -> None:
        """Stop all that runs; what is being written is finished."""
        await ended(self._working)
        await self.zone.close()
        await self._scribe.finish()

    def begin(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        """Do `work(*args)` in the background, until it ends or the anchor stops."""
        task = asyncio.create_task(self._guarded(work, *args))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _guarded(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        try:
            await work(*args)
        except StoreFailed as failure:
            self._give_up(failure)
        except SojournError as error:
            log.warning("work brought nothing", problem=str(error))
        except Exception:
            log.exception("a defect in the anchor")

    def _give_up(self, failure: StoreFailed) -> None:
        """End the process: a store that failed is never answered from again (protocol §13)."""
        if not self.failed.done():
            log.critical("store failed", problem=str(failure))
            self.failed.set_result(failure)

    # --- requests -------------------------------------------------------------------------------------

    async def serve(self, connection: Connection, body: bytes) -> bytes:
        """Answer one request. Raises `Rejected` for bytes that are none; the connection goes on."""
        request = exchange.decode_request(body)
        sender = connection.peer.public_key
        try:
            if isinstance(request, Request):
                return encode(await self.decide(request, sender))
            return encode(await self._answers.answer(connection, request, sender))
        except StoreFailed as failure:
            self._give_up(failure)
            raise
        except SojournError as error:
            return encode(declined(error))

    async def decide(self, request: Request, sender: bytes) -> Reply:
        """Rule on a request, write what must be durable, sign, and only then answer.

        Raises `Rejected` for blocks that do not hang together, `Refused` to vote before peers have said what
        they saw of this anchor's votes (protocol §13), and `StoreFailed`.
        """
        if isinstance(request, _VOTED_ON):
            await self._gossip.wait_asked()
        answer = await self._decide(request, sender)
        while answer == Need(what="time"):
            await asyncio.sleep(0)  # what is long is checked part by part: others come between
            answer = await self._decide(request, sender)
        if isinstance(request, AskVisa) and isinstance(answer, Voted):
            self.begin(self.take_news, gossip.News(manifests=request.manifests))
        return answer

    async def _decide(self, request: Request, sender: bytes) -> Reply:
        agent = agent_of(request)
        async with self._turns.of(agent):
            brought = request.blocks if isinstance(request, Propose) else ()
            blocks = self.shelf.block_changes(brought)
            before = self.shelf.dossier(agent)
            view = self.view(given={change.digest for change in blocks})
            ruling = rule(before, request, sender, view)
            self.proofs.note(before, request, ruling)
            answer = await self._perform(before, ruling, blocks)
        if ruling.dossier is not None and isinstance(request, ShowLock | ShowCommit):
            self.seen.note(request.certificate)
        if isinstance(request, Propose) and isinstance(answer, Declined):
            self.edicts.see_to(before)
        return answer

    def turn_of(self, agent: bytes) -> AbstractAsyncContextManager[None]:
        """Return an agent's turn, to hold while its dossier is changed."""
        return self._turns.of(agent)

    async def note_onward(self, agent: bytes, admission: Certified) -> None:
        """Remember, durably, where a departed agent was admitted. Raises `Rejected` if that is not so."""
        async with self._turns.of(agent):
            before = self.shelf.dossier(agent)
            after = note_onward(before, admission, self.view())
            await self._perform(before, Ruling(answer=Applied(), dossier=after))
        self.forwarding.begin(agent)

    async def note_past(self, agent: bytes, past: exchange.Past) -> None:
        """Keep, durably, what another anchor says of an agent's past. Raises `SojournError` if it does not hold."""
        async with self._turns.of(agent):
            before = self.shelf.dossier(agent)
            ruling = caught_up(before, past.chapters, past.visa, self.view())
            await self._perform(before, ruling)

    async def _perform(
        self, before: Dossier, ruling: Ruling, blocks: Sequence[Change] = ()
    ) -> Reply:
        """Write what a ruling says, then do what follows from it; return the answer. In the agent's turn."""
        failure = self._store.failed or (self.failed.result() if self.failed.done() else None)
        if failure is not None:
            raise failure  # a ruling turns what it cannot read into a no
        answer = ruling.answer
        ballot = answer.ballot if isinstance(answer, CastVote | CastRound) else None
        assert ballot is None or ruling.dossier is not None, "a vote is remembered"
        vote = None
        if ruling.dossier is not None:
            for earlier in self.shelf.earlier_changes_of(ruling):
                await self._scribe.write(earlier)
            # What a vote vouches for is stored with it (trap 23), and what a NACK remembers likewise. While it
            # is written no lease is granted by the dossier before: a bind may have been voted for (protocol §6).
            changes = [*blocks, *self.shelf.changes_of(ruling), *self.seen.changes()]
            changes += [*self._proofs(before, ruling), *self.edicts.changes_of(ruling)]
            self.shelf.keep_named(ruling.dossier, blocks)
            with self.shelf.replacing(ruling.dossier):
                vote = await self._scribe.write(changes, ballot)
            if is_rated(before, ruling.dossier):
                self._rates.note(before.agent, clock.boot_ms())
            self._follow(before, ruling.dossier, ruling.applied)
        if isinstance(answer, CastVote):
            assert vote is not None
            return Voted(vote=vote)
        if isinstance(answer, CastRound):
            assert vote is not None
            round_vote = RoundVote(vote=vote, summary=answer.summary)
            return RoundVoted(vote=round_vote, lock=answer.lock, proposal=answer.proposal)
        return answer

    async def write(self, changes: Sequence[Change]) -> None:
        """Make changes durable that no ruling stands behind. Raises `StoreFailed`."""
        self.shelf.keep_below(changes)
        if changes:
            await self._scribe.write(changes)

    def view(self, given: Set[bytes] = frozenset()) -> View:
        """Return what this anchor knows at this moment; `given` blocks count as stored."""

        def lacking(digests: Sequence[bytes]) -> list[bytes]:
            return self.shelf.lacking([named for named in digests if named not in given])

        return View(
            manifest=self.manifest,
            index=self.index,
            manifests=self.manifests,
            documents=self.shelf.documents,
            chapters=self.shelf.shown_chapters,
            endorsements=self._endorsements,
            envelopes=self._envelopes,
            leases=self.leases,
            rates=self._rates,
            promises=self.promises,
            lacking=lacking,
            memo=self._memo,
            chains=self._chains,
            now_ms=clock.wall_ms(),
            boot_ms=clock.boot_ms(),
            boot=self._boot,
            edicts=self.edicts.known,
            parentages=self.shelf.parentages,
            shares=self.keeping,
            proofs=self.proofs.known,
            newest=self.shelf.newest,
        )

    # --- what follows from a ruling -------------------------------------------------------------------

    def _follow(self, before: Dossier, after: Dossier, done: Certified | None) -> None:
        """Run what follows from a durable ruling: leases, notices, duties."""
        if done is not None:
            self._log_decision(done)
            self.edicts.note(after)
            self.keeping.note(after)
            self._follow_decision(after, done)
        elif after.arrival is not None and after.arrival is not before.arrival:
            self.offer_arrival(after)
        elif after.approvals is not before.approvals:
            self.announce_mail(after.agent)
        self.wanted.note(after)
        self.note_promise(after)
        self._caretaker.note(before, after)

    def note_promise(self, dossier: Dossier) -> None:
        """Take in what an agent has applied for by now."""
        has_arrived, now_ms = dossier.arrival is not None, clock.boot_ms()
        self.promises.note(dossier.agent, dossier.promised, now_ms, has_arrived=has_arrived)

    def _follow_decision(self, after: Dossier, done: Certified) -> None:
        record, agent = done.record, after.agent
        if record.custody.zone != self.zone_id or record.eligibility.status in GONE:
            self.leases.forget(agent)
        elif done.transition.kind in _BINDING:
            # To be bound is to be granted a first lease: nobody else is offered the agent meanwhile.
            self.leases.renew(agent, record.custody.fence, clock.boot_ms())
        self.returning.begin(agent)
        if done.transition.kind is TransitionKind.RETURN and record.custody.host is not None:
            self.hosts.offer([record.custody.host], exchange.WorkItem(head=done))

    @staticmethod
    def _log_decision(done: Certified) -> None:
        kind, slot = done.transition.kind, done.certificate.slot
        say = log.debug if kind in _ROUTINE else log.info
        say(
            "decided",
            kind=str(kind),
            agent=done.record.agent_id.hex()[:12],
            term=slot.term,
            version=slot.version,
            signers=done.certificate.signers(),
        )

    # --- hosts ----------------------------------------------------------------------------------------

    def live_hosts(self) -> list[bytes]:
        """Return the hosts of this zone with a current envelope."""
        return sorted(self.places.envelopes_of(self.zone_id, clock.wall_ms()))

    def offer_arrival(self, dossier: Dossier, *, to_all: bool = False) -> None:
        """Tell the host that the visa names of the arrival; or, when it does not act, every live one."""
        if dossier.arrival is None:
            return
        arrive = dossier.arrival.arrive
        item = exchange.WorkItem(arrive=arrive, application=dossier.application)
        self.hosts.offer(self.live_hosts() if to_all else [arrive.visa.terms.host], item)

    def announce_mail(self, agent: bytes) -> None:
        """See to a message, or an answer of an approver, that has come: tell the agent's host, or send it on."""
        dossier = self.shelf.dossier(agent)
        self.returning.begin(agent)
        if dossier.onward is not None:
            self.forwarding.begin(agent)
        elif dossier.head is not None and self.mail.is_news_to(dossier.head.record):
            bound = dossier.head.record.custody.host
            told = [bound] if bound and self.hosts.is_connected(bound) else self.live_hosts()
            self.hosts.offer(told, exchange.WorkItem(head=dossier.head, has_mail=True))

    # --- places ---------------------------------------------------------------------------------------

    def _recall_places(self, own: SignedManifest) -> None:
        """Know again what was known of places: first of all what the records here name and rely on."""
        self._recalling.places()
        self.learn(gossip.News(manifests=(own,)), None)
        self.learn(self.shelf.places(), None)

    def note_worth(self, dossier: Dossier) -> None:
        """Hold to what proves an agent's record, and note whom it relies on while it is here."""
        self.places.hold(zones_of(dossier))
        self.edicts.note_ruling(dossier)
        head = dossier.head
        if head is not None and head.record.custody.zone == self.zone_id:
            self.places.rely_on(issuer.key for issuer in head.record.trust.issuers)

    def _proofs(self, before: Dossier, ruling: Ruling) -> list[Change]:
        """Return the changes that keep the manifests of an admitted agent's chain of custody.

        They were checked when it applied; some may have found no room then.
        """
        application = before.application
        if ruling.dossier is None or ruling.applied is None:
            return []
        self.note_worth(ruling.dossier)
        if application is None or not ruling.chapters:
            return []
        zones = proving_zones(ruling.chapters, self.view())
        self.places.hold(zones)
        proofs = tuple(s for s in application.manifests if s.manifest.zone_id in zones)
        self.learn(gossip.News(manifests=proofs))
        return self.shelf.place_changes(gossip.News(manifests=proofs))

    def learn(self, news: gossip.News, teller: bytes | None = gossip.NOBODY) -> gossip.News:
        """Take in statements about places; return what was new. Raises `Rejected` for a false one."""
        new = self.places.learn(news, clock.wall_ms(), teller)
        self._survey()
        return new

    def _survey(self) -> None:
        """Look once at what is known of places, for all rulings until there is news."""
        self.manifests = self.places.manifests
        self._endorsements = self.places.endorsements
        self._envelopes = self.places.envelopes_of(self.zone_id, clock.wall_ms())

    async def take_news(self, news: gossip.News, teller: bytes = gossip.NOBODY) -> None:
        """Take in statements about places, and what officers published, and keep durably what lasts."""
        if news.orders or news.documents or news.heads or news.revocations:
            await self.edicts.take(news, teller)
        new = self.learn(news, teller)
        changes = self.shelf.place_changes(new)
        if changes:
            changes += self.shelf.place_removals(*self.places.names())
        await self.write(changes)
        self._heralding.note(new)
        if news.proofs:
            await self.proofs.take(news.proofs, teller)

    async def forget_expired(self) -> None:
        """Forget what places have stated for a time that is over."""
        self.places.expire(clock.wall_ms())
        self._survey()
        await self.write(self.shelf.place_removals(*self.places.names()))
        await self.edicts.expire()
        await self.proofs.expire()
        await self._tidying.tidy()

    def summary(self) -> gossip.Summary:
        """Return what is known here, by name."""
        told = {**self.edicts.summary(), "proofs": self.proofs.known.summary()}
        return msgspec.structs.replace(self.places.summary(), **told)

    def lacking_in(self, summary: gossip.Summary, listener: bytes) -> gossip.News:
        """Return what the holder of a key lacks, who sent that summary: as much as one message has room for.

        Anchors take no manifest that has expired; what officers published is for anchors alone.
        """
        is_anchor = self.places.is_anchor(listener)
        places = self.places.lacking_in(summary, clock.wall_ms() if is_anchor else 0)
        if not is_anchor:
            return fitting(places)
        edicts, proofs = self.edicts.lacking_in(summary), self.proofs.lacking_in(summary.proofs)
        return fitting(msgspec.structs.replace(places, **edicts, proofs=proofs))

    def check_watermark(self, mark: exchange.Watermark) -> None:
        """Stop for good if a peer proves that this anchor cast a later vote than its store knows (trap 7).

        Such a store is a copy from before: voting from it could contradict what was voted since. Raises
        `Rejected` for a vote that was not cast here.
        """
        vote, counter = mark.vote, self._scribe.counter
        if vote is None or vote.ballot.anchor != self.index or vote.ballot.counter <= counter:
            return
        check_vote(vote, self.manifest.committee)
        problem = f"this store ends at vote {counter}, vote {vote.ballot.counter} was seen"
        remedy = "Retire this anchor; it may not vote again under this key"
        self._give_up(StoreFailed(problem, remedy=remedy))
