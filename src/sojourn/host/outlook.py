"""The outlook of a host: what it offers, what it knows of places, and how an agent here would judge them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from sojourn.core.agent.capabilities import Offer, mismatches
from sojourn.core.agent.governance import Document, Governing
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import decode, digest_of
from sojourn.core.base.errors import SojournError
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX, ENVELOPE_LIFETIME_MS, GOSSIP_ROUND_MS
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol import gossip
from sojourn.core.protocol.assessment import Assessment, assess
from sojourn.core.zone.envelope import Envelope, SignedEnvelope
from sojourn.runtime.processes import clock
from sojourn.runtime.sought import Sought

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["LEARN_EVERY_S", "STATE_EVERY_S", "Offering", "Outlook"]

log = structlog.get_logger("host")

Offering = tuple[Offer, int]
"""What a host offers now, and its price now, per hour, in millionths of the currency unit."""

STATE_EVERY_S: Final = GOSSIP_ROUND_MS / 4000
LEARN_EVERY_S: Final = GOSSIP_ROUND_MS / 2000
_CALL_S: Final = 2.0
_DOCUMENTS_CACHED_MAX: Final = 512


@lru_cache(maxsize=_DOCUMENTS_CACHED_MAX)
def _document(data: bytes) -> Document:
    return decode(data, Document, what="document", limit=DOCUMENT_BYTES_MAX)


class Outlook:
    """What one host states of itself and learns of others."""

    def __init__(
        self, host: "Host", membership: Inclusion, offering: Callable[[], Offering]
    ) -> None:
        """State what `offering` returns, as the enrolled host that `membership` proves."""
        self._host = host
        self._membership, self._offering = membership, offering
        self._stated: Offering | None = None
        self._stated_ms = 0
        self._anchor = 0
        self._news = asyncio.Event()

    # --- stating --------------------------------------------------------------------------------------

    async def state(self) -> None:
        """Renew the envelope if the offer has changed, or it will expire before long."""
        offering = self._current()
        is_old = clock.boot_ms() - self._stated_ms > ENVELOPE_LIFETIME_MS // 3
        if offering != self._stated or is_old:
            self._state(offering)

    def _current(self) -> Offering:
        """Return what is offered now: slots that running agents hold are not free, and it confines if it can."""
        offer, price_micros = self._offering()
        free = max(0, offer.slots - self._host.running)
        confines = self._host.substrate.confines
        return msgspec.structs.replace(offer, slots=free, confines=confines), price_micros

    def lacks(self, record: AgentRecord) -> list[str]:
        """Return, as sentences, what an agent requires that is not offered here now, a free slot among it."""
        offer, _ = self._current()
        return mismatches(record.capabilities.requires, offer)

    def _state(self, offering: Offering) -> None:
        """Sign an envelope and give it to every anchor of the zone; gossip carries it on."""
        host, now_ms = self._host, clock.wall_ms()
        offer, price_micros = offering
        envelope = Envelope(
            zone=host.zone_id,
            host=host.key.public,
            membership=self._membership,
            offer=offer,
            price_micros=price_micros,
            sequence=now_ms,
            issued_ms=now_ms,
            expires_ms=now_ms + ENVELOPE_LIFETIME_MS,
        )
        covered = statement(Kind.ENVELOPE, Role.HOST, digest_of(envelope))
        seal = Seal(signer=host.key.public, signature=host.key.sign(covered))
        news = gossip.News(envelopes=(SignedEnvelope(envelope=envelope, seal=seal),))
        host.places.learn(news, now_ms)
        self._tell_news()
        host.zone.tell_all(gossip.Tell(news=news), timeout_s=_CALL_S)
        self._stated, self._stated_ms = offering, clock.boot_ms()

    # --- learning -------------------------------------------------------------------------------------

    async def learn(self) -> None:
        """Learn of places from the next anchor; each in turn, for one may lie or hang."""
        host = self._host
        host.places.expire(clock.wall_ms())
        self._anchor = (self._anchor + 1) % host.zone.n
        ask = gossip.Exchange(summary=host.places.summary())
        try:
            reply = await host.zone.call(self._anchor, ask, timeout_s=_CALL_S)
            if isinstance(reply, gossip.Exchanged):
                host.places.learn(reply.news, clock.wall_ms(), None)
                self._tell_news()
        except SojournError as error:
            log.debug("nothing learned", anchor=self._anchor, problem=str(error))

    def _tell_news(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def seek(self, custody: "AgentCustody", sought: Sought) -> Assessment:
        """Wait until a known place is as an agent sought, in its own judgement; return the cheapest that is."""
        while True:
            news = self._news
            found = await self._found(custody.record, sought)
            if found is not None:
                return found
            await news.wait()

    async def _found(self, record: AgentRecord, sought: Sought) -> Assessment | None:
        fitting = list(self._host.watch.fitting(sought))
        prices: dict[bytes, int] = {}
        for each in fitting:
            prices[each.zone] = min(each.price_micros, prices.get(each.zone, each.price_micros))
        if prices:
            judged = [p for p in await self.assess(record) if p.zone in prices and sought.admits(p)]
            if judged:
                return min(judged, key=lambda place: (prices[place.zone], place.name, place.zone))
        self._host.watch.note_seen(record.agent_id, sought, fitting)
        return None

    # --- judging --------------------------------------------------------------------------------------

    async def documents(self, named: Sequence[bytes]) -> tuple[Document, ...]:
        """Return policy documents by digest. Raises `MissingBlock`."""
        blocks = self._host.blocks
        await blocks.fetch(named)
        return tuple(_document(blocks.get(each)) for each in named)

    async def governing(self, record: AgentRecord, now_ms: int) -> Governing:
        """Return what rules an agent now. Raises `MissingBlock`, `Rejected` for a policy that does not hold now."""
        documents = await self.documents(record.governance.named)
        return record.governance.governing(documents, now_ms)

    async def assess(self, record: AgentRecord) -> tuple[Assessment, ...]:
        """Return the agent's judgement of every place known here, by name."""
        host, now_ms = self._host, clock.wall_ms()
        host.places.rely_on(issuer.key for issuer in record.trust.issuers)
        documents = await self.documents(record.governance.named)
        found = [
            assess(
                record,
                documents,
                signed.manifest,
                host.places.envelopes_of(signed.manifest.zone_id, now_ms),
                host.places.endorsements,
                host.manifest,
                host.memo,
                now_ms,
            )
            for signed in host.places.known_zones()
        ]
        return tuple(sorted(found, key=lambda place: (place.name, place.zone)))
