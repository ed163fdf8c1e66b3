"""What a decision of this zone makes of a dossier.

A commit certificate proves itself; what is shown beside it proves nothing by being shown. Anybody may show a
decision, with evidence of their choice: each piece is used only if it is the one that the decided value leans on,
and certified. An anchor that missed decisions applies the newest one all the same: it was made by a quorum. Then
it knows the head, and of what it missed nothing. It asks the others for that, and what they say is used if it
leads from genesis to the head.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.core.agent.approvals import SignedApproval
from sojourn.core.agent.governance import Warrant
from sojourn.core.agent.orders import Act, SignedOrder
from sojourn.core.agent.succession import extended
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.limits import SUCCESSION_MAX
from sojourn.core.protocol.amending import check_brought
from sojourn.core.protocol.custody import (
    Certified,
    Chapter,
    check_chain,
    check_head,
    check_refusal,
)
from sojourn.core.protocol.decided import order_behind
from sojourn.core.protocol.dossier import Dossier, Ruling, View
from sojourn.core.protocol.forking import check_fork_family
from sojourn.core.protocol.governed import documents_of, kin_of
from sojourn.core.protocol.kinship import check_family
from sojourn.core.protocol.messages import Applied, Proposal
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.spawning import check_named
from sojourn.core.protocol.validate import chain_manifests, chapter_of, warrant_of
from sojourn.core.protocol.visa import Visa
from sojourn.core.quorum.votes import Slot

__all__ = ["applied", "caught_up", "is_behind"]

_OPENING = (TransitionKind.GENESIS, TransitionKind.ADMIT, TransitionKind.RETURN)
_ORDERED = frozenset(map(TransitionKind, Act))


def applied(dossier: Dossier, done: Certified, shown: Sequence[Proposal], view: View) -> Ruling:
    """Return the ruling on a checked decision; `shown` are proposals of it, the one stored here first.

    Nothing here can fail: evidence that is missing or false is left out.
    """
    if done.transition.kind is TransitionKind.REFUSE:
        if not _is_later(done.certificate.slot, dossier.refusal):
            return Ruling(answer=Applied())
        after = msgspec.structs.replace(
            _past_slot(dossier, done.certificate.slot),
            high_term=max(dossier.high_term, done.certificate.slot.term),
            held=True,
            refusal=done,
        )
        return Ruling(answer=Applied(), dossier=after, history=done, applied=done)
    after, chapters = _moved(dossier, done, shown, view)
    return Ruling(
        answer=Applied(),
        dossier=after,
        chapters=chapters,
        history=done,
        order=_order_behind(done, shown, view),
        applied=done,
    )


def _order_behind(done: Certified, shown: Sequence[Proposal], view: View) -> SignedOrder | None:
    """Return the order that was carried out: by whose word it was is kept, not only that there was one."""
    if done.transition.kind not in _ORDERED:
        return None
    return order_behind(done, [proposal.evidence.order for proposal in shown], view.documents)


def _moved(
    dossier: Dossier, done: Certified, shown: Sequence[Proposal], view: View
) -> tuple[Dossier, tuple[Chapter, ...]]:
    """Return the dossier with `done` as its head, and the chapters that it opens or closes."""
    kind, term = done.transition.kind, done.certificate.slot.term
    after = _past_slot(dossier, done.certificate.slot)
    if dossier.head is None or term > dossier.head.certificate.slot.term:
        after = Dossier(  # another stay: what was of the last one is over
            agent=dossier.agent,
            held=True,
            open=after.open,
            application=after.application,
            arrival=after.arrival,
            refusal=after.refusal,
        )
    high_term = max(dossier.high_term, term)
    answers = _pending_answers(after, done)
    after = msgspec.structs.replace(after, head=done, high_term=high_term, approvals=answers)
    if kind in _OPENING:
        refusal, warrant = _refusal(done, shown, view), _warrant(done, shown)
        past = _past(dossier, done, shown, view)
        before = past[-1] if past else dossier.chapter
        succession = before.succession if before else ()
        opened = Chapter(
            opened=done,
            refusal=refusal,
            warrant=warrant,
            succession=succession,
            spawned=_spawned(done, shown, view),
            origin=_origin(done, shown, view),
        )
        proved = _is_next(dossier, opened, past)
        return msgspec.structs.replace(after, chapter=opened, proved=proved), (*past, opened)
    if after.chapter is not None and _is_amended(dossier, done):
        chapter = _succeeded(dossier, after.chapter, done, shown, view)
        if chapter is not None:
            return msgspec.structs.replace(after, chapter=chapter), (chapter,)
        after = msgspec.structs.replace(after, proved=False)
    if kind is not TransitionKind.DEPART:
        return after, ()
    visa = _visa(done, [proposal.evidence.visa for proposal in shown], view)
    after = msgspec.structs.replace(after, visa=visa)
    if after.chapter is None:
        return after, ()
    closed = msgspec.structs.replace(after.chapter, closed=done)
    return msgspec.structs.replace(after, chapter=closed), (closed,)


def _pending_answers(dossier: Dossier, done: Certified) -> tuple[SignedApproval, ...]:
    """Return the answers to petitions that are still pending: an approval that was used is kept no longer."""
    pending = {each.petition for each in done.record.eligibility.petitions}
    return tuple(each for each in dossier.approvals if each.approval.petition in pending)


def _is_next(dossier: Dossier, opened: Chapter, past: Sequence[Chapter]) -> bool:
    """Tell whether all that led to an opening is known here: the chapters before it, and what it leans on."""
    done, head = opened.opened, dossier.head
    match done.transition.kind:
        case TransitionKind.GENESIS:
            has_origin = opened.origin is not UNSET or not done.record.eligibility.ancestors
            return opened.spawned is not None or (opened.warrant is not None and has_origin)
        case TransitionKind.ADMIT:
            return len(past) > 0
        case _:
            is_known = head is not None and head.record.digest == done.transition.parent
            return dossier.proved and is_known and opened.refusal is not None


def _is_amended(dossier: Dossier, done: Certified) -> bool:
    """Tell whether other documents rule than did by the last decision known here."""
    before = dossier.head
    return before is None or before.record.governance.version != done.record.governance.version


def _succeeded(
    dossier: Dossier, chapter: Chapter, done: Certified, shown: Sequence[Proposal], view: View
) -> Chapter | None:
    """Return the open chapter with the seals of the documents that an amendment brought.

    None if that is not known here: an amendment was missed, or is shown without what was sealed.
    """
    before = dossier.head
    if before is None or before.record.digest != done.transition.parent:
        return None
    for proposal in shown:
        run = proposal.evidence.documents
        if proposal.transition == done.transition and _holds(
            lambda: check_brought(before.record, done, run, view)  # noqa: B023 - called at once
        ):
            succession = extended(chapter.succession, run, view.documents, done.transition.at_ms)
            if len(succession) <= SUCCESSION_MAX:
                return msgspec.structs.replace(chapter, succession=succession)
    return None


def _past_slot(dossier: Dossier, slot: Slot) -> Dossier:
    """Return the dossier without what a decision in `slot` has settled: votes, who was to enter, a refusal.

    Decisions may be learned late. What was promised or closed since in a later slot stays: to forget a commit
    vote there would let two values be decided (trap 55).
    """
    undecided, application, arrival = dossier.open, dossier.application, dossier.arrival
    if undecided is not None and _order(undecided.slot) <= _order(slot):
        undecided = None
    if application is not None and application.terms.term <= slot.term:
        application = None
    if arrival is not None and arrival.arrive.visa.terms.term <= slot.term:
        arrival = None
    refusal = None if _is_later(slot, dossier.refusal) else dossier.refusal
    return msgspec.structs.replace(
        dossier, open=undecided, application=application, arrival=arrival, refusal=refusal
    )


def _is_later(slot: Slot, known: Certified | None) -> bool:
    return known is None or _order(known.certificate.slot) < _order(slot)


def _order(slot: Slot) -> tuple[int, int]:
    return (slot.term, slot.version)


def _past(
    dossier: Dossier, done: Certified, shown: Sequence[Proposal], view: View
) -> tuple[Chapter, ...]:
    """Return the chapters before an admission: those of the application, the last one closed."""
    departure, ask = _departure(dossier, done, shown, view), dossier.application
    if ask is None or departure is None:
        return ()
    try:
        *earlier, last = (chapter_of(ask, index, view) for index in range(len(ask.chapters)))
    except Missing:
        return ()  # damaged since it was checked: the others are asked for it
    manifests = chain_manifests(dossier, view)
    if not _holds(lambda: check_head(last, departure, manifests)):
        return ()  # it applied in another term than it departed from
    return (*earlier, msgspec.structs.replace(last, closed=departure))


def _departure(
    dossier: Dossier, done: Certified, shown: Sequence[Proposal], view: View
) -> Certified | None:
    arrived = dossier.arrival.arrive.departure if dossier.arrival else None
    manifests = chain_manifests(dossier, view)
    for departure in (*(proposal.evidence.departure for proposal in shown), arrived):
        if departure is None or departure.record.digest != done.transition.parent:
            continue
        if _holds(lambda: departure.check(manifests)):  # noqa: B023 - called at once
            return departure
    return None


def _visa(done: Certified, shown: Sequence[Visa | None], view: View) -> Visa | None:
    migration = done.record.migration
    target = view.manifests.get(migration.to_zone) if migration else None
    for visa in shown:
        if visa is None or target is None or migration is None or visa.digest != migration.visa:
            continue
        if _holds(lambda: visa.check(done.record, target)):  # noqa: B023
            return visa
    return None


def _refusal(done: Certified, shown: Sequence[Proposal], view: View) -> Certified | None:
    for refusal in (proposal.evidence.refusal for proposal in shown):
        if refusal is None or refusal.record.digest != done.transition.parent:
            continue
        gone = refusal.record
        if _holds(lambda: check_refusal(refusal, gone, view.manifests, where="refusal")):  # noqa: B023
            return refusal
    return None


def _warrant(done: Certified, shown: Sequence[Proposal]) -> Warrant | None:
    if done.transition.kind is not TransitionKind.GENESIS:
        return None
    for proposal in shown:
        if proposal.transition == done.transition and _holds(lambda: warrant_of(proposal)):  # noqa: B023
            return warrant_of(proposal)
    return None


def _spawned(done: Certified, shown: Sequence[Proposal], view: View) -> Certified | None:
    if not done.record.is_spawned or done.transition.kind is not TransitionKind.GENESIS:
        return None
    for spawned in (proposal.evidence.spawned for proposal in shown):
        if spawned is not None and _holds(lambda: check_named(done.record, spawned, view)):  # noqa: B023
            return spawned
    return None


def _origin(done: Certified, shown: Sequence[Proposal], view: View) -> Certified | UnsetType:
    """Return what the genesis of a fork of a child leans on beside its seals."""
    record = done.record
    if done.transition.kind is not TransitionKind.GENESIS or record.lineage.forked is UNSET:
        return UNSET
    for proposal in shown if record.eligibility.ancestors else ():
        fork = proposal.evidence.fork
        if fork is UNSET or proposal.transition != done.transition:
            continue
        if _holds(lambda: check_fork_family(proposal, view)):  # noqa: B023
            return fork.newest
    return UNSET


# --- decisions that were missed -----------------------------------------------------------------------


def is_behind(dossier: Dossier) -> bool:
    """Tell whether something is not known here that whoever saw all decisions knows of this head.

    That is what led to it, or the visa, without which its target cannot be shown a departure.
    """
    if dossier.head is None:
        return False
    is_leaving = dossier.head.transition.kind is TransitionKind.DEPART and dossier.onward is None
    return not dossier.proved or (is_leaving and dossier.visa is None)


def caught_up(
    dossier: Dossier, chapters: Sequence[Chapter], visa: Visa | None, view: View
) -> Ruling:
    """Return the ruling on what another anchor says of how it came to the head here.

    It may know of later terms, or lie: chapters are used if they prove themselves from genesis to this head,
    officers' seals among them, and the visa if it is the one that was departed with. Raises `Rejected` if the
    chapters do not hold, `Missing` ("blocks") if the documents are not here that they are held against.
    """
    head = dossier.head
    if head is None:
        raise Rejected("nothing is known here that they lead to", reason="extra", where="chapters")
    after = msgspec.structs.replace(dossier, visa=dossier.visa or _visa(head, [visa], view))
    if dossier.proved:
        return Ruling(answer=Applied(), dossier=after)
    term = head.certificate.slot.term
    chain = [each for each in chapters if each.opened.certificate.slot.term <= term]
    check_chain(dossier.agent, chain, view.manifests)
    check_head(chain[-1], head, view.manifests)
    kin = kin_of(view, view.manifests)
    check_family(
        chain[0], chain[-1], head.record, lambda named: documents_of([named], view)[0], kin
    )
    closed = head if head.transition.kind is TransitionKind.DEPART else None
    last = msgspec.structs.replace(chain[-1], closed=closed)
    after = msgspec.structs.replace(after, chapter=last, proved=True)
    return Ruling(answer=Applied(), dossier=after, chapters=(*chain[:-1], last))


def _holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except (Rejected, Refused):
        return False
    return True
