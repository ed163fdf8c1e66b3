"""The clocks of one simulated machine: they run at their own rate, and people may set the wall clock."""

import random
from typing import Final

from sojourn.testing.timeline import NS_PER_MS, NS_PER_S, Timeline

__all__ = ["EPOCH_MS", "MachineClock"]

EPOCH_MS: Final = 1_800_000_000_000
"""Wall time at which every world begins, in milliseconds since 1970: 15 January 2027."""


class MachineClock:
    """A `runtime.processes.clock.Clock` on a timeline. `drift` is its rate error: 1e-3 gains 1 ms a second."""

    def __init__(self, timeline: Timeline, chance: random.Random, drift: float = 0.0) -> None:
        """Be a machine that has been up for some minutes, as `chance` has it."""
        self._timeline, self._chance = timeline, chance
        self.drift = drift
        self.wall_offset_ms = 0
        self._ppb = round(drift * NS_PER_S)
        self.boot()

    def boot(self) -> None:
        """Begin to count anew, as after a power cut."""
        up_ns = self._chance.randrange(1, 1000 * NS_PER_S)
        self._booted_ns = self._gained(self._timeline.now_ns) - up_ns
        self._boot_id = self._chance.randbytes(32)

    def _gained(self, true_ns: int) -> int:
        return true_ns + true_ns * self._ppb // NS_PER_S

    def local_ns(self) -> int:
        """Return nanoseconds since this machine booted, as it counts them."""
        return self._gained(self._timeline.now_ns) - self._booted_ns

    def true_ns(self, local_ns: int) -> int:
        """Return the first time of the timeline at which this clock shows at least `local_ns`."""
        if not self._ppb:
            return local_ns + self._booted_ns
        at = (local_ns + self._booted_ns) * NS_PER_S // (NS_PER_S + self._ppb)
        while self._gained(at) - self._booted_ns < local_ns:
            at += 1
        return at

    def wall_ms(self) -> int:
        """Return wall time, milliseconds since 1970."""
        gained_ns = self._gained(self._timeline.now_ns)
        return EPOCH_MS + self.wall_offset_ms + gained_ns // NS_PER_MS

    def boot_ms(self) -> int:
        """Return milliseconds since this machine booted."""
        return self.local_ns() // NS_PER_MS

    def boot_id(self) -> bytes:
        """Return 32 bytes that name this boot."""
        return self._boot_id
