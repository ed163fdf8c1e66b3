"""What one anchor knows of edicts: kept before it is acknowledged, seen to, and told on at once.

An order that is news here is written, then proposed where its agent is (`caretaker`), and told to this zone's
anchors and to some of other zones (`gossiping`); whoever was missed learns of it in a round of gossip.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.edicts import KnownEdicts, Standing, standing_of
from sojourn.runtime import clock

if TYPE_CHECKING:
    from sojourn.anchor.caretaker import Caretaker
    from sojourn.anchor.gossiping import Gossip
    from sojourn.anchor.server import Anchor

__all__ = ["Edicts"]


class Edicts:
    """The edicts of one anchor."""

    def __init__(self, anchor: "Anchor", caretaker: "Caretaker", gossip: "Gossip") -> None:
        """Know of none yet; who has orders carried out is told of them, and who spreads them."""
        self._anchor, self._caretaker, self._gossip = anchor, caretaker, gossip
        self._writing = asyncio.Lock()
        self.known = KnownEdicts()

    def recall(self) -> None:
        """Know again what was known before."""
        self._learn(self._anchor.shelf.orders(), None)

    def _learn(self, orders: Iterable[SignedOrder], teller: bytes | None) -> list[SignedOrder]:
        examined = self.known.examine(orders, clock.wall_ms(), teller, self._judge)
        return self.known.take(examined, teller)

    def _judge(self, signed: SignedOrder) -> Standing:
        documents, zone = self._anchor.shelf.documents, self._anchor.zone_id
        return standing_of(signed, self._record(signed), documents, zone)

    def _record(self, signed: SignedOrder) -> AgentRecord | None:
        head = self._anchor.shelf.dossier(signed.order.agent).head
        return head.record if head is not None else None

    async def take(self, orders: Sequence[SignedOrder], teller: bytes) -> None:
        """Take in orders that are news, durably; then see to them. Raises `Rejected` for a false one."""
        async with self._writing:  # who tells of one that is being written waits until it is
            new = self._learn(orders, teller)
            await self._anchor.write(self._anchor.shelf.order_changes(new))
        for agent in dict.fromkeys(signed.order.agent for signed in new):
            self._caretaker.plan(self._anchor.shelf.dossier(agent))
        if new:
            self._gossip.spread(new, teller)

    def note(self, after: Dossier) -> None:
        """Look again at what is known about an agent, of which something was decided."""
        self.known.settle(after.agent, self._judge)

    async def expire(self) -> None:
        """Forget what may not be carried out any more, and drop what is of no use. Raises `StoreFailed`."""
        self.known.expire(clock.wall_ms())
        await self._anchor.write(self._anchor.shelf.order_removals(self.known.names()))

    def left_out(self, orders: Iterable[SignedOrder]) -> str:
        """Return why one of these orders is not known here, in words; nothing if there is none."""
        for signed in orders:
            if digest_of(signed) not in self.known.names() and not self._is_done(signed):
                return f"the order to {signed.order.act} is not taken: {self._why(signed)}"
        return ""

    def _is_done(self, signed: SignedOrder) -> bool:
        record = self._record(signed)
        return record is not None and record.governance.ordered_ms == signed.order.issued_ms

    def _why(self, signed: SignedOrder) -> str:
        match self._judge(signed):
            case Standing.OVER:
                return "one issued since was carried out, or the agent has ended"
            case Standing.FALSE:
                return "too few of the agent's officers sealed it, or somebody else did"
            case Standing.STRANGE:
                return "the agent is not known here, and there is no room; or it holds too briefly, or too long"
            case _:
                return "it does not hold now, or too many are known about the agent that were issued later"
