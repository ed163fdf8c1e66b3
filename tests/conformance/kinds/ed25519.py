"""Crafted Ed25519 signatures on which libraries disagree."""

from collections.abc import Iterator

from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import verify
from tests.conformance.golden import Case, Json, Kind
from tests.unit.core.base.crafted_signatures import CLAUSES, cases


def _check(data: bytes, given: Json) -> Json:
    if not verify(data[:32], data[32:96], data[96:]):
        raise Rejected("the signature does not hold", reason="bad-signature")
    return {"holds": True}


def _edge_cases() -> Iterator[Case]:
    for case in cases():
        yield Case(
            name=case.name,
            data=case.key + case.signature + case.message,
            expect={"reason": "bad-signature"} if case.broken else {"holds": True},
            note=f"breaks {', '.join(case.broken)}" if case.broken else "",
        )


KIND = Kind(
    name="ed25519",
    about="bytes: the public key A (32), the signature R (32) and S (32), the message. It holds if it breaks "
    "none of: " + "; ".join(f"{name}: {rule}" for name, rule in CLAUSES.items()) + ".",
    check=_check,
    files={"edge-cases": _edge_cases},
)
