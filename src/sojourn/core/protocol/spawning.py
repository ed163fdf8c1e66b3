"""Spawning: the child that an agent has, from the transition that names it to its genesis (protocol §8.13).

The parent's host makes the child's genesis and has a SPAWN decided that names its digest, which is the child's
identifier. So one SPAWN has one child. What the parent gives is spent with the SPAWN, whether or not the child is
ever born. Then anybody may bring the genesis to the parent's zone, with the certified SPAWN: it leaves no choice.
"""

import msgspec

from sojourn.core.agent.ancestry import ancestors_of_child, check_child, check_may_spawn
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.transition import Transition, TransitionKind, check_genesis
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import Count, Name, Value, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import RECORD_BYTES_MAX
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol.admission import child as next_version
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import View
from sojourn.core.protocol.kinship import check_spawned
from sojourn.core.protocol.messages import Evidence, Proposal
from sojourn.core.protocol.permission import birth_context
from sojourn.core.quorum.votes import Slot

__all__ = [
    "Gift",
    "begotten",
    "bringing",
    "check_birth",
    "check_named",
    "named_child",
    "spawn_context",
    "spawned",
]


class Gift(Value):
    """What a parent gives its child: budgets by name, out of its own, and how it is to run.

    A budget that the parent has and that is not named here is given as 0. `outlives` asks that the child may go on
    when its parent has retired.
    """

    entry: Name
    budgets: dict[Name, Count] = {}
    outlives: bool = False
    confined: bool = False


def begotten(parent: AgentRecord, gift: Gift, memory: Memory, parentage: bytes) -> AgentRecord:
    """Return the genesis of the child that `parent`, the newest record, has with its next version.

    Raises `Rejected` ("too-many") if it may have no more.
    """
    check_may_spawn(parent)
    requires = parent.capabilities.requires
    budgets = dict.fromkeys(parent.eligibility.budgets, 0) | gift.budgets
    return AgentRecord(
        realm=parent.realm,
        agent=ZERO,
        version=0,
        parent=parent.digest,
        custody=Custody(zone=parent.custody.zone, term=0, binding=0, host=None),
        migration=None,
        governance=msgspec.structs.replace(parent.governance, ordered_ms={}),
        memory=memory,
        lineage=Lineage(parentage=parentage),
        eligibility=Eligibility(
            status=Status.ACTIVE,
            budgets={name: Budget(limit=limit) for name, limit in budgets.items()},
            ancestors=ancestors_of_child(parent, outlives=gift.outlives),
        ),
        trust=parent.trust,
        capabilities=msgspec.structs.replace(
            parent.capabilities,
            entry=gift.entry,
            adopted=msgspec.UNSET,
            upgrade=msgspec.UNSET,
            requires=msgspec.structs.replace(requires, confined=requires.confined or gift.confined),
        ),
    )


def spawned(parent: AgentRecord, slot: Slot, child: AgentRecord, memory: Memory) -> AgentRecord:
    """Return the record after `parent` spawned `child`, before it is charged what it gives."""
    eligibility = msgspec.structs.replace(
        parent.eligibility,
        children=parent.eligibility.children + 1,
        last_decision=child.digest,
    )
    return next_version(parent, slot, memory=memory, eligibility=eligibility)


def bringing(child: AgentRecord, parent: Certified, bearer: KeyPair, *, at_ms: int) -> Proposal:
    """Return the proposal of a child's genesis, after the SPAWN that names it. Any key may bring it."""
    transition = Transition(
        kind=TransitionKind.GENESIS, parent=ZERO, record=child, author=bearer.public, at_ms=at_ms
    )
    covered = statement(Kind.TRANSITION, Role.PERSON, transition.digest)
    seal = Seal(signer=bearer.public, signature=bearer.sign(covered))
    return Proposal(transition=transition, seals=(seal,), evidence=Evidence(spawned=parent))


def spawn_context(child: AgentRecord) -> RequestContext:
    """Return the circumstances under which policies judge a SPAWN: whom it makes, with what."""
    outlives = child.eligibility.ancestors[-1].outlives
    return msgspec.structs.replace(birth_context(child), outlives=outlives)


# --- what anchors check -------------------------------------------------------------------------------


def named_child(proposal: Proposal) -> AgentRecord:
    """Return the child that a SPAWN names. Raises `Rejected` if it is not shown, or has what its parent has not."""
    record, child = proposal.transition.record, proposal.evidence.child
    if child is None or child.digest != record.eligibility.last_decision:
        problem = "it shows no child, or another one"
        raise Rejected(problem, reason="no-child", where="evidence.child")
    if len(encode(child)) > RECORD_BYTES_MAX:
        problem = f"the child's record is larger than the limit of {RECORD_BYTES_MAX}"
        raise Rejected(problem, reason="too-large", where="evidence.child")
    check_genesis(child)
    check_child(record, child, where="evidence.child")
    return child


def check_birth(genesis: Proposal, view: View) -> None:
    """Raise `Rejected` unless a genesis is that of the child which a SPAWN of this zone names."""
    check_named(genesis.transition.record, genesis.evidence.spawned, view)


def check_named(born: AgentRecord, shown: Certified | None, view: View) -> None:
    """Raise `Rejected` unless what is shown is a certified SPAWN, of the zone of `born`, that names it."""
    found = check_spawned(born, shown, where="evidence.spawned")
    found.check(view.manifests, where="evidence.spawned")
