"""Certificates for tests: sound ones, and every way of not being sound."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import NameOID

PrivateKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
NAME = "spiffe://zone/host/1"


def ed25519_key(seed: bytes = b"d" * 32) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def certificate(
    key: PrivateKey,
    *,
    names: Sequence[x509.GeneralName] | None = (uri(NAME),),
    signer: PrivateKey | None = None,
    subject: str = "me",
    issuer: str | None = None,
    is_authority: bool | None = False,
    years: tuple[int, int] = (1970, 9999),
) -> x509.Certificate:
    """Return a certificate like ours, but for what is asked for."""

    def common_name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def new_year(year: int) -> datetime.datetime:
        return datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)

    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(subject))
        .issuer_name(common_name(issuer or subject))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(new_year(years[0]))
        .not_valid_after(new_year(years[1]))
    )
    if is_authority is not None:
        constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    if names is not None:
        alternatives = x509.SubjectAlternativeName(names)
        builder = builder.add_extension(alternatives, critical=False)
    signing = signer or key
    algorithm: Any = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signing, algorithm)


def der(shown: x509.Certificate) -> bytes:
    return shown.public_bytes(serialization.Encoding.DER)


def write_pem(folder: Path, key: PrivateKey, *shown: x509.Certificate) -> Path:
    """Write the key and its certificates where `ssl` can load them."""
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "identity.pem"
    path.write_bytes(private + b"".join(each.public_bytes(pem) for each in shown))
    return path
