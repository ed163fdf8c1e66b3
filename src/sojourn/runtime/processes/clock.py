"""The two clocks, read in one place: wall time for people and policy windows, boot time for leases.

Lease clocks are CLOCK_BOOTTIME, which goes on while a machine is suspended; the monotonic clock stops there,
and a host that wakes up would believe in a lease that is long gone (protocol §0, trap 28). Where there is no
CLOCK_BOOTTIME (macOS, for development) the monotonic clock stands in.

Code may be given other clocks, in its context: that is how a simulation has many machines in one process.
"""

import hashlib
import time
from contextvars import ContextVar
from pathlib import Path
from typing import Final, Protocol

__all__ = ["Clock", "boot_id", "boot_ms", "given", "wall_ms"]

_LEASE_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """The clocks of one machine, where they are not this one's."""

    def wall_ms(self) -> int:
        """Return wall time."""

    def boot_ms(self) -> int:
        """Return the time since the machine booted."""

    def boot_id(self) -> bytes:
        """Return 32 bytes that name this boot."""


given: Final[ContextVar[Clock | None]] = ContextVar("clock", default=None)
"""The clocks that code in this context reads; None for those of this machine."""


def wall_ms() -> int:
    """Return wall time: milliseconds since 1970."""
    other = given.get()
    return time.time_ns() // 1_000_000 if other is None else other.wall_ms()


def boot_ms() -> int:
    """Return milliseconds since this machine booted, suspensions included."""
    other = given.get()
    if other is not None:
        return other.boot_ms()
    return time.clock_gettime_ns(_LEASE_CLOCK) // 1_000_000


def boot_id() -> bytes:
    """Return 32 bytes that name this boot; boot times of different boots are not comparable."""
    other = given.get()
    if other is not None:
        return other.boot_id()
    if _BOOT_ID_FILE.exists():
        return hashlib.sha256(_BOOT_ID_FILE.read_bytes()).digest()
    started_s = round(time.time() - time.clock_gettime(_LEASE_CLOCK), -1)
    return hashlib.sha256(repr(started_s).encode()).digest()
