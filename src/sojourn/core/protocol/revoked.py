"""Whether an agent relies on something that was revoked: its code, its host, its issuer (protocol §4 check 9, §8.12).

An issuer's word counts for its own agents, judged by the officers of the agent's first document, as an order is; a
zone's for whoever is there, by its own anchors. Of what one authority says of one subject the newest counts, so that
lifting takes a newer word, by more of them.
"""

from collections.abc import Iterator
from typing import Final

from sojourn.core.agent.delegation import Mandate
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.revocations import About, Reach, Revocation, SignedRevocation
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.errors import Denied, Refused
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.governed import documents_of
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.revocations import is_of_zone

__all__ = ["check_delegates", "check_unrevoked", "is_stopped", "why_revoked"]

_BY_BOUND_HOST: Final = (
    TransitionKind.STEP,
    TransitionKind.ADOPT,
    TransitionKind.INTEND,
    TransitionKind.ASK,
    TransitionKind.SPAWN,
    TransitionKind.DEPART,
)
_TO_NEXT_HOST: Final = (TransitionKind.GENESIS, TransitionKind.BIND, TransitionKind.ADMIT)
"""What has no parent, or hands the agent to another host: the record after it says to which."""


def check_unrevoked(transition: Transition, record: AgentRecord, view: View) -> None:
    """Raise `Refused` if nothing is to be relied on any more that a transition after `record` would rely on.

    Raises `Missing` ("blocks") where its documents have to say whose word counts, and are not stored here.
    """
    if transition.kind not in (*_BY_BOUND_HOST, *_TO_NEXT_HOST):
        return
    if transition.kind is TransitionKind.ADOPT:
        _check_new_code(record, transition.record, view)
    relying = record if transition.kind in _BY_BOUND_HOST else transition.record
    if why := why_revoked(record, relying.custody.host, view):
        raise Refused(why)


def _check_new_code(old: AgentRecord, new: AgentRecord, view: View) -> None:
    """Raise `Denied` for new code that was revoked: the agent is not to wait for it, but to keep the old."""
    code = new.capabilities.code
    is_new = code != old.capabilities.code and bool(view.edicts.revocations)
    if is_new and (why := _why(About.CODE, code, "the new code", old, view)):
        raise Denied(why)


def is_stopped(dossier: Dossier, host: bytes | None, view: View) -> bool:
    """Tell whether the agent that is here may not run on a host; None: on any."""
    if dossier.head is None:
        return False
    try:
        return bool(why_revoked(dossier.head.record, host, view))
    except Missing:  # nothing is voted for either
        return False


def why_revoked(record: AgentRecord, host: bytes | None, view: View) -> str:
    """Return what was revoked of what an agent would rely on with a host, in words; nothing if nothing was.

    Raises `Missing` ("blocks") as `check_unrevoked`.
    """
    if not view.edicts.revocations:
        return ""
    subjects = [
        (About.CODE, record.capabilities.code),
        (About.ISSUER, record.governance.issuer),
        *([(About.HOST, host)] if host is not None else ()),
    ]
    whys = (_why(about, subject, f"its {about}", record, view) for about, subject in subjects)
    return next(filter(None, whys), "")


def check_delegates(mandate: Mandate | None, record: AgentRecord, view: View) -> None:
    """Raise `Refused` if one of the delegates that a mandate leads to counts as revoked for an agent here (§8.14).

    By the issuer whose agent it is, or by this zone. Raises `Missing` ("blocks") as `check_unrevoked`.
    """
    if mandate is None or not view.edicts.revocations:
        return
    for named, signed in zip(mandate.delegates, mandate.delegations, strict=True):
        called = f"the delegate {signed.delegation.name}"
        if why := _why(About.ISSUER, named, called, record, view):
            raise Refused(why, remedy="Have the issuer's own officers sign it")


def _why(about: About, subject: bytes, called: str, record: AgentRecord, view: View) -> str:
    """Return that a subject is revoked for an agent, and by whom, in words; nothing if it is not."""
    for reach in Reach:
        said = list(_that_counts(about, subject, reach, record, view))
        newest = max(said, key=lambda each: (each.issued_ms, not each.lifts), default=None)
        if newest is not None and not newest.lifts:
            whose = "its officers" if reach is Reach.AGENTS else "this zone"
            reason = f": {newest.reason}" if newest.reason else ""
            return f"{whose} revoked {called}{reason}"
    return ""


def _that_counts(
    about: About, subject: bytes, reach: Reach, record: AgentRecord, view: View
) -> Iterator[Revocation]:
    by = record.governance.issuer if reach is Reach.AGENTS else view.zone
    for signed in view.edicts.revocations.of(reach, by, about, subject):
        if signed.revocation.holds_at(view.now_ms) and _counts(signed, record, view):
            yield signed.revocation


def _counts(signed: SignedRevocation, record: AgentRecord, view: View) -> bool:
    """Tell whether enough of those sealed it who have a say about this agent here."""
    if signed.revocation.reach is Reach.ZONE:
        return is_of_zone(signed, view.manifest)
    (first,) = documents_of(record.governance.documents[:1], view)
    return signed.is_of_officers(first.officers)
