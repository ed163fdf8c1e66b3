"""Links as bytes."""

from collections.abc import Iterator

from sojourn.core.base.digests import Link, digest, link_digest, link_to
from tests.conformance.golden import Case, Json, Kind

DIGEST = digest(b"\xa0")
LINK = bytes(link_to(DIGEST))


def _check(data: bytes, given: Json) -> Json:
    return {"digest": link_digest(Link(data)).hex()}


def _valid() -> Iterator[Case]:
    yield Case(name="to a DAG-CBOR block", data=LINK)
    yield Case(name="to a raw block", data=bytes(link_to(DIGEST, raw=True)))


def _invalid() -> Iterator[Case]:
    links = {
        "nothing": b"",
        "the digest alone": DIGEST,
        "one byte short": LINK[:-1],
        "one byte long": LINK + b"\0",
        "the leading zero of tag 42": b"\0" + LINK,
        "version 0": b"\x12\x20" + DIGEST,
        "version 2": b"\x02" + LINK[1:],
        "another codec (DAG-PB)": b"\x01\x70\x12\x20" + DIGEST,
        "another hash (BLAKE3)": b"\x01\x71\x1e\x20" + DIGEST,
        "the identity in place of a hash": b"\x01\x71\x00\x20" + DIGEST,
        "another length": b"\x01\x71\x12\x21" + DIGEST,
        "a version in two bytes": b"\x81\x00\x71\x12\x20" + DIGEST,
    }
    for name, data in links.items():
        yield Case(name=name, data=data, expect={"reason": "bad-link"})


KIND = Kind(
    name="link",
    about="bytes: a CID as it stands in tag 42, without the leading zero: version 1, DAG-CBOR or raw, SHA-256. "
    "expect.digest: the SHA-256 digest it holds.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
