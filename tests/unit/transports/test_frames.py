"""Frames: their bytes, limits, and what hostile ones do."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.base.errors import Rejected
from sojourn.transports.frames import (
    ERROR,
    NOTICE,
    REPLY,
    REQUEST,
    Frame,
    FrameReader,
    Unfit,
    header,
)

LIMIT = 64

frames = st.builds(
    Frame,
    type=st.sampled_from([REQUEST, REPLY, ERROR, NOTICE]),
    correlation=st.integers(0, 2**32 - 1),
    body=st.binary(max_size=LIMIT),
)


def wire(frame: Frame) -> bytes:
    return header(frame.type, frame.correlation, len(frame.body)) + frame.body


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for cut in sorted(cut % (len(data) + 1) for cut in cuts):
        yield data[at:cut]
        at = cut
    yield data[at:]


def read_all(reader: FrameReader) -> list[Frame | Unfit]:
    return list(iter(reader.next_frame, None))


def test_the_bytes_of_a_frame_are_fixed() -> None:
    expected = bytes.fromhex("0000000b" + "01" + "02" + "00000007") + b"hello"
    assert expected == wire(Frame(REPLY, 7, b"hello"))


@given(st.lists(frames, max_size=8), st.lists(st.integers(0), max_size=8))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(
    sent: list[Frame], cuts: list[int]
) -> None:
    reader = FrameReader(LIMIT)
    received: list[Frame | Unfit] = []
    for piece in pieces(b"".join(wire(frame) for frame in sent), cuts):
        reader.feed(piece)
        received += read_all(reader)
    assert sent == received
    assert not reader.is_mid_frame


@given(frames, frames, st.integers(0))
def test_frames_left_in_the_reader_are_read_later(first: Frame, second: Frame, cut: int) -> None:
    reader = FrameReader(LIMIT)
    for piece in pieces(wire(first) + wire(second), [cut]):
        reader.feed(piece)
    assert [first, second] == read_all(reader)


@given(frames)
def test_a_truncated_frame_is_never_a_frame(frame: Frame) -> None:
    data = wire(frame)
    for end in range(1, len(data)):
        reader = FrameReader(LIMIT)
        reader.feed(data[:end])
        assert reader.next_frame() is None
        assert reader.is_mid_frame


@given(st.integers(LIMIT + 1, 5000), st.lists(st.integers(0), max_size=8))
def test_an_oversized_frame_is_passed_over_unkept(size: int, cuts: list[int]) -> None:
    reader = FrameReader(LIMIT)
    sound = Frame(REQUEST, 2, b"sound")
    received: list[Frame | Unfit] = []
    for piece in pieces(wire(Frame(REQUEST, 1, bytes(size))) + wire(sound), cuts):
        reader.feed(piece)
        received += read_all(reader)
        assert len(reader._data) - reader._at <= LIMIT
    unfit, after = received
    assert isinstance(unfit, Unfit)
    assert (REQUEST, 1, "too-large") == (unfit.type, unfit.correlation, unfit.error.reason)
    assert sound == after


def test_an_oversized_frame_is_refused_on_its_header() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(header(REQUEST, 1, 2**32 - 7))
    unfit = reader.next_frame()
    assert isinstance(unfit, Unfit)
    assert "4294967289 bytes" in unfit.error.problem


@pytest.mark.parametrize("kind", [0, 5, 255])
def test_an_unknown_type_is_passed_over(kind: int) -> None:
    reader = FrameReader(LIMIT)
    sound = Frame(NOTICE, 0, b"sound")
    reader.feed(header(kind, 9, 3) + b"odd" + wire(sound))
    unfit, after = read_all(reader)
    assert isinstance(unfit, Unfit)
    assert "unknown-type" == unfit.error.reason
    assert sound == after


@pytest.mark.parametrize("version", [0, 2, 255])
def test_an_unknown_version_is_refused_by_name_whatever_its_length(version: int) -> None:
    reader = FrameReader(LIMIT)
    reader.feed(b"\xff\xff\xff\xff" + bytes([version, REQUEST]) + bytes(4))
    with pytest.raises(Rejected, match=f"version {version}; this end reads version 1") as seen:
        reader.next_frame()
    assert "unknown-version" == seen.value.reason


@pytest.mark.parametrize("length", [0, 5])
def test_a_length_shorter_than_the_header_ends_the_stream(length: int) -> None:
    reader = FrameReader(LIMIT)
    reader.feed(length.to_bytes(4, "big") + bytes([1, REQUEST]) + bytes(4))
    with pytest.raises(Rejected) as seen:
        reader.next_frame()
    assert "truncated" == seen.value.reason


@given(st.binary(max_size=400), st.lists(st.integers(0), max_size=4))
def test_garbage_is_rejected_or_waits_for_more(garbage: bytes, cuts: list[int]) -> None:
    reader = FrameReader(LIMIT)
    with contextlib.suppress(Rejected):
        for piece in pieces(garbage, cuts):
            reader.feed(piece)
            read_all(reader)
