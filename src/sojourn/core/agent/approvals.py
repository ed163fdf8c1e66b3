"""Approvals: who may let an agent do what its policy permits only together with one (`@ask`).

A rule asks a group of approvers, which its document declares: so who may approve is signed with the policy. What
waits for an answer is a *petition*: one action with its arguments and circumstances, asked once. An approver seals
an `Approval` of exactly that petition. While nobody answers, the group that is named next has a say as well.

    asked ──── after_ms ───► the next group too ──── ... ──── lasts_ms ───► answered no

Any approver who may approve by now can say no, and that is the answer. All times are milliseconds since 1970.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple

from msgspec import Meta

from sojourn.core.agent.actions import Action
from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import APPROVERS_MAX, CLOCK_SKEW_MS, COOLING_MAX
from sojourn.core.base.seals import Kind, Seal, check_own
from sojourn.core.policy.decision import Ask

__all__ = [
    "Approval",
    "Approvers",
    "Demand",
    "Petition",
    "SignedApproval",
    "Standing",
    "Turn",
    "check_approvers",
    "check_may_answer",
    "standing",
    "sufficient",
    "turns",
]


class Approvers(Value):
    """A group whose approval rules may ask for: keys, and how many of them it takes.

    A petition to it lasts `lasts_ms`; if nobody has answered by then, the answer is no. Where `escalate_to` names
    another group of the same document, that one may approve as well from `after_ms` on, by as many of its own keys
    as it needs.
    """

    keys: Annotated[tuple[PublicKey, ...], Meta(min_length=1, max_length=APPROVERS_MAX)]
    lasts_ms: Annotated[int, Meta(ge=1, le=2**53)]
    needed: Count = 1
    escalate_to: Name | None = None
    after_ms: Annotated[int, Meta(ge=0, le=2**53)] = 0


def check_approvers(groups: Mapping[str, Approvers]) -> None:
    """Raise `Rejected` ("bad-approvers") unless every group can approve, and each has its turn before the end."""
    for name, group in groups.items():
        where = f"approvers.{name}"
        if len(set(group.keys)) != len(group.keys):
            raise _bad("a key is repeated", f"{where}.keys")
        if not 1 <= group.needed <= len(group.keys):
            problem = f"{group.needed} are needed of {len(group.keys)} approvers"
            raise _bad(problem, f"{where}.needed")
        _check_escalation(groups, name)


def _check_escalation(groups: Mapping[str, Approvers], name: str) -> None:
    seen, waited_ms, at = {name}, 0, groups[name]
    while at.escalate_to is not None:
        where = f"approvers.{name}.escalate_to"
        if at.escalate_to not in groups:
            raise _bad(f"there is no group {at.escalate_to!r}", where)
        if at.escalate_to in seen:
            raise _bad(f"it leads back to {at.escalate_to!r}", where)
        seen.add(at.escalate_to)
        waited_ms, at = waited_ms + at.after_ms, groups[at.escalate_to]
        if waited_ms >= groups[name].lasts_ms:
            raise _bad("a group's turn comes when the petition has expired", where)


def _bad(problem: str, where: str) -> Rejected:
    return Rejected(problem, reason="bad-approvers", where=where)


class Demand(Value):
    """What one of an agent's policies asks: that one of these groups approves. `policy` names its documents.

    Several ask while one cools that an amendment ended: each then has to be satisfied by groups of its own.
    """

    policy: Digest
    asks: Annotated[tuple[Ask, ...], Meta(min_length=1, max_length=256)]


class Petition(Action, kw_only=True, tag_field="kind", tag="petition/1"):
    """An action that waits for an approval: what would be done, and what was asked of the policies.

    `version` is the one that asked, so no two petitions are equal. `request` is the digest of the policies'
    request, which covers who, where and under which circumstances, `policy` that of the documents that ruled, and
    `demands` is what each policy asks. The rest is as in the intent that may follow.
    """

    agent: Digest
    version: Count
    policy: Digest
    request: Digest
    demands: Annotated[tuple[Demand, ...], Meta(min_length=1, max_length=COOLING_MAX + 1)]
    asked_ms: Count
    expires_ms: Count

    @property
    def asked_of(self) -> str:
        """The groups that must approve, in words."""
        groups = (" or ".join(ask.group for ask in demand.asks) for demand in self.demands)
        return " and ".join(dict.fromkeys(groups))


class Approval(Value, tag_field="kind", tag="approval/1"):
    """An approver's answer to one petition. A yes counts until `expires_ms`, a no for good."""

    agent: Digest
    petition: Digest
    approver: PublicKey
    is_approved: bool
    issued_ms: Count
    expires_ms: Count
    reason: Annotated[str, Meta(max_length=1024)] = ""


