"""The place watch: what agents at rest wait for of places, held against what hosts state, whenever there is news.

It lives in memory alone: an agent whose host has died is woken by time, before long, and looks again.
"""

from typing import TYPE_CHECKING

from sojourn.core.base.encoding import digest_of
from sojourn.core.zone.envelope import Envelope
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sojourn.core.protocol.gossip import KnownPlaces
    from sojourn.runtime.sought import Sought

__all__ = ["PlaceWatch"]


class PlaceWatch:
    """The agents that rest until a place is as they sought, and what they have looked at by then."""

    def __init__(self, places: "KnownPlaces") -> None:
        """Watch these places."""
        self._places = places
        self._sought: dict[bytes, Sequence[Sought]] = {}
        self._seen: dict[bytes, dict[Sought, frozenset[bytes]]] = {}

    def note_seen(self, agent: bytes, sought: "Sought", stated: "Iterable[Envelope]") -> None:
        """Note what an agent that runs has looked at, and did not want: all that fits, as it is now."""
        self._seen.setdefault(agent, {})[sought] = frozenset(map(_stated, stated))

    def rest(self, agent: bytes, sought: "Sequence[Sought]") -> None:
        """Watch for an agent that rests; for one that does not, it says for itself what it seeks."""
        if sought:
            self._sought[agent] = sought
        else:
            self._sought.pop(agent, None)
            self._seen.pop(agent, None)

    def has_news(self, agent: bytes) -> bool:
        """Tell whether something fits that the agent has not looked at, as it is stated now."""
        seen = self._seen.get(agent, {})
        return any(
            not seen.get(sought, frozenset()).issuperset(map(_stated, self.fitting(sought)))
            for sought in self._sought.get(agent, ())
        )

    def with_news(self) -> list[bytes]:
        """Return the agents that are to look again."""
        return [agent for agent in self._sought if self.has_news(agent)]

    def fitting(self, sought: "Sought") -> "Iterator[Envelope]":
        """Yield what hosts state now, and fits."""
        now_ms = clock.wall_ms()
        for signed in self._places.known_zones():
            zone = signed.manifest
            for envelope in self._places.envelopes_of(zone.zone_id, now_ms).values():
                if sought.fits(zone.name, envelope.offer, envelope.price_micros):
                    yield envelope


def _stated(envelope: Envelope) -> bytes:
    """Return the digest of what an envelope says, whenever it was renewed."""
    return digest_of([envelope.host, digest_of(envelope.offer), envelope.price_micros])
