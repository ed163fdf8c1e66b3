"""How fast one agent may go on: a token bucket of versions for each agent, at each anchor (protocol §4 check 15).

A host that floods its anchors with versions of one agent would take the disk's turns from all others. Only what
the bound host proposes of itself counts, a step or an intent, and only where it opens a slot: what is locked is
never held up, nor what anchors do when nobody else acts.

Source: Turner, "New directions in communications" (1986), the leaky bucket as a meter.
"""

from typing import Final

from sojourn.core.base.errors import Refused
from sojourn.core.base.limits import VERSIONS_BURST, VERSIONS_PER_S

__all__ = ["RateBook"]

_EACH_MS: Final = 1000 / VERSIONS_PER_S
_FULL_MS: Final = VERSIONS_BURST * _EACH_MS
_BOOK_MAX: Final = 8192


class RateBook:
    """What each agent has used of its burst, on the boot clock. Not durable: a restart forgives."""

    def __init__(self) -> None:
        """Begin with every burst unused."""
        self._busy_until_ms: dict[bytes, float] = {}
        self._room = _BOOK_MAX

    def check(self, agent: bytes, now_ms: int) -> None:
        """Raise `Refused` if an agent has used up its burst."""
        ahead_ms = self._busy_until_ms.get(agent, now_ms) - now_ms
        if ahead_ms + _EACH_MS > _FULL_MS:
            problem = f"more than {VERSIONS_BURST} versions at once, or {VERSIONS_PER_S} a second"
            raise Refused(f"{problem}: put more steps into one")

    def note(self, agent: bytes, now_ms: int) -> None:
        """Count a version."""
        busy_ms = max(self._busy_until_ms.get(agent, 0), now_ms)
        self._busy_until_ms[agent] = busy_ms + _EACH_MS
        if len(self._busy_until_ms) > self._room:
            self._forget_idle(now_ms)

    def _forget_idle(self, now_ms: int) -> None:
        """Forget whose burst is unused again; look again when there are twice as many as are left."""
        self._busy_until_ms = {a: t for a, t in self._busy_until_ms.items() if t > now_ms}
        self._room = max(_BOOK_MAX, 2 * len(self._busy_until_ms))
