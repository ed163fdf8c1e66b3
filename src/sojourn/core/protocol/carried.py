"""Checks of what anybody may carry to an agent, for it proves itself: orders, amendments, proofs (protocol §2).

Each raises what `check_proposal` says. `bearing` makes what is checked here.
"""

from sojourn.core.agent.ancestry import ordered_ms_of
from sojourn.core.agent.budgets import check_follows
from sojourn.core.agent.governance import leaning
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role, check_seal
from sojourn.core.protocol.accusation import after_accusation
from sojourn.core.protocol.admission import ordered
from sojourn.core.protocol.amending import check_amendment
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.governed import documents_of
from sojourn.core.protocol.kept import check_blocks
from sojourn.core.protocol.messages import Proposal
from sojourn.core.protocol.revoked import check_delegates

__all__ = ["check_accused", "check_amended", "check_bearer", "check_ordered"]


def check_ordered(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    """Check that officers ordered it, of the agent or of an ancestor.

    Their order counts also where the window of their document is over; that of a delegate in its own window.
    """
    signed, transition = proposal.evidence.order, proposal.transition
    if signed is None or signed.order.act.value != transition.kind.value:
        raise _unordered(transition.kind)
    ordered_ms = ordered_ms_of(parent.record, signed.order.agent, signed.order.matter)
    if ordered_ms is None:
        raise _unordered(transition.kind)
    (first,) = documents_of(parent.record.governance.documents[:1], view)
    signed.check(first, ordered_ms=ordered_ms, at_ms=transition.at_ms)
    check_delegates(signed.mandate, parent.record, view)
    check_follows(
        proposal.transition,
        parent.record,
        ordered(parent.record, parent.certificate.slot, signed.order, signed.seals),
    )
    check_bearer(proposal)
    if transition.kind is TransitionKind.UPGRADE:
        check_blocks(transition.record, view)  # whoever has the agent next has to have its code


def _unordered(kind: TransitionKind) -> Rejected:
    problem = f"it shows no order to {kind} this agent, or one that it descends from"
    return Rejected(problem, reason="no-order", where="evidence.order")


def check_amended(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    """Check that officers sealed what is to rule. It counts also where the window of what rules is over."""
    check_amendment(dossier, proposal, parent, view)
    for signed in leaning(proposal.evidence.documents):
        check_delegates(signed.mandate, parent.record, view)
    check_bearer(proposal)


def check_bearer(proposal: Proposal) -> None:
    """Check that whoever carries what proves itself sealed the transition: it may be anybody."""
    transition = proposal.transition
    if len(proposal.seals) != 1 or proposal.seals[0].signer != transition.author:
        raise Rejected("it needs its author's seal alone", reason="wrong-author", where="seals")
    seal = proposal.seals[0]
    check_seal(Kind.TRANSITION, Role.PERSON, transition.digest, seal, where="seals[0]")


def check_accused(dossier: Dossier, proposal: Proposal, parent: Certified, view: View) -> None:
    """Check that anchors of a zone which the agent relies on are proved to have lied."""
    accusation, transition = proposal.evidence.accusation, proposal.transition
    if accusation is None:
        raise Rejected("it shows no proof", reason="no-proof", where="evidence.accusation")
    check_follows(
        proposal.transition,
        parent.record,
        after_accusation(parent.record, parent.certificate.slot, accusation),
    )
    check_bearer(proposal)
    accusation.check(parent.record, transition.at_ms, where="evidence.accusation")
