"""The pace of decisions at one anchor, and the patience that follows from it."""

from typing import Final

__all__ = ["Pace"]

_WEIGHT: Final = 1 / 8
_PACES: Final = 4
_PATIENCE_MS_MAX: Final = 5_000


class Pace:
    """How long decisions take here at present: before one could be made, to leave its round only costs more.

    Where every decision waits for others, rounds that are left at T0 make each of them dearer, and none comes
    through any more. So the patience follows the pace, as a retransmission timer does.
    Source: Jacobson, "Congestion avoidance and control" (1988).
    """

    def __init__(self) -> None:
        """Begin as if decisions took no time."""
        self._mean_ms = 0.0

    def note(self, took_ms: int) -> None:
        """Take in how long a decision took, from its first proposal here."""
        self._mean_ms += (min(took_ms, _PATIENCE_MS_MAX) - self._mean_ms) * _WEIGHT

    @property
    def patience_ms(self) -> int:
        """How long a round may last at least."""
        return min(int(self._mean_ms * _PACES), _PATIENCE_MS_MAX)
