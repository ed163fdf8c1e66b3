"""What an anchor checks before a lock vote (protocol §4).

The order, cheapest first: size, slot and parent, fence and author, change table and status, evidence, then what
each kind needs: lease, permission, trust, memory. Bytes and canonical form were checked when the proposal was
decoded.

Two kinds of no. `Rejected` and `Denied` say that this will never do: every correct anchor with the same
parent says the same. `Refused` says not now, or not as far as this anchor knows: leases, deadlines, clocks,
envelopes, manifests and blocks are each anchor's own.
"""

from collections.abc import Callable, Mapping
from typing import Final

from sojourn.core.agent.budgets import check_follows, check_transition
from sojourn.core.agent.capabilities import mismatches
from sojourn.core.agent.governance import Governing, Warrant
from sojourn.core.agent.orders import Act
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind, check_genesis
from sojourn.core.agent.upgrading import check_published
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import CLOCK_SKEW_MS, RECORD_BYTES_MAX, TRANSITION_BYTES_MAX
from sojourn.core.base.seals import Kind, Role, check_seal
from sojourn.core.policy.decision import Verdict
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission
from sojourn.core.protocol.admission import admitted, bound, departed, returned
from sojourn.core.protocol.amending import check_stored
from sojourn.core.protocol.asking import (
    check_approved,
    check_asked,
    check_undeclined,
)
from sojourn.core.protocol.carried import (
    check_accused,
    check_amended,
    check_bearer,
    check_ordered,
)
from sojourn.core.protocol.custody import (
    Certified,
    Chapter,
    check_head,
    check_issuer,
    check_refusal,
)
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.forking import check_fork, check_fork_family, check_fork_unheld
from sojourn.core.protocol.governed import governing
from sojourn.core.protocol.heard import check_heard
from sojourn.core.protocol.kept import check_blocks, check_born
from sojourn.core.protocol.messages import AskVisa, Proposal
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.spawning import check_birth, named_child, spawn_context
from sojourn.core.protocol.visa import Visa
from sojourn.core.quorum.votes import Slot
from sojourn.core.zone.envelope import Envelope
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "Untimely",
    "chain_manifests",
    "chapter_of",
    "check_departure",
    "check_fresh",
    "check_proposal",
    "check_size",
    "check_visa_of",
    "is_rated",
    "parent_of",
    "slot_for",
    "warrant_of",
]


class Untimely(Refused):
    """Its time is too far from this anchor's clock: one of the two is wrong, or it was long on its way."""

    code = "untimely"


_RATED: Final = tuple(map(TransitionKind, ("step", "adopt", "intend", "ask", "spawn")))
"""What a host proposes as often as it likes."""


def slot_for(parent: Certified | None, transition: Transition, manifest: ZoneManifest) -> Slot:
    """Return the slot that `transition` competes for in the zone of `manifest`."""
    record, kind = transition.record, transition.kind
    term, version = record.custody.term, record.version
    if kind is TransitionKind.REFUSE and parent is not None and parent.record.migration is not None:
        term, version = parent.record.migration.next_term, parent.record.version + 1
    return Slot(
        realm=record.realm,
        group=manifest.zone_id,
        epoch=manifest.epoch,
        agent=record.agent_id,
        term=term,
        version=version,
    )


def parent_of(dossier: Dossier, proposal: Proposal) -> Certified | None:
    """Return the certified parent a proposal leans on: the head here, or the departure it shows."""
    if proposal.transition.kind in (TransitionKind.ADMIT, TransitionKind.REFUSE):
        return proposal.evidence.departure
    return dossier.head


