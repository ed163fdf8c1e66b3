"""Turns: what concerns one agent is done one after the other; different agents do not wait for each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Turns"]


class Turns:
    """A lock for each agent that somebody holds or waits for, and for no other."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._locks: dict[bytes, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def of(self, agent: bytes) -> AsyncIterator[None]:
        """Wait for this agent's turn, first come first served, and hold it until the block ends."""
        lock, users = self._locks.get(agent) or (asyncio.Lock(), 0)
        self._locks[agent] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(agent)
            if users > 1:
                self._locks[agent] = (lock, users - 1)
