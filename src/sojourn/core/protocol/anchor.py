"""One anchor's rulings on one agent: a dossier, a request and a view in; a ruling out.

Each handler checks, then computes, then returns the next dossier and the answer; an error changes nothing.
Repeating a message is harmless: the same answer comes again. Whatever raises `Rejected`, `Denied` or `Refused`
becomes a `Declined`, with the reason in words.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from sojourn.core.agent.budgets import check_transition
from sojourn.core.agent.capabilities import mismatches
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Refused, Rejected, SojournError
from sojourn.core.base.limits import ARRIVAL_BYTES_MAX, VISA_DEADLINE_MS
from sojourn.core.protocol import decree, permission
from sojourn.core.protocol.answering import put_approval
from sojourn.core.protocol.applying import applied
from sojourn.core.protocol.binding import Claim
from sojourn.core.protocol.chains import check_onward
from sojourn.core.protocol.custody import (
    Certified,
    Chapter,
    check_head,
    proving,
)
from sojourn.core.protocol.dossier import Arrival, CastVote, Dossier, OpenSlot, Ruling, View
from sojourn.core.protocol.freshness import check_current
from sojourn.core.protocol.governed import documents_of, governing, kin_of
from sojourn.core.protocol.kinship import check_family
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    AskHead,
    AskRound,
    AskVisa,
    Declined,
    Head,
    Need,
    Proposal,
    Propose,
    PutApproval,
    Request,
    ShowCommit,
    ShowLock,
)
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.revoked import why_revoked
from sojourn.core.protocol.validate import (
    chapter_of,
    check_departure,
    check_fresh,
    check_proposal,
    check_size,
    check_visa_of,
)
from sojourn.core.protocol.visa import visa_slot, visa_terms
from sojourn.core.protocol.waiting import stays_ms
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["agent_of", "declined", "note_onward", "renews", "rule"]


def agent_of(request: Request) -> bytes:
    """Return the agent a request is about: requests of one agent are ruled on one after the other."""
    return _AGENTS[type(request)](request)


def rule(dossier: Dossier, request: Request, sender: bytes, view: View) -> Ruling:
    """Return the ruling on a request from the peer with key `sender`.

    Raises nothing that the sender can cause: what is wrong with a request is in the answer.
    """
    try:
        return _HANDLERS[type(request)](dossier, request, sender, view)
    except Missing as missing:
        return Ruling(answer=Need(what=missing.what, digests=missing.digests))
    except SojournError as error:
        return Ruling(answer=declined(error))


def renews(dossier: Dossier, host: bytes, claim: Claim) -> bool:
    """Tell whether this anchor renews `host`'s lease for a claimed agent (protocol §6).

    Only the head's fence is ever renewed, and nothing while a bind is being decided: a paused host that wakes
    up must not be renewed while its successor is being committed. Nor where something later than the head's
    successor is known of: a decision was missed here, and may have been that bind.
    """
    head = dossier.head
    if head is None or head.record.custody.host != host:
        return False
    if head.record.custody.fence != claim.fence or not head.record.eligibility.is_acting:
        return False
    if dossier.high_term > claim.term:
        return False
    state, successor = dossier.open, (claim.term, head.record.version + 1)
    return state is None or (_order(state.slot) <= successor and not state.lease_withheld)


def note_onward(dossier: Dossier, admission: Certified, view: View) -> Dossier:
    """Return the dossier of a departed agent once its admission elsewhere is proved: a pointer onward.

    Raises `Rejected` unless the admission is certified, of exactly the departure that is the head here, and into
    the zone and term that it names.
    """
    head = dossier.head
    if head is None or admission.transition.parent != head.record.digest:
        raise Rejected(
            "the admission is of another departure", reason="wrong-parent", where="onward"
        )
    if admission.transition.kind is not TransitionKind.ADMIT:
        raise Rejected("that is no admission", reason="wrong-kind", where="onward")
    check_transition(admission.transition, head.record, head.certificate.slot)
    admission.check(view.manifests, where="onward")
    return msgspec.structs.replace(dossier, onward=admission)


def declined(error: SojournError) -> Declined:
    """Return an error as an answer: its slug, its sentence, and whether it may pass."""
    reason = error.reason if isinstance(error, Rejected) else error.code
    return Declined(reason=reason, problem=str(error), for_now=isinstance(error, Refused))


def _slot_is_ours(slot: Slot, view: View) -> None:
    if slot.group != view.zone:
        raise Rejected("the slot is another zone's", reason="wrong-zone", where="slot.group")
    if slot.realm != view.manifest.realm:
        problem = f"the slot is of realm {slot.realm!r}, this zone of {view.manifest.realm!r}"
        raise Rejected(problem, reason="wrong-realm", where="slot.realm")
    if slot.epoch != view.manifest.epoch:
        problem = f"the slot is of epoch {slot.epoch}, this zone is in epoch {view.manifest.epoch}"
        raise Rejected(problem, reason="wrong-epoch", where="slot.epoch")


def _decided(dossier: Dossier, slot: Slot) -> Certified | None:
    """Return what was decided in `slot`, or later, if this anchor knows of it."""
    head, refusal = dossier.head, dossier.refusal
    for known in (head, refusal):
        if known is not None and _order(known.certificate.slot) >= _order(slot):
            return known
    return None


def _is_news(dossier: Dossier, slot: Slot) -> bool:
    """Tell whether a decision in `slot` may add to what is known here.

    A refusal closes its slot and is no head: a head from before it may be news, whichever is learned first.
    """
    head, refusal = dossier.head, dossier.refusal
    if head is not None and _order(head.certificate.slot) >= _order(slot):
        return False
    return refusal is None or refusal.certificate.slot != slot


def _order(slot: Slot) -> tuple[int, int]:
    return (slot.term, slot.version)


def _head(dossier: Dossier) -> Head:
    return Head(
        certified=dossier.head,
        opened=dossier.chapter.opened if dossier.chapter else None,
        onward=dossier.onward,
        refusal=dossier.refusal,
    )


def _opened(dossier: Dossier, slot: Slot, view: View) -> OpenSlot:
    """Return the open slot for `slot`; one later than the open one replaces it, an earlier one is late.

    A later slot can only be asked for with proof that the earlier one was decided; that proof is the parent
    check of `validate`, so nothing undecided is dropped by an assertion.
    """
    if dossier.open is not None and dossier.open.slot == slot:
        return dossier.open
    if dossier.open is not None and _order(dossier.open.slot) > _order(slot):
        raise Refused(f"a later slot is open here: {dossier.open.slot.describe()}")
    return OpenSlot(slot=slot, entered_ms=view.boot_ms)


def _propose(dossier: Dossier, ask: Propose, sender: bytes, view: View) -> Ruling:
    _slot_is_ours(ask.slot, view)
    if _decided(dossier, ask.slot) is not None:
        return Ruling(answer=_head(dossier))
    state = _opened(dossier, ask.slot, view)
    if ask.round < state.round:
        return _nacked(dossier, state, ask.proposal, view)
    committee = view.manifest.committee
    if ask.round > 0:
        _check_leader(ask, sender, view)
        if ask.round > state.round:
            decree.check_entry(ask.slot, ask.round, ask.entry, committee)
            state = decree.enter(state, ask.round, view.boot_ms, ask.entry)
    decree.check_justification(ask, committee)
    if not decree.may_lock(state, ask):
        return _nacked(dossier, state, ask.proposal, view)
    if state.lock_voted is None:  # rule 3: what was voted for is not judged again
        is_locked = ask.justification is not None
        check_proposal(dossier, ask.proposal, ask.slot, view, is_locked=is_locked)
    state, answer = decree.lock_vote(state, ask, view.index)
    return Ruling(answer=answer, dossier=msgspec.structs.replace(dossier, open=state))


def _nacked(dossier: Dossier, state: OpenSlot, proposal: Proposal, view: View) -> Ruling:
    """Return a NACK, whatever the proposal is worth (trap 25); a valid one is pending from now on.

    Raises `Missing` where it may become valid, since its proposer can help.
    """
    if state.proposal_of(proposal.transition.digest) is None:
        try:
            check_proposal(dossier, proposal, state.slot, view, is_locked=False)
        except Missing:
            raise
        except SojournError:
            pass
        else:
            state = decree.remember(state, proposal)
    after = msgspec.structs.replace(dossier, open=state) if state is not dossier.open else None
    return Ruling(answer=decree.nack(state), dossier=after)


def _check_leader(ask: Propose, sender: bytes, view: View) -> None:
    leading = decree.leader(ask.slot, ask.round, view.manifest)
    if view.manifest.anchors[leading].identity != sender:
        problem = f"anchor {leading} leads round {ask.round}"
        raise Rejected(problem, reason="wrong-leader", where="round")


def _show_lock(dossier: Dossier, show: ShowLock, sender: bytes, view: View) -> Ruling:
    lock = show.certificate
    _slot_is_ours(lock.slot, view)
    if _decided(dossier, lock.slot) is not None:
        return Ruling(answer=_head(dossier))
    lock.check(Phase.LOCK, view.manifest.committee)
    state = _opened(dossier, lock.slot, view)
    proposal = state.proposal_of(lock.value) or show.proposal
    if proposal is None or proposal.transition.digest != lock.value:
        raise Missing("proposal")
    check_size(proposal)
    state, answer = decree.commit_vote(state, lock, proposal, view.index, view.boot_ms)
    return Ruling(answer=answer, dossier=msgspec.structs.replace(dossier, open=state))


def _ask_round(dossier: Dossier, ask: AskRound, sender: bytes, view: View) -> Ruling:
    _slot_is_ours(ask.slot, view)
    if _decided(dossier, ask.slot) is not None:
        return Ruling(answer=_head(dossier))
    committee = view.manifest.committee
    if dossier.open is None or dossier.open.slot != ask.slot:
        decree.check_stuck(ask, committee)
    state = _opened(dossier, ask.slot, view)
    if ask.round > state.round:
        decree.check_entry(ask.slot, ask.round, ask.entry, committee)
        state = decree.enter(state, ask.round, view.boot_ms, ask.entry)
    if ask.round < state.round:
        return Ruling(answer=decree.nack(state))
    state, answer = decree.round_vote(
        state, view.index, view.boot_ms, stays_ms(state, dossier, view)
    )
    return Ruling(answer=answer, dossier=msgspec.structs.replace(dossier, open=state))


def _show_commit(dossier: Dossier, show: ShowCommit, sender: bytes, view: View) -> Ruling:
    certificate = show.certificate
    _slot_is_ours(certificate.slot, view)
    if not _is_news(dossier, certificate.slot):
        return Ruling(answer=Applied())
    stored = _stored_proposal(dossier, certificate.value)
    proposals = [proposal for proposal in (stored, show.proposal) if proposal is not None]
    if not proposals:
        raise Missing("proposal")
    certified = Certified(transition=proposals[0].transition, certificate=certificate)
    certified.check(view.manifests)
    return applied(dossier, certified, proposals, view)


def _stored_proposal(dossier: Dossier, value: bytes) -> Proposal | None:
    return dossier.open.proposal_of(value) if dossier.open else None


def _ask_visa(dossier: Dossier, ask: AskVisa, sender: bytes, view: View) -> Ruling:
    terms, record = ask.terms, ask.head.record
    _check_terms(dossier, ask, view)
    if terms != visa_terms(record, view.manifest, terms.host, terms.size, terms.deadline_ms):
        raise Rejected("the terms are not this record's", reason="void-visa", where="terms")
    if terms.deadline_ms > VISA_DEADLINE_MS:
        raise Refused(f"a visa waits at most {VISA_DEADLINE_MS} ms")
    if terms.size > ARRIVAL_BYTES_MAX:
        raise Refused(f"it brings {terms.size} bytes, more than the limit of {ARRIVAL_BYTES_MAX}")
    view.promises.check_room(terms, view.boot_ms)
    manifests = {**_verified(ask), **view.manifests}
    _check_chain(ask, manifests, view)
    check_head(chapter_of(ask, len(ask.chapters) - 1, view), ask.head, manifests)
    _check_welcome(ask, manifests, view)
    ballot = Ballot(
        slot=visa_slot(terms),
        round=0,
        phase=Phase.VISA,
        value=digest_of(terms),
        anchor=view.index,
        counter=decree.UNCOUNTED,
    )
    after = msgspec.structs.replace(dossier, application=ask)
    return Ruling(answer=CastVote(ballot), dossier=after)


def _check_terms(dossier: Dossier, ask: AskVisa, view: View) -> None:
    """Check where the agent comes from, and that what it applies with is not older than what is known."""
    terms, known = ask.terms, dossier.application
    if terms.realm != view.manifest.realm:
        problem = f"the agent is of realm {terms.realm!r}, this zone of {view.manifest.realm!r}"
        raise Rejected(problem, reason="wrong-realm", where="terms.realm")
    if terms.from_zone == view.zone:
        raise Rejected("it is here already", reason="wrong-zone", where="terms.from_zone")
    if terms.term <= dossier.high_term:
        problem = f"term {terms.term} is closed here"
        raise Rejected(problem, reason="closed-term", where="terms.term")
    if known is not None and terms.term < known.terms.term:  # its old hosts know how it was then
        problem = f"it has applied for term {known.terms.term} since"
        raise Rejected(problem, reason="closed-term", where="terms.term")


def _verified(ask: AskVisa) -> dict[bytes, ZoneManifest]:
    """Return the manifests an applicant shows, checked; each speaks only for the zone whose digest it is."""
    for signed in ask.manifests:
        signed.check()
    return {signed.manifest.zone_id: signed.manifest for signed in ask.manifests}


def _check_chain(ask: AskVisa, manifests: Mapping[bytes, ZoneManifest], view: View) -> None:
    """Check the chain of custody from genesis on, as far as one ruling goes, and not what was checked before.

    Raises `Missing` ("blocks") for chapters that are not stored here, ("time") if some are left to be checked.
    """
    lacking = view.lacking(ask.chapters)
    if lacking:
        raise Missing("blocks", tuple(lacking))

    def chapter(index: int) -> Chapter:
        return chapter_of(ask, index, view)

    if not check_onward(ask.terms.agent, ask.chapters, chapter, manifests, view.chains):
        raise Missing("time")


def _check_welcome(ask: AskVisa, manifests: Mapping[bytes, ZoneManifest], view: View) -> None:
    """Check that this zone and the agent's own policies permit the entry, and that the host has room."""
    record = ask.head.record
    ruling = governing(record, view.now_ms, view)
    _check_whose(ask, manifests, view)
    context = permission.travel_context(record, view.manifest)
    here, origin = view.manifest, manifests[record.custody.zone]
    check_fresh(origin, view)
    check_current(TransitionKind.ADMIT, record, view)
    if why := why_revoked(record, ask.terms.host, view):
        raise Refused(why)
    verdict = permission.ask(record, ruling, "travel", here, here, context, view.memo, origin)
    permission.check_permitted(verdict)
    permission.check_trusted(record, view.zone, "travel", view.endorsements, view.now_ms)
    envelope = view.envelopes.get(ask.terms.host)
    if envelope is None or envelope.expires_ms <= view.now_ms:
        raise Refused("this anchor has no current envelope of that host")
    lacking = mismatches(record.capabilities.requires, envelope.offer)
    if lacking:
        raise Refused(f"that host cannot run it: {'; '.join(lacking)}")
    view.promises.check_slots(ask.terms, envelope.offer.slots, view.boot_ms)


