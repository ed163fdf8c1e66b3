"""Having an accusation counted: the proposal of whoever carries it, as an order is carried (protocol §2)."""

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.accusation import Accusation, after_accusation
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Proposal

__all__ = ["accusing"]


def accusing(
    accusation: Accusation, head: Certified, bearer: KeyPair, *, at_ms: int, reason: str = ""
) -> Proposal:
    """Return the proposal to count an accusation after `head`. The bearer signs for carrying it: any key will do.

    Raises `Rejected` ("nothing-new", "no-room") where nothing is to be counted.
    """
    record = after_accusation(head.record, head.certificate.slot, accusation)
    transition = Transition(
        kind=TransitionKind.ACCUSE,
        parent=head.record.digest,
        record=charged(TransitionKind.ACCUSE, head.record, record, at_ms),
        author=bearer.public,
        at_ms=at_ms,
        reason=reason,
    )
    covered = statement(Kind.TRANSITION, Role.PERSON, transition.digest)
    seal = Seal(signer=bearer.public, signature=bearer.sign(covered))
    return Proposal(transition=transition, seals=(seal,), evidence=Evidence(accusation=accusation))
