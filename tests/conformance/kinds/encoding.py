"""DAG-CBOR itself."""

import base64
from collections.abc import Iterator
from typing import Any

from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import Link, decode_block, encode_block
from sojourn.core.base.limits import BLOCK_BYTES_MAX, NESTING_DEPTH_MAX
from tests.conformance.golden import Case, Json, Kind, Pieces

LINK = link_to(digest(b"\xa0"))


def dag_json(value: Any) -> Any:
    """Return a block's value as DAG-JSON: bytes and links are maps with the one key "/"."""
    if isinstance(value, bytes):
        return {"/": {"bytes": base64.b64encode(value).decode().rstrip("=")}}
    if isinstance(value, Link):
        return {"/": value.encode()}
    if isinstance(value, list):
        return [dag_json(item) for item in value]
    if isinstance(value, dict):
        return {key: dag_json(item) for key, item in value.items()}
    return value


def _check(data: bytes, given: Json) -> Json:
    value = decode_block(data, what="block", limit=BLOCK_BYTES_MAX)
    return {"value": dag_json(value), "digest": digest(data).hex()}


def _deepest() -> Any:
    value: Any = 0
    for _ in range(NESTING_DEPTH_MAX - 1):
        value = [value]
    return value


def _valid() -> Iterator[Case]:
    values = {
        "null": None,
        "false": False,
        "true": True,
        **{f"the int {n}": n for n in (0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32)},
        **{f"the int {n}": n for n in (2**63 - 1, 2**63, 2**64 - 1)},
        **{f"the int {n}": n for n in (-1, -24, -25, -(2**63), -(2**64))},
        "a float": 1.5,
        "a float without a part": 1.0,
        "minus zero": -0.0,
        "the smallest float": 5e-324,
        "no text": "",
        "text": "grüß dich",
        "text beyond the basic plane": "\U0001f9f3",
        "text that is not in normal form": "e\u0301",
        "no bytes": b"",
        "bytes": bytes(range(24)),
        "a link": LINK,
        "a link to a raw block": link_to(digest(b"raw"), raw=True),
        "an empty list": [],
        "a list": [1, [2, [3]], "four", b"5", None],
        "24 items": list(range(24)),
        "an empty map": {},
        "a map, shorter keys first": {"": 0, "b": 1, "c": 2, "aa": 3, "ü": 4},
        "as deep as can be": _deepest(),
    }
    for name, value in values.items():
        yield Case(name=name, data=encode_block(value))
    note = "a codec that turns whatever parses as a CID into a link fails here"
    yield Case(name="bytes that read as a CID", data=encode_block(bytes(LINK)), note=note)
    versioned = bytes.fromhex("1220") + digest(b"\xa0")
    yield Case(
        name="bytes that read as a CID of version 0", data=encode_block(versioned), note=note
    )


MALFORMED = {
    "two items": "0000",
    "a reserved length of length": "1c",
    "a list of indefinite length": "9f00ff",
    "a map of indefinite length": "bf616100ff",
    "bytes of indefinite length": "5f4100ff",
    "text of indefinite length": "7f6161ff",
    "a break alone": "ff",
    "a key that is an int": "a10102",
    "a key that is bytes": "a1416102",
    "a float of 16 bits": "f93c00",
    "a float of 32 bits": "fa3f800000",
    "not a number": "fb7ff8000000000000",
    "infinity": "fb7ff0000000000000",
    "minus infinity": "fbfff0000000000000",
    "undefined": "f7",
    "a simple value": "f0",
    "a simple value in two bytes": "f8ff",
    "a date (tag 1)": "c100",
    "a big number (tag 2)": "c249010000000000000000",
    "self-described CBOR (tag 55799)": "d9d9f700",
    "a link that is an int": "d82a00",
    "a link that is text": "d82a6100",
    "a link without bytes": "d82a40",
    "a link without its leading zero": "d82a4401711220",
    "text that is not UTF-8": "61ff",
    "text with half a surrogate pair": "63eda080",
    "text with an overlong slash": "62c0af",
    "text cut inside a character": "61c3",
    "a key that is not UTF-8": "a161ff00",
}
NON_CANONICAL = {
    "an int in two bytes that fits one": "1817",
    "an int in three bytes that fits two": "1900ff",
    "an int in five bytes that fits three": "1a0000ffff",
    "an int in nine bytes that fits five": "1b00000000ffffffff",
    "a negative int in two bytes that fits one": "3817",
    "a length of bytes in two bytes that fits one": "580100",
    "a length of text in three bytes that fits one": "79000161",
    "a length of a list in two bytes that fits one": "980100",
    "a length of a map in two bytes that fits one": "b801616100",
    "a length of a key in two bytes that fits one": "a178016100",
    "tag 42 in three bytes": "d9002a450001711220",
    "a key twice": "a2616101616102",
    "keys out of order": "a2616201616102",
    "a longer key first": "a262616101616202",
}
TRUNCATED = {
    "nothing": "",
    "an int without its second byte": "18",
    "a float of seven bytes": "fb3ff00000000000",
    "bytes with one missing": "420a",
    "a list with one item missing": "8200",
    "a map with a key and no value": "a16161",
    "a list inside a list that ends with it": "8281",
    "a tag and nothing": "d82a",
    "a list of 2^64-1 items": "9bffffffffffffffff",
    "a map of 2^64-1 items": "bbffffffffffffffff",
    "bytes of 2^64-1 bytes": "5bffffffffffffffff",
    "text of 2^63 bytes": "7b8000000000000000",
}


def _invalid() -> Iterator[Case]:
    groups = {"malformed": MALFORMED, "non-canonical": NON_CANONICAL, "truncated": TRUNCATED}
    for reason, group in groups.items():
        for name, data in group.items():
            yield Case(name=name, data=bytes.fromhex(data), expect={"reason": reason})
    bombs: dict[str, tuple[Pieces, str]] = {
        "one level too deep": ([(b"\x81", NESTING_DEPTH_MAX), (b"\0", 1)], "too-deep"),
        "a million lists, each in the one before": ([(b"\x81", 1_000_000), (b"\0", 1)], "too-deep"),
        "300,000 maps, each in the one before": ([(b"\xa1\x61a", 300_000), (b"\0", 1)], "too-deep"),
        "lists in lists, each promising 65,536 items": ([(b"\x9a\0\1\0\0", 200_000)], "truncated"),
        "larger than a block may be": ([(b"\0", BLOCK_BYTES_MAX + 1)], "too-large"),
    }
    for name, (pieces, reason) in bombs.items():
        yield Case(name=name, data=pieces, expect={"reason": reason})


KIND = Kind(
    name="encoding",
    about="bytes: a block of DAG-CBOR. expect.value: what it holds, as DAG-JSON; expect.digest: its SHA-256. "
    f"A block has at most {BLOCK_BYTES_MAX} bytes and {NESTING_DEPTH_MAX} levels.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
