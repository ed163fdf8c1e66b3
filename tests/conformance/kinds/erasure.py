"""Certificates of erasure: an order, a zone, and what its anchors state."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from sojourn.core.agent.orders import Act, Order
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import ERASURE_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from sojourn.core.protocol.keeping import ErasureCertificate, SignedErasure, stated
from sojourn.core.protocol.ordering import sealed
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import spoiled
from tests.samples import ISSUER, NOW_MS, key, seal

AT: Final = "erasure"
ORDER: Final = sealed(
    Order(
        agent=digest(b"agent"),
        act=Act.ERASE,
        issued_ms=NOW_MS,
        expires_ms=NOW_MS + 60_000,
        keys=(digest(b"key"), digest(b"another")),
    ),
    [ISSUER],
)


def _statement(index: int, **changes: object) -> SignedErasure:
    erasure = replace(stated(ORDER, journey.HOME.manifest, index), **changes)
    by = journey.HOME.identity(index)
    return SignedErasure(
        erasure=erasure, seal=seal(by, SealKind.ERASURE, Role.ANCHOR, digest_of(erasure))
    )


def _by(*indices: int) -> ErasureCertificate:
    statements = tuple(map(_statement, indices))
    return ErasureCertificate(order=ORDER, manifest=journey.HOME.signed, statements=statements)


def _check(data: bytes, given: Json) -> Json:
    certificate = decode(data, ErasureCertificate, what=AT, limit=ERASURE_BYTES_MAX)
    certificate.check()
    order = certificate.order.order
    return {
        "agent": order.agent.hex(),
        "keys": [each.hex() for each in order.keys],
        "order": digest_of(certificate.order).hex(),
        "zone": certificate.manifest.manifest.zone_id.hex(),
        "complete": certificate.is_complete,
    }


def _valid() -> Iterator[Case]:
    yield Case(name="by a quorum", data=encode(_by(0, 2, 3)))
    yield Case(name="by all", data=encode(_by(0, 1, 2, 3)))


def _invalid() -> Iterator[Case]:
    good = _by(0, 1, 2)
    first, second, third = good.statements
    order = good.order.order
    for name, made, reason, where in (
        ("too few anchors", _by(0, 1), "no-quorum", "statements"),
        ("an anchor twice", _by(0, 1, 1), "wrong-order", "statements"),
        ("anchors out of order", _by(0, 2, 1), "wrong-order", "statements"),
        (
            "of another key",
            replace(good, statements=(first, _statement(1, keys=(digest(b"x"),)), third)),
            "wrong-erasure",
            "statements[1]",
        ),
        (
            "of another order",
            replace(good, statements=(first, second, _statement(2, order=digest(b"x")))),
            "wrong-erasure",
            "statements[2]",
        ),
        (
            "of another agent",
            replace(good, statements=(_statement(0, agent=digest(b"x")), second, third)),
            "wrong-erasure",
            "statements[0]",
        ),
        (
            "sealed by another anchor",
            replace(good, statements=(replace(first, seal=second.seal), second, third)),
            "wrong-key",
            "statements[0]",
        ),
        (
            "an order to do something else",
            replace(good, order=replace(good.order, order=replace(order, act=Act.RETIRE))),
            "wrong-kind",
            "order",
        ),
        (
            "an order under somebody else's seal",
            replace(
                good,
                order=replace(
                    good.order,
                    seals=(replace(good.order.seals[0], signer=key("eve").public),),
                ),
            ),
            "bad-signature",
            None,
        ),
    ):
        expect = {"reason": reason} if where is None else {"reason": reason, "where": where}
        yield Case(name=name, data=encode(made), expect=expect)
    yield from spoiled(good, ERASURE_BYTES_MAX, where=AT)


KIND = Kind(
    name="erasure",
    about="bytes: an ErasureCertificate. expect: whose keys were destroyed where, by which order, and whether all "
    "anchors of that zone state it. Whether the order is the agent's officers' is judged with its capsule.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
