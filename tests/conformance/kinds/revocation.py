"""Revocations: code, a host or an issuer that is not to be relied on, and whether enough said so."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.governance import Officers
from sojourn.core.agent.revocations import About, Reach, Revocation, SignedRevocation, sealed_by
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import REVOCATION_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from sojourn.core.protocol.revocations import is_of_zone
from sojourn.core.zone.manifest import load_manifest
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import CODE, NOW_MS, key, seal

ANN, BEN, EVE = key("ann"), key("ben"), key("eve")
OFFICERS: Final = Officers(keys=(ANN.public, BEN.public), amend=2, revoke=1)
SAID: Final = Revocation(
    reach=Reach.AGENTS,
    by=digest_of(OFFICERS),
    about=About.CODE,
    subject=digest_of(CODE),
    issued_ms=NOW_MS,
    reason="stolen",
)
SIGNED: Final = sealed_by(SAID, (ANN,))
HOME: Final = journey.HOME
AT: Final = "revocation"


def _check(data: bytes, given: Json) -> Json:
    signed = decode(data, SignedRevocation, what=AT, limit=REVOCATION_BYTES_MAX)
    signed.check()
    said = signed.revocation
    officers = decode(
        bytes.fromhex(given["officers"]), Officers, what="officers", limit=REVOCATION_BYTES_MAX
    )
    manifest = load_manifest(bytes.fromhex(given["manifest"])).manifest
    return {
        "digest": digest_of(said).hex(),
        "ends_ms": said.ends_ms,
        "of_officers": signed.is_of_officers(officers),
        "of_zone": is_of_zone(signed, manifest),
    }


def _given() -> Json:
    return {"officers": encode(OFFICERS).hex(), "manifest": encode(HOME.signed).hex()}


def _valid() -> Iterator[Case]:
    lifted, host = replace(SAID, lifts=True), replace(SAID, about=About.HOST, subject=EVE.public)
    zones = replace(SAID, reach=Reach.ZONE, by=HOME.zone)
    anchors = [HOME.identity(index) for index in range(len(HOME.manifest.anchors))]
    for name, said, by in (
        ("by one officer", SAID, (ANN,)),
        ("by a stranger", SAID, (EVE,)),
        ("by an officer and a stranger", SAID, (ANN, EVE)),
        ("a host", host, (BEN,)),
        ("lifted by one of two", lifted, (ANN,)),
        ("lifted by one of two, twice", lifted, (ANN, ANN)),
        ("lifted by two", lifted, (ANN, BEN)),
        ("for a zone by f anchors", zones, anchors[:1]),
        ("for a zone by f+1", zones, anchors[:2]),
        ("lifted for a zone by f+1", replace(zones, lifts=True), anchors[:2]),
        ("lifted for a zone by a quorum", replace(zones, lifts=True), anchors[:3]),
        ("for another zone", replace(zones, by=journey.AWAY.zone), anchors),
    ):
        yield Case(name=name, data=encode(sealed_by(said, by)), given=_given())


def _invalid() -> Iterator[Case]:
    named, place = digest_of(SAID), f"{AT}.seals[0]"
    untrue: dict[str, tuple[SignedRevocation, str, str]] = {
        "by nobody": (replace(SIGNED, seals=()), "below-threshold", f"{AT}.seals"),
        "turned round": (
            replace(SIGNED, revocation=replace(SAID, lifts=True)),
            "bad-signature",
            place,
        ),
        "of other code": (
            replace(SIGNED, revocation=replace(SAID, subject=bytes(32))),
            "bad-signature",
            place,
        ),
    }
    for name, kind, role in (
        ("sealed as an order", SealKind.ORDER, Role.ISSUER),
        ("sealed as an anchor", SealKind.REVOCATION, Role.ANCHOR),
    ):
        untrue[name] = (
            replace(SIGNED, seals=(seal(ANN, kind, role, named),)),
            "bad-signature",
            place,
        )
    for name, (made, reason, where) in untrue.items():
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(made), given=_given(), expect=expect)
    plain = fields_of(SAID)
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "of nothing that there is": ({"about": "key"}, "bad-field", ".about"),
        "a subject of 31 bytes": ({"subject": bytes(31)}, "bad-field", ".subject"),
        "an endless reason": ({"reason": "x" * 513}, "bad-field", ".reason"),
        "a later version inside": ({"kind": "revocation/2"}, "wrong-kind", ".kind"),
        "with an end": ({"until_ms": 1}, "unknown-field", ""),
    }
    for name, (changes, reason, where) in wrong.items():
        expect = {"reason": reason, "where": f"{AT}.revocation{where}"}
        spoilt = with_fields(SIGNED, {"revocation": plain | changes})
        yield Case(name=name, data=spoilt, given=_given(), expect=expect)
    for case in spoiled(SIGNED, REVOCATION_BYTES_MAX, where=AT):
        yield dataclasses.replace(case, given=_given())


KIND = Kind(
    name="revocation",
    about="bytes: a SignedRevocation; given: the officers of an agent's first document, and a zone's signed "
    "manifest. expect: until when it stands, and whether enough of the officers, or of the anchors, sealed it.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
