"""Sleepers: agents at rest that time will wake, under one timer for all of them."""

import asyncio
import heapq
from typing import Final

from sojourn.core.agent.record import AgentRecord
from sojourn.runtime.processes import clock

__all__ = ["LOOK_S_MAX", "Sleepers"]

LOOK_S_MAX: Final = 60.0
"""Wall time may be set meanwhile: who sleeps wakes so much late at most."""
_STALE_MAX: Final = 64


class Sleepers:
    """Which agents sleep, since which version, and until when."""

    def __init__(self) -> None:
        """Begin with none."""
        self._asleep: dict[bytes, tuple[int, int]] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._asleep)

    def add(self, record: AgentRecord, at_ms: int) -> None:
        """Wake an agent at a time (wall clock), unless it is discarded before."""
        self._asleep[record.agent_id] = (record.version, at_ms)
        heapq.heappush(self._heap, (at_ms, record.agent_id))
        if len(self._heap) > 2 * len(self._asleep) + _STALE_MAX:
            self._heap = [(until_ms, agent) for agent, (_, until_ms) in self._asleep.items()]
            heapq.heapify(self._heap)
        self._changed.set()

    def discard(self, agent: bytes) -> None:
        """Wake an agent no more."""
        self._asleep.pop(agent, None)

    def is_asleep(self, record: AgentRecord) -> bool:
        """Tell whether this, or a later record, is of an agent that sleeps here."""
        known = self._asleep.get(record.agent_id)
        return known is not None and known[0] >= record.version

    async def due(self) -> list[bytes]:
        """Wait until some agents are to be woken; return them: they sleep no more."""
        while True:
            self._changed.clear()
            woken = self._take_due()
            if woken:
                return woken
            wait_s = LOOK_S_MAX
            if self._heap:
                wait_s = min((self._heap[0][0] - clock.wall_ms()) / 1000, wait_s)
            try:
                async with asyncio.timeout(max(wait_s, 0)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _take_due(self) -> list[bytes]:
        """Return who is due, and drop from the heap whoever slept until then and no longer does."""
        now_ms = clock.wall_ms()
        woken = []
        while self._heap:
            at_ms, agent = self._heap[0]
            known = self._asleep.get(agent)
            is_current = known is not None and known[1] == at_ms
            if is_current and at_ms > now_ms:
                break
            heapq.heappop(self._heap)
            if is_current:
                del self._asleep[agent]
                woken.append(agent)
        return woken
