"""Asking people: what becomes of an action that a policy permits only together with an approval (protocol §10).

The bound host makes a petition; an `ask` transition puts its digest into the record, and is judged as an intent is.
The intent that follows shows the petition and the approvals, and drops it from the record: an approval serves once.
Both are checked here, by hosts before they propose and by every anchor before it votes.
"""

from collections.abc import Collection, Mapping

import msgspec

from sojourn.core.agent.actions import Action, fields_of
from sojourn.core.agent.approvals import (
    Approvers,
    Demand,
    Petition,
    SignedApproval,
    Standing,
    Turn,
    check_may_answer,
    standing,
    turns,
)
from sojourn.core.agent.eligibility import Pending
from sojourn.core.agent.governance import Document, Governing
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Refused, Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.policy.decision import Verdict
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol import permission
from sojourn.core.protocol.messages import Intent
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "ApprovalDeclined",
    "Unapproved",
    "check_approved",
    "check_asked",
    "check_undeclined",
    "pending",
    "petition_for",
    "turns_of",
    "verdict_on",
]


class Unapproved(Denied):
    """The policies permit it only together with an approval, and there is none."""


class ApprovalDeclined(Refused):
    """This anchor knows that an approver said no."""

    code = "approval-declined"


def verdict_on(
    action: Action,
    record: AgentRecord,
    governing: Governing,
    here: ZoneManifest,
    memo: Memo,
) -> Verdict:
    """Return what the agent's policies and the zone's say to an action in the zone."""
    context = action.circumstances()
    return permission.ask(record, governing, action.action, here, here, context, memo)


def pending(petition: Petition) -> Pending:
    """Return how a record names a petition."""
    return Pending(petition=digest_of(petition), expires_ms=petition.expires_ms)


def turns_of(petition: Petition, governing: Governing) -> tuple[Turn, ...]:
    """Return who has a say in a petition, and when, by what rules: nobody, if it was judged by other documents."""
    if petition.policy != digest_of(governing.governance.documents):
        return ()
    return turns(petition.demands, petition.asked_ms, _declared(governing))


def _declared(governing: Governing) -> Mapping[bytes, Mapping[str, Mapping[str, Approvers]]]:
    return {
        _named(policy): {permission.document_name(item): item.approvers for item in policy}
        for policy in governing.policies
    }


def _named(policy: tuple[Document, ...]) -> bytes:
    """Return how demands name one of an agent's policies."""
    return digest_of(tuple(digest_of(item) for item in policy))


def _demands(governing: Governing, verdict: Verdict) -> tuple[Demand, ...]:
    """Return what each of the agent's policies asks. They answer before the zone's, which cannot ask (§8.10)."""
    return tuple(
        Demand(policy=_named(policy), asks=each.decision.asks)
        for policy, each in zip(governing.policies, verdict.decisions, strict=False)
        if each.decision.basis == "ask"
    )


def petition_for(
    action: Action,
    record: AgentRecord,
    governing: Governing,
    verdict: Verdict,
    asked_ms: int,
) -> Petition:
    """Return the petition for an action after `record`, about which the policies said `verdict`.

    Raises `Denied` if they say anything but that they ask.
    """
    if not verdict.asking:
        permission.check_permitted(verdict)
        raise Denied(f"there is nobody to ask about {action.action}: it is permitted")
    demands, declared = _demands(governing, verdict), _declared(governing)
    having = [turns((demand,), asked_ms, declared) for demand in demands]
    if not all(having):
        raise Denied(f"nobody has a say in what is asked about {action.action}")
    return Petition(
        agent=record.agent_id,
        version=record.version + 1,
        policy=digest_of(record.governance.documents),
        request=verdict.asking[0].request_digest,
        demands=demands,
        **fields_of(action),
        asked_ms=asked_ms,
        expires_ms=min(max(turn.until_ms for turn in each) for each in having),
    )


def check_asked(
    petition: Petition | None,
    parent: AgentRecord,
    transition: Transition,
    governing: Governing,
    here: ZoneManifest,
    memo: Memo,
) -> None:
    """Raise unless a transition follows `parent` by asking for an approval: of what the policies ask for, now."""
    record, at_ms = transition.record, transition.at_ms
    if petition is None:
        raise _no_petition("it shows no petition")
    verdict = verdict_on(petition, parent, governing, here, memo)
    if pending(petition) not in record.eligibility.petitions[-1:]:
        raise _no_petition("it shows no petition, or another one")
    if abs(petition.asked_ms - at_ms) > CLOCK_SKEW_MS:
        problem = f"it was asked at {petition.asked_ms}, the transition says it is {at_ms}"
        raise Rejected(problem, reason="no-petition", where="evidence.petition.asked_ms")
    if petition != petition_for(petition, parent, governing, verdict, petition.asked_ms):
        raise _no_petition("the petition is not what the policies ask for")


def check_approved(
    verdict: Verdict,
    intent: Intent,
    parent: AgentRecord,
    record: AgentRecord,
    governing: Governing,
    petition: Petition | None,
    answers: Collection[SignedApproval],
    at_ms: int,
) -> None:
    """Raise `Denied` unless every party permits an intent, if need be by what approvers answered until `at_ms`.

    It is `Unapproved` where they have to be asked. `parent` is the record before, `record` the one after.

    Raises `Rejected` for a petition that is not pending, or stays so, that is for anything else than this intent, or
    was asked under other policies; and for an answer by someone who has no say.
    """
    if not verdict.asking:
        permission.check_permitted(verdict)
        return
    if petition is None:
        raise Unapproved(verdict.explain())
    _check_pending(petition, intent, parent, record)
    asked = petition_for(intent, parent, governing, verdict, petition.asked_ms)
    if petition != msgspec.structs.replace(asked, version=petition.version):
        raise _no_petition("the petition is for something else")
    having = turns_of(petition, governing)
    if standing(petition, having, (), at_ms) is not Standing.EXPIRED:
        for signed in answers:
            check_may_answer(having, signed, at_ms)
    stands = standing(petition, having, answers, at_ms)
    if stands is not Standing.APPROVED:
        raise Denied(f"{intent.action} waits for an approval: the petition is {stands}")


def check_undeclined(petition: Petition | None, known: Collection[SignedApproval]) -> None:
    """Raise `ApprovalDeclined` if a petition was, as far as is known here: its host may hide that."""
    named = None if petition is None else digest_of(petition)
    if any(each.approval.petition == named and not each.approval.is_approved for each in known):
        raise ApprovalDeclined("an approver declined it, as this anchor knows")


def _check_pending(
    petition: Petition, intent: Intent, parent: AgentRecord, record: AgentRecord
) -> None:
    """Check that a petition is pending, and no more once this intent has made use of it."""
    named = pending(petition)
    if named not in parent.eligibility.petitions or named in record.eligibility.petitions:
        raise _no_petition("the petition is not pending before this, or still is after it")
    if intent.petition != named.petition:
        raise _no_petition("the intent names another petition")


def _no_petition(problem: str) -> Rejected:
    return Rejected(problem, reason="no-petition", where="evidence.petition")
