"""Errands: what an anchor sees to of its own, for one agent or block after the other, until it is done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Errands"]

_PAUSE_S_MAX: Final = 60.0


class Errands:
    """Errands of one kind, each known by what it is about: tried until they are done, ever more rarely.

    `is_due` tells whether there is one yet; `attempt` tries, and tells whether it got on. `at_once` are tried at a
    time. What `attempt` raises ends the errand.
    """

    def __init__(
        self,
        anchor: "Anchor",
        is_due: Callable[[bytes], bool],
        attempt: Callable[[bytes], Awaitable[bool]],
        *,
        at_once: int,
        pause_s: float,
        pause_s_max: float = _PAUSE_S_MAX,
    ) -> None:
        self._anchor, self._is_due, self._attempt = anchor, is_due, attempt
        self._pause_s, self._pause_s_max = pause_s, pause_s_max
        self._turn = asyncio.Semaphore(at_once)
        self._under_way: set[bytes] = set()

    def begin(self, about: bytes) -> None:
        """See to it, unless it is being seen to, or not due."""
        if about not in self._under_way and self._is_due(about):
            self._under_way.add(about)
            self._anchor.begin(self._run, about)

    async def _run(self, about: bytes) -> None:
        pause_s = self._pause_s
        try:
            while self._is_due(about):
                async with self._turn:
                    got_on = await self._attempt(about)
                if not got_on:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, self._pause_s_max)
        finally:
            self._under_way.discard(about)
