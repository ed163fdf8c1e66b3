"""Heralding: what does not wait for the next round of gossip (protocol §11.1, §11.7).

Two kinds of news are told at once, each by its own pace, so that a flood of one does not hold up the other:

    places    a zone that an issuer endorses, on whom an agent here relies: it may have waited for it. The others
              of the own zone are told, one anchor of each of a few other zones, and all of the new zone, which must
              know by whom it is endorsed to give a visa; and one of them is asked what is offered there
    edicts    what officers published, and proofs against anchors: the own zone is told, unless it told of them,
              one anchor of each of some other zones, and of the zone that the agent of an order went to from here

What comes meanwhile is told together. The rounds do the rest; strangers' places, of which there may be any amount,
wait for them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeAlias, TypeVar

import structlog

from sojourn.anchor.gossiping import Gossip, fitting
from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.heads import SignedHead
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.revocations import SignedRevocation
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.core.base.limits import (
    GOSSIP_ROUND_MS,
    PUBLISHED_AT_ONCE,
    SPREAD_PAUSE_MS,
    SPREAD_ZONES,
)
from sojourn.core.protocol import gossip
from sojourn.core.quorum.fraud import Fraud
from sojourn.runtime.clients.zone_client import ZoneClient

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Heralding"]

log = structlog.get_logger("anchor")

_TELL_S: Final = GOSSIP_ROUND_MS / 1000
_PAUSE_S: Final = SPREAD_PAUSE_MS / 1000
_PLACES_PAUSE_S: Final = GOSSIP_ROUND_MS / 8000
"""After places were told: whoever endorses zone after zone keeps nobody busy."""
_PLACES_ZONES_MAX: Final = 8
"""New zones that are asked, and others that are told of places, at a time."""
_STATEMENTS_MAX: Final = 64
"""Manifests, and endorsements, that are told at a time; what is more than that waits for the rounds."""

T = TypeVar("T")
Told: TypeAlias = gossip.Edict | Fraud
Listener: TypeAlias = tuple[ZoneClient, int]


class _Fresh(NamedTuple):
    """An edict that is news here, and whether the own zone told of it."""

    edict: Told
    is_known_here: bool


class _Paced(Generic[T]):
    """What waits to be told: a task tells it, all that waits at a time, for as long as anything does."""

    def __init__(
        self,
        anchor: "Anchor",
        tell: Callable[[list[T]], Awaitable[None]],
        *,
        pause_s: float = 0.0,
        at_once: int | None = None,
    ) -> None:
        """Let `tell` tell of at most so many items `at_once`, after a pause for what comes with them."""
        self._anchor, self._tell = anchor, tell
        self._pause_s, self._at_once = pause_s, at_once
        self._waiting: list[T] = []
        self.is_telling = False

    def add(self, items: Iterable[T]) -> None:
        """Have these told, with whatever waits."""
        self._waiting += items
        if self._waiting and not self.is_telling:
            self.is_telling = True
            self._anchor.begin(self._run)

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self._pause_s:
                    await asyncio.sleep(self._pause_s)
                taken = self._waiting[: self._at_once]
                self._waiting = self._waiting[len(taken) :]
                await self._tell(taken)
        finally:
            self.is_telling = False


class Heralding:
    """What one anchor tells at once."""

    def __init__(self, anchor: "Anchor", rounds: Gossip) -> None:
        """Tell of what `anchor` learns; ask new zones as in the `rounds` of gossip."""
        self._anchor, self._rounds = anchor, rounds
        self._places = _Paced[gossip.News](anchor, self._tell_places)
        self._edicts = _Paced[_Fresh](
            anchor, self._tell_edicts, pause_s=_PAUSE_S, at_once=PUBLISHED_AT_ONCE
        )

    def note(self, learned: gossip.News) -> None:
        """Tell of what is of worth among the places that were learned just now."""
        news = self._anchor.places.of_worth(learned)
        if news.manifests or news.endorsements:
            self._places.add([news])

    def spread(self, edicts: Iterable[Told], teller: bytes) -> None:
        """Tell of edicts that are news here: this zone's anchors, unless one of them told, and others."""
        is_known_here = teller == self._anchor.zone_id
        self._edicts.add(_Fresh(edict, is_known_here) for edict in edicts)

    # --- places ---------------------------------------------------------------------------------------

    async def _tell_places(self, waiting: list[gossip.News]) -> None:
        news, anchor = _few(gossip.joined(waiting)), self._anchor
        named = anchor.places.named_in(news)
        new = self._listeners(self._some_of(sorted(named), _PLACES_ZONES_MAX))
        others = anchor.manifests.keys() - named
        told = [
            *self._at_home(),
            *((client, index) for client, _ in new for index in range(client.n)),
            *self._listeners(self._some_of(sorted(others), _PLACES_ZONES_MAX)),
        ]
        await asyncio.gather(
            *(self._tell(client, index, news) for client, index in told),
            *(_tried(self._rounds.gossip_with(client, index)) for client, index in new),
        )
        await asyncio.sleep(_PLACES_PAUSE_S)

    # --- edicts ---------------------------------------------------------------------------------------

    async def _tell_edicts(self, fresh: list[_Fresh]) -> None:
        """Begin to tell, and wait for nobody: one that hangs must not hold up what comes next."""
        edicts = [each.edict for each in fresh]
        unknown_here = [each.edict for each in fresh if not each.is_known_here]
        chosen = self._some_of(list(self._anchor.manifests), SPREAD_ZONES)
        abroad = self._listeners(dict.fromkeys((*self._gone_to(edicts), *chosen)))
        for listeners, told in ((self._at_home(), unknown_here), (abroad, edicts)):
            for client, index in listeners if told else ():
                self._anchor.begin(self._tell, client, index, _news(told))

    def _gone_to(self, edicts: Sequence[Told]) -> Iterator[bytes]:
        """Yield the zones to which agents went from here that orders are about."""
        orders = (edict.order for edict in edicts if isinstance(edict, SignedOrder))
        for agent in dict.fromkeys(order.agent for order in orders):
            head = self._anchor.shelf.dossier(agent).head
            migration = head.record.migration if head is not None else None
            if migration is not None and migration.to_zone in self._anchor.manifests:
                yield migration.to_zone

    # --- telling --------------------------------------------------------------------------------------

    def _at_home(self) -> list[Listener]:
        """Return the other anchors of the own zone."""
        zone = self._anchor.zone
        return [(zone, index) for index in range(zone.n) if index != self._anchor.index]

    def _some_of(self, zones: Iterable[bytes], count: int) -> list[bytes]:
        """Return a few other zones among these, by chance."""
        others = [zone for zone in zones if zone != self._anchor.zone_id]
        return self._anchor.chance.sample(others, min(len(others), count))

    def _listeners(self, zones: Iterable[bytes]) -> list[Listener]:
        """Return one anchor of each of these zones, by chance."""
        anchor = self._anchor
        clients = (ZoneClient(anchor.manifests[zone], anchor.connections) for zone in zones)
        return [(client, anchor.chance.randrange(client.n)) for client in clients]

    async def _tell(self, client: ZoneClient, index: int, news: gossip.News) -> None:
        await _tried(client.call(index, gossip.Tell(news=news), timeout_s=_TELL_S))


def _news(edicts: Sequence[Told]) -> gossip.News:
    news = gossip.News(
        orders=tuple(each for each in edicts if isinstance(each, SignedOrder)),
        documents=tuple(each for each in edicts if isinstance(each, SignedDocument)),
        heads=tuple(each for each in edicts if isinstance(each, SignedHead)),
        revocations=tuple(each for each in edicts if isinstance(each, SignedRevocation)),
        proofs=tuple(each for each in edicts if isinstance(each, Fraud)),
    )
    return fitting(news)


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
