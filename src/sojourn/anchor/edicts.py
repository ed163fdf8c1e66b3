"""What one anchor knows of edicts: kept before it is acknowledged, seen to, and told on at once.

What is news here is written, then proposed where its agents are (`caretaker`), and told to this zone's anchors and
to some of other zones (`heralding`); whoever was missed learns of it in a round of gossip.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sojourn.anchor.sweep import Sweep
from sojourn.core.agent.ancestry import BINDING, ordered_ms_of
from sojourn.core.agent.delegation import Mandate
from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.heads import SignedHead
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.revocations import Reach, SignedRevocation
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.dossier import Dossier, Ruling
from sojourn.core.protocol.edicts import KnownEdicts, Standing, standing_of
from sojourn.core.protocol.gossip import Edict, News, Summary
from sojourn.core.protocol.waiting import what_waits
from sojourn.runtime.processes import clock
from sojourn.runtime.store import Change

if TYPE_CHECKING:
    from sojourn.anchor.caretaker import Caretaker
    from sojourn.anchor.heralding import Heralding
    from sojourn.anchor.server import Anchor

__all__ = ["Edicts"]


class Edicts:
    """The edicts of one anchor."""

    def __init__(self, anchor: "Anchor", caretaker: "Caretaker", heralding: "Heralding") -> None:
        """Know of none yet; who has them carried out is told of them, and who spreads them."""
        self._anchor, self._caretaker, self._heralding = anchor, caretaker, heralding
        self._writing = asyncio.Lock()
        self.known = KnownEdicts()
        self._amendments = Sweep(anchor, self._plan_amendment)
        self._families: dict[bytes, set[bytes]] = {}
        """The agents here that descend from an agent, wherever that is."""
        self._carried: dict[bytes, News] = {}
        """What was learned from a transition of an agent that is being written."""

    # --- learning -------------------------------------------------------------------------------------

    def recall(self) -> None:
        """Know again what was known before; which documents rule agents here was noted already."""
        shelf = self._anchor.shelf
        kept = News(
            orders=tuple(shelf.orders()),
            documents=tuple(shelf.successors()),
            heads=tuple(shelf.heads()),
            revocations=tuple(shelf.revocations()),
        )
        self._learn(kept, None)

    def _learn(self, news: News, teller: bytes | None) -> News:
        """Take in what is news, all or nothing, and return it. Raises `Rejected` for what is false."""
        now_ms, known = clock.wall_ms(), self.known
        ordered = known.examine(news.orders, now_ms, teller, self._judge)
        published = known.successors.examine(news.documents, now_ms, teller, self._find)
        told = {each.digest: each.signed.document for each in published if each.is_proved}
        vouched = known.heads.examine(
            news.heads, now_ms, teller, lambda named: told.get(named) or self._known(named)
        )
        revoked = known.revocations.examine(news.revocations, now_ms, teller, self._anchor.manifest)
        documents = known.successors.take(published, now_ms, teller, self._find)
        heads = known.heads.take(vouched, teller)
        if documents:
            known.heads.settle(self._known)
        return News(
            orders=tuple(known.take(ordered, teller)),
            documents=tuple(documents),
            heads=tuple(heads),
            revocations=tuple(known.revocations.take(revoked, now_ms, teller)),
        )

    def take_up(self) -> None:
        """Plan, once at the start, what agents here owe to the orders that were known before."""
        self._plan_orders(News(orders=tuple(self._anchor.shelf.orders())))

    def _judge(self, signed: SignedOrder) -> Standing:
        documents, zone = self._anchor.shelf.documents, self._anchor.zone_id
        return standing_of(signed, self._record(signed), documents, zone)

    def _record(self, signed: SignedOrder) -> AgentRecord | None:
        """Return the newest record here of whom an order is about, or else of one that descends from it."""
        agent = signed.order.agent
        for each in (agent, *self._families.get(agent, ())):
            head = self._anchor.shelf.dossier(each).head
            if head is not None:
                return head.record
        return None

    def _find(self, digest: bytes) -> Document | None:
        try:
            return self._anchor.shelf.documents.get(digest)
        except Rejected:
            return None

    def _known(self, digest: bytes) -> Document | None:
        return self.known.successors.known(digest, self._find)

    async def take(self, news: News, teller: bytes) -> None:
        """Take in edicts that are news, durably; then see to them. Raises `Rejected` for a false one."""
        shelf = self._anchor.shelf
        async with self._writing:  # who tells of one that is being written waits until it is
            new = self._learn(news, teller)
            changes = shelf.edict_changes(new)
            await self._anchor.write(changes)
        await self._anchor.keeping.see(new.orders)
        self._plan_orders(new)
        if self._are_ours(new.documents):
            self._amendments.begin()
        if changes:
            self._heralding.spread(new.edicts, teller)

    def changes_of(self, ruling: Ruling) -> list[Change]:
        """Return what keeps the order that a ruling carries out, if that binds more than the one agent.

        Officers may have carried it there themselves: then nobody has published it (protocol §8.13).
        """
        new = self._learn(News(orders=_binding(ruling)), None)
        if new.orders and ruling.dossier is not None:
            self._carried[ruling.dossier.agent] = new
        return self._anchor.shelf.edict_changes(new)

    def _plan_orders(self, new: News) -> None:
        """Plan what agents here owe to orders: those that they are about, and who descends from them."""
        for agent in dict.fromkeys(signed.order.agent for signed in new.orders):
            for bound in (agent, *self._families.get(agent, ())):
                self._caretaker.plan(self._anchor.shelf.dossier(bound))

    def _are_ours(self, documents: Iterable[SignedDocument]) -> bool:
        """Tell whether one of these is proved to follow what rules or ruled an agent here: strangers' rule none."""
        known = self.known.successors
        return any(known.document(digest_of(signed.document)) is not None for signed in documents)

    def _plan_amendment(self, dossier: Dossier) -> None:
        """Plan what an agent here owes to documents that were published."""
        head, followed = dossier.head, self.known.successors.followed()
        if head is not None and not followed.isdisjoint(head.record.governance.documents):
            self._caretaker.plan(dossier)

    # --- what agents here have to do with it ----------------------------------------------------------

    def note_ruling(self, dossier: Dossier) -> None:
        """Note which documents rule an agent: their successors can be proved here, and what its officers revoke.

        And from whom it descends.
        """
        if dossier.head is not None:
            record = dossier.head.record
            self.note_rules(record.governance.issuer, record.governance.named)
            self.note_family(record.agent_id, [a.agent for a in record.eligibility.ancestors])

    def note_rules(self, issuer: bytes, documents: Sequence[bytes]) -> None:
        """Note the documents that rule an agent of an issuer here, those in force first."""
        self.known.successors.rules(documents, self._find)
        self.known.heads.settle(self._known)
        first = self._find(documents[0])
        if first is not None:
            self.known.revocations.note_officers(issuer, first.officers)

    def note_family(self, agent: bytes, ancestors: Iterable[bytes]) -> None:
        """Note from whom an agent here descends."""
        for ancestor in ancestors:
            self._families.setdefault(ancestor, set()).add(agent)

    def note(self, after: Dossier) -> None:
        """Look again at what is known about an agent, of which something was decided; tell what was learned by it."""
        self.known.settle(after.agent, self._judge)
        if (new := self._carried.pop(after.agent, None)) is not None:
            self._plan_orders(new)
            self._heralding.spread(
                new.edicts, self._anchor.zone_id
            )  # each anchor here learns it so

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
        known.heads.expire(clock.wall_ms())
        known.revocations.expire(clock.wall_ms())
        removals = [
            *shelf.told_removals("order", known.names()),
            *shelf.told_removals("successor", known.successors.names()),
            *shelf.told_removals("head", known.heads.names()),
            *shelf.told_removals("revocation", known.revocations.names()),
        ]
        await self._anchor.write(removals)

    # --- what is told on ------------------------------------------------------------------------------

    def summary(self) -> dict[str, tuple[bytes, ...]]:
        """Return what is known here of each kind, by digest."""
        known = self.known
        return {
            "orders": known.summary(),
            "documents": known.successors.summary(),
            "heads": known.heads.summary(),
            "revocations": known.revocations.summary(),
        }

    def lacking_in(self, summary: Summary) -> dict[str, tuple[Edict, ...]]:
        """Return of each kind what is known here, and not named in a summary."""
        known = self.known
        return {
            "orders": known.lacking_in(summary.orders),
            "documents": known.successors.lacking_in(summary.documents),
            "heads": known.heads.lacking_in(summary.heads),
            "revocations": known.revocations.lacking_in(summary.revocations),
        }

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
                why = self._why_not(published)
                return f"version {document.version} of {document.name} is not taken: {why}"
        for vouched in news.heads:
            head = vouched.head
            if digest_of(vouched) not in self.known.heads.names():
                why = self._why_no_head(vouched)
                return f"the head of version {head.version} of {head.name} is not taken: {why}"
        for each in news.revocations:
            if digest_of(each) not in self.known.revocations.names():
                why = self._why_unrevoked(each)
                return f"the revocation of {each.revocation.about} is not taken: {why}"
        return ""

    def _why_unrevoked(self, signed: SignedRevocation) -> str:
        said = signed.revocation
        if not said.holds_at(clock.wall_ms()):
            return "it holds no more, or not yet"
        if said.reach is Reach.ZONE and said.by == self._anchor.zone_id:
            return "too few of this zone's anchors sealed it, or somebody else did; or there are too many"
        return "nobody here is known whose it is, and there is no room; or there are too many of that issuer's"

    def _is_done(self, signed: SignedOrder) -> bool:
        record = self._record(signed)
        if record is None:
            return False
        order = signed.order
        return ordered_ms_of(record, order.agent, order.matter) == order.issued_ms

    def _why(self, signed: SignedOrder) -> str:
        if over := _over(signed.mandate):
            return over
        match self._judge(signed):
            case Standing.OVER:
                return "one issued since was carried out, or the agent has ended"
            case Standing.FALSE:
                return "too few of the agent's officers sealed it, or somebody else did"
            case Standing.STRANGE:
                return "the agent is not known here, and there is no room; or it holds too briefly, or too long"
            case _:
                return "it does not hold now, or too many are known about the agent that were issued later"

    def _why_not(self, published: SignedDocument) -> str:
        document = published.document
        if over := _over(published.mandate):
            return over
        if document.not_after_ms <= clock.wall_ms():
            return "it holds no more"
        if document.previous is not None and self._find(document.previous) is not None:
            return "it does not follow what rules, or not by those who may say so; or there are too many later ones"
        return "what it follows is not known here, and there is no room"

    def _why_no_head(self, signed: SignedHead) -> str:
        document, now_ms = self._known(signed.head.digest), clock.wall_ms()
        if signed.head.until_ms <= now_ms:
            return "it holds no more"
        if document is not None and signed.seal.signer not in document.officers.keys:
            return "who sealed it is no officer by that version"
        if signed.seal.signer in self.known.heads.of(signed.head.digest):
            return "who sealed it has vouched for that version since"
        return "that version is not known here, and there is no room; or it holds only later"


def _over(mandate: Mandate | None) -> str:
    """Return that who sealed something acts for the issuer no more, in words; nothing if that is not so."""
    if mandate is None or clock.wall_ms() < mandate.until_ms:
        return ""
    return f"the delegation to {mandate.name} holds no more"


def _binding(ruling: Ruling) -> tuple[SignedOrder, ...]:
    """Return the order that a ruling carries out, if it binds others of the agent's family as well."""
    signed, head = ruling.order, ruling.dossier.head if ruling.dossier is not None else None
    if signed is None or head is None or signed.order.act not in BINDING:
        return ()
    is_alone = not head.record.eligibility.children
    return () if is_alone and signed.order.agent == head.record.agent_id else (signed,)
