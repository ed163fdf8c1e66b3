"""What a decision of this zone makes of a dossier.

A commit certificate proves itself; what is shown beside it proves nothing by being shown. Anybody may show a
decision, with evidence of their choice: each piece is used only if it is the one that the decided value leans on,
and certified. An anchor that missed decisions applies the newest one all the same: it was made by a quorum. Then
it knows the head, and of what it missed nothing.
"""

from collections.abc import Callable, Sequence

import msgspec

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.custody import Certified, Chapter, check_head, check_refusal
from sojourn.core.protocol.dossier import Dossier, Ruling, View
from sojourn.core.protocol.messages import Applied, Evidence
from sojourn.core.protocol.validate import chain_manifests
from sojourn.core.protocol.visa import Visa

__all__ = ["applied"]

_OPENING = (TransitionKind.GENESIS, TransitionKind.ADMIT, TransitionKind.RETURN)


def applied(dossier: Dossier, done: Certified, shown: Sequence[Evidence], view: View) -> Ruling:
    """Return the ruling on a checked decision; `shown` is evidence beside it, what was judged here first.

    Nothing here can fail: evidence that is missing or false is left out.
    """
    if done.transition.kind is TransitionKind.REFUSE:
        after = msgspec.structs.replace(
            dossier,
            open=None,
            high_term=max(dossier.high_term, done.certificate.slot.term),
            held=True,
            refusal=done,
            arrival=None,
            application=None,
        )
        return Ruling(answer=Applied(), dossier=after, history=done, applied=done)
    after, chapters = _moved(dossier, done, shown, view)
    return Ruling(answer=Applied(), dossier=after, chapters=chapters, history=done, applied=done)


def _moved(
    dossier: Dossier, done: Certified, shown: Sequence[Evidence], view: View
) -> tuple[Dossier, tuple[Chapter, ...]]:
    """Return the dossier with `done` as its head, and the chapters that it opens or closes."""
    kind, term = done.transition.kind, done.certificate.slot.term
    if dossier.head is None or term > dossier.head.certificate.slot.term:
        after = Dossier(
            agent=dossier.agent, held=True
        )  # another stay: what was of the last one is over
    else:
        after = dossier
    high_term = max(dossier.high_term, term)
    after = msgspec.structs.replace(after, head=done, open=None, high_term=high_term)
    if kind in _OPENING:
        opened = Chapter(opened=done, refusal=_refusal(done, shown, view))
        past = _past(dossier, done, shown, view)
        return msgspec.structs.replace(after, chapter=opened), (*past, opened)
    if kind is not TransitionKind.DEPART:
        return after, ()
    after = msgspec.structs.replace(after, visa=_visa(done, shown, view), refusal=None)
    if after.chapter is None:
        return after, ()
    closed = msgspec.structs.replace(after.chapter, closed=done)
    return msgspec.structs.replace(after, chapter=closed), (closed,)


def _past(
    dossier: Dossier, done: Certified, shown: Sequence[Evidence], view: View
) -> tuple[Chapter, ...]:
    """Return the chapters before an admission: those of the application, the last one closed."""
    departure = _departure(dossier, done, shown, view)
    if dossier.application is None or departure is None:
        return ()
    *earlier, last = dossier.application.chapters
    manifests = chain_manifests(dossier, view)
    if not _holds(lambda: check_head(last, departure, manifests)):
        return ()  # it applied in another term than it departed from
    return (*earlier, msgspec.structs.replace(last, closed=departure))


def _departure(
    dossier: Dossier, done: Certified, shown: Sequence[Evidence], view: View
) -> Certified | None:
    arrived = dossier.arrival.arrive.departure if dossier.arrival else None
    manifests = chain_manifests(dossier, view)
    for departure in (*(evidence.departure for evidence in shown), arrived):
        if departure is None or departure.record.digest != done.transition.parent:
            continue
        if _holds(lambda: departure.check(manifests)):  # noqa: B023 - called at once
            return departure
    return None


def _visa(done: Certified, shown: Sequence[Evidence], view: View) -> Visa | None:
    migration = done.record.migration
    target = view.manifests.get(migration.to_zone) if migration else None
    for visa in (evidence.visa for evidence in shown):
        if visa is None or target is None or migration is None or visa.digest != migration.visa:
            continue
        if _holds(lambda: visa.check(done.record, target)):  # noqa: B023
            return visa
    return None


def _refusal(done: Certified, shown: Sequence[Evidence], view: View) -> Certified | None:
    for refusal in (evidence.refusal for evidence in shown):
        if refusal is None or refusal.record.digest != done.transition.parent:
            continue
        gone = refusal.record
        if _holds(lambda: check_refusal(refusal, gone, view.manifests, where="refusal")):  # noqa: B023
            return refusal
    return None


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except Rejected:
        return False
    return True
