"""Recalling: what an anchor takes up of its agents when it starts: whom to hold to, whom to offer, what it owes.

Of agents at rest a slip says it (`anchor.slips`); whoever else is here, or wakes soon, is looked at in full.
"""

from typing import TYPE_CHECKING, Final

from sojourn.anchor.shelf import load_row
from sojourn.anchor.slips import Common, Slip
from sojourn.core.protocol.custody import zones_in
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.anchor.caretaker import Caretaker
    from sojourn.anchor.server import Anchor

__all__ = ["Recalling"]

_SOON_MS: Final = 60_000
_SOON_LEASES: Final = 4
"""Who wakes within so much may be owed a host by then: that goes by leases and ranks (`core.protocol.duties`)."""


class Recalling:
    """What one anchor takes up at its start; of no use once it has."""

    def __init__(self, anchor: "Anchor", caretaker: "Caretaker") -> None:
        """Nothing is read before it is asked for."""
        self._anchor, self._caretaker = anchor, caretaker
        self._at_rest: dict[bytes, Slip] = {}
        self._others: list[bytes] = []
        self._common: dict[bytes, Common] = {}

    def places(self) -> None:
        """Hold to what proves the agents here, and note whom they rely on. Raises `StoreFailed`."""
        anchor, wakes_ms = self._anchor, self._soon_ms()
        for agent, slip in anchor.shelf.agents_with_slips():
            if slip is not None and self._holds(agent, slip, wakes_ms):
                self._at_rest[agent] = slip
            else:
                self._others.append(agent)
                anchor.note_worth(anchor.shelf.dossier(agent))
                for chapter in anchor.shelf.every_chapter(agent):
                    anchor.places.hold(zones_in((chapter,)))

    def _soon_ms(self) -> int:
        return clock.wall_ms() + _SOON_MS + _SOON_LEASES * self._anchor.manifest.lease_ms

    def _holds(self, agent: bytes, slip: Slip, soon_ms: int) -> bool:
        """Take in a slip, unless its agent wakes soon or is of another zone; tell whether it was taken in."""
        anchor, common = self._anchor, self._common.get(slip.common)
        if slip.wakes_ms is not None and slip.wakes_ms <= soon_ms:
            return False
        if common is None:
            common = load_row(slip.common, Common)
            if common.zone != anchor.zone_id:
                return False
            self._common[slip.common] = common
            anchor.places.hold(common.zones)
            anchor.places.rely_on(common.trusted)
            anchor.edicts.note_rules(common.issuer, common.documents)
        anchor.edicts.note_family(agent, slip.ancestors)
        return True

    def duties(self) -> None:
        """Plan what the agents here are owed, and know again whom they want. Raises `StoreFailed`."""
        anchor = self._anchor
        for agent in self._others:
            dossier = anchor.shelf.dossier(agent)
            anchor.seen.note_dossier(dossier)
            anchor.wanted.note(dossier)
            anchor.note_promise(dossier)
            self._caretaker.plan(dossier)
        for agent in self._newest():
            anchor.seen.note_dossier(anchor.shelf.dossier(agent))
        for agent, slip in self._at_rest.items():
            want = slip.want()
            if want is not None:
                anchor.wanted.note_want(agent, want)
                self._caretaker.plan_waking(agent, want.from_ms)
        anchor.edicts.take_up()
        self._at_rest, self._others, self._common = {}, [], {}

    def _newest(self) -> set[bytes]:
        """Return the agents at rest whose heads have the newest vote of some anchor."""
        newest: dict[int, tuple[int, bytes]] = {}
        epoch = self._anchor.manifest.epoch
        for agent, slip in self._at_rest.items():
            for anchor, counter in slip.counters if slip.epoch == epoch else ():
                known = newest.get(anchor)
                if known is None or counter > known[0]:
                    newest[anchor] = (counter, agent)
        return {agent for _, agent in newest.values()}
