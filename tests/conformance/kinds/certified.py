"""Certified transitions: what a zone's quorum has committed."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.limits import TRANSITION_BYTES_MAX
from sojourn.core.protocol.custody import Certified
from sojourn.core.quorum.votes import Phase
from sojourn.core.zone.manifest import ZoneManifest, load_manifest
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.kinds.vote import slot_summary
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import SampleZone

AT: Final = "certified"
DONE: Final = journey.ADMITTED


def given_zones(*zones: SampleZone) -> Json:
    """Return the manifests that are known, as the files write them."""
    return {"manifests": [zone.signed.to_bytes().hex() for zone in zones]}


def known_zones(given: Json) -> dict[bytes, ZoneManifest]:
    """Return the manifests that a file gives, by zone."""
    signed = [load_manifest(bytes.fromhex(written)) for written in given["manifests"]]
    return {each.manifest.zone_id: each.manifest for each in signed}


def _check(data: bytes, given: Json) -> Json:
    certified = decode(data, Certified, what=AT, limit=TRANSITION_BYTES_MAX)
    certified.check(known_zones(given))
    return {
        "kind": str(certified.transition.kind),
        "value": certified.transition.digest.hex(),
        "record": certified.record.digest.hex(),
        "slot": slot_summary(certified.certificate.slot),
    }


def _valid() -> Iterator[Case]:
    for name, certified in (
        ("a genesis", journey.BORN),
        ("a step", journey.STEPPED),
        ("a departure", journey.GONE),
        ("an admission by a zone of five, where four are a quorum", journey.ADMITTED),
        ("a refusal, in the slot that an admission would have had", journey.REFUSAL),
        ("a return", journey.RETURNED),
    ):
        yield Case(name=name, data=encode(certified))
    slot, value = DONE.certificate.slot, DONE.certificate.value
    for anchors in ((0, 1, 2, 4), (0, 1, 2, 3, 4)):
        certificate = journey.AWAY.certificate(slot, value, anchors=anchors)
        yield Case(
            name=f"the same, signed by {', '.join(map(str, anchors))}",
            data=encode(replace(DONE, certificate=certificate)),
        )


def _misplaced() -> Iterator[tuple[str, Certified, str, str]]:
    certificate, away = DONE.certificate, journey.AWAY
    slot, value = certificate.slot, certificate.value
    moved = {
        "agent": (digest(b"another agent"), "wrong-agent", AT),
        "term": (2, "wrong-slot", f"{AT}.certificate.slot"),
        "version": (9, "wrong-slot", f"{AT}.certificate.slot"),
        "epoch": (1, "unknown-epoch", f"{AT}.certificate.slot"),
        "realm": ("production", "wrong-realm", f"{AT}.certificate.slot"),
        "group": (journey.HOME.zone, "wrong-slot", f"{AT}.certificate.slot"),
    }
    for field, (other, reason, where) in moved.items():
        elsewhere = replace(certificate, slot=replace(slot, **{field: other}))
        name = f"the certificate of another {field}"
        yield name, replace(DONE, certificate=elsewhere), reason, where
    lock = away.certificate(slot, value, phase=Phase.LOCK)
    where = f"{AT}.certificate"
    yield "a lock certificate", replace(DONE, certificate=lock), "wrong-phase", where
    visa = away.certificate(slot, value, phase=Phase.VISA)
    yield "a visa's certificate", replace(DONE, certificate=visa), "wrong-phase", where
    other = replace(DONE, transition=replace(DONE.transition, reason="other"))
    yield "another transition", other, "wrong-value", AT
    thief = journey.THIEF.certificate(slot, value)
    yield "one vote by a stranger", replace(DONE, certificate=thief), "no-quorum", where
    stolen = replace(certificate, votes=thief.votes + certificate.votes[1:])
    yield (
        "a stranger among them",
        replace(DONE, certificate=stolen),
        "wrong-key",
        f"{where}.votes[0].seal",
    )
    three = replace(certificate, votes=certificate.votes[:3])
    yield "three of five", replace(DONE, certificate=three), "no-quorum", where
    twice = replace(certificate, votes=(*certificate.votes[:3], certificate.votes[2]))
    yield "one of them twice", replace(DONE, certificate=twice), "duplicate-signer", where
    swapped = replace(certificate, votes=certificate.votes[::-1])
    yield "in another order", replace(DONE, certificate=swapped), "duplicate-signer", where
    own = journey.HOME.certificate(journey.REFUSAL.certificate.slot, DONE.certificate.value)
    yield "a refusal's slot", replace(DONE, certificate=own), "wrong-slot", f"{where}.slot"


def _invalid() -> Iterator[Case]:
    for name, certified, reason, where in _misplaced():
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(certified), expect=expect)
    unknown = {"reason": "unknown-zone", "where": AT}
    given = given_zones(journey.HOME)
    yield Case(name="by a zone that is not known", data=encode(DONE), given=given, expect=unknown)
    plain = fields_of(DONE)
    late = with_fields(DONE, {"certificate": plain["certificate"] | {"kind": "certificate/2"}})
    expect = {"reason": "wrong-kind", "where": f"{AT}.certificate.kind"}
    yield Case(name="a certificate of a later version", data=late, expect=expect)
    yield from spoiled(DONE, TRANSITION_BYTES_MAX, where=AT)


KIND = Kind(
    name="certified",
    about="bytes: a Certified: a Transition and its commit Certificate. given.manifests: the zones that are "
    "known, each as the encoding of a SignedManifest. expect: what was decided, and in which slot. The "
    "slot follows from the record: its zone, term and version; for a refusal the zone and term that the "
    "departed record names, and the version after its own.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=given_zones(journey.HOME, journey.AWAY),
)
