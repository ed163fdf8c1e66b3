"""Gossip: how an anchor learns of places and edicts, and whether its store is behind its votes (protocol §11, §13).

Each round: one other anchor of this zone, and one of another zone, chosen by chance. Some news does not wait
for it (`heralding`).
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from sojourn.core.base.encoding import Value, encode
from sojourn.core.base.errors import Refused, SojournError, StoreFailed
from sojourn.core.base.limits import (
    GOSSIP_ROUND_MS,
    HEADS_AT_ONCE,
    ORDERS_AT_ONCE,
    PROOFS_AT_ONCE,
    PUBLISHED_AT_ONCE,
    REVOCATIONS_AT_ONCE,
)
from sojourn.core.protocol import exchange, gossip
from sojourn.runtime.clients.zone_client import ZoneClient

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Gossip", "fitting"]

log = structlog.get_logger("anchor")

_ROUND_S: Final = GOSSIP_ROUND_MS / 1000
_ASK_AGAIN_S: Final = 0.05
_ASKING_S: Final = 2.0
_KIND_BYTES_MAX: Final = 1024 * 1024
"""What one message tells of manifests, of envelopes, of endorsements, of proofs, and of each kind of edicts."""

V = TypeVar("V", bound=Value)


class Gossip:
    """The gossip of one anchor."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor
        self._unasked = {i for i in range(anchor.zone.n) if i != anchor.index}
        self._asked = asyncio.Event()
        self._note_asked()
        self._chance = anchor.chance

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
        proofs=_first(news.proofs[:PROOFS_AT_ONCE]),
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