class SignedApproval(Value, tag_field="kind", tag="signed-approval/1"):
    """An answer with its approver's seal."""

    approval: Approval
    seal: Seal

    def check(self, *, where: str = "approval") -> None:
        """Raise `Rejected` unless the approver it names sealed it."""
        digest = digest_of(self.approval)
        check_own(Kind.APPROVAL, digest, self.seal, self.approval.approver, where=where)


_Declared = Mapping[str, Mapping[str, Approvers]]
"""The groups that documents of one policy declare: by document, and by name."""


class Turn(NamedTuple):
    """From when to when the approvers of a group have a say in a petition, by one of the policies that ask."""

    policy: bytes
    group: str
    approvers: Approvers
    from_ms: int
    until_ms: int

    def is_open(self, at_ms: int) -> bool:
        """Tell whether they have a say at a time."""
        return self.from_ms <= at_ms < self.until_ms


def turns(
    demands: Sequence[Demand], asked_ms: int, declared: Mapping[bytes, _Declared]
) -> tuple[Turn, ...]:
    """Return who has a say in what was asked at a time; `declared` gives each document's groups, by policy.

    The groups were checked (`check_approvers`). One that nobody declared has no say.
    """
    return tuple(
        turn
        for demand in demands
        for ask in demand.asks
        for turn in _turns(demand.policy, ask, asked_ms, declared.get(demand.policy, {}))
    )


def _turns(policy: bytes, ask: Ask, asked_ms: int, declared: _Declared) -> Iterator[Turn]:
    groups, name, from_ms = declared.get(ask.document, {}), ask.group, asked_ms
    if name not in groups:
        return
    until_ms = asked_ms + groups[name].lasts_ms
    while True:
        group = groups[name]
        yield Turn(policy, name, group, from_ms, until_ms)
        if group.escalate_to is None:
            return
        name, from_ms = group.escalate_to, from_ms + group.after_ms


class Standing(StrEnum):
    """How a petition stands: still open, or answered."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"


def standing(
    petition: Petition, having: Sequence[Turn], answers: Collection[SignedApproval], at_ms: int
) -> Standing:
    """Return how a petition stands at a time, by answers whose seals were checked. `having` says whose turn is when.

    Every policy that asks has to be satisfied: it is over as soon as nobody has a say for one of them. Approvals of
    different groups are not added up. What was said of another petition, or too early, does not count.
    """
    now = [turn for turn in having if turn.is_open(at_ms)]
    if {demand.policy for demand in petition.demands} - {turn.policy for turn in now}:
        return Standing.EXPIRED
    declined = {each.approval.approver for each in _said(petition, answers, is_approved=False)}
    if any(declined & set(turn.approvers.keys) for turn in now):
        return Standing.DECLINED
    approved = sufficient(petition, having, answers, at_ms)
    return Standing.APPROVED if approved else Standing.OPEN


def sufficient(
    petition: Petition, having: Sequence[Turn], answers: Collection[SignedApproval], at_ms: int
) -> tuple[SignedApproval, ...]:
    """Return approvals that satisfy each policy that asks: of one of its groups, as many as that needs. Or none.

    One approval may serve several policies.
    """
    approved = {
        each.approval.approver: each
        for each in _said(petition, answers, is_approved=True)
        if each.approval.issued_ms - CLOCK_SKEW_MS <= at_ms < each.approval.expires_ms
    }
    now = [turn for turn in having if turn.is_open(at_ms)]
    found: dict[bytes, SignedApproval] = {}
    for demand in petition.demands:
        own = [turn for turn in now if turn.policy == demand.policy]
        enough = next(filter(None, (_enough(turn, approved) for turn in own)), None)
        if enough is None:
            return ()
        found |= enough
    return tuple(found.values())


def _enough(turn: Turn, approved: Mapping[bytes, SignedApproval]) -> dict[bytes, SignedApproval]:
    """Return as many approvals as the group of a turn needs, by approver; none if there are fewer."""
    keys = [key for key in turn.approvers.keys if key in approved]
    enough = len(keys) >= turn.approvers.needed
    return {key: approved[key] for key in keys[: turn.approvers.needed]} if enough else {}


def _said(
    petition: Petition, answers: Collection[SignedApproval], *, is_approved: bool
) -> list[SignedApproval]:
    named = (digest_of(petition), is_approved)
    return [a for a in answers if (a.approval.petition, a.approval.is_approved) == named]


def check_may_answer(having: Sequence[Turn], signed: SignedApproval, at_ms: int) -> None:
    """Raise `Rejected` unless an answer is sealed by an approver who has a say at a time."""
    signed.check()
    approver = signed.approval.approver
    if not any(turn.is_open(at_ms) and approver in turn.approvers.keys for turn in having):
        problem = f"{key_text(approver)} has no say in this petition now"
        raise Rejected(problem, reason="wrong-key", where="approval.approver")