def check_proposal(
    dossier: Dossier, proposal: Proposal, slot: Slot, view: View, *, is_locked: bool
) -> None:
    """Raise unless this anchor may lock-vote for `proposal` in `slot` (protocol §4, checks 2 to 15).

    `is_locked` says that a checked lock certificate for this value came with it: at least f+1 correct anchors
    have judged it, and clocks, leases and what this anchor happens not to know no longer count; otherwise a
    locked value could wedge (protocol §3 rule 6). Succession and memory still do.

    Raises `Rejected` or `Denied` (never), `Refused` (not now), or `Missing` (something must come first).
    """
    transition = proposal.transition
    check_size(proposal)
    parent = parent_of(dossier, proposal)
    if slot != slot_for(parent, transition, view.manifest):
        raise Rejected(
            "the slot is not the one this transition is for", reason="wrong-slot", where="slot"
        )
    if not is_locked and abs(transition.at_ms - view.now_ms) > CLOCK_SKEW_MS:
        raise Untimely(f"its time is {transition.at_ms - view.now_ms} ms from this anchor's clock")
    if transition.kind is TransitionKind.GENESIS:
        _check_genesis(dossier, proposal, view)
        if not is_locked:
            check_heard(dossier, transition, transition.record, view)
            check_fork_unheld(proposal, view)
        return
    if parent is None:
        raise Missing("parent")
    if transition.record.version > parent.record.version + 1:
        raise Missing("parent")  # this anchor is behind: it must be shown, and never votes blind
    if transition.parent != parent.record.digest:
        raise Rejected(
            "its parent is not the head here", reason="wrong-parent", where="transition.parent"
        )
    check_transition(transition, parent.record, parent.certificate.slot, proposal.declared)
    if is_locked:
        check_blocks(transition.record, view)
        check_stored(proposal, view)
        if transition.kind is TransitionKind.SPAWN:
            named_child(proposal)
    else:
        _check_rate(dossier, transition, slot, view)
        check_heard(dossier, transition, parent.record, view)
        _CHECKS[transition.kind](dossier, proposal, parent, view)


def _check_rate(dossier: Dossier, transition: Transition, slot: Slot, view: View) -> None:
    """Check that the agent does not go on too fast (check 15); a slot that is open already counts no more."""
    is_open = dossier.open is not None and dossier.open.slot == slot
    if transition.kind in _RATED and not is_open:
        view.rates.check(slot.agent, view.boot_ms)


def is_rated(before: Dossier, after: Dossier) -> bool:
    """Tell whether a lock vote was cast that opened a slot for what counts towards the agent's rate."""
    state = after.open
    if state is None or state.lock_voted is None:
        return False
    if before.open is not None and before.open.slot == state.slot:
        return False
    proposal = state.proposal_of(state.lock_voted)
    return proposal is not None and proposal.transition.kind in _RATED


def check_size(proposal: Proposal) -> None:
    """Raise `Rejected` for what is too large to be stored here, and shown to whoever asks, beside locks and votes."""
    for size, limit, where in (
        (len(encode(proposal.transition.record)), RECORD_BYTES_MAX, "transition.record"),
        (len(encode(proposal)), TRANSITION_BYTES_MAX, "proposal"),
    ):
        if size > limit:
            problem = f"it has {size} bytes, more than the limit of {limit}"
            raise Rejected(problem, reason="too-large", where=where)


def _check_genesis(dossier: Dossier, proposal: Proposal, view: View) -> None:
    record = proposal.transition.record
    check_genesis(record)
    if dossier.head is not None or dossier.held:
        raise Rejected("this agent exists already", reason="exists", where="slot.agent")
    if record.custody.zone != view.zone or record.realm != view.manifest.realm:
        raise Rejected(
            "it is to be born in another zone", reason="wrong-zone", where="custody.zone"
        )
    if proposal.transition.parent != ZERO:
        raise Rejected("a genesis has no parent", reason="wrong-parent", where="transition.parent")
    if not record.governance.documents:
        raise Rejected("no policy governs it", reason="no-governance", where="governance")
    if record.is_spawned:
        check_birth(proposal, view)
        check_bearer(proposal)
    else:
        ruling = governing(record, proposal.transition.at_ms, view)
        warrant_of(proposal)
        check_issuer(record, ruling.documents)
        _check_launcher(proposal)
        _permit(record, ruling, "launch", view.manifest, view)
        check_fork(proposal, view)
    check_born(record, view)
    check_fork_family(proposal, view)


