"""Having an accusation counted: the proposal of whoever carries it, as an order is carried (protocol §2)."""

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.keys import KeyPair
from sojourn.core.protocol.accusation import Accusation, after_accusation
from sojourn.core.protocol.bearing import borne
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
    evidence = Evidence(accusation=accusation)
    return borne(TransitionKind.ACCUSE, head, record, evidence, bearer, at_ms=at_ms, reason=reason)
