"""Answers of approvers, as anchors keep them: beside the head, while their petition is pending (protocol §10).

Whoever has a say is known from the petition and the documents, so nobody else can make an anchor keep anything.
"""

import msgspec

from sojourn.core.agent.approvals import SignedApproval, check_may_answer
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.protocol.asking import pending, turns_of
from sojourn.core.protocol.dossier import Dossier, Ruling, View
from sojourn.core.protocol.governed import governing
from sojourn.core.protocol.messages import Applied, PutApproval

__all__ = ["put_approval"]


def put_approval(dossier: Dossier, put: PutApproval, view: View) -> Ruling:
    """Return the ruling on an approver's answer: it is kept if its petition is pending and the approver has a say.

    Who approved may still decline, until the intent is decided; who declined has done so for good. Raises
    `Refused` where the petition is not pending as far as is known here, `Rejected` for whoever has no say.
    """
    if dossier.head is None:
        raise Refused("this zone has never held that agent")
    record, approval = dossier.head.record, put.approval.approval
    _check_pending(put, record)
    having = turns_of(put.petition, governing(record, view.now_ms, view))
    check_may_answer(having, put.approval, view.now_ms)
    earlier = _said(dossier, put.approval)
    if earlier is not None and earlier.approval == approval:
        return Ruling(answer=Applied())
    if earlier is not None and not earlier.approval.is_approved:
        raise Refused("this approver has declined it")
    kept = tuple(each for each in dossier.approvals if each is not earlier)
    after = msgspec.structs.replace(dossier, approvals=(*kept, put.approval))
    return Ruling(answer=Applied(), dossier=after)


def _check_pending(put: PutApproval, record: AgentRecord) -> None:
    approval, named = put.approval.approval, pending(put.petition)
    if (approval.agent, approval.petition) != (record.agent_id, named.petition):
        raise Rejected("the answer is to another petition", reason="no-petition", where="approval")
    if named not in record.eligibility.petitions:
        raise Refused("no such petition of that agent is pending here")


def _said(dossier: Dossier, put: SignedApproval) -> SignedApproval | None:
    """Return what the same approver answered to the same petition before."""
    asked = (put.approval.petition, put.approval.approver)
    for each in dossier.approvals:
        if (each.approval.petition, each.approval.approver) == asked:
            return each
    return None
