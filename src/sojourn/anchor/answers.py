"""What an anchor answers without a ruling: blocks, the past, messages, leases, work for hosts, how it is.

None of it decides anything. What is long is answered in parts, and what takes long lets others in between, for
votes must not wait for a reader.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sojourn.anchor.letters import check_message
from sojourn.anchor.loose import Share
from sojourn.anchor.progressing import Progressing
from sojourn.anchor.querying import Querying
from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import LOOSE_BYTES_MAX, LOOSE_OWN_BYTES_MAX
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.anchor import renews
from sojourn.core.protocol.binding import Heartbeat, HeartbeatReply
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.keeping import AskErased, AskShare, KeepShare
from sojourn.core.protocol.letters import AgentEnded, NeverHeld
from sojourn.core.protocol.messages import Applied, AskHead, Reply
from sojourn.core.protocol.progress import AskProgress, PutProgress
from sojourn.core.protocol.querying import AskQuery, PutDisclosure
from sojourn.core.protocol.revoked import is_stopped
from sojourn.runtime.processes import clock
from sojourn.runtime.store import CHANGES_MAX
from sojourn.runtime.transport import Connection

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Answers"]

_REPLY_BYTES_MAX: Final = 2 * 1024 * 1024
"""Half of what a message may have; one piece that is larger goes alone."""
_DIGESTS_AT_ONCE: Final = 1024
_DOSSIERS_AT_ONCE: Final = 64
_ITEMS_MAX: Final = 256
SOFTWARE: Final = "sojourn/1"


class Answers:
    """Answers of one anchor, from its store and from what it knows."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor
        self._progress = Progressing(anchor)
        self._querying = Querying(anchor)

    async def answer(
        self, connection: Connection, request: exchange.AnyRequest, sender: bytes
    ) -> exchange.AnyReply:
        """Answer a request that is not ruled on. Raises `SojournError`."""
        match request:
            case Heartbeat():
                self._note_host(connection, request.host, sender)
            case exchange.AskWork():
                is_new = self._note_host(connection, request.host, sender)
                return await self._work(request.host, is_new=is_new)
            case exchange.Consumed():
                self._check_bound(request.agent, sender)
            case exchange.PutBlocks():
                return await self._put_blocks(request, sender)
            case PutDisclosure() | gossip.Exchange():
                return self._exchange(request, sender)
            case gossip.Tell():
                return await self._tell(request, sender)
            case KeepShare() | AskShare() | AskErased():
                return await self._anchor.keeping.answer(request, sender)
        return await self._HANDLERS[type(request)](self, request)

    # --- hosts ----------------------------------------------------------------------------------------

    def _note_host(self, connection: Connection, host: bytes, sender: bytes) -> bool:
        """Remember over which connection a host can be told of work; tell whether it is another than before."""
        if host != sender:
            problem = f"{key_text(sender)} speaks for host {key_text(host)}"
            raise Rejected(problem, reason="wrong-key", where="host")
        return self._anchor.hosts.note(host, connection)

    def _check_bound(self, agent: bytes, sender: bytes) -> None:
        """Raise `Rejected` unless the sender is the agent's bound host: only it may drop messages."""
        head = self._anchor.shelf.dossier(agent).head
        if head is None or head.record.custody.host != sender:
            problem = f"{key_text(sender)} is not the bound host"
            raise Rejected(problem, reason="wrong-key", where="agent")

    async def _heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        anchor, now_ms = self._anchor, clock.boot_ms()
        refused, view = [], anchor.view()
        for claim in beat.claims:
            dossier = anchor.shelf.dossier(claim.agent)
            if renews(dossier, beat.host, claim) and not is_stopped(dossier, beat.host, view):
                anchor.leases.renew(claim.agent, claim.fence, now_ms)
            else:
                refused.append(claim.agent)
        return HeartbeatReply(sequence=beat.sequence, declined=tuple(refused))

    async def _work(self, host: bytes, *, is_new: bool) -> exchange.Work:
        """Return what there is for a host to do: agents that want it, or anybody, and those with mail.

        Whoever has a live lease is being seen to; but a host that has just connected may have just started, and
        remember nothing. What does not fit comes when the host asks again.
        """
        anchor, now_ms = self._anchor, clock.boot_ms()
        wanting = [
            agent
            for agent, fence in anchor.wanted.by(host, clock.wall_ms())
            if is_new or fence is None or not anchor.leases.is_live(agent, fence, now_ms)
        ]
        items: list[exchange.WorkItem] = []
        left = _REPLY_BYTES_MAX
        for number, agent in enumerate(dict.fromkeys((*anchor.mail.agents(), *wanting))):
            if number % _DOSSIERS_AT_ONCE == 0:
                await asyncio.sleep(0)
            item = self._item(anchor.shelf.dossier(agent), host)
            if item is None:
                continue
            left -= len(encode(item))
            if items and left < 0:
                break
            items.append(item)
            if len(items) == _ITEMS_MAX:
                break
        return exchange.Work(items=tuple(items))

    def _item(self, dossier: Dossier, host: bytes) -> exchange.WorkItem | None:
        """Return what a host can do for an agent now, if anything."""
        arrival, head = dossier.arrival, dossier.head
        if arrival is not None and arrival.arrive.visa.terms.host == host:
            return exchange.WorkItem(arrive=arrival.arrive, application=dossier.application)
        if head is None or head.record.custody.zone != self._anchor.zone_id:
            return None
        eligibility = head.record.eligibility
        bound = head.record.custody.host
        has_mail = self._anchor.mail.wakes(dossier.agent, eligibility)
        if not eligibility.is_acting or is_stopped(dossier, host, self._anchor.view()):
            return None
        if bound not in (None, host) and not (
            has_mail and not self._anchor.hosts.is_connected(bound)
        ):
            return None  # but for mail that the bound host is not there to take, as when it came
        timed = any(wake.at_ms is not None for wake in eligibility.wake)
        if eligibility.status is Status.DORMANT and not (has_mail or timed):
            return None
        return exchange.WorkItem(head=head, has_mail=has_mail)

    # --- blocks ---------------------------------------------------------------------------------------

    async def _put_blocks(self, put: exchange.PutBlocks, sender: bytes) -> Applied:
        """Store blocks, in as many commits as it takes: children go first.

        Raises `Refused` where the sender's share of the room for blocks that no record names is full.
        """
        anchor, named = self._anchor, self._anchor.places.share_of(sender)
        share = Share(named, LOOSE_OWN_BYTES_MAX if named == sender else LOOSE_BYTES_MAX)
        for part in _parts(put.blocks, CHANGES_MAX // 2):
            await anchor.write(anchor.shelf.loose_changes(part, share, clock.boot_ms()))
        return Applied()

    async def _ask_missing(self, ask: exchange.AskMissing) -> exchange.Missing:
        lacking: list[bytes] = []
        shelf = self._anchor.shelf
        for part in _parts(ask.digests, _DIGESTS_AT_ONCE):
            missing = shelf.lacking(part)
            shelf.loose.note_asked(set(part).difference(missing), clock.boot_ms())
            lacking += missing
            await asyncio.sleep(0)
        return exchange.Missing(digests=tuple(lacking))

    async def _ask_blocks(self, ask: exchange.AskBlocks) -> exchange.Blocks:
        found: list[bytes] = []
        left = _REPLY_BYTES_MAX
        for named in ask.digests[:_DIGESTS_AT_ONCE]:
            data = self._anchor.shelf.block(named)
            if data is None:
                continue
            left -= len(data)
            if found and left < 0:
                break
            found.append(data)
        return exchange.Blocks(blocks=tuple(found))

    # --- the past -------------------------------------------------------------------------------------

    async def _ask_past(self, ask: exchange.AskPast) -> exchange.Past:
        shelf, term = self._anchor.shelf, ask.from_term
        history = shelf.history(ask.agent, ask.from_version, ask.limit, _REPLY_BYTES_MAX // 4)
        orders = shelf.carried(ask.agent, ask.from_version, ask.limit, _REPLY_BYTES_MAX // 4)
        chapters, rest = list[Chapter](), list[Chapter]()
        if term is not None:
            chapters = shelf.chapters(ask.agent, term, bytes_max=_REPLY_BYTES_MAX // 2)
        if chapters:
            rest = shelf.chapters(ask.agent, chapters[-1].opened.record.custody.term + 1, limit=1)
        return exchange.Past(
            chapters=tuple(chapters),
            next_term=rest[0].opened.record.custody.term if rest else None,
            visa=shelf.dossier(ask.agent).visa,
            history=tuple(history),
            orders=tuple(orders),
        )

    async def _ask_agents(self, ask: exchange.AskAgents) -> exchange.Agents:
        found: list[exchange.AgentSummary] = []
        after = ask.after or b""
        while len(found) < ask.limit:
            page = self._anchor.shelf.dossiers(after=after, limit=_DOSSIERS_AT_ONCE)
            found += [_summary(dossier) for dossier in page if dossier.head is not None]
            if len(page) < _DOSSIERS_AT_ONCE:
                break
            after = page[-1].agent
            await asyncio.sleep(0)
        return exchange.Agents(agents=tuple(found[: ask.limit]))

    # --- messages -------------------------------------------------------------------------------------

    async def _put_message(self, put: exchange.PutMessage) -> Reply:
        """Keep a message for an agent that is here or on its way; one that went on its sender follows."""
        anchor, agent = self._anchor, put.message.agent
        if self._head_of(agent) is None:
            return await anchor.decide(AskHead(agent=agent), b"")
        lacking = await check_message(anchor, put.message)
        if lacking is not None:
            return lacking
        if await anchor.mail.keep(put.message):
            anchor.announce_mail(agent)
        return Applied()

    async def _ask_query(self, ask: AskQuery) -> exchange.AnyReply:
        """Have a question answered by a host here; who asks an agent that went on follows it."""
        if self._head_of(ask.question.agent) is None:
            return await self._anchor.decide(AskHead(agent=ask.question.agent), b"")
        return await self._querying.ask(ask.question)

    def _head_of(self, agent: bytes) -> Certified | None:
        """Return the head of an agent that is here, or on its way; None if it went on. Raises `Refused`."""
        dossier = self._anchor.shelf.dossier(agent)
        if dossier.head is None:
            raise NeverHeld("this zone has never held that agent")
        if dossier.head.record.eligibility.status in ENDED:
            raise AgentEnded("that agent has ended")
        return dossier.head if dossier.onward is None else None

    async def _ask_messages(self, ask: exchange.AskMessages) -> exchange.Messages:
        return exchange.Messages(messages=self._anchor.mail.read(ask.agent))

    async def _ask_approvals(self, ask: exchange.AskApprovals) -> exchange.Approvals:
        dossier = self._anchor.shelf.dossier(ask.agent)
        version = dossier.head.record.version if dossier.head else 0
        return exchange.Approvals(approvals=dossier.approvals, version=version)

    async def _consumed(self, done: exchange.Consumed) -> Applied:
        await self._anchor.mail.drop(done.agent, done.messages)
        return Applied()

    async def _on_progress(self, said: PutProgress | AskProgress) -> exchange.AnyReply:
        return self._progress.answer(said)

    # --- this anchor and the places it knows ----------------------------------------------------------

    async def _ask_status(self, ask: exchange.AskStatus) -> exchange.AnchorStatus:
        anchor = self._anchor
        return exchange.AnchorStatus(
            zone=anchor.zone_id,
            index=anchor.index,
            epoch=anchor.manifest.epoch,
            agents=anchor.shelf.count(),
            places=len(anchor.manifests),
            votes=anchor.votes_cast,
            up_ms=clock.boot_ms() - anchor.started_ms,
            software=SOFTWARE,
        )

    async def _ask_watermark(self, ask: exchange.AskWatermark) -> exchange.Watermark:
        return exchange.Watermark(vote=self._anchor.seen.of(ask.anchor))

    async def _show_votes(self, said: exchange.ShowVotes) -> Applied:
        self._anchor.proofs.testified(said.votes)
        return Applied()

    async def _ask_proofs(self, ask: exchange.AskProofs) -> exchange.Proofs:
        return self._anchor.proofs.after(ask.after)

    def _exchange(
        self, ask: gossip.Exchange | PutDisclosure, sender: bytes
    ) -> gossip.Exchanged | Applied:
        """Tell what the sender lacks; or keep what a host tells that was asked."""
        if isinstance(ask, PutDisclosure):
            return self._querying.put(ask.told, sender)
        anchor = self._anchor
        return gossip.Exchanged(
            news=anchor.lacking_in(ask.summary, sender), summary=anchor.summary()
        )

    async def _tell(self, tell: gossip.Tell, sender: bytes) -> Applied:
        """Take in what is told. Raises `Refused` if some of it is left out: its teller should know."""
        places = self._anchor.places
        await self._anchor.take_news(tell.news, places.teller(sender))
        zones, _ = places.names()
        left_out = [m.manifest.name for m in tell.news.manifests if m.manifest.zone_id not in zones]
        if left_out:
            why = "expired, or endorsed by no issuer that agents here rely on"
            problem = f"no room for {left_out[0]!r}, one of {len(left_out)} zones: {why}"
            raise Refused(problem)
        if why := self._anchor.edicts.left_out(tell.news) or self._anchor.proofs.left_out(
            tell.news
        ):
            raise Refused(why)
        return Applied()

    _HANDLERS: Final[dict[type, Callable[["Answers", Any], Awaitable[exchange.AnyReply]]]] = {
        Heartbeat: _heartbeat,
        exchange.AskMissing: _ask_missing,
        exchange.AskBlocks: _ask_blocks,
        exchange.AskPast: _ask_past,
        exchange.AskAgents: _ask_agents,
        exchange.PutMessage: _put_message,
        exchange.AskMessages: _ask_messages,
        exchange.AskApprovals: _ask_approvals,
        exchange.Consumed: _consumed,
        AskQuery: _ask_query,
        PutProgress: _on_progress,
        AskProgress: _on_progress,
        exchange.AskStatus: _ask_status,
        exchange.AskWatermark: _ask_watermark,
        exchange.ShowVotes: _show_votes,
        exchange.AskProofs: _ask_proofs,
    }


def _parts(items: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


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
