"""Envelopes: what a host offers, for how long, and how it shows that the zone has enrolled it."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.base.seals import Kind, Role
from sojourn.core.zone.envelope import SignedEnvelope, load_envelope
from tests.samples import NOW_MS, SampleZone, envelope, found, key, seal

HOME, AWAY = found("home"), found("away")
HOST, OTHER_HOST = HOME.hosts
OFFERED = envelope(HOME, HOST)


def reason_of(made: SignedEnvelope, zone: SampleZone = HOME, now_ms: int = NOW_MS) -> str:
    with pytest.raises(Rejected) as caught:
        load_envelope(encode(made), zone.manifest, now_ms)
    return caught.value.reason


def test_an_envelope_comes_out_as_it_went_in() -> None:
    assert OFFERED == load_envelope(encode(OFFERED), HOME.manifest, NOW_MS)


def test_an_envelope_of_another_zone_is_refused() -> None:
    assert "wrong-zone" == reason_of(OFFERED, AWAY)
    assert "wrong-zone" == reason_of(envelope(HOME, HOST, zone=AWAY.zone))


def test_a_host_that_the_zone_has_not_enrolled_is_refused() -> None:
    stranger = replace(
        OFFERED.envelope,
        host=AWAY.hosts[0].public,
        membership=AWAY.memberships[AWAY.hosts[0].public],
    )
    sealed = seal(AWAY.hosts[0], Kind.ENVELOPE, Role.HOST, digest_of(stranger))
    assert "unknown-host" == reason_of(SignedEnvelope(envelope=stranger, seal=sealed))


def test_one_host_cannot_speak_with_the_proof_or_the_key_of_another() -> None:
    borrowed = envelope(HOME, HOST, membership=HOME.memberships[OTHER_HOST.public])
    assert "unknown-host" == reason_of(borrowed)
    forged = seal(OTHER_HOST, Kind.ENVELOPE, Role.HOST, digest_of(OFFERED.envelope))
    assert "wrong-key" == reason_of(replace(OFFERED, seal=forged))


def test_an_envelope_holds_until_it_expires_and_not_long_before_it_was_issued() -> None:
    expires_ms, issued_ms = OFFERED.envelope.expires_ms, OFFERED.envelope.issued_ms
    OFFERED.check(HOME.manifest, expires_ms - 1)
    assert "expired" == reason_of(OFFERED, now_ms=expires_ms)
    OFFERED.check(HOME.manifest, issued_ms - CLOCK_SKEW_MS)
    assert "expired" == reason_of(OFFERED, now_ms=issued_ms - CLOCK_SKEW_MS - 1)


@pytest.mark.parametrize("field", ["price_micros", "sequence", "offer", "expires_ms"])
def test_a_changed_envelope_is_not_the_one_sealed(field: str) -> None:
    others = {
        "price_micros": 1,
        "sequence": 1,
        "expires_ms": NOW_MS + 1,
        "offer": replace(OFFERED.envelope.offer, gpus=8),
    }
    changed = replace(OFFERED.envelope, **{field: others[field]})
    assert "bad-signature" == reason_of(replace(OFFERED, envelope=changed))


def test_trap_11_a_seal_as_something_else_is_none() -> None:
    digest = digest_of(OFFERED.envelope)
    for kind, role in ((Kind.HEARTBEAT, Role.HOST), (Kind.ENVELOPE, Role.ANCHOR)):
        wrong = replace(OFFERED, seal=seal(key("home/host/0"), kind, role, digest))
        assert "bad-signature" == reason_of(wrong)
