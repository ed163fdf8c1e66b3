"""What a write-ahead log says of itself, in either byte order, whole or cut anywhere."""

import struct
from pathlib import Path

import pytest

from sojourn.stores.sqlite.wal import commit_frames, header_is_damaged

PAGE_BYTES = 512
SALTS = b"saltsalt"


def header(order: str) -> bytes:
    """Return the header of a log whose words are summed in a byte order ("<" or ">"), by the format's own words."""
    magic = 0x377F0683 if order == ">" else 0x377F0682
    data = struct.pack(">4I", magic, 3007000, PAGE_BYTES, 7) + SALTS
    words = struct.unpack(f"{order}6I", data)
    s0 = s1 = 0
    for at in range(0, 6, 2):
        s0 = (s0 + words[at] + s1) % 2**32
        s1 = (s1 + words[at + 1] + s0) % 2**32
    return data + struct.pack(">2I", s0, s1)


def frame(pages: int, salts: bytes = SALTS) -> bytes:
    return struct.pack(">2I", 1, pages) + salts + bytes(8) + bytes(PAGE_BYTES)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite-wal"


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_header_holds_in_the_byte_order_of_any_machine(log: Path, order: str) -> None:
    log.write_bytes(header(order) + frame(1))
    assert not header_is_damaged(log)
    for bit in range(256):
        flipped = bytearray(header(order))
        flipped[bit // 8] ^= 1 << bit % 8
        log.write_bytes(bytes(flipped) + frame(1))
        assert header_is_damaged(log)


def test_no_log_and_a_log_of_no_frames_are_not_damaged(log: Path) -> None:
    """SQLite syncs the header before it writes a frame: until then a power cut may leave any of it."""
    assert (False, []) == (header_is_damaged(log), commit_frames(log))
    for size in (0, 1, 31, 32):
        log.write_bytes(b"\xff" * size)
        assert (False, []) == (header_is_damaged(log), commit_frames(log))
    log.write_bytes(b"\xff" * 33)
    assert header_is_damaged(log)


def test_the_frames_that_end_a_commit_of_this_round_are_numbered_from_1(log: Path) -> None:
    other = b"SALTSALT"
    frames = [frame(0), frame(2), frame(3), frame(0), frame(4), frame(0, other), frame(5, other)]
    log.write_bytes(header("<") + b"".join(frames))
    assert [2, 3, 5] == commit_frames(log)


def test_a_frame_that_was_begun_counts_once_its_own_header_is_whole(log: Path) -> None:
    """Its page may be torn: that it was being written shows that the one before was on disk."""
    whole = header("<") + frame(1) + frame(2)
    for cut, expected in ((0, [1, 2]), (PAGE_BYTES, [1, 2]), (PAGE_BYTES + 1, [1])):
        log.write_bytes(whole[: len(whole) - cut])
        assert expected == commit_frames(log)


def summed(order: str, data: bytes, start: tuple[int, int]) -> tuple[int, int]:
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    s0, s1 = start
    for at in range(0, len(words), 2):
        s0 = (s0 + words[at] + s1) % 2**32
        s1 = (s1 + words[at + 1] + s0) % 2**32
    return s0, s1


def whole_log(order: str, sizes: list[int]) -> bytes:
    """Return a log of frames with their checksums; each is of a database of so many pages, or ends no commit."""
    data = header(order)
    last = struct.unpack(">2I", data[-8:])
    for number, pages in enumerate(sizes):
        head, page = struct.pack(">2I", number + 1, pages), bytes([number]) * PAGE_BYTES
        last = summed(order, head + page, (last[0], last[1]))
        data += head + SALTS + struct.pack(">2I", *last) + page
    return data


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_size_of_an_earlier_round_before_the_salts_of_this_one_ends_no_commit(
    log: Path, order: str
) -> None:
    """Of the 42nd frame a sector ends between the two: a power cut may write the one and not the other."""
    data = whole_log(order, [0] * 41 + [0, 50])
    torn_at = len(data) - 2 * (24 + PAGE_BYTES) + 8
    assert 0 == torn_at % 512
    log.write_bytes(data)
    assert [43] == commit_frames(log)
    log.write_bytes(data[: torn_at - 4] + struct.pack(">I", 48) + data[torn_at:])
    assert [43] == commit_frames(log)
    log.write_bytes(data[: torn_at - 4] + struct.pack(">I", 48) + data[torn_at : torn_at + 99])
    assert [] == commit_frames(log)
    log.write_bytes(whole_log(order, [0] * 41 + [48, 50]))
    assert [42, 43] == commit_frames(log)
