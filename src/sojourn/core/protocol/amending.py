"""Amending an agent's policy: successors of one of its documents, brought to it by whoever comes by them (§8.6).

Officers sign the successor, never a parent digest that the agent's next step would outrun. An agent that slept
through several takes them together. The record that follows is computed the same way by who brings them and by
the anchors, so that a vote is a comparison.
"""

from collections.abc import Iterable, Sequence

from sojourn.core.agent.budgets import check_follows
from sojourn.core.agent.governance import (
    Document,
    SignedDocument,
    check_run_holds,
    check_successor,
)
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.succession import extended
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import SUCCESSION_BYTES_MAX, SUCCESSION_MAX, SUCCESSORS_MAX
from sojourn.core.protocol import permission
from sojourn.core.protocol.admission import amended
from sojourn.core.protocol.bearing import borne
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.governed import documents_of
from sojourn.core.protocol.messages import Evidence, Proposal
from sojourn.core.protocol.missing import Missing

__all__ = [
    "bringing",
    "check_amendment",
    "check_brought",
    "check_room",
    "check_run",
    "check_stored",
    "succeeded",
]


def bringing(
    old: Document,
    run: Sequence[SignedDocument],
    head: Certified,
    bearer: KeyPair,
    *,
    at_ms: int,
    reason: str = "",
) -> Proposal:
    """Return the proposal to put the last of a run of successors in the place of `old` after `head`.

    The bearer signs for bringing them: any key will do. Raises `Rejected` if that does not rule, or if more would
    cool than there is room for.
    """
    succeeded(head.record, run)
    documents = [signed.document for signed in run]
    record = amended(head.record, head.certificate.slot, old, documents, at_ms)
    evidence = Evidence(documents=tuple(run))
    return borne(TransitionKind.AMEND, head, record, evidence, bearer, at_ms=at_ms, reason=reason)


def succeeded(record: AgentRecord, run: Sequence[SignedDocument]) -> bytes:
    """Return the digest of the document of `record` that a run of successors begins with.

    Raises `Rejected` for none, too many, or a run that follows no document that rules.
    """
    if not 1 <= len(run) <= SUCCESSORS_MAX:
        problem = f"it shows {len(run)} successors, one to {SUCCESSORS_MAX} may be shown"
        raise Rejected(problem, reason="no-successor", where="evidence.documents")
    first = run[0].document
    if first.previous is None or first.previous not in record.governance.documents:
        problem = f"{first.name} version {first.version} succeeds no document that rules"
        raise Rejected(problem, reason="wrong-documents", where="evidence.documents[0]")
    return first.previous


def check_run(old: Document, run: Sequence[SignedDocument], at_ms: int) -> None:
    """Raise `Rejected` unless each of `run` follows the one before, the first of them `old`, and the last holds.

    What comes between may have expired, and so may `old`: that is how an expired policy is renewed. A delegate's
    delegation must hold then, unless the issuer's own sealed what came after.
    """
    last = old
    for index, signed in enumerate(run):
        try:
            check_successor(last, signed)
        except Rejected as error:
            where = f"evidence.documents[{index}]"
            raise Rejected(error.problem, reason=error.reason, where=where) from None
        last = signed.document
    check_run_holds(run, at_ms)
    if not last.holds_at(at_ms):
        problem = f"document {last.name} version {last.version} is outside its window"
        raise Rejected(problem, reason="outside-window", where="evidence.documents")


def check_brought(
    before: AgentRecord, done: Certified, run: Sequence[SignedDocument], view: View
) -> None:
    """Raise `Rejected` unless `run` is what a decided amendment brought; `Missing` if what it was of is not here."""
    (old,) = documents_of([succeeded(before, run)], view)
    check_run(old, run, done.transition.at_ms)
    place = before.governance.documents.index(digest_of(old))
    if done.record.governance.documents[place] != digest_of(run[-1].document):
        problem = "another document took its place"
        raise Rejected(problem, reason="wrong-documents", where="evidence.documents")


def check_amendment(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    """Raise unless officers sealed what takes a document's place, and the record is the one that follows.

    Raises `Rejected`; `Denied` if what would rule cannot be evaluated; `Missing` ("blocks") for documents that are
    not stored here; `Refused` if the proof of it has no room.
    """
    transition, run = proposal.transition, proposal.evidence.documents
    (old,) = documents_of([succeeded(parent.record, run)], view)
    check_run(old, run, transition.at_ms)
    documents = [signed.document for signed in run]
    expected = amended(parent.record, parent.certificate.slot, old, documents, transition.at_ms)
    check_follows(transition, parent.record, expected)
    check_stored(proposal, view)
    others = documents_of(
        (each for each in parent.record.governance.documents if each != digest_of(old)), view
    )
    permission.agent_policy((*others, documents[-1]))
    check_room(dossier, run, view)


def check_stored(proposal: Proposal, view: View) -> None:
    """Raise `Missing` ("blocks") unless the documents that an amendment shows are stored here."""
    if proposal.transition.kind is not TransitionKind.AMEND:
        return
    shown = [digest_of(signed.document) for signed in proposal.evidence.documents]
    lacking = view.lacking([*proposal.transition.record.governance.documents, *shown])
    if lacking:
        raise Missing("blocks", tuple(lacking))


def check_room(dossier: Dossier, run: Iterable[SignedDocument], view: View) -> None:
    """Raise `Refused` unless the chapter has room for the seals: they are written with every vote, and shown."""
    before = dossier.chapter.succession if dossier.chapter else ()
    after = extended(before, run, view.documents, view.now_ms)
    if len(after) > SUCCESSION_MAX or len(encode(after)) > SUCCESSION_BYTES_MAX:
        raise Refused("its chain of custody has no room for the seals of another document")
