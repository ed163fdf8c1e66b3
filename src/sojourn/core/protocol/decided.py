"""What was decided of an agent between the ends of its terms, as far as it is shown: intents, binds, orders, steps.

A chain of chapters proves where an agent was; this proves what it did there. Each transition has its own
certificate, lies in the term that its chapter opened, and follows the one before it wherever both are shown. What
is left out is seen by the versions: nobody is made to believe that all was shown (architecture §2, capsule).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from sojourn.core.agent.ancestry import ordered_ms_of
from sojourn.core.agent.budgets import check_transition
from sojourn.core.agent.governance import Document
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.custody import Certified, Chapter, check_head
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["check_decided", "check_orders", "decided", "is_behind", "order_behind"]

_BETWEEN: Final = frozenset(TransitionKind) - {
    TransitionKind.GENESIS,
    TransitionKind.DEPART,
    TransitionKind.ADMIT,
    TransitionKind.REFUSE,
    TransitionKind.RETURN,
}
"""What neither opens a term nor closes one."""


def decided(
    chapters: Sequence[Chapter], history: Sequence[Certified], head: Certified
) -> list[Certified]:
    """Return all transitions that are shown and made a version, oldest first."""
    ends = [each for c in chapters for each in (c.opened, c.closed) if each]
    by_version = {item.record.version: item for item in (*history, *ends, head)}
    return [by_version[version] for version in sorted(by_version)]


def check_decided(
    chapters: Sequence[Chapter],
    history: Sequence[Certified],
    head: Certified,
    manifests: Mapping[bytes, ZoneManifest],
) -> None:
    """Raise `Rejected` unless each transition in `history` lies where it belongs; chapters and head were checked.

    Checks in order: kinds, and versions that rise and are shown nowhere else; each certified in the term that its
    chapter opened, before that was closed; then succession, by the change table, of each version to the next.
    """
    ends = [each for c in chapters for each in (c.opened, c.closed) if each]
    taken = {item.record.version for item in (*ends, head)}
    terms = {chapter.opened.record.custody.term: chapter for chapter in chapters}
    newest = -1
    for index, item in enumerate(history):
        where = f"history[{index}]"
        _check_place(item, newest, taken, where)
        chapter = terms.get(item.record.custody.term)
        if chapter is None:
            raise Rejected("no chapter opens its term", reason="wrong-term", where=where)
        check_head(chapter, item, manifests, where=where)
        last = chapter.closed or head
        if not chapter.opened.record.version < item.record.version < last.record.version:
            problem = f"version {item.record.version} is none of its term"
            raise Rejected(problem, reason="wrong-version", where=where)
        newest = item.record.version
    _check_succession(decided(chapters, history, head), taken)


def _check_place(item: Certified, newest: int, taken: set[int], where: str) -> None:
    if item.transition.kind not in _BETWEEN:
        problem = f"a {item.transition.kind} opens or closes a term, and belongs into a chapter"
        raise Rejected(problem, reason="wrong-kind", where=where)
    if item.record.version in taken:
        problem = f"version {item.record.version} is shown already"
        raise Rejected(problem, reason="extra", where=where)
    if item.record.version <= newest:
        problem = f"version {item.record.version} after version {newest}"
        raise Rejected(problem, reason="wrong-order", where=where)


def _check_succession(shown: Sequence[Certified], ends: set[int]) -> None:
    """Check each version that is shown right after another; from end to end, chapters were checked for it."""
    for before, after in pairwise(shown):
        old, new = before.record, after.record
        if new.version != old.version + 1 or {old.version, new.version} <= ends:
            continue
        if after.transition.parent != old.digest:
            problem = f"version {new.version} follows another version {old.version}"
            raise Rejected(problem, reason="wrong-parent", where="history")
        check_transition(after.transition, old, before.certificate.slot)


# --- orders ------------------------------------------------------------------------------------------


def is_behind(signed: SignedOrder, done: Certified) -> bool:
    """Tell whether it is this order that a decided transition carried out: of whom, the act and the time.

    It may have been about an agent that this one descends from.
    """
    order = signed.order
    ordered_ms = ordered_ms_of(done.record, order.agent, order.matter)
    return (order.act.value, order.issued_ms) == (done.transition.kind.value, ordered_ms)


def order_behind(
    done: Certified, shown: Sequence[SignedOrder | None], documents: Mapping[bytes, Document]
) -> SignedOrder | None:
    """Return the order that a decided transition carried out, from among what was shown; None if it is not there."""
    for signed in shown:
        if signed is None or not is_behind(signed, done):
            continue
        try:
            first = _ruling(done.record, documents, "order")
            signed.check_officers(first, at_ms=done.transition.at_ms)
        except Rejected:
            continue
        return signed
    return None


def check_orders(
    orders: Sequence[SignedOrder],
    shown: Sequence[Certified],
    documents: Mapping[bytes, Document],
) -> None:
    """Raise `Rejected` unless each order was carried out by a transition that is shown, in their order.

    Enough officers of the agent's first document must have sealed it, or of a delegate that had its powers at the
    transition's time. `documents` are those at hand, by digest.
    """
    at = 0
    for index, signed in enumerate(orders):
        where = f"orders[{index}]"
        while at < len(shown) and not is_behind(signed, shown[at]):
            at += 1
        if at == len(shown):
            problem = f"nothing that is shown carried out this order to {signed.order.act}"
            raise Rejected(problem, reason="extra", where=where)
        first = _ruling(shown[at].record, documents, where)
        signed.check_officers(first, at_ms=shown[at].transition.at_ms, where=where)
        at += 1


def _ruling(record: AgentRecord, documents: Mapping[bytes, Document], where: str) -> Document:
    named = next(iter(record.governance.documents), b"")
    if named not in documents:
        problem = "the document that ruled at the time is not shown"
        raise Rejected(problem, reason="wrong-documents", where=where)
    return documents[named]
