"""Zone manifests, sealed by all their anchors."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.base.encoding import encode
from sojourn.core.base.limits import MANIFEST_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest, load_manifest
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import found, key, seal, signed

SIGNED: Final = journey.HOME.signed
PLAIN: Final = SIGNED.manifest
SMALL_ORDER: Final = bytes([1]) + bytes(31)
AT: Final = "manifest"


def _check(data: bytes, given: Json) -> Json:
    manifest = load_manifest(data).manifest
    committee = manifest.committee
    return {
        "zone": manifest.zone_id.hex(),
        "name": manifest.name,
        "epoch": manifest.epoch,
        "n": committee.n,
        "f": committee.f,
        "quorum": committee.quorum,
    }


def _valid() -> Iterator[Case]:
    for n in (1, 4, 7):
        yield Case(name=f"a zone of {n}", data=encode(found("zone", n).signed))
    spare = replace(found("zone", 6).manifest, f=0)
    yield Case(name="six anchors none of which may fail", data=encode(signed(spare)))
    rich = replace(
        PLAIN,
        attributes=replace(
            PLAIN.attributes,
            certifications=("iso27001", "soc2"),
            accelerators=("nvidia-a100",),
            price_micros=1_250_000,
        ),
        policy_actions=("order.place",),
        policy='permit (principal, action, resource); // Ω, "quoted"',
    )
    yield Case(name="with all that may be said", data=encode(signed(rich)))


def _with_anchor(index: int, **changes: Any) -> ZoneManifest:
    anchors = list(PLAIN.anchors)
    anchors[index] = replace(anchors[index], **changes)
    return replace(PLAIN, anchors=tuple(anchors))


def _small(part: str) -> SignedManifest:
    made = signed(_with_anchor(2, **{part: SMALL_ORDER}))
    seals = list(made.seals)
    seals[2] = replace(seals[2], signer=made.manifest.anchors[2].identity)
    return replace(made, seals=tuple(seals))


def _unsound() -> Iterator[tuple[str, SignedManifest, str, str]]:
    anchors = f"{AT}.anchors"
    yield "f too large", signed(replace(PLAIN, f=2)), "bad-committee", "committee.f"
    shared = _with_anchor(1, vote_key=PLAIN.anchors[0].vote_key)
    yield "two anchors with one vote key", signed(shared), "bad-committee", "committee"
    double = _with_anchor(1, vote_key=PLAIN.anchors[1].identity)
    yield "a vote key that is an identity", signed(double), "bad-key", anchors
    yield "a vote key of small order", _small("vote_key"), "bad-key", anchors
    yield "an identity of small order", _small("identity"), "bad-key", anchors
    later = replace(PLAIN, zone=journey.AWAY.zone, epoch=1, previous=journey.AWAY.manifest.digest)
    yield "a later epoch of a zone it names itself", signed(later), "bad-epoch", f"{AT}.epoch"
    named = replace(PLAIN, zone=journey.AWAY.zone)
    yield "a first manifest that names a zone", signed(named), "bad-epoch", f"{AT}.epoch"


def _unsealed() -> Iterator[tuple[str, SignedManifest, str, str]]:
    first, second, *rest = SIGNED.seals
    where = f"{AT}.seals"
    yield "a seal missing", replace(SIGNED, seals=SIGNED.seals[:3]), "no-quorum", where
    extra = replace(SIGNED, seals=(*SIGNED.seals, first))
    yield "a seal too many", extra, "no-quorum", where
    swapped = replace(SIGNED, seals=(second, first, *rest))
    yield "seals in another order", swapped, "wrong-key", f"{where}[0]"
    twice = replace(SIGNED, seals=(first, first, *rest))
    yield "one anchor's seal twice", twice, "wrong-key", f"{where}[1]"
    for name, pair, kind, role in (
        ("sealed with a vote key", key("home/vote/0"), SealKind.MANIFEST, Role.ANCHOR),
        ("sealed as a host", key("home/anchor/0"), SealKind.MANIFEST, Role.HOST),
        ("sealed as an envelope", key("home/anchor/0"), SealKind.ENVELOPE, Role.ANCHOR),
    ):
        made = replace(SIGNED, seals=(seal(pair, kind, role, PLAIN.digest), second, *rest))
        reason = "wrong-key" if pair.public != first.signer else "bad-signature"
        yield name, made, reason, f"{where}[0]"
    other = replace(SIGNED, manifest=replace(PLAIN, not_after_ms=PLAIN.not_after_ms + 1))
    yield "seals of another manifest", other, "bad-signature", f"{where}[0]"


def _misread() -> Iterator[tuple[str, bytes, str, str]]:
    plain = fields_of(PLAIN)
    anchor = plain["anchors"][0]
    at = f"{AT}.manifest"
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "no anchors": ({"anchors": []}, "bad-field", f"{at}.anchors"),
        "32 anchors": ({"anchors": [anchor] * 32}, "bad-field", f"{at}.anchors"),
        "port 0": (
            {"anchors": [anchor | {"endpoint": {"address": "x", "port": 0}}]},
            "bad-field",
            f"{at}.anchors[0].endpoint.port",
        ),
        "a key of 31 bytes": (
            {"anchors": [anchor | {"vote_key": bytes(31)}]},
            "bad-field",
            f"{at}.anchors[0].vote_key",
        ),
        "a manifest of a later version inside": (
            {"kind": "zone-manifest/2"},
            "wrong-kind",
            f"{at}.kind",
        ),
        "a policy that is a list": ({"policy": []}, "bad-field", f"{at}.policy"),
        "an unknown attribute": (
            {"attributes": plain["attributes"] | {"weather": "mild"}},
            "unknown-field",
            f"{at}.attributes",
        ),
    }
    for name, (changes, reason, where) in wrong.items():
        yield name, with_fields(SIGNED, {"manifest": plain | changes}), reason, where


def _invalid() -> Iterator[Case]:
    for name, made, reason, where in [*_unsound(), *_unsealed()]:
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(made), expect=expect)
    for name, data, reason, where in _misread():
        yield Case(name=name, data=data, expect={"reason": reason, "where": where})
    yield from spoiled(SIGNED, MANIFEST_BYTES_MAX, where=AT)


KIND = Kind(
    name="manifest",
    about="bytes: a SignedManifest: a zone's first manifest with a seal by each anchor's identity key, in their "
    "order. expect.zone: the zone's identifier, the digest of the manifest without the seals; "
    "expect.quorum: n - f.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
