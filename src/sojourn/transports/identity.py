"""An identity key as an X.509 certificate, and back. There is no certificate authority.

A certificate is made from the identity key and a SPIFFE name alone, at start: same key and name,
same bytes. It vouches for nothing; it only lets TLS carry the key, and TLS proves that its bearer
holds it. Whether that key may do anything is for manifests to say (architecture §6). So the checks
here are about form, and the ones a certificate authority would need have no part:

* validity dates: a key ends when a manifest drops it, not on a date that its holder chose;
* revocation lists, path building, name constraints: nobody issues.

The self-signature and the key go through the project's one rule of verification (`core.base.keys`):
TLS itself would take a key of low order, under which anyone can sign.

Source: RFC 8446 §4.4.3 (possession); RFC 8410 (Ed25519 in X.509); the SPIFFE X.509-SVID standard
§2, §4.
"""

import datetime
import re
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import shown
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import is_acceptable_key, key_text, verify
from sojourn.runtime.transport import PeerIdentity

__all__ = ["Credentials", "check_certificate", "wrong_key"]

_SPIFFE_LENGTH_MAX: Final = 2048
_SPIFFE: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]+)+")
_NOT_BEFORE: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER: Final = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""No expiry (RFC 5280 §4.1.2.5)."""
_SERIAL_BYTES: Final = 16
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the parser raises for bytes that are no certificate: it reads each part on first use."""


class Credentials:
    """What one end shows of itself: its key and the certificate made from it."""

    def __init__(self, seed: bytes, spiffe: str) -> None:
        """Make the certificate for the Ed25519 key of `seed` (32 bytes) under the name `spiffe`.

        Raises `Misused` for a name that is not a SPIFFE one.
        """
        if not _is_spiffe(spiffe):
            problem = f"{spiffe[:200]!r} is not a SPIFFE name"
            raise Misused(problem, remedy="Use the form spiffe://<zone>/anchor/<k>, in lower case")
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self.key.public_key()
        self.identity = PeerIdentity(public.public_bytes_raw(), spiffe)
        self.certificate = _certificate(self.key, self.identity)


def check_certificate(der: bytes) -> PeerIdentity:
    """Return who a certificate (DER) names. That its bearer holds the key, TLS proves, not this.

    Checks in this order: an Ed25519 key that someone can hold, issued by itself, not an authority,
    exactly one name in its subject alternative names and that a SPIFFE one, the signature.
    Raises `Rejected` ("wrong-key-type", "bad-key", "bad-certificate", "bad-name", "bad-signature").
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        public_key = _ed25519_key(certificate)
        if certificate.issuer != certificate.subject:
            raise _bad("it is not self-signed", "bad-certificate")
        spiffe = _name(certificate)
    except x509.ExtensionNotFound as error:
        raise _bad(f"it lacks extension {error.oid.dotted_string}", "bad-certificate") from None
    except _UNREADABLE as error:
        raise _bad(f"it is malformed: {shown(str(error))}", "bad-certificate") from None
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ED25519:
        raise _bad("its signature does not claim to be Ed25519", "bad-signature")
    if not verify(public_key, certificate.signature, certificate.tbs_certificate_bytes):
        raise _bad("its signature is not by its own key", "bad-signature")
    return PeerIdentity(public_key, spiffe)


def wrong_key(address: str, *, expected: bytes, seen: bytes) -> Rejected:
    """Return the error for a peer that proved a key other than the one expected."""
    problem = f"{address} holds key {key_text(seen)}, not the expected {key_text(expected)}"
    remedy = (
        "Get the zone's newest manifest; if that names the same key, another answers in its place"
    )
    return Rejected(problem, reason="wrong-key", where=address, remedy=remedy)


def _certificate(key: Ed25519PrivateKey, identity: PeerIdentity) -> x509.Certificate:
    fingerprint = key_text(identity.public_key)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fingerprint)])
    serial = digest(identity.public_key + identity.spiffe.encode())[:_SERIAL_BYTES]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(serial, "big"))
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signing_only(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(_alternative_name(identity.spiffe), critical=False)
    )
    return builder.sign(key, algorithm=None)


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_name(spiffe: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe)])


def _ed25519_key(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise _bad(f"its key is {type(key).__name__}, not Ed25519", "wrong-key-type")
    public_key = key.public_bytes_raw()
    if not is_acceptable_key(public_key):
        raise _bad("its key is of low order or not canonical", "bad-key")
    return public_key


def _name(certificate: x509.Certificate) -> str:
    extensions = certificate.extensions
    names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    if extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        raise _bad("it claims to be an authority", "bad-certificate")
    if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier):
        raise _bad(f"it has {len(names)} names; exactly one URI is allowed", "bad-name")
    if not _is_spiffe(names[0].value):
        raise _bad(f"its name {names[0].value[:200]!a} is not a SPIFFE one", "bad-name")
    return names[0].value


def _is_spiffe(text: str) -> bool:
    return len(text) <= _SPIFFE_LENGTH_MAX and _SPIFFE.fullmatch(text) is not None


def _bad(problem: str, reason: str) -> Rejected:
    text = f"the peer's certificate cannot be used: {problem}"
    return Rejected(text, reason=reason, where="certificate")
