"""What one anchor has promised to agents that applied for entry, and how many more it takes (protocol §5 step 1).

Whoever founds a zone can have as many agents there as they like apply here, and each application is kept, for the
departure that may follow is checked with it. So applications have a room in all, open ones one for each zone they
come from, and the slots that a host offers are promised once.

    applied ─► open until its deadline ─► arrived: counted until it is admitted or refused
                        └──────────────► kept; forgotten, the oldest first, where room is short
"""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sojourn.core.base.errors import Refused
from sojourn.core.base.limits import (
    APPLICATION_KEPT_MS,
    APPLICATIONS_MAX,
    APPLICATIONS_PER_ZONE_MAX,
)
from sojourn.core.protocol.visa import VisaTerms

__all__ = ["PromiseBook"]

_CROWDED: Final = APPLICATIONS_MAX // 2


@dataclass(frozen=True, slots=True)
class _Promise:
    terms: VisaTerms
    since_ms: int
    has_arrived: bool

    def is_open(self, now_ms: int) -> bool:
        return self.has_arrived or now_ms < self.since_ms + self.terms.deadline_ms

    def continues(self, known: "_Promise") -> bool:
        is_same = (self.terms, self.has_arrived) == (known.terms, known.has_arrived)
        return is_same and known.is_open(self.since_ms)


class PromiseBook:
    """The applications kept at one anchor, the oldest first, on the boot clock.

    Not durable: after a restart all that are stored begin anew.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[bytes, _Promise] = {}

    def note(
        self, agent: bytes, terms: VisaTerms | None, now_ms: int, *, has_arrived: bool
    ) -> None:
        """Take in what an agent has applied for by now: nothing, if it was decided or forgotten.

        Who asks for the same again is promised no longer; but anew, once the deadline is over.
        """
        known = self._kept.get(agent)
        promise = _Promise(terms, now_ms, has_arrived) if terms is not None else None
        if known is not None and promise is not None and promise.continues(known):
            return
        self._kept.pop(agent, None)
        if promise is not None:
            self._kept[agent] = promise

    def check_room(self, terms: VisaTerms, now_ms: int) -> None:
        """Raise `Refused` if too many applications are kept, or open of the zone that this one comes from."""
        others = [promise for agent, promise in self._kept.items() if agent != terms.agent]
        if len(others) >= APPLICATIONS_MAX:
            raise Refused(f"{APPLICATIONS_MAX} applications are kept here already")
        zones = Counter(p.terms.from_zone for p in others if p.is_open(now_ms))
        if zones[terms.from_zone] >= APPLICATIONS_PER_ZONE_MAX:
            problem = f"{APPLICATIONS_PER_ZONE_MAX} applications of that zone are open already"
            raise Refused(problem)

    def check_slots(self, terms: VisaTerms, slots: int, now_ms: int) -> None:
        """Raise `Refused` if all of the `slots` that the host offers are promised to others."""
        promised = sum(
            promise.terms.host == terms.host and promise.is_open(now_ms)
            for agent, promise in self._kept.items()
            if agent != terms.agent
        )
        if promised >= slots:
            raise Refused(f"all {slots} free slots of that host are promised to others")

    def forgettable(self, now_ms: int) -> list[bytes]:
        """Return whose applications may be forgotten: where room is short, the oldest whose time is long over."""
        excess = len(self._kept) - _CROWDED
        over = (
            agent
            for agent, promise in self._kept.items()
            if not promise.has_arrived and promise.since_ms + APPLICATION_KEPT_MS <= now_ms
        )
        return list(islice(over, max(0, excess)))
