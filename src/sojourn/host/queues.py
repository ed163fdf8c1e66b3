"""The queues of a host: attempts of steps wait here until the limits in its offer let them begin.

It is no part of what agents carry: to wait changes when a step is performed, and nothing else. A host that starts
again has forgotten who passed when.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sojourn.runtime.host_side.turnstile import NO_LIMIT, Limit, Turnstile

__all__ = ["Queues"]

_LOOK_AGAIN_S: Final = 2.0
"""While somebody waits: the file with the limits may have changed."""
_LATER_S: Final = 0.001
"""A timer may be a little early, and the turnstile is exact."""


class Queues:
    """All queues of one host, by name. One event loop uses them."""

    def __init__(self, limits: Callable[[], Mapping[str, Limit]] = dict) -> None:
        """Keep to `limits`, asked again each time; a queue that they do not name has none."""
        self._limits = limits
        self._turnstiles: dict[str, Turnstile] = {}
        self._tickets = itertools.count()
        self._coming: dict[int, asyncio.Future[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def enter(self, agent: bytes, queue: str) -> Callable[[], None]:
        """Wait until a queue lets an agent in; return what gives the place back. Cancelling the wait gives it up."""
        ticket = next(self._tickets)
        coming = self._coming[ticket] = asyncio.get_running_loop().create_future()
        self._turnstiles.setdefault(queue, Turnstile()).come(agent, ticket)
        leave = partial(self._leave, queue, agent, ticket)
        self._go_on(queue)
        try:
            await coming
        except asyncio.CancelledError:
            leave()
            raise
        return leave

    def _leave(self, queue: str, agent: bytes, ticket: int) -> None:
        self._coming.pop(ticket, None)
        turnstile = self._turnstiles.get(queue)
        if turnstile is not None:
            turnstile.leave(agent, ticket)
            self._go_on(queue)

    def _go_on(self, queue: str) -> None:
        """Let in whom the limit lets in by now, and look again when time or a new limit may let in more."""
        turnstile = self._turnstiles.get(queue)
        if turnstile is None:
            return
        loop = asyncio.get_running_loop()
        limit, now_s = self._limits().get(queue, NO_LIMIT), loop.time()
        for ticket in turnstile.admit(now_s, limit):
            coming = self._coming.pop(ticket)
            if not coming.done():  # who is cancelled gives its place back by itself
                coming.set_result(None)
        if (timer := self._timers.pop(queue, None)) is not None:
            timer.cancel()
        if turnstile.is_awaited:
            next_s = turnstile.next_s(limit)
            again_s = now_s + _LOOK_AGAIN_S
            at_s = again_s if next_s is None else min(next_s + _LATER_S, again_s)
            self._timers[queue] = loop.call_at(at_s, self._go_on, queue)
        elif turnstile.is_fresh(now_s, limit):
            del self._turnstiles[queue]
