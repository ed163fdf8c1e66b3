"""CAR files: written by the book, read strictly, with the byte where they fail."""

import io

import pytest

from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol import car
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


def block_of(size: int) -> bytes:
    """Return a block of exactly so many bytes."""
    blocks = (encode_block("x" * (size - head)) for head in (1, 2, 3))
    return next(block for block in blocks if len(block) == size)


def header_of(size: int) -> bytes:
    """Return a header of so many bytes, more than 127, that is a block and nothing more."""
    return bytes([size & 0x7F | 0x80, size >> 7]) + block_of(size)


def test_what_is_written_is_read() -> None:
    start = car_header(digest(BLOCK))
    data = start + car_section(BLOCK) + car_section(LARGE) + car_section(BLOCK)
    reader = CarReader(io.BytesIO(data), what="file")
    assert (digest(BLOCK), len(start)) == (reader.root, reader.offset)
    offsets = [len(start), len(start + car_section(BLOCK)), len(data) - len(car_section(BLOCK))]
    blocks = [BLOCK, LARGE, BLOCK]
    expected = [Section(digest(b), b, at) for b, at in zip(blocks, offsets, strict=True)]
    assert expected == list(reader.sections(LIMIT))
    assert len(data) == reader.offset


def test_a_block_of_one_byte_is_one() -> None:
    block = encode_block(0)
    assert [block] == [s.data for s in read(car_header(digest(block)) + car_section(block))]


def test_lengths_of_one_two_and_three_bytes_are_read_as_they_are_written() -> None:
    for size in (127, 128, 129, 16_383, 16_384):
        block = block_of(size - 36)
        assert [block] == [s.data for s in read(car_header(digest(block)) + car_section(block))]


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
    assert (reason, "file, byte 0") == (error.reason, error.where)


def test_a_header_that_is_no_block_is_rejected_as_one() -> None:
    error = rejected(b"\x01\xff")
    assert ("malformed", "file header") == (error.reason, error.where)
    assert "truncated" == rejected(b"\x00").reason
    assert "non-canonical" == rejected(b"\x02\x18\x01").reason


def test_limits_are_exact() -> None:
    """Of a header 256 bytes, of a length nine bytes: the longest that may be is read for what it is."""
    assert ["wrong-kind", "too-large"] == [rejected(header_of(size)).reason for size in (256, 257)]
    for length, reason in ((b"\xff" * 8 + b"\x01", "too-large"), (b"\xff" * 9, "malformed")):
        error = rejected(length + b"\x01")
        assert (reason, "file, byte 0") == (error.reason, error.where)


def test_a_block_and_a_file_have_a_limit_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    data = car_header(digest(BLOCK)) + car_section(LARGE)

    def reason(limit: int) -> str:
        reader = CarReader(io.BytesIO(data), what="file")
        try:
            return str(len(list(reader.sections(limit))))
        except Rejected as error:
            return error.reason

    assert ("1", "too-large") == (reason(len(LARGE)), reason(len(LARGE) - 1))
    monkeypatch.setattr(car, "CAPSULE_BYTES_MAX", len(data))
    assert "1" == reason(LIMIT)
    monkeypatch.setattr(car, "CAPSULE_BYTES_MAX", len(data) - 1)
    assert "too-large" == reason(LIMIT)
    with pytest.raises(Rejected) as caught:
        list(CarReader(io.BytesIO(data), what="file").sections(LIMIT))
    assert f"file, byte {len(car_header(digest(BLOCK)))}" == caught.value.where


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
