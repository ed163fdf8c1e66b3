"""Gossip: how an anchor learns of places and edicts, and whether its store is behind its votes (protocol §11, §13).

Each round: one other anchor of this zone, and one of another zone, chosen by chance. Edicts do not wait for it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import structlog

from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.heads import SignedHead
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.revocations import SignedRevocation
from sojourn.core.base.encoding import Value, encode
from sojourn.core.base.errors import Refused, SojournError, StoreFailed
from sojourn.core.base.limits import (
    GOSSIP_ROUND_MS,
    HEADS_AT_ONCE,
    ORDERS_AT_ONCE,
    PUBLISHED_AT_ONCE,
    REVOCATIONS_AT_ONCE,
    SPREAD_PAUSE_MS,
    SPREAD_ZONES,
)
from sojourn.core.protocol import exchange, gossip
from sojourn.runtime.zone_client import ZoneClient

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Gossip", "fitting"]

log = structlog.get_logger("anchor")

_ROUND_S: Final = GOSSIP_ROUND_MS / 1000
_PAUSE_S: Final = SPREAD_PAUSE_MS / 1000
_ASK_AGAIN_S: Final = 0.05
_ASKING_S: Final = 2.0
_KIND_BYTES_MAX: Final = 1024 * 1024
"""What one message tells of manifests, of envelopes, of endorsements, and of each kind of edicts."""

V = TypeVar("V", bound=Value)
Edict: TypeAlias = SignedOrder | SignedDocument | SignedHead | SignedRevocation


class Gossip:
    """The gossip of one anchor."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor
        self._unasked = {i for i in range(anchor.zone.n) if i != anchor.index}
        self._asked = asyncio.Event()
        self._note_asked()
        self._chance = anchor.chance
        self._fresh: list[tuple[Edict, bool]] = []

    async def run(self) -> None:
        """Gossip for ever. Raises `StoreFailed`."""
        while True:
            await asyncio.sleep(_ROUND_S * self._chance.uniform(0.8, 1.2))
            await self._anchor.forget_expired()
            for client, index in self._partners():
                try:
                    await self.gossip_with(client, index)
                except StoreFailed:
                    raise
                except SojournError as error:
                    log.debug("no gossip", zone=client.manifest.name, problem=str(error))

    # --- whether the store is older than the votes ----------------------------------------------------

    async def ask_watermarks(self) -> None:
        """Ask each peer once, as soon as it can be reached, what it has seen of this anchor's votes."""
        pause_s = _ASK_AGAIN_S
        while self._unasked:
            await asyncio.gather(*(self._ask_watermark(peer) for peer in sorted(self._unasked)))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _ROUND_S)

    async def wait_asked(self) -> None:
        """Wait until a quorum of the zone, itself among it, knows of no later vote than the store does.

        Raises `Refused` if so many peers cannot be asked now: without them nothing can be decided either.
        """
        if self._asked.is_set():  # before every vote but the first few: no timer for it
            return
        try:
            async with asyncio.timeout(_ASKING_S):
                await self._asked.wait()
        except TimeoutError:
            problem = (
                "this anchor has started, and cannot ask enough others what votes of it they saw"
            )
            raise Refused(problem) from None

    def _note_asked(self) -> None:
        zone = self._anchor.zone
        if zone.n - len(self._unasked) >= zone.quorum:
            self._asked.set()

    async def _ask_watermark(self, peer: int) -> None:
        ask = exchange.AskWatermark(anchor=self._anchor.index)
        try:
            reply = await self._anchor.zone.call(peer, ask, timeout_s=_ROUND_S)
            if isinstance(reply, exchange.Watermark):
                self._anchor.check_watermark(reply)
                self._unasked.discard(peer)
                self._note_asked()
        except SojournError as error:
            log.debug("no watermark", peer=peer, problem=str(error))

    def _partners(self) -> list[tuple[ZoneClient, int]]:
        anchor = self._anchor
        own = [i for i in range(anchor.zone.n) if i != anchor.index]
        found = [(anchor.zone, self._chance.choice(own))] if own else []
        others = [m for zone, m in anchor.manifests.items() if zone != anchor.zone_id]
        if others:
            client = ZoneClient(self._chance.choice(others), anchor.connections)
            found.append((client, self._chance.randrange(client.n)))
        return found

    async def gossip_with(self, client: ZoneClient, index: int) -> None:
        """Exchange with one anchor what each of the two lacks. Raises `SojournError`."""
        ask = gossip.Exchange(summary=self._anchor.summary())
        reply = await client.call(index, ask, timeout_s=_ROUND_S)
        if not isinstance(reply, gossip.Exchanged):
            return
        anchor, peer = self._anchor, client.manifest.anchors[index].identity
        await anchor.take_news(reply.news, anchor.places.teller(peer))
        lacking = anchor.lacking_in(reply.summary, peer)
        if lacking != gossip.News():
            await client.call(index, gossip.Tell(news=lacking), timeout_s=_ROUND_S)

    # --- what cannot wait for a round -----------------------------------------------------------------

    def spread(self, edicts: Iterable[Edict], teller: bytes) -> None:
        """Tell of edicts at once that are news here: this zone's anchors, unless one of them told, and others."""
        is_under_way = bool(self._fresh)
        self._fresh += [(edict, teller == self._anchor.zone_id) for edict in edicts]
        if not is_under_way:
            self._anchor.begin(self._spread)

    async def _spread(self) -> None:
        """Tell of what is new, message after message, until nothing is."""
        while self._fresh:
            await asyncio.sleep(_PAUSE_S)
            told, self._fresh = self._fresh[:PUBLISHED_AT_ONCE], self._fresh[PUBLISHED_AT_ONCE:]
            self._tell_at_home([edict for edict, is_known_here in told if not is_known_here])
            self._tell_abroad([edict for edict, _ in told])

    def _tell_at_home(self, edicts: Sequence[Edict]) -> None:
        zone = self._anchor.zone
        for peer in range(zone.n) if edicts else ():
            if peer != self._anchor.index:
                self._anchor.begin(self._tell, zone, peer, edicts)

    def _tell_abroad(self, edicts: Sequence[Edict]) -> None:
        """Tell one anchor of each of some zones, and of those that an agent went to from here."""
        anchor = self._anchor
        others = [zone for zone in anchor.manifests if zone != anchor.zone_id]
        chosen = self._chance.sample(others, min(SPREAD_ZONES, len(others)))
        for zone in dict.fromkeys((*self._gone_to(edicts), *chosen)):
            client = ZoneClient(anchor.manifests[zone], anchor.connections)
            anchor.begin(self._tell, client, self._chance.randrange(client.n), edicts)

    def _gone_to(self, edicts: Sequence[Edict]) -> Iterator[bytes]:
        orders = (edict.order for edict in edicts if isinstance(edict, SignedOrder))
        for agent in dict.fromkeys(order.agent for order in orders):
            head = self._anchor.shelf.dossier(agent).head
            migration = head.record.migration if head is not None else None
            if migration is not None and migration.to_zone in self._anchor.manifests:
                yield migration.to_zone

    async def _tell(self, client: ZoneClient, index: int, edicts: Sequence[Edict]) -> None:
        news = gossip.News(
            orders=tuple(edict for edict in edicts if isinstance(edict, SignedOrder)),
            documents=tuple(edict for edict in edicts if isinstance(edict, SignedDocument)),
            heads=tuple(edict for edict in edicts if isinstance(edict, SignedHead)),
            revocations=tuple(each for each in edicts if isinstance(each, SignedRevocation)),
        )
        try:
            await client.call(index, gossip.Tell(news=fitting(news)), timeout_s=_ROUND_S)
        except SojournError as error:
            log.debug("not told", zone=client.manifest.name, problem=str(error))


def fitting(news: gossip.News) -> gossip.News:
    """Return as much of the news as one message has room for; the rest is news in the next round."""
    return gossip.News(
        manifests=_first(news.manifests),
        envelopes=_first(news.envelopes),
        endorsements=_first(news.endorsements),
        orders=_first(news.orders[:ORDERS_AT_ONCE]),
        documents=_first(news.documents[:PUBLISHED_AT_ONCE]),
        heads=_first(news.heads[:HEADS_AT_ONCE]),
        revocations=_first(news.revocations[:REVOCATIONS_AT_ONCE]),
    )


def _first(statements: Iterable[V]) -> tuple[V, ...]:
    taken: list[V] = []
    left = _KIND_BYTES_MAX
    for statement in statements:
        left -= len(encode(statement))
        if left < 0:
            break
        taken.append(statement)
    return tuple(taken)