def _check_whose(ask: AskVisa, manifests: Mapping[bytes, ZoneManifest], view: View) -> None:
    """Check that the documents are its issuer's: whose agent it is, and what rules it, no zone can say (§8)."""
    first, last = chapter_of(ask, 0, view), chapter_of(ask, len(ask.chapters) - 1, view)
    record = ask.head.record
    if ask.documents != proving(first, last, record):
        problem = "it names other documents than those that prove its policies"
        raise Rejected(problem, reason="wrong-documents", where="documents")
    if lacking := view.lacking(record.proofs):
        raise Missing("blocks", tuple(lacking))
    kin = kin_of(view, manifests)
    check_family(first, last, record, lambda named: documents_of([named], view)[0], kin)


def _arrive(dossier: Dossier, arrive: Arrive, sender: bytes, view: View) -> Ruling:
    if dossier.arrival is not None and dossier.arrival.arrive.departure.transition == (
        arrive.departure.transition
    ):
        return Ruling(answer=_head(dossier))
    migration = arrive.departure.record.migration
    if migration is not None and migration.next_term <= dossier.high_term:
        return Ruling(answer=_head(dossier))
    check_departure(dossier, arrive.departure, view)
    check_visa_of(arrive.departure.record, arrive.visa, view, where="visa")
    seen = Arrival(arrive=arrive, seen_ms=view.boot_ms, boot=view.boot)
    after = msgspec.structs.replace(dossier, arrival=seen)
    return Ruling(answer=_head(after), dossier=after)


