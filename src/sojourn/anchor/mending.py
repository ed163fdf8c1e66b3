"""Mending: what is damaged on this anchor's disk is looked for, and blocks are had again from the other anchors.

A block's digest says what its bytes were, so any anchor will do to have it from. What else a store holds is the
anchor's own word, its votes and counters: nobody else can give that back. An anchor that finds a row of it damaged
ends, and does not start again (protocol §13).
"""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.anchor.errands import Errands
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.runtime.store import Store

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Mending"]

log = structlog.get_logger("anchor")

_EVERY_S: Final = 24 * 3600.0
_AT_ONCE: Final = 16
"""Blocks or rows read in one turn of the event loop: a millisecond or two."""
_BETWEEN_S: Final = 0.02
"""Between them: to read all again takes a tenth of a processor at most, and other things first."""
_PAUSE_S: Final = 0.2
_PAUSE_S_MAX: Final = 600.0
"""Between questions for a block that nobody has given yet."""


class Mending:
    """What is damaged in the store of one anchor."""

    def __init__(self, anchor: "Anchor", store: Store) -> None:
        self._anchor, self._store = anchor, store
        self._blocks = Errands(
            anchor,
            anchor.shelf.is_damaged,
            self._mend,
            at_once=_AT_ONCE,
            pause_s=_PAUSE_S,
            pause_s_max=_PAUSE_S_MAX,
        )

    async def run(self) -> None:
        """Read every block and row, at the start and once a day, for ever; blocks that are damaged are mended.

        Raises `StoreFailed` for a row that is.
        """
        while True:
            await self._read_blocks()
            await self._read_rows()
            await asyncio.sleep(_EVERY_S)

    async def _read_rows(self) -> None:
        """Hold what rows hold against their marks: of a large store that was not done when it was opened."""
        last = self._store.check_rows(None, _AT_ONCE)
        while last is not None:
            await asyncio.sleep(_BETWEEN_S)
            last = self._store.check_rows(last, _AT_ONCE)

    async def _read_blocks(self) -> None:
        shelf, after = self._anchor.shelf, b""
        while page := shelf.block_names(after, _AT_ONCE):
            for named in page:
                shelf.block(named)
            after = page[-1]
            await asyncio.sleep(_BETWEEN_S)

    def begin(self, named: bytes) -> None:
        """See to a damaged block, unless it is being seen to."""
        self._blocks.begin(named)

    async def _mend(self, named: bytes) -> bool:
        """Ask the other anchors for a block; tell whether one has given it. Whoever puts it again will do as well."""
        try:
            blocks = await self._anchor.zone.fetch([named])
            await self._anchor.write(self._anchor.shelf.block_changes(blocks))
        except StoreFailed:
            raise
        except SojournError as error:
            log.info("a block is not mended yet", block=named.hex(), problem=str(error))
            return False
        log.info("a block is mended", block=named.hex())
        return True
