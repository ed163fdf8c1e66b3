"""Bearing what proves itself to an agent's zone: the proposal of whoever carries it, by any key (protocol §2)."""

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Proposal

__all__ = ["borne"]


def borne(
    kind: TransitionKind,
    head: Certified,
    record: AgentRecord,
    evidence: Evidence,
    bearer: KeyPair,
    *,
    at_ms: int,
    reason: str,
) -> Proposal:
    """Return the proposal that `record` follows `head`, with what is due charged; the bearer seals it as a person."""
    transition = Transition(
        kind=kind,
        parent=head.record.digest,
        record=charged(kind, head.record, record, at_ms),
        author=bearer.public,
        at_ms=at_ms,
        reason=reason,
    )
    covered = statement(Kind.TRANSITION, Role.PERSON, transition.digest)
    seal = Seal(signer=bearer.public, signature=bearer.sign(covered))
    return Proposal(transition=transition, seals=(seal,), evidence=evidence)
