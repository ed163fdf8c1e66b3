"""Tidying: what an anchor lets go of so that strangers cannot fill it: old applications, and loose blocks.

Nothing goes that a record names: not the high term of any agent (trap 21), not a block of what is voted on or on
its way (trap 46).
"""

from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from sojourn.anchor.loose import roots_of
from sojourn.anchor.sweep import unhurried
from sojourn.core.base.limits import LOOSE_KEPT_MS
from sojourn.runtime.processes import clock
from sojourn.runtime.store import CHANGES_MAX

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Tidying"]

log = structlog.get_logger("anchor")

_EVERY_MS: Final = LOOSE_KEPT_MS // 10


class Tidying:
    """What one anchor forgets."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor
        self._collected_ms = 0

    async def tidy(self) -> None:
        """Let go of what may go. Raises `StoreFailed`."""
        await self._forget_applications()
        now_ms = clock.boot_ms()
        if now_ms - self._collected_ms >= _EVERY_MS:
            self._collected_ms = now_ms
            await self._collect()
            await self._anchor.keeping.forget_loose()

    async def _forget_applications(self) -> None:
        anchor = self._anchor
        for agent in anchor.promises.forgettable(clock.boot_ms()):
            async with anchor.turn_of(agent):
                before = anchor.shelf.dossier(agent)
                if before.arrival is not None:
                    continue
                after = msgspec.structs.replace(before, application=None)
                with anchor.shelf.replacing(after):
                    await anchor.write(anchor.shelf.dossier_changes(after))
                anchor.note_promise(after)

    async def _collect(self) -> None:
        """Collect the loose blocks that are due.

        Whatever is written keeps what it names, at once; but a record may have named a block before it was put,
        so all are looked at.
        """
        loose = self._anchor.shelf.loose
        if not loose.due(clock.boot_ms(), 1):
            return
        async for dossier in unhurried(self._anchor.shelf):
            loose.keep(roots_of(dossier))
        loose.note_asked(self._anchor.mail.proofs(), clock.boot_ms())
        count = 0
        while due := loose.due(clock.boot_ms(), CHANGES_MAX):
            changes = self._anchor.shelf.collect(due)
            await self._anchor.write(changes)
            self._anchor.shelf.collected(due)
            count += len(due)
        log.info("collected blocks that no record names", blocks=count)
