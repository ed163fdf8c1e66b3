"""Counted events: what went wrong with a zone, as an agent's own record says it, and what it costs that zone.

The rule is public, and whoever receives a record applies it again (protocol §4, Trust):

    event               counted by  against                                      levels lost
    visa not honoured   return      the zone that refused                        1
    broken lease        bind        the zone of the host that was lost           1 for every 8, at most 2
    proved lie          accuse      the zone of the anchor, once for each of     10 / (f + 1), rounded up:
                                    its anchors                                  f + 1 of them leave nothing

What is counted follows from the old record and the evidence, so that every anchor counts the same. Counts never
fall by themselves. Officers may forgive the first two; a proved lie stays, since whoever has the proof could show
it again.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from sojourn.core.base.encoding import Count, Value
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ANCHORS_MAX, EVENTS_MAX

__all__ = [
    "LEVEL_MAX",
    "OTHERS",
    "Events",
    "check_events",
    "check_named",
    "events_of",
    "forgiven",
    "levels_lost",
    "with_broken_lease",
    "with_liars",
    "with_refusal",
]

LEVEL_MAX: Final = 10
"""The most that one can be trusted."""
BROKEN_PER_LEVEL: Final = 8
BROKEN_LEVELS_MAX: Final = 2
"""A crash is no fraud: a zone whose hosts fail often is trusted a little less, and never not at all for it."""
OTHERS: Final = "others"
"""Where the events of further zones are counted, together, when the room is full: against every zone that is not
named. So no event is lost, and whoever wishes to be forgotten finds no room to be forgotten in."""


class Events(Value):
    """What was counted against one zone, by kind.

    `refused`: visas that it gave and did not honour. `broken`: leases of its hosts that ran out while they had the
    agent at work. `liars`: those of its anchors, by index, ascending, that are proved to have signed what no honest
    anchor signs; `tolerated`: its f, 0 while no anchor is named.
    """

    refused: Count = 0
    broken: Count = 0
    liars: Annotated[tuple[Count, ...], Meta(max_length=ANCHORS_MAX)] = ()
    tolerated: Count = 0

    def describe(self) -> str:
        """Return the counts for people, such as `2 visas not honoured, 1 broken lease`; nothing without events."""
        counts = (
            (self.refused, "visa not honoured", "visas not honoured"),
            (self.broken, "broken lease", "broken leases"),
            (len(self.liars), "anchor proved to have lied", "anchors proved to have lied"),
        )
        return ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in counts if n)

    def covers(self, older: "Events") -> bool:
        """Tell whether all that `older` counts is still counted."""
        is_kept = not older.liars or self.tolerated == older.tolerated
        counts = self.refused >= older.refused and self.broken >= older.broken
        return counts and is_kept and set(self.liars) >= set(older.liars)


_NONE: Final = Events()


def events_of(events: Mapping[str, Events], zone: bytes) -> Events:
    """Return what is counted against a zone."""
    return events.get(zone.hex(), events.get(OTHERS, _NONE))


def levels_lost(events: Events) -> int:
    """Return by how many levels events lower the trust in a zone: the rule at the head of this module."""
    broken = min(events.broken // BROKEN_PER_LEVEL, BROKEN_LEVELS_MAX)
    lied = -(-LEVEL_MAX * len(events.liars) // (events.tolerated + 1))
    return events.refused + broken + lied


def with_refusal(events: Mapping[str, Events], zone: bytes) -> dict[str, Events]:
    """Return the events with one more visa that a zone did not honour."""
    name, known = _counted(events, zone)
    return {**events, name: replace(known, refused=known.refused + 1)}


def with_broken_lease(events: Mapping[str, Events], zone: bytes) -> dict[str, Events]:
    """Return the events with one more broken lease of a zone's hosts."""
    name, known = _counted(events, zone)
    return {**events, name: replace(known, broken=known.broken + 1)}


def with_liars(
    events: Mapping[str, Events], zone: bytes, liars: Collection[int], tolerated: int
) -> dict[str, Events]:
    """Return the events with anchors of a zone named, which tolerates so many; each counts once.

    Raises `Rejected` ("nothing-new") if all of them are named already, "no-room" if the zone is not and further
    zones cannot be: a lie that is counted among others' could be counted again and again.
    """
    name, known = _counted(events, zone)
    if name == OTHERS:
        problem = f"events of {len(events)} zones are counted, there is no room for another's"
        raise Rejected(problem, reason="no-room", where="trust.events")
    named = tuple(sorted({*known.liars, *liars}))
    if named == known.liars:
        raise Rejected(
            "all whom it names are named already", reason="nothing-new", where="trust.events"
        )
    return {**events, name: replace(known, liars=named, tolerated=tolerated)}


def forgiven(events: Mapping[str, Events]) -> dict[str, Events]:
    """Return the events without those that officers may forgive."""
    return {
        name: Events(liars=known.liars, tolerated=known.tolerated)
        for name, known in events.items()
        if known.liars
    }


def _counted(events: Mapping[str, Events], zone: bytes) -> tuple[str, Events]:
    """Return where an event of a zone is counted, and what is counted there so far."""
    name = zone.hex()
    if name not in events and len(events) >= EVENTS_MAX - 1:
        name = OTHERS
    return name, events.get(name, _NONE)


def check_events(old: Mapping[str, Events], new: Mapping[str, Events]) -> None:
    """Raise `Rejected` unless every counted event is still counted: events only ever lower trust."""
    for zone, known in old.items():
        if not new.get(zone, _NONE).covers(known):
            problem = (
                f"what is counted against {zone[:16]} fell from {known.describe() or 'nothing'}"
            )
            raise Rejected(problem, reason="bad-change", where="trust.events")


def check_named(old: Mapping[str, Events], new: Mapping[str, Events]) -> None:
    """Raise `Rejected` unless `new` counts further liars of one zone, and nothing else."""
    check_events(old, new)
    changed = [(old.get(zone, _NONE), now) for zone, now in new.items() if old.get(zone) != now]
    if len(changed) != 1 or not _names_more(*changed[0]):
        problem = "an accusation counts anchors of one zone that are newly named, and nothing else"
        raise Rejected(problem, reason="bad-change", where="trust.events")


def _names_more(before: Events, after: Events) -> bool:
    named = replace(before, liars=after.liars, tolerated=after.tolerated)
    return after == named and after.liars != before.liars
