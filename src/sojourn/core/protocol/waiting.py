"""What waits to be done to an agent: what its officers published, and its zone has not carried out yet (§8.8, §8.9).

Likewise what is proved of zones that it relies on, and that it has not counted yet (§11.7). Only what anchors would
vote for waits: else what nobody can carry out would hold an agent up for ever.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from sojourn.core.agent.delegation import Mandate
from sojourn.core.agent.eligibility import ACTING, Status
from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import vouchers
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Refused, Rejected, SojournError
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import CLOCK_SKEW_MS, TRANSITION_BYTES_MAX
from sojourn.core.protocol import decree
from sojourn.core.protocol.accusation import Accusation, after_accusation
from sojourn.core.protocol.accusing import accusing
from sojourn.core.protocol.admission import amended
from sojourn.core.protocol.amending import bringing, check_room
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, OpenSlot, View
from sojourn.core.protocol.messages import Proposal
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.ordering import carrying
from sojourn.core.protocol.permission import agent_policy
from sojourn.core.protocol.revoked import check_delegates
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.zone.manifest import SignedManifest

__all__ = [
    "carrying_next",
    "is_due",
    "next_accusation",
    "next_order",
    "next_run",
    "stays_ms",
    "what_waits",
]

_HASTE: Final = 4
"""A first round whose votes may be split is left after this part of its time."""
_JUDGED_BY_TRUST: Final = (TransitionKind.INTEND, TransitionKind.SPAWN, TransitionKind.DEPART)
_PROOFS_BYTES_MAX: Final = TRANSITION_BYTES_MAX // 4
"""Beside the record, the zone's manifest and the endorsements."""


def next_order(record: AgentRecord, view: View) -> SignedOrder | None:
    """Return the order that is to be carried out on an agent next, if any."""

    def counts(signed: SignedOrder) -> bool:
        return _counts(signed.mandate, record, view)

    return view.edicts.next_for(record, view.documents, view.now_ms, counts)


def _counts(mandate: Mandate | None, record: AgentRecord, view: View) -> bool:
    """Tell whether who sealed something under a mandate may still be relied on here."""
    try:
        check_delegates(mandate, record, view)
    except (Refused, Missing):
        return False
    return True


def next_run(dossier: Dossier, view: View) -> Sequence[SignedDocument]:
    """Return the successors that are to take the place of one of an agent's documents next, if any."""
    head, followed = dossier.head, view.edicts.successors.followed()
    if head is None or not followed or head.record.eligibility.status not in ACTING:
        return ()

    def counts(signed: SignedDocument) -> bool:
        return _counts(signed.mandate, head.record, view)

    for named in head.record.governance.documents:
        if named not in followed:
            continue
        run = view.edicts.successors.run_after(named, view.now_ms, counts)
        if run and _may_rule(dossier, head, run, view):
            return run
    return ()


def _may_rule(dossier: Dossier, head: Certified, run: Sequence[SignedDocument], view: View) -> bool:
    """Tell whether anchors that have the documents would vote for the amendment."""
    documents = [signed.document for signed in run]
    try:
        old = _document(run[0].document.previous, view)
        record = amended(head.record, head.certificate.slot, old, documents, view.now_ms)
        agent_policy(tuple(_document(named, view) for named in record.governance.documents))
        check_room(dossier, run, view)
    except (KeyError, SojournError):
        return False
    return True


def _document(named: bytes | None, view: View) -> Document:
    """Return a document that was published, or is stored here. Raises `KeyError`, or `Rejected` if it is none."""
    assert named is not None, "a successor names what it succeeds"
    return view.edicts.successors.document(named) or view.documents[named]


def next_accusation(dossier: Dossier, view: View) -> Accusation | None:
    """Return what is proved of a zone that the agent relies on, and is to be counted next, if anything is."""
    head, held = dossier.head, view.proofs
    if not held or head is None or head.record.eligibility.status not in ACTING:
        return None
    found = (
        _accusation(head, held.manifest(zone), held.against(zone), view) for zone in held.zones()
    )
    return next((each for each in found if each is not None), None)


