"""Identities: certificates that are accepted, and every kind that is not."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.runtime.transport import PeerIdentity
from sojourn.transports.identity import Credentials, check_certificate
from tests.unit.transports.certificates import NAME, certificate, der, ed25519_key, rsa_key, uri

SEED = b"d" * 32
OURS = der(Credentials(SEED, NAME).certificate)

IDENTITY_POINT = b"\x01" + bytes(31)
BASE_POINT = b"\x58" + b"\x66" * 31
FORGED = BASE_POINT + b"\x01" + bytes(31)
"""S = 1 and R = B: holds for every message under the key that is the identity point."""


def reason_of(der_bytes: bytes) -> str:
    with pytest.raises(Rejected) as seen:
        check_certificate(der_bytes)
    assert "certificate" == seen.value.where
    return seen.value.reason


def test_a_certificate_names_its_key_and_its_spiffe_name() -> None:
    assert PeerIdentity(KeyPair(SEED).public, NAME) == check_certificate(OURS)


def test_the_same_key_and_name_give_the_same_bytes() -> None:
    assert OURS == der(Credentials(SEED, NAME).certificate)
    assert OURS != der(Credentials(SEED, "spiffe://zone/host/2").certificate)


def test_a_certificate_has_the_form_of_a_spiffe_leaf() -> None:
    """X.509-SVID §4: basic constraints, key usage, one URI; RFC 5280: a name for its issuer."""
    made = Credentials(SEED, NAME).certificate
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert made.issuer == made.subject
    assert key_text(KeyPair(SEED).public) in made.subject.rfc4514_string()
    assert made.not_valid_after_utc.year == 9999


@pytest.mark.parametrize(
    "name",
    [
        "spiffe://bafyreiabc/anchor/3",
        "spiffe://person/4xoz7pljct6np744",
        "spiffe://zone.example/host/Front_1",
    ],
)
def test_names_that_will_do(name: str) -> None:
    assert name == check_certificate(der(Credentials(SEED, name).certificate)).spiffe


@pytest.mark.parametrize(
    "name",
    [
        "",
        "zone/anchor/1",
        "https://zone/anchor/1",
        "spiffe://zone",
        "spiffe://zone/",
        "spiffe://zone//1",
        "spiffe://zone/../1",
        "spiffe://zone/a/.",
        "spiffe://Zone/anchor/1",
        "spiffe://zone/anchor/1?x",
        "spiffe://zone/anchor/1\n",
        "spiffe://zone/" + "a" * 2048,
    ],
    ids=lambda name: name[:30],
)
def test_names_that_will_not_do(name: str) -> None:
    with pytest.raises(Misused, match="not a SPIFFE name"):
        Credentials(SEED, name)
    if name.isprintable():
        assert "bad-name" == reason_of(der(certificate(ed25519_key(), names=[uri(name)])))


def test_an_rsa_key_will_not_do() -> None:
    assert "wrong-key-type" == reason_of(der(certificate(rsa_key())))


def test_a_certificate_issued_by_another_will_not_do() -> None:
    other = ed25519_key(b"o" * 32)
    assert "bad-certificate" == reason_of(der(certificate(ed25519_key(), issuer="authority")))
    assert "bad-signature" == reason_of(der(certificate(ed25519_key(), signer=other)))


def test_an_authority_will_not_do() -> None:
    assert "bad-certificate" == reason_of(der(certificate(ed25519_key(), is_authority=True)))
    assert "bad-certificate" == reason_of(der(certificate(ed25519_key(), is_authority=None)))


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (None, "bad-certificate"),
        ([uri(NAME), uri("spiffe://zone/host/2")], "bad-name"),
        ([uri(NAME), x509.DNSName("zone.example")], "bad-name"),
        ([x509.DNSName("zone.example")], "bad-name"),
    ],
    ids=["none", "two", "a DNS name beside", "a DNS name instead"],
)
def test_exactly_one_name_will_do(names: list[x509.GeneralName] | None, reason: str) -> None:
    assert reason == reason_of(der(certificate(ed25519_key(), names=names)))


def test_dates_do_not_matter() -> None:
    """A key ends when a manifest drops it, not on a date that its holder wrote himself."""
    for years in [(1990, 1991), (2500, 2501)]:
        shown = certificate(ed25519_key(), years=years)
        assert NAME == check_certificate(der(shown)).spiffe


def test_a_key_of_low_order_will_not_do() -> None:
    """Under such a key anyone can sign, and TLS itself takes it (protocol §1)."""
    Ed25519PublicKey.from_public_bytes(IDENTITY_POINT).verify(FORGED, b"any message at all")
    weak = OURS.replace(KeyPair(SEED).public, IDENTITY_POINT)[:-64] + FORGED
    shown = x509.load_der_x509_certificate(weak)
    weak_key = shown.public_key()
    assert isinstance(weak_key, ed25519.Ed25519PublicKey)
    weak_key.verify(shown.signature, shown.tbs_certificate_bytes)
    assert "bad-key" == reason_of(weak)


@pytest.mark.filterwarnings("ignore:Parsed a serial number:UserWarning")
def test_any_flipped_bit_is_rejected() -> None:
    for bit in range(len(OURS) * 8):
        flipped = bytearray(OURS)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Rejected):
            check_certificate(bytes(flipped))


@given(st.integers(0, len(OURS) - 1))
def test_a_truncated_certificate_is_rejected(size: int) -> None:
    with pytest.raises(Rejected):
        check_certificate(OURS[:size])


@given(st.binary(max_size=300))
def test_garbage_is_rejected(garbage: bytes) -> None:
    with pytest.raises(Rejected):
        check_certificate(garbage)
