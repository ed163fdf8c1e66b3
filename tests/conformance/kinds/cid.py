"""Identifiers as text."""

from collections.abc import Iterator

from sojourn.core.base.digests import cid_text, digest, link_to, parse_cid_text
from sojourn.core.base.errors import Rejected
from tests.conformance.golden import Case, Json, Kind

NAME = cid_text(digest(b"\xa0"))


def _check(data: bytes, given: Json) -> Json:
    named = parse_cid_text(data.decode())
    if "block" in given and named != digest(bytes.fromhex(given["block"])):
        raise Rejected("the name is not that of the block", reason="bad-link")
    return {"digest": named.hex()}


def _valid() -> Iterator[Case]:
    blocks = {"an empty map": b"\xa0", "null": b"\xf6", "a list": bytes.fromhex("83010203")}
    for name, block in blocks.items():
        text = cid_text(digest(block)).encode()
        yield Case(name=f"the name of {name}", data=text, given={"block": block.hex()})
    yield Case(name="the digest of zeros", data=cid_text(bytes(32)).encode())
    yield Case(name="the digest of ones", data=cid_text(b"\xff" * 32).encode())


def _invalid() -> Iterator[Case]:
    texts = {
        "nothing": "",
        "the prefix alone": "b",
        "upper case": NAME.upper(),
        "another base": "z" + NAME[1:],
        "one character short": NAME[:-1],
        "one character long": NAME + "a",
        "padding": NAME + "=",
        "a line end": NAME + "\n",
        "a character outside base32": NAME[:20] + "1" + NAME[21:],
        "spare bits that are not zero": NAME[:-1] + chr(ord(NAME[-1]) + 1),
        "version 0": "QmbNQ1j6BUYuRf6Sj73JrwH7xwXKsmaXTipK3o2QYnWp1D",
        "a raw block": link_to(digest(b"\xa0"), raw=True).encode(),
        "the name of another block": cid_text(digest(b"\xa1")),
    }
    for name, text in texts.items():
        given = {"block": "a0"} if name == "the name of another block" else {}
        yield Case(name=name, data=text.encode(), given=given, expect={"reason": "bad-link"})


KIND = Kind(
    name="cid",
    about="bytes: an identifier as UTF-8 text, CIDv1 of a DAG-CBOR block with SHA-256, base32 lower case. "
    "given.block, if there: the block it must name. expect.digest: the SHA-256 digest it holds.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
