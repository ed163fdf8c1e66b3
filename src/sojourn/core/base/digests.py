"""SHA-256 digests, and their names as CIDs (version 1) for people and for links.

Source: FIPS 180-4; the CID specification, version 1, with multihash 0x12 and base32 lower case.
"""

import base64
import hashlib
from typing import Annotated, Final

from cbrrr import CID as Link
from msgspec import Meta

from sojourn.core.base.errors import Rejected

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""32 bytes of SHA-256."""

ZERO: Final = bytes(32)
"""The digest that names nothing: the parent of a genesis."""

_CBOR_PREFIX: Final = b"\x01\x71\x12\x20"
_RAW_PREFIX: Final = b"\x01\x55\x12\x20"

__all__ = [
    "ZERO",
    "Digest",
    "Link",
    "cid_text",
    "digest",
    "link_digest",
    "link_to",
    "parse_cid_text",
    "short",
]


def digest(data: bytes) -> bytes:
    """Return the SHA-256 of `data`, 32 bytes."""
    return hashlib.sha256(data).digest()


def link_to(named: bytes, *, raw: bool = False) -> Link:
    """Return the link (CIDv1) to the block whose digest is `named`; `raw` for a leaf of plain bytes."""
    return Link((_RAW_PREFIX if raw else _CBOR_PREFIX) + named)


def link_digest(link: Link) -> bytes:
    """Return the digest a link names.

    Raises `Rejected` ("bad-link") for anything but CIDv1, DAG-CBOR or raw, SHA-256.
    """
    data = bytes(link)
    if len(data) != 36 or data[:4] not in (_CBOR_PREFIX, _RAW_PREFIX):
        raise Rejected(
            f"not a SHA-256 DAG-CBOR or raw CIDv1 link: {data.hex()[:80]}", reason="bad-link"
        )
    return data[4:]


def cid_text(named: bytes) -> str:
    """Return the base32 text of the DAG-CBOR CID for a digest: how identifiers are shown and typed."""
    encoded = base64.b32encode(_CBOR_PREFIX + named).decode("ascii")
    return "b" + encoded.lower().rstrip("=")


def parse_cid_text(text: str) -> bytes:
    """Return the digest that `cid_text` rendered. Raises `Rejected` ("bad-link") for any other text."""
    try:
        data = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
    except ValueError:
        data = b""
    if len(data) != 36 or cid_text(data[4:]) != text:  # other prefixes give another text
        raise Rejected(f"not an identifier: {text[:80]!r}", reason="bad-link")
    return data[4:]


def short(named: bytes) -> str:
    """Return a few characters of an identifier's tail, for people and logs; never for comparing."""
    return cid_text(named)[-10:]