def _accusation(
    head: Certified, signed: SignedManifest, against: Sequence[Fraud], view: View
) -> Accusation | None:
    record, zone = head.record, signed.manifest.zone_id
    counted = record.trust.events.get(zone.hex())
    proofs = [proof for proof in against if counted is None or proof.anchor not in counted.liars]
    vouching = vouchers(record.trust, zone, view.endorsements, view.now_ms) if proofs else ()
    if not vouching:
        return None
    given = Accusation(manifest=signed, proofs=_fitting(proofs), endorsements=vouching)
    try:
        after_accusation(record, head.certificate.slot, given)
    except Rejected:
        return None  # there is no room for events of one more zone
    return given


def _fitting(proofs: Sequence[Fraud]) -> tuple[Fraud, ...]:
    """Return as many proofs as go into one proposal, at least one; the others follow."""
    sizes = accumulate(len(encode(proof)) for proof in proofs)
    return tuple(
        proof
        for number, (proof, size) in enumerate(zip(proofs, sizes, strict=True))
        if number == 0 or size <= _PROOFS_BYTES_MAX
    )


def what_waits(dossier: Dossier, view: View, kind: TransitionKind | None = None) -> str:
    """Return what comes before anything that the agent does, in words; nothing if nothing does.

    Before what is judged by trust comes also what lowers it, if that `kind` is asked about.
    """
    if dossier.head is None:
        return ""
    order = next_order(dossier.head.record, view)
    if order is not None:
        return f"its officers ordered to {order.order.act} it, and that comes first"
    if run := next_run(dossier, view):
        newest = run[-1].document
        return f"its officers published version {newest.version} of {newest.name}, and that comes first"
    if kind in _JUDGED_BY_TRUST and (given := next_accusation(dossier, view)):
        name = given.manifest.manifest.name
        return f"anchors of {name} are proved to have lied, and to count that comes first"
    return ""


def is_due(dossier: Dossier, view: View) -> bool:
    """Tell whether something is to be carried out now: an order at once, all else unless the agent sleeps.

    What sleeps, and has no host that would wake it, meets the amendment when it has one: ten thousand sleepers
    need not be written to for each change of a text, nor for each lie.
    """
    head = dossier.head
    if head is None:
        return False
    if next_order(head.record, view) is not None:
        return True
    if not next_run(dossier, view) and next_accusation(dossier, view) is None:
        return False
    is_active = head.record.eligibility.status is Status.ACTIVE
    return is_active or view.leases.is_live(dossier.agent, head.record.custody.fence, view.boot_ms)


def stays_ms(state: OpenSlot, dossier: Dossier, view: View) -> int:
    """Return how long this anchor stays in the round of a slot before it votes to leave it (protocol §3).

    What officers published may come while what the agent does has the votes of those who had not heard of it yet.
    Nothing can be decided in that round then, and it is left early; not once anything is locked.
    """
    lasts_ms = decree.round_timeout_ms(state.round)
    is_split = state.round == 0 and state.lock is None and is_due(dossier, view)
    return lasts_ms // _HASTE if is_split else lasts_ms


def carrying_next(dossier: Dossier, view: View, bearer: KeyPair) -> Proposal | None:
    """Return the proposal to carry out what waits first, if anything does: an order, an amendment, an accusation.

    If this anchor has voted for one that somebody made, that is carried on as long as it is not too old: who has
    voted for it votes for no other in this round.
    """
    made, state = _made_next(dossier, view, bearer), dossier.open
    if made is None or state is None or state.lock_voted is None:
        return made
    voted = state.proposal_of(state.lock_voted)
    is_fresh = voted and view.now_ms - voted.transition.at_ms < CLOCK_SKEW_MS // 2
    return voted if voted and is_fresh and _is_same(voted, made) else made


def _is_same(one: Proposal, other: Proposal) -> bool:
    """Tell whether two proposals carry out the same on the same version: they may differ in bearer and time."""
    a, b = one.transition, other.transition
    return (a.kind, a.parent, one.evidence) == (b.kind, b.parent, other.evidence)


def _made_next(dossier: Dossier, view: View, bearer: KeyPair) -> Proposal | None:
    head = dossier.head
    if head is None:
        return None
    order = next_order(head.record, view)
    if order is not None:
        return carrying(order, head, bearer, at_ms=view.now_ms)
    run = next_run(dossier, view)
    if run:
        old = _document(run[0].document.previous, view)
        return bringing(old, run, head, bearer, at_ms=view.now_ms)
    given = next_accusation(dossier, view)
    return accusing(given, head, bearer, at_ms=view.now_ms) if given is not None else None