def _ask_head(dossier: Dossier, ask: AskHead, sender: bytes, view: View) -> Ruling:
    return Ruling(answer=_head(dossier))


def _put_approval(dossier: Dossier, put: PutApproval, sender: bytes, view: View) -> Ruling:
    if dossier.onward is not None:
        return Ruling(answer=_head(dossier))
    return put_approval(dossier, put, view)


_HANDLERS: Final[dict[type, Callable[[Dossier, Any, bytes, View], Ruling]]] = {
    Propose: _propose,
    ShowLock: _show_lock,
    ShowCommit: _show_commit,
    AskRound: _ask_round,
    AskVisa: _ask_visa,
    Arrive: _arrive,
    AskHead: _ask_head,
    PutApproval: _put_approval,
}
_AGENTS: Final[dict[type, Callable[[Any], bytes]]] = {
    Propose: lambda ask: ask.slot.agent,
    ShowLock: lambda show: show.certificate.slot.agent,
    ShowCommit: lambda show: show.certificate.slot.agent,
    AskRound: lambda ask: ask.slot.agent,
    AskVisa: lambda ask: ask.terms.agent,
    Arrive: lambda arrive: arrive.departure.record.agent_id,
    AskHead: lambda ask: ask.agent,
    PutApproval: lambda put: put.approval.approval.agent,
}
