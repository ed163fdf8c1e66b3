"""Host envelopes: what a host offers, held against its zone's manifest and a time."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.capabilities import Offer
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.limits import CLOCK_SKEW_MS, ENVELOPE_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from sojourn.core.zone.envelope import SignedEnvelope, load_envelope
from sojourn.core.zone.manifest import load_manifest
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import NOW_MS, envelope, seal

HOST, OTHER = journey.HOME.hosts
SIGNED: Final = envelope(journey.HOME, HOST)
AT: Final = "envelope"


def _given(now_ms: int = NOW_MS, zone: Any = journey.HOME) -> Json:
    return {"manifest": zone.signed.to_bytes().hex(), "now_ms": now_ms}


def _check(data: bytes, given: Json) -> Json:
    manifest = load_manifest(bytes.fromhex(given["manifest"])).manifest
    signed = load_envelope(data, manifest, given["now_ms"])
    offered = signed.envelope
    return {
        "host": offered.host.hex(),
        "sequence": offered.sequence,
        "price_micros": offered.price_micros,
        "slots": offered.offer.slots,
    }


def _valid() -> Iterator[Case]:
    yield Case(name="a host's offer", data=encode(SIGNED))
    rich = Offer(
        cpu_millis=64_000,
        memory_mib=262_144,
        gpus=8,
        slots=3,
        packages={"arch": "7.1.0", "numpy": "2.1.3"},
        models=("small", "large"),
        accelerators=("nvidia-a100",),
        confines=True,
    )
    yield Case(
        name="with all that may be offered", data=encode(envelope(journey.HOME, OTHER, offer=rich))
    )
    last = SIGNED.envelope.expires_ms - 1
    yield Case(name="in its last millisecond", data=encode(SIGNED), given=_given(last))
    early = NOW_MS - CLOCK_SKEW_MS
    yield Case(
        name="by a clock that is ahead, but not much", data=encode(SIGNED), given=_given(early)
    )


def _untrue() -> Iterator[tuple[str, SignedEnvelope, str, str]]:
    borrowed = envelope(journey.HOME, HOST, membership=journey.HOME.memberships[OTHER.public])
    yield "with another host's place", borrowed, "unknown-host", f"{AT}.membership"
    moved = replace(SIGNED.envelope.membership, index=1)
    misplaced = envelope(journey.HOME, HOST, membership=moved)
    yield "with a place that is not its own", misplaced, "unknown-host", f"{AT}.membership"
    other = replace(SIGNED, seal=envelope(journey.HOME, OTHER).seal)
    yield "sealed by another host", other, "wrong-key", f"{AT}.seal"
    for name, kind, role in (
        ("sealed as an anchor", SealKind.ENVELOPE, Role.ANCHOR),
        ("sealed as a heartbeat", SealKind.HEARTBEAT, Role.HOST),
    ):
        sealed = seal(HOST, kind, role, digest_of(SIGNED.envelope))
        yield name, replace(SIGNED, seal=sealed), "bad-signature", f"{AT}.seal"
    cheaper = replace(SIGNED, envelope=replace(SIGNED.envelope, price_micros=1))
    yield "cheaper than was sealed", cheaper, "bad-signature", f"{AT}.seal"
    newer = replace(SIGNED, envelope=replace(SIGNED.envelope, sequence=2**62))
    yield "newer than was sealed", newer, "bad-signature", f"{AT}.seal"


def _invalid() -> Iterator[Case]:
    for name, made, reason, where in _untrue():
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(made), expect=expect)
    data, expired = encode(SIGNED), {"reason": "expired", "where": f"{AT}.expires_ms"}
    ends = SIGNED.envelope.expires_ms
    yield Case(name="expired", data=data, given=_given(ends), expect=expired)
    early = NOW_MS - CLOCK_SKEW_MS - 1
    yield Case(name="from a time to come", data=data, given=_given(early), expect=expired)
    expect = {"reason": "wrong-zone", "where": f"{AT}.zone"}
    away = _given(zone=journey.AWAY)
    yield Case(name="of another zone", data=data, given=away, expect=expect)
    plain = fields_of(SIGNED.envelope)
    offer = plain["offer"]
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "a negative price": ({"price_micros": -1}, "bad-field", "price_micros"),
        "a price that is a float": ({"price_micros": 0.5}, "bad-field", "price_micros"),
        "half a slot": ({"offer": offer | {"slots": 0.5}}, "bad-field", "offer.slots"),
        "an offer of the moon": ({"offer": offer | {"moon": 1}}, "unknown-field", "offer"),
        "a host without a key": ({"host": b""}, "bad-field", "host"),
    }
    for name, (changes, reason, where) in wrong.items():
        expect = {"reason": reason, "where": f"{AT}.envelope.{where}"}
        spoilt = with_fields(SIGNED, {"envelope": plain | changes})
        yield Case(name=name, data=spoilt, expect=expect)
    yield from spoiled(SIGNED, ENVELOPE_BYTES_MAX, where=AT)


KIND = Kind(
    name="envelope",
    about="bytes: a SignedEnvelope. given.manifest: the encoding of the zone's SignedManifest; given.now_ms: "
    "the time, milliseconds since 1970. An envelope is current from 10 s before it was issued until just "
    "before it expires. expect: who offers what.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=_given(),
)
