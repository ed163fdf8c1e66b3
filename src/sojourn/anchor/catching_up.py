"""Catching up: what an anchor does that was away while decisions were made (protocol §3).

It has learned the newest head and applied it, for a certificate proves itself. What led there it has not: the
agent's chain of custody, and the visa of a departure. Without them it is of no use where it stands for all: to an
agent that wants to leave, to whoever exports it, to the target of a departure. So it asks the other anchors, and
takes what proves itself, until nothing is lacking.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.base.errors import Refused, Rejected, SojournError, StoreFailed
from sojourn.core.protocol.applying import caught_up, is_behind
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.exchange import Past
from sojourn.core.protocol.missing import Missing

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["CatchingUp"]

log = structlog.get_logger("anchor")

_AT_ONCE: Final = 4
"""Agents whose past is asked for at a time: an anchor may come back to thousands."""
_PAUSE_S: Final = 0.2
"""Before the first question: the others may be applying the same decision."""
_PAUSE_S_MAX: Final = 60.0
_ASK_S: Final = 2.0


class CatchingUp:
    """The agents of whose past one anchor lacks something."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor
        self._agents: set[bytes] = set()
        self._wanted: dict[bytes, set[bytes]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def begin(self, dossier: Dossier) -> None:
        """See to an agent's past, unless all of it is known or it is being seen to."""
        if is_behind(dossier) and dossier.agent not in self._agents:
            self._agents.add(dossier.agent)
            self._anchor.begin(self._catch_up, dossier.agent)

    async def _catch_up(self, agent: bytes) -> None:
        """Ask until nothing is lacking; ever more rarely where nobody can say."""
        pause_s = _PAUSE_S
        try:
            while is_behind(self._anchor.shelf.dossier(agent)):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_S_MAX)
                async with self._turn:
                    await self._try(agent)
        finally:
            self._agents.discard(agent)
            self._wanted.pop(agent, None)

    async def _try(self, agent: bytes) -> None:
        head = self._anchor.shelf.dossier(agent).head
        assert head is not None, "who has applied a decision never loses it"
        try:
            await self._bring_documents(agent, head)
            for past in await self._ask(agent):
                await self._anchor.note_past(agent, past)
        except StoreFailed:
            raise
        except SojournError as error:
            log.info("not caught up", agent=agent.hex()[:12], problem=str(error))

    async def _bring_documents(self, agent: bytes, head: Certified) -> None:
        """Store the policy documents that officers' seals are held against: those that rule, and those before."""
        named = {*head.record.governance.named, *self._wanted.pop(agent, ())}
        lacking = self._anchor.shelf.lacking(sorted(named))
        if lacking:
            blocks = await self._anchor.zone.fetch(lacking)
            await self._anchor.write(self._anchor.shelf.block_changes(blocks))

    async def _ask(self, agent: bytes) -> list[Past]:
        """Return what holds of what other anchors say, up to the first that leaves nothing open."""
        found: list[Past] = []

        def take(_anchor: int, reply: Past) -> bool:
            after = self._after(agent, reply)
            if after is not None:
                found.append(reply)
            return after is not None and not is_behind(after)

        await self._anchor.zone.ask_past(agent, take, timeout_s=_ASK_S)
        return found

    def _after(self, agent: bytes, told: Past) -> Dossier | None:
        """Return the dossier with what another anchor says; None if it says nothing new, is behind too, or lies."""
        dossier = self._anchor.shelf.dossier(agent)
        try:
            after = caught_up(dossier, told.chapters, told.visa, self._anchor.view()).dossier
        except (
            Missing
        ) as missing:  # a document that officers sealed: it is there when they are asked again
            self._wanted.setdefault(agent, set()).update(missing.digests)
            return None
        except (Refused, Rejected):
            return None
        return after if after != dossier else None
