"""Delegations for tests: an issuer, a region and a desk, with what each may do."""

from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.delegation import (
    Delegation,
    Mandate,
    Power,
    SignedDelegation,
    sealed_delegation,
)
from sojourn.core.agent.governance import Officers, SignedDocument
from sojourn.core.agent.orders import Order, SignedOrder
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role
from tests.samples import ISSUER, NOW_MS, document, key, seal, successor

__all__ = [
    "DESK",
    "HOUR_MS",
    "REGION",
    "RULES",
    "delegated",
    "desks",
    "mandate",
    "ordered_under",
    "regions",
    "succeeding_under",
]

HOUR_MS: Final = 3_600_000
REGION: Final = (key("region a"), key("region b"), key("region c"))
DESK: Final = (key("desk"),)
RULES: Final = document()
"""What the issuer of the samples signed: one officer, no root."""
_EVERY: Final = tuple(Power)


def regions(**changes: Any) -> Delegation:
    """Return a delegation to the region, changed: two of its three officers amend, one restrains, two retire."""
    plain = Delegation(
        issuer="acme",
        documents=("rules", "other rules"),
        name="region",
        to=Officers(keys=tuple(pair.public for pair in REGION), amend=2, retire=2),
        powers=_EVERY,
        not_before_ms=NOW_MS - HOUR_MS,
        until_ms=NOW_MS + 10 * HOUR_MS,
        depth=2,
    )
    return replace(plain, **changes)


def desks(before: Delegation, **changes: Any) -> Delegation:
    """Return a delegation of a part of another one to the desk, changed."""
    part = Delegation(
        issuer=before.issuer,
        documents=("rules",),
        name="desk",
        to=Officers(keys=tuple(pair.public for pair in DESK)),
        powers=(Power.AMEND, Power.SUSPEND, Power.RESUME),
        not_before_ms=NOW_MS - HOUR_MS,
        until_ms=NOW_MS + HOUR_MS,
        depth=0,
        previous=digest_of(before),
    )
    return replace(part, **changes)


def delegated(said: Delegation, *by: KeyPair) -> SignedDelegation:
    """Return a delegation under the seals of some keys; of the issuer's if there are none."""
    return sealed_delegation(said, by or (ISSUER,))


def mandate(*, deep: bool = False, **changes: Any) -> Mandate:
    """Return the region's mandate, changed; or the desk's under it, changed."""
    if not deep:
        return Mandate(delegations=(delegated(regions(**changes)),))
    first = Mandate(delegations=(delegated(regions()),))
    return first.passed_on(delegated(desks(regions(), **changes), *REGION[:2]))


def succeeding_under(
    given: Mandate, *by: KeyPair, old: SignedDocument = RULES, **changes: Any
) -> SignedDocument:
    """Return the document that follows another, changed, sealed by a delegate under its mandate."""
    return replace(successor(old, by=by, **changes), under=given)


def ordered_under(given: Mandate | None, order: Order, *by: KeyPair) -> SignedOrder:
    """Return an order sealed by a delegate under its mandate."""
    seals = tuple(seal(pair, Kind.ORDER, Role.ISSUER, digest_of(order)) for pair in by)
    signed = SignedOrder(order=order, seals=seals)
    return signed if given is None else replace(signed, under=given)
