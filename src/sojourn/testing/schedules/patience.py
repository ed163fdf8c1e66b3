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
from sojourn.core.protocol.decree import round_timeout_ms
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
_HONEST_ROUNDS: Final = 2
"""Rounds with an honest leader that may pass: one to find what is locked, one to decide it."""


def longest_calm_ms(anchors: Iterable["AnchorNode"]) -> float:
    """Return how much calm an agent may need for a step: whatever goes on has run out, and ten message delays."""
    return _settled_ms(anchors) + _MESSAGE_DELAYS * _MESSAGE_MS + THINK_MS[1]


def _settled_ms(anchors: Iterable["AnchorNode"]) -> float:
    known = list(anchors)
    n, f = max(len(anchor.peers) for anchor in known), max(a.manifest.f for a in known)
    rounds = [
        dossier.open.round
        for anchor in known
        for dossier in anchor.disk.content.dossiers.values()
        if dossier.open is not None
    ]
    last = max(rounds, default=0)
    ranks = n * RANK_STEP_MS
    leaving = sum(round_timeout_ms(last + i) + ranks for i in range(1 + f + _HONEST_ROUNDS))
    leases: float = _LEASES * (LEASE_MS * (1 + 2 * CLOCK_DRIFT) + ranks)
    arriving = DEADLINE_MS + ARRIVAL_PATIENCE_MS + 2 * ranks
    return leaving + leases + arriving + PRESS_EVERY_MS_MAX
