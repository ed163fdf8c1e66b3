"""A queue's order, from values alone: whom it lets in now, and when to look again.

A turnstile lets in at most `at_once` at a time, and at most `rate` within any `per_s` seconds. Agents take turns: of
those that wait, who has come first passes first, and then stands behind the others with what else it wants to do. So
nobody waits for ever, and one that wants a thousand things holds up nobody for longer than one.
"""

from collections import deque
from typing import Annotated, Final

from msgspec import Meta

from sojourn.core.base.encoding import Value

__all__ = ["COUNT_MAX", "NO_LIMIT", "PER_S_MAX", "Limit", "Turnstile"]

COUNT_MAX: Final = 100_000
PER_S_MAX: Final = 86_400.0


class Limit(Value):
    """What a queue is limited to: so many `at_once`, so many (`rate`) within `per_s` seconds; None is no limit."""

    at_once: Annotated[int, Meta(ge=1, le=COUNT_MAX)] | None = None
    rate: Annotated[int, Meta(ge=1, le=COUNT_MAX)] | None = None
    per_s: Annotated[float, Meta(gt=0, le=PER_S_MAX)] = 1.0


NO_LIMIT: Final = Limit()


class Turnstile:
    """Who is in, who waits, and when others passed. A ticket is one place for one agent; times are in seconds."""

    def __init__(self) -> None:
        """Let nobody be in."""
        self._waiting: dict[bytes, deque[int]] = {}
        self._inside: set[int] = set()
        self._passed: deque[float] = deque()

    @property
    def is_idle(self) -> bool:
        """Whether nobody is in or waits."""
        return not (self._inside or self._waiting)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def is_fresh(self, now_s: float, limit: Limit) -> bool:
        """Tell whether it could as well be a new one: nobody is there, nor has passed so late that it counts."""
        self._forget(now_s, limit)
        return self.is_idle and not self._passed

    def come(self, agent: bytes, ticket: int) -> None:
        """Let an agent wait with a ticket, which nobody else has."""
        self._waiting.setdefault(agent, deque()).append(ticket)

    def leave(self, agent: bytes, ticket: int) -> None:
        """Take a ticket back, of one that is in or waits; nothing happens to others."""
        self._inside.discard(ticket)
        waiting = self._waiting.get(agent)
        if waiting is not None and ticket in waiting:
            waiting.remove(ticket)
            if not waiting:
                del self._waiting[agent]

    def admit(self, now_s: float, limit: Limit) -> list[int]:
        """Let in all whom the limit lets in now; return their tickets, in their order."""
        self._forget(now_s, limit)
        admitted = []
        while self._waiting and self._has_room(limit) and not self._is_late(limit):
            agent = next(iter(self._waiting))
            waiting = self._waiting.pop(agent)
            ticket = waiting.popleft()
            if waiting:
                self._waiting[agent] = waiting  # behind all others
            self._inside.add(ticket)
            if limit.rate is not None:
                self._passed.append(now_s)
            admitted.append(ticket)
        return admitted

    def next_s(self, limit: Limit) -> float | None:
        """Return when time alone lets the next one in; None if nobody waits, or only for others to leave."""
        if not self._waiting or not self._has_room(limit) or not self._is_late(limit):
            return None
        assert limit.rate is not None
        return self._passed[-limit.rate] + limit.per_s

    def _has_room(self, limit: Limit) -> bool:
        return limit.at_once is None or len(self._inside) < limit.at_once

    def _is_late(self, limit: Limit) -> bool:
        """Whether so many have passed that the next one has to wait for the time."""
        return limit.rate is not None and len(self._passed) >= limit.rate

    def _forget(self, now_s: float, limit: Limit) -> None:
        if limit.rate is None:
            self._passed.clear()
        while self._passed and self._passed[0] + limit.per_s <= now_s:
            self._passed.popleft()
