"""Looking through all agents for what has become due for some of them: once, however often it is asked for meanwhile.

Whoever publishes something, or proves something, may cause it; what it costs goes by the number of agents here. So
it is not done twice at a time, and what comes while it is done is seen to by the next one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

from sojourn.anchor.shelf import Shelf
from sojourn.core.protocol.dossier import Dossier

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Sweep", "unhurried"]

_DOSSIERS_AT_ONCE: Final = 64


async def unhurried(shelf: Shelf) -> AsyncIterator[Dossier]:
    """Yield all dossiers, in the order of their agents, and let others come between."""
    for number, dossier in enumerate(shelf.every_dossier()):
        yield dossier
        if number % _DOSSIERS_AT_ONCE == 0:
            await asyncio.sleep(0)


class Sweep:
    """Shows every dossier of an anchor to a function, a few at a time."""

    def __init__(self, anchor: "Anchor", look: Callable[[Dossier], None]) -> None:
        """Show dossiers to `look` whenever that is asked for."""
        self._anchor, self._look = anchor, look
        self._is_asked = self._is_under_way = False

    def begin(self) -> None:
        """Have all dossiers looked at from now on, in the background."""
        self._is_asked = True
        if not self._is_under_way:
            self._is_under_way = True
            self._anchor.begin(self._run)

    async def _run(self) -> None:
        try:
            while self._is_asked:
                self._is_asked = False
                async for dossier in unhurried(self._anchor.shelf):
                    self._look(dossier)
        finally:
            self._is_under_way = False
