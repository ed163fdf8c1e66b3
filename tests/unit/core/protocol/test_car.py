"""CAR files: written by the book, read strictly, with the byte where they fail."""

import io

import pytest

from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.car import CarReader, Section, car_header, car_section

LIMIT = 1 << 20
BLOCK = encode_block({"hello": "world"})
LARGE = encode_block(b"x" * 300)


def read(data: bytes) -> list[Section]:
    reader = CarReader(io.BytesIO(data), what="file")
    return list(reader.sections(LIMIT))


def rejected(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(data)
    return caught.value


def header(plain: object) -> bytes:
    encoded = encode_block(plain)
    return bytes([len(encoded)]) + encoded


def test_what_is_written_is_read() -> None:
    data = car_header(digest(BLOCK)) + car_section(BLOCK) + car_section(LARGE)
    first, second = read(data)
    assert Section(digest(BLOCK), BLOCK, len(car_header(digest(BLOCK)))) == first
    assert (digest(LARGE), LARGE) == (second.named, second.data)


def test_the_bytes_are_those_of_the_specification() -> None:
    """The layout of CARv1, spelled out once by hand."""
    link = bytes.fromhex("01711220") + digest(BLOCK)
    cbor = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00" + link + b"\x67version\x01"
    assert bytes([len(cbor)]) + cbor == car_header(digest(BLOCK))
    assert bytes([36 + len(BLOCK)]) + link + BLOCK == car_section(BLOCK)
    assert (36 + len(LARGE)) == (car_section(LARGE)[0] & 0x7F) | car_section(LARGE)[1] << 7


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\x80", "truncated"),
        (b"\x00", "truncated"),
        (b"\x81\x00", "non-canonical"),
        (b"\xff" * 10, "malformed"),
        (b"\xff\xff\x7f", "too-large"),
        (b"\x3a" + bytes(10), "truncated"),
        (b"not a capsule at all", "truncated"),
        (header({"roots": [link_to(digest(BLOCK))], "version": 2}), "unknown-version"),
        (header({"roots": [link_to(digest(BLOCK))], "version": True}), "unknown-version"),
        (header({"roots": [link_to(digest(BLOCK), raw=True)], "version": 1}), "bad-link"),
        (header({"roots": [], "version": 1}), "wrong-kind"),
        (header({"roots": [link_to(digest(BLOCK))] * 2, "version": 1}), "wrong-kind"),
        (header({"roots": ["x"], "version": 1}), "wrong-kind"),
        (header({"roots": [link_to(digest(BLOCK))], "version": 1, "x": 1}), "wrong-kind"),
        (header([1]), "wrong-kind"),
    ],
)
def test_what_is_no_header_is_rejected(data: bytes, reason: str) -> None:
    error = rejected(data)
    assert reason == error.reason
    assert "file" in error.where


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        (car_section(BLOCK)[:-1], "truncated"),
        (car_section(BLOCK)[:1], "truncated"),
        (b"\x00", "malformed"),
        (b"\x24" + car_section(BLOCK)[1:37], "malformed"),
        (b"\x80", "truncated"),
        (b"\xb2\x00", "non-canonical"),
        (b"\xff\xff\xff\x7f", "too-large"),
        (car_section(BLOCK)[:-1] + b"!", "wrong-digest"),
        (car_section(BLOCK).replace(b"\x01\x71", b"\x01\x55"), "bad-link"),
        (car_section(BLOCK).replace(b"\x01\x71", b"\x02\x71"), "bad-link"),
    ],
)
def test_a_spoiled_section_is_rejected_at_its_byte(section: bytes, reason: str) -> None:
    start = car_header(digest(BLOCK)) + car_section(BLOCK)
    error = rejected(start + section)
    assert (reason, f"file, byte {len(start)}") == (error.reason, error.where)