def warrant_of(genesis: Proposal) -> Warrant:
    """Return the officers' seals that a genesis shows, of itself and of each document it names, checked.

    Raises `Rejected` unless there are enough of them, and no others.
    """
    shown = {digest_of(item.document): item for item in genesis.evidence.documents}
    signed = []
    for index, named in enumerate(genesis.transition.record.governance.documents):
        if named not in shown:
            problem = f"document {index} is shown without its seals"
            raise Rejected(problem, reason="no-warrant", where=f"evidence.documents[{index}]")
        signed.append(shown[named])
    warrant = Warrant(genesis=genesis.seals, documents=tuple(item.seals for item in signed))
    warrant.check(genesis.transition.digest, [item.document for item in signed])
    check_published(genesis.transition.record.capabilities, {s.signer for s in genesis.seals})
    return warrant


def _check_launcher(proposal: Proposal) -> None:
    """Check that the author is one of the officers who sealed the genesis."""
    if proposal.transition.author not in {seal.signer for seal in proposal.seals}:
        problem = "its author is not among those who sealed it"
        raise Rejected(problem, reason="wrong-author", where="transition.author")


def _check_author(proposal: Proposal, author: bytes | None, role: Role) -> None:
    """Check that `author` alone, in `role`, sealed the transition."""
    transition = proposal.transition
    if author is None or transition.author != author or len(proposal.seals) != 1:
        problem = f"{key_text(transition.author)} may not author this {transition.kind}"
        raise Rejected(problem, reason="wrong-author", where="transition.author")
    if proposal.seals[0].signer != author:
        raise Rejected("sealed by another key", reason="wrong-key", where="seals[0]")
    check_seal(Kind.TRANSITION, role, transition.digest, proposal.seals[0], where="seals[0]")


def _check_lease(parent: AgentRecord, view: View) -> None:
    if not view.leases.is_live(parent.agent_id, parent.custody.fence, view.boot_ms):
        raise Refused("this anchor knows of no live lease for the bound host")


def _permit(
    record: AgentRecord,
    governing: Governing,
    action: str,
    place: ZoneManifest,
    view: View,
    context: RequestContext | None = None,
    origin: ZoneManifest | None = None,
    judge: Callable[[Verdict], None] | None = None,
) -> None:
    context, here = context or RequestContext(), view.manifest
    verdict = permission.ask(record, governing, action, place, here, context, view.memo, origin)
    (judge or permission.check_permitted)(verdict)


