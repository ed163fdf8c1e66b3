"""A process's two clocks: boot time that drifts, wall time that may be off and may jump."""

from typing import Final

__all__ = ["EPOCH_MS", "Clock"]

EPOCH_MS: Final = 1_800_000_000_000
"""Wall time when a run begins."""
_BOOTED_MS: Final = 1_000_000
"""Boot time when a run begins."""


class Clock:
    """Clocks as functions of true time, which is milliseconds since the run began.

    `drift` is how much faster boot time runs than true time (1e-3: a millisecond a second); `skew_ms` how far wall
    time is ahead. Boot time never jumps: that is what leases lean on (protocol §0).
    """

    __slots__ = ("drift", "skew_ms")

    def __init__(self, drift: float = 0.0, skew_ms: int = 0) -> None:
        """Begin with this drift, and wall time off by this much."""
        self.drift, self.skew_ms = drift, skew_ms

    def boot_ms(self, true_ms: float) -> int:
        """Return boot time."""
        return int(_BOOTED_MS + true_ms * (1 + self.drift))

    def wall_ms(self, true_ms: float) -> int:
        """Return wall time."""
        return int(EPOCH_MS + true_ms) + self.skew_ms

    def true_ms(self, boot_ms: float) -> float:
        """Return the true time at which boot time reads `boot_ms`, a moment after."""
        return (boot_ms + 1 - _BOOTED_MS) / (1 + self.drift)
