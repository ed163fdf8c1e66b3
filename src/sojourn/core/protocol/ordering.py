"""Having an order carried out: the order sealed by officers, and the proposal of whoever carries it (protocol §2)."""

from collections.abc import Iterable

from sojourn.core.agent.orders import Order, SignedOrder
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.admission import ordered
from sojourn.core.protocol.bearing import borne
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Proposal

__all__ = ["carrying", "sealed"]


def sealed(order: Order, officers: Iterable[KeyPair]) -> SignedOrder:
    """Return an order with its officers' seals."""
    covered = statement(Kind.ORDER, Role.ISSUER, digest_of(order))
    seals = tuple(Seal(signer=key.public, signature=key.sign(covered)) for key in officers)
    return SignedOrder(order=order, seals=seals)


def carrying(
    signed: SignedOrder, head: Certified, bearer: KeyPair, *, at_ms: int, reason: str = ""
) -> Proposal:
    """Return the proposal to carry out an order after `head`. The bearer signs for carrying it: any key will do.

    Raises `Rejected` ("bad-status") where there is nothing to do.
    """
    kind = TransitionKind(signed.order.act)
    record = ordered(head.record, head.certificate.slot, signed.order, signed.seals)
    evidence = Evidence(order=signed)
    return borne(kind, head, record, evidence, bearer, at_ms=at_ms, reason=reason)
