"""How long a calm may take (P6): until leases, rounds and deadlines have run out, and then ten message delays.

Whatever a storm left behind is waited out by somebody: a lease that a dead host holds, a round that is split, an
arrival that nobody admits, a pause between two tries. Nothing of it takes longer than what is added up here.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from sojourn.core.base.limits import (
    ARRIVAL_PATIENCE_MS,
    CLOCK_DRIFT,
    PRESS_EVERY_MS_MAX,
    RANK_STEP_MS,
)
from sojourn.core.protocol.decree import leader, round_timeout_ms
from sojourn.core.quorum.votes import Slot
from sojourn.testing.schedules.departure import DEADLINE_MS
from sojourn.testing.schedules.run import THINK_MS
from sojourn.testing.schedules.scene import LEASE_MS

if TYPE_CHECKING:
    from sojourn.testing.schedules.anchor import AnchorNode

__all__ = ["longest_calm_ms"]

_MESSAGE_DELAYS: Final = 10
_MESSAGE_MS: Final = 4.0
"""A message in good weather, and the forced write before its answer."""
_LEASES: Final = 8
"""Two of patience and one that runs out, before a host binds anew what is withheld (§6.10); and that once more."""
_HONEST_ROUNDS: Final = 3
"""Rounds with an honest leader that may pass: one that finds leases running, one that finds what is locked, and one
that decides it. Who leads is drawn anew for each round: a liar may lead several in a row."""


def longest_calm_ms(anchors: Iterable["AnchorNode"]) -> float:
    """Return how much calm an agent may need for a step: whatever goes on has run out, and ten message delays."""
    return _settled_ms(anchors) + _MESSAGE_DELAYS * _MESSAGE_MS + THINK_MS[1]


def _settled_ms(anchors: Iterable["AnchorNode"]) -> float:
    known = list(anchors)
    ranks = max(len(anchor.peers) for anchor in known) * RANK_STEP_MS
    leases: float = _LEASES * (LEASE_MS * (1 + 2 * CLOCK_DRIFT) + ranks)
    arriving = DEADLINE_MS + ARRIVAL_PATIENCE_MS + 2 * ranks
    leaving = max((_leaving_ms(anchor) for anchor in known if anchor.is_honest), default=0)
    return leaving + leases + arriving + PRESS_EVERY_MS_MAX


def _leaving_ms(anchor: "AnchorNode") -> int:
    """Return how long an anchor's open slots may take until enough rounds had an honest leader."""
    opened = [dossier.open for dossier in anchor.disk.content.dossiers.values() if dossier.open]
    return max((_rounds_ms(anchor, state.slot, state.round) for state in opened), default=0)


def _rounds_ms(anchor: "AnchorNode", slot: Slot, round: int) -> int:
    honest, waited_ms = 0, round_timeout_ms(round)
    while honest < _HONEST_ROUNDS:
        round += 1
        honest += anchor.peers[leader(slot, round, anchor.manifest)].is_honest
        waited_ms += round_timeout_ms(round) + len(anchor.peers) * RANK_STEP_MS
    return waited_ms