def _check_step(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    _check_author(proposal, parent.record.custody.host, Role.HOST)
    _check_lease(parent.record, view)
    check_blocks(proposal.transition.record, view)


def _check_intend(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    _check_step(dossier, proposal, parent, view)
    intent = proposal.evidence.intent
    if intent is None or digest_of(intent) != proposal.transition.record.eligibility.last_decision:
        raise Rejected(
            "it shows no intent, or another one", reason="no-intent", where="evidence.intent"
        )
    at_ms, shown = proposal.transition.at_ms, proposal.evidence
    ruling = governing(parent.record, at_ms, view)
    here, context = view.manifest, intent.circumstances()
    whole = (parent.record, proposal.transition.record, ruling, shown.petition, shown.approvals)

    def judge(verdict: Verdict) -> None:
        check_approved(verdict, intent, *whole, at_ms)

    _permit(parent.record, ruling, intent.action, here, view, context, None, judge)
    check_undeclined(shown.petition, dossier.approvals)
    permission.check_trusted(parent.record, view.zone, intent.action, view.endorsements, at_ms)


def _check_ask(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    """Check what an agent asks people about: that its policies ask for it, of this, now."""
    _check_step(dossier, proposal, parent, view)
    ruling = governing(parent.record, proposal.transition.at_ms, view)
    petition, transition = proposal.evidence.petition, proposal.transition
    check_asked(petition, parent.record, transition, ruling, view.manifest, view.memo)


def _check_spawn(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    """Check that the child that an agent is to have gets nothing but what its parent has, and is permitted."""
    _check_step(dossier, proposal, parent, view)
    child = named_child(proposal)
    at_ms = proposal.transition.at_ms
    ruling = governing(parent.record, at_ms, view)
    _permit(parent.record, ruling, "spawn", view.manifest, view, spawn_context(child))
    permission.check_trusted(parent.record, view.zone, "spawn", view.endorsements, at_ms)
    check_blocks(child, view)


def _check_bind(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    host = proposal.transition.record.custody.host
    _check_author(proposal, host, Role.HOST)
    check_follows(proposal.transition, parent.record, bound(parent, host or b""))
    envelope = _check_enrolled(host, view)
    # Slots come and go faster than envelopes travel: whether it has one is for the host itself to know.
    lacking = mismatches(parent.record.capabilities.requires, envelope.offer, has_slot=True)
    if lacking:
        raise Refused(f"that host cannot run it: {'; '.join(lacking)}")
    before = parent.record.custody
    if before.host is None:
        return
    until_ms = view.leases.until_ms(parent.record.agent_id, before.fence)
    if view.boot_ms < until_ms:
        raise Refused(f"the bound host's lease runs for another {until_ms - view.boot_ms} ms here")


def _check_enrolled(host: bytes | None, view: View) -> Envelope:
    envelope = view.envelopes.get(host or b"")
    if envelope is None or envelope.expires_ms <= view.now_ms:
        raise Refused("this anchor has no current envelope of that host")
    return envelope


def _check_depart(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    _check_author(proposal, parent.record.custody.host, Role.HOST)
    _check_lease(parent.record, view)
    visa = proposal.evidence.visa
    if visa is None:
        raise Rejected("a departure needs a visa", reason="no-visa", where="evidence.visa")
    target = view.manifests.get(visa.terms.to_zone)
    if target is None:
        raise Refused("this anchor does not know the zone it departs for")
    check_fresh(target, view)
    visa.check(parent.record, target)
    check_follows(
        proposal.transition,
        parent.record,
        departed(parent.record, parent.certificate.slot, visa, target),
    )
    _permit_travel(parent.record, proposal.transition.at_ms, view.manifest, target, view)


def _permit_travel(
    record: AgentRecord, at_ms: int, origin: ZoneManifest, target: ZoneManifest, view: View
) -> None:
    ruling = governing(record, at_ms, view)
    context = permission.travel_context(record, target)
    _permit(record, ruling, "travel", target, view, context, origin)
    permission.check_trusted(record, target.zone_id, "travel", view.endorsements, at_ms)


def check_departure(dossier: Dossier, departure: Certified, view: View) -> None:
    """Raise unless a departure is certified by its zone, names this zone, and is for a term not yet closed.

    Raises `Rejected` for any other; `Missing` if the agent never applied here (its chain is unknown).
    """
    migration = departure.record.migration
    if departure.transition.kind is not TransitionKind.DEPART or migration is None:
        raise Rejected("that is no departure", reason="wrong-kind", where="evidence.departure")
    if migration.to_zone != view.zone:  # trap 20
        raise Rejected(
            "it departed for another zone", reason="wrong-zone", where="evidence.departure"
        )
    if migration.next_term <= dossier.high_term:  # trap 21
        problem = f"term {migration.next_term} is closed here, up to {dossier.high_term}"
        raise Rejected(problem, reason="closed-term", where="evidence.departure")
    manifests = chain_manifests(dossier, view)
    chapter = _last_chapter(dossier, departure.record, view)
    check_head(chapter, departure, manifests, where="evidence.departure")


def check_visa_of(gone: AgentRecord, visa: Visa | None, view: View, *, where: str) -> None:
    """Raise `Rejected` unless `visa` is the one that a departed record names, and this zone granted it."""
    migration = gone.migration
    if visa is None or migration is None or visa.digest != migration.visa:
        raise Rejected("it shows another visa", reason="void-visa", where=where)
    visa.check(gone, view.manifest, where=where)


def check_fresh(manifest: ZoneManifest, view: View) -> None:
    """Raise `Refused` if a zone's manifest has expired: who it was may no longer be who it is (protocol §9)."""
    if manifest.not_after_ms <= view.now_ms:
        raise Refused(f"the manifest of {manifest.name} has expired")


def chain_manifests(dossier: Dossier, view: View) -> Mapping[bytes, ZoneManifest]:
    """Return the manifests known here, and those the applicant proved its chain with.

    Each of the latter speaks only for the zone whose identifier is its digest (trap 13).
    """
    shown = dossier.application.manifests if dossier.application else ()
    return {signed.manifest.zone_id: signed.manifest for signed in shown} | dict(view.manifests)


def chapter_of(ask: AskVisa, index: int, view: View) -> Chapter:
    """Return a chapter of the chain that an agent applies with, from among the blocks stored here.

    Raises `Missing` ("blocks") if it is not, `Rejected` for a block that is no chapter.
    """
    named = ask.chapters[index]
    try:
        return view.chapters[named]
    except KeyError:
        raise Missing("blocks", (named,)) from None
    except Rejected as error:
        where = f"chapters[{index}]"
        raise Rejected(error.problem, reason=error.reason, where=where) from None


def _last_chapter(dossier: Dossier, gone: AgentRecord, view: View) -> Chapter:
    """Return the chapter of the term it departs from, proved with all before it when it applied here."""
    ask, custody = dossier.application, gone.custody
    if ask is None:
        raise Missing("visa")
    last = chapter_of(ask, len(ask.chapters) - 1, view)
    opened = last.opened.record.custody
    if (opened.zone, opened.term) != (custody.zone, custody.term):
        raise Missing("visa")
    return last


def _check_admit(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    check_departure(dossier, parent, view)
    check_visa_of(parent.record, proposal.evidence.visa, view, where="evidence.visa")
    host = proposal.transition.record.custody.host
    _check_author(proposal, host, Role.HOST)
    _check_enrolled(host, view)
    expected = admitted(parent.record, parent.certificate.slot, view.manifest, host or b"")
    check_follows(proposal.transition, parent.record, expected)
    origin = chain_manifests(dossier, view)[parent.record.custody.zone]
    _permit_travel(parent.record, proposal.transition.at_ms, origin, view.manifest, view)
    check_blocks(expected, view)  # trap 23


def _check_refuse(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    check_departure(dossier, parent, view)
    _check_anchor(proposal, view)
    arrival = dossier.arrival
    if arrival is None or arrival.arrive.departure.record.digest != parent.record.digest:
        raise Refused("this anchor has only just seen the departure")
    waited = view.boot_ms - arrival.seen_at(view.boot)
    deadline = arrival.arrive.visa.terms.deadline_ms
    if waited < deadline:
        raise Refused(f"the admission has another {deadline - waited} ms")


def _check_anchor(proposal: Proposal, view: View) -> None:
    author = proposal.transition.author
    if author not in {anchor.identity for anchor in view.manifest.anchors}:
        problem = f"{key_text(author)} is no anchor of this zone"
        raise Rejected(problem, reason="wrong-author", where="transition.author")
    _check_author(proposal, author, Role.ANCHOR)


def _check_return(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    _check_anchor(proposal, view)
    check_refusal(
        proposal.evidence.refusal, parent.record, view.manifests, where="evidence.refusal"
    )
    check_follows(
        proposal.transition, parent.record, returned(parent.record, parent.certificate.slot)
    )


_CHECKS: Final[dict[TransitionKind, Callable[[Dossier, Proposal, Certified, View], None]]] = {
    TransitionKind.STEP: _check_step,
    TransitionKind.ADOPT: _check_step,
    TransitionKind.INTEND: _check_intend,
    TransitionKind.ASK: _check_ask,
    TransitionKind.SPAWN: _check_spawn,
    TransitionKind.BIND: _check_bind,
    TransitionKind.DEPART: _check_depart,
    TransitionKind.ADMIT: _check_admit,
    TransitionKind.REFUSE: _check_refuse,
    TransitionKind.RETURN: _check_return,
    TransitionKind.AMEND: check_amended,
    TransitionKind.ACCUSE: check_accused,
    **{TransitionKind(act): check_ordered for act in Act},
}
