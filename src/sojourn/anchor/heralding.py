"""Heralding: news of worth does not wait for the next round of gossip (protocol §11.1).

An agent here may have waited for it: a zone that an issuer it relies on endorses. Whoever hears of one tells the
other anchors of its own zone at once, one anchor of each of a few other zones, and all of the new zone, which must
know by whom it is endorsed to give a visa; and it asks one of them what is offered there. The rounds do the rest.
Strangers' news, of which there may be any amount, waits for the rounds.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.anchor.gossiping import Gossip, fitting
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.core.base.limits import GOSSIP_ROUND_MS
from sojourn.core.protocol import gossip
from sojourn.runtime.zone_client import ZoneClient

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Heralding"]

log = structlog.get_logger("anchor")

_TELL_S: Final = GOSSIP_ROUND_MS / 1000
_PAUSE_S: Final = GOSSIP_ROUND_MS / 8000
"""What comes meanwhile is told together: whoever endorses zone after zone keeps nobody busy."""
_ZONES_MAX: Final = 8
"""New zones that are asked, and others that are told, at a time."""
_STATEMENTS_MAX: Final = 64
"""Manifests, and endorsements, that are told at a time; what is more than that waits for the rounds."""


class Heralding:
    """What one anchor tells at once."""

    def __init__(self, anchor: "Anchor", rounds: Gossip) -> None:
        """Tell of what `anchor` learns; ask new zones as in the `rounds` of gossip."""
        self._anchor, self._rounds = anchor, rounds
        self._waiting: list[gossip.News] = []
        self._is_telling = False

    def note(self, learned: gossip.News) -> None:
        """Tell of what is of worth among the news that was learned just now."""
        news = self._anchor.places.of_worth(learned)
        if not (news.manifests or news.endorsements):
            return
        self._waiting.append(news)
        if not self._is_telling:
            self._is_telling = True
            self._anchor.begin(self._tell_all)

    async def _tell_all(self) -> None:
        try:
            while self._waiting:
                news = _few(gossip.joined(self._waiting))
                self._waiting.clear()
                await self._spread(news)
                await asyncio.sleep(_PAUSE_S)
        finally:
            self._is_telling = False

    async def _spread(self, news: gossip.News) -> None:
        anchor, tell = self._anchor, gossip.Tell(news=news)
        named = anchor.places.named_in(news)
        new = self._some_of(named)
        told = [
            *((anchor.zone, index) for index in range(anchor.zone.n) if index != anchor.index),
            *((client, index) for client, _ in new for index in range(client.n)),
            *self._some_of(anchor.manifests.keys() - named),
        ]
        await asyncio.gather(
            *(_tried(client.call(index, tell, timeout_s=_TELL_S)) for client, index in told),
            *(_tried(self._rounds.gossip_with(client, index)) for client, index in new),
        )

    def _some_of(self, zones: Iterable[bytes]) -> list[tuple[ZoneClient, int]]:
        """Return one anchor, by chance, of each of a few other zones."""
        anchor, chance = self._anchor, self._anchor.chance
        known = [anchor.manifests[zone] for zone in sorted(zones) if zone != anchor.zone_id]
        chosen = chance.sample(known, min(len(known), _ZONES_MAX))
        clients = (ZoneClient(manifest, anchor.connections) for manifest in chosen)
        return [(client, chance.randrange(client.n)) for client in clients]


def _few(news: gossip.News) -> gossip.News:
    manifests, endorsements = news.manifests, news.endorsements
    few = gossip.News(
        manifests=manifests[:_STATEMENTS_MAX], endorsements=endorsements[:_STATEMENTS_MAX]
    )
    return fitting(few)


async def _tried(telling: Awaitable[object]) -> None:
    """Tell, or leave it to the rounds. Raises `StoreFailed`."""
    try:
        await telling
    except StoreFailed:
        raise
    except SojournError as error:
        log.debug("not told at once", problem=str(error))
