"""What one anchor knows of edicts: kept before it is acknowledged, seen to, and told on at once.

What is news here is written, then proposed where its agents are (`caretaker`), and told to this zone's anchors and
to some of other zones (`gossiping`); whoever was missed learns of it in a round of gossip.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.edicts import KnownEdicts, Standing, standing_of
from sojourn.core.protocol.gossip import News
from sojourn.core.protocol.waiting import what_waits
from sojourn.runtime import clock
from sojourn.runtime.store import Change

if TYPE_CHECKING:
    from sojourn.anchor.caretaker import Caretaker
    from sojourn.anchor.gossiping import Gossip
    from sojourn.anchor.server import Anchor

__all__ = ["Edicts"]

_DOSSIERS_AT_ONCE: Final = 64


class Edicts:
    """The edicts of one anchor."""

    def __init__(self, anchor: "Anchor", caretaker: "Caretaker", gossip: "Gossip") -> None:
        """Know of none yet; who has them carried out is told of them, and who spreads them."""
        self._anchor, self._caretaker, self._gossip = anchor, caretaker, gossip
        self._writing = asyncio.Lock()
        self.known = KnownEdicts()

    # --- learning -------------------------------------------------------------------------------------

    def recall(self) -> None:
        """Know again what was known before; which documents rule agents here was noted already."""
        shelf = self._anchor.shelf
        self._learn(shelf.orders(), shelf.successors(), None)

    def _learn(
        self,
        orders: Iterable[SignedOrder],
        documents: Sequence[SignedDocument],
        teller: bytes | None,
    ) -> tuple[list[SignedOrder], list[SignedDocument]]:
        """Take in what is news, all or nothing. Raises `Rejected` for what is false."""
        now_ms, known = clock.wall_ms(), self.known
        ordered = known.examine(orders, now_ms, teller, self._judge)
        published = known.successors.examine(documents, now_ms, teller, self._find)
        return (
            known.take(ordered, teller),
            known.successors.take(published, now_ms, teller, self._find),
        )

    def _judge(self, signed: SignedOrder) -> Standing:
        documents, zone = self._anchor.shelf.documents, self._anchor.zone_id
        return standing_of(signed, self._record(signed), documents, zone)

    def _record(self, signed: SignedOrder) -> AgentRecord | None:
        head = self._anchor.shelf.dossier(signed.order.agent).head
        return head.record if head is not None else None

    def _find(self, digest: bytes) -> Document | None:
        try:
            return self._anchor.shelf.documents.get(digest)
        except Rejected:
            return None

    async def take(self, news: News, teller: bytes) -> None:
        """Take in edicts that are news, durably; then see to them. Raises `Rejected` for a false one."""
        shelf = self._anchor.shelf
        async with self._writing:  # who tells of one that is being written waits until it is
            orders, documents = self._learn(news.orders, news.documents, teller)
            changes: list[Change] = [
                *shelf.order_changes(orders),
                *shelf.successor_changes(documents),
            ]
            await self._anchor.write(changes)
        await self._anchor.keeping.see(orders)
        for agent in dict.fromkeys(signed.order.agent for signed in orders):
            self._caretaker.plan(shelf.dossier(agent))
        if documents:
            self._anchor.begin(self._plan_amendments)
        if changes:
            self._gossip.spread([*orders, *documents], teller)

    async def _plan_amendments(self) -> None:
        """Plan what agents here owe to documents that were published, a few at a time."""
        followed = self.known.successors.followed()
        for number, dossier in enumerate(self._anchor.shelf.every_dossier()):
            head = dossier.head
            if head is not None and not followed.isdisjoint(head.record.governance.documents):
                self._caretaker.plan(dossier)
            if number % _DOSSIERS_AT_ONCE == 0:
                await asyncio.sleep(0)

    # --- what agents here have to do with it ----------------------------------------------------------

    def note_ruling(self, dossier: Dossier) -> None:
        """Note which documents rule an agent: their successors can be proved here."""
        if dossier.head is not None:
            named = dossier.head.record.governance.named
            self.known.successors.rules(named, self._find)

    def note(self, after: Dossier) -> None:
        """Look again at what is known about an agent, of which something was decided."""
        self.known.settle(after.agent, self._judge)

    def see_to(self, dossier: Dossier) -> None:
        """Have carried out what an agent waits for that was asked to go on: it may have slept until now."""
        if what_waits(dossier, self._anchor.view()):
            self._caretaker.plan(dossier)

    def document(self, digest: bytes) -> bytes | None:
        """Return a document that was published, as a block."""
        document = self.known.successors.document(digest)
        return encode(document) if document is not None else None

    # --- letting go -----------------------------------------------------------------------------------

    async def expire(self) -> None:
        """Forget what may not be carried out any more, and drop what is of no use. Raises `StoreFailed`."""
        shelf, known = self._anchor.shelf, self.known
        known.expire(clock.wall_ms())
        known.successors.expire(clock.wall_ms())
        removals = shelf.order_removals(known.names())
        await self._anchor.write([*removals, *shelf.successor_removals(known.successors.names())])

    # --- what is not taken ----------------------------------------------------------------------------

    def left_out(self, news: News) -> str:
        """Return why one of these edicts is not known here, in words; nothing if there is none."""
        for signed in news.orders:
            if digest_of(signed) not in self.known.names() and not self._is_done(signed):
                return f"the order to {signed.order.act} is not taken: {self._why(signed)}"
        for published in news.documents:
            document, successors = published.document, self.known.successors
            is_proved = successors.document(digest_of(document)) is not None
            if digest_of(published) not in successors.names() and not is_proved:
                why = self._why_not(document)
                return f"version {document.version} of {document.name} is not taken: {why}"
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

    def _why_not(self, document: Document) -> str:
        if document.not_after_ms <= clock.wall_ms():
            return "it holds no more"
        if document.previous is not None and self._find(document.previous) is not None:
            return "it does not follow what rules, or not by those who may say so; or there are too many later ones"
        return "what it follows is not known here, and there is no room"
