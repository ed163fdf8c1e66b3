"""Nothing by anybody who may not (P3): every decision is held against its row of the change table once more.

And its author: the bound host, the host that binds or admits, an anchor of the zone that refuses or takes back. What
officers ordered is carried by anybody who shows their order.
"""

from collections.abc import Mapping

from sojourn.core.agent.budgets import check_transition
from sojourn.core.agent.orders import Act
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role, is_sealed
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Proposal
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]

_PROMISE = "nothing unentitled"
_BY_BOUND_HOST = frozenset(
    {
        TransitionKind.STEP,
        TransitionKind.ADOPT,
        TransitionKind.INTEND,
        TransitionKind.ASK,
        TransitionKind.SPAWN,
        TransitionKind.DEPART,
    }
)
_BY_NEW_HOST = frozenset({TransitionKind.BIND, TransitionKind.ADMIT})
_BY_ANYBODY = frozenset(TransitionKind(act) for act in Act)


def check(decisions: Decisions) -> list[Violation]:
    """Return decisions that change what they may not, or are authored or sealed by somebody else."""
    parents = {done.record.digest: done for done in decisions.applied.values() if not _closes(done)}
    found = []
    for value, done in decisions.applied.items():
        parent = parents.get(done.transition.parent)
        if parent is None:
            continue
        problem = _problem(done, parent, decisions.manifests) or _unsealed(decisions, value, done)
        if problem:
            record = done.record
            what = f"version {record.version} ({done.transition.kind}): {problem}"
            found.append(Violation(_PROMISE, what, record.agent_id, record.version))
    return found


def _closes(done: Certified) -> bool:
    """Tell whether this is a refusal, which is no version: what it is about was decided before."""
    return done.transition.kind is TransitionKind.REFUSE


def _problem(
    done: Certified, parent: Certified, manifests: Mapping[bytes, ZoneManifest]
) -> str | None:
    transition, slot = done.transition, parent.certificate.slot
    try:
        check_transition(transition, parent.record, slot)
    except Rejected as error:
        return str(error)
    if transition.kind in _BY_ANYBODY:
        return None
    allowed = _authors(done, parent.record, manifests)
    return None if transition.author in allowed else "its author may not"


def _authors(
    done: Certified, before: AgentRecord, manifests: Mapping[bytes, ZoneManifest]
) -> set[bytes | None]:
    kind = done.transition.kind
    if kind in _BY_BOUND_HOST:
        return {before.custody.host}
    if kind in _BY_NEW_HOST:
        return {done.record.custody.host}
    return {anchor.identity for anchor in manifests[done.certificate.slot.group].anchors}


def _unsealed(decisions: Decisions, value: bytes, done: Certified) -> str | None:
    proposal = decisions.history.proposals.get(value)
    if proposal is None:
        return "nobody proposed it"
    if done.transition.kind in _BY_ANYBODY and (problem := _unordered(proposal, done)):
        return problem
    role, author = _role(done.transition.kind), done.transition.author
    seals = [seal for seal in proposal.seals if seal.signer == author]
    if any(is_sealed(Kind.TRANSITION, role, value, seal) for seal in seals):
        return None
    return "its author has not sealed it"


def _role(kind: TransitionKind) -> Role:
    if kind in _BY_ANYBODY:
        return Role.PERSON
    return Role.HOST if kind in _BY_BOUND_HOST | _BY_NEW_HOST else Role.ANCHOR


def _unordered(proposal: Proposal, done: Certified) -> str | None:
    """Return why it is not what somebody ordered of this agent, or of one that it descends from, if so."""
    signed, record = proposal.evidence.order, done.record
    family = (record.agent_id, *(each.agent for each in record.eligibility.ancestors))
    if signed is None or signed.order.agent not in family:
        return "it shows no order for it"
    if signed.order.act.value != done.transition.kind.value:
        return "it shows no order for it"
    try:
        signed.check_seals()
    except Rejected as error:
        return str(error)
    return None
