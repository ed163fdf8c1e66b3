"""Frames: how requests, replies, errors and notices follow each other on a stream of bytes.

    0        4         5      6             10
    | length | version | type | correlation | body ...
      4 bytes  1 byte    1      4

Numbers are big-endian. `length` counts the bytes after itself, so it is 6 plus the body's. A
request's correlation is non-zero and comes back on its reply or error; it is free again after that.
A notice has correlation 0. An error with correlation 0 is about the stream itself.

Two kinds of damage are told apart. Where the header still says where the next frame begins, the
frame is `Unfit`: it is passed over and the stream goes on. Where it does not, `next_frame` raises,
and the stream cannot be trusted any more.
"""

import struct
from typing import Final, NamedTuple

from sojourn.core.base.errors import Rejected

__all__ = [
    "ERROR",
    "HEADER_BYTES",
    "NOTICE",
    "REPLY",
    "REQUEST",
    "VERSION",
    "Frame",
    "FrameReader",
    "Unfit",
    "header",
]

VERSION: Final = 1

REQUEST: Final = 1
REPLY: Final = 2
ERROR: Final = 3
NOTICE: Final = 4
_TYPES: Final = (REQUEST, REPLY, ERROR, NOTICE)

_HEADER: Final = struct.Struct(">IBBI")
HEADER_BYTES: Final = _HEADER.size
_LENGTH_BYTES: Final = 4
_COUNTED_BYTES: Final = HEADER_BYTES - _LENGTH_BYTES
CORRELATION_MAX: Final = 2**32 - 1


class Frame(NamedTuple):
    """One whole frame."""

    type: int
    correlation: int
    body: bytes


class Unfit(NamedTuple):
    """A frame refused on its header. Its body is passed over and never kept."""

    type: int
    correlation: int
    error: Rejected


def header(kind: int, correlation: int, body_bytes: int) -> bytes:
    """Return the ten bytes that go before a body of `body_bytes` bytes."""
    return _HEADER.pack(_COUNTED_BYTES + body_bytes, VERSION, kind, correlation)


class FrameReader:
    """Cuts a stream into frames. Keeps no more than one unfinished frame and what was last fed."""

    def __init__(self, body_bytes_max: int) -> None:
        """Refuse bodies of more than `body_bytes_max` bytes."""
        self._body_bytes_max = body_bytes_max
        self._data: bytes | bytearray = b""
        self._at = 0
        self._passing_over = 0

    @property
    def is_mid_frame(self) -> bool:
        """Whether the stream would be truncated if it ended here."""
        return self._at < len(self._data) or self._passing_over > 0

    def feed(self, data: bytes) -> None:
        """Append what arrived."""
        if self._at == len(self._data):
            self._data, self._at = data, 0
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(memoryview(self._data)[self._at :])
        else:
            del self._data[: self._at]
        self._at = 0
        self._data += data

    def next_frame(self) -> Frame | Unfit | None:
        """Return the next frame, or none until more is fed.

        Checks version, then length, then type, then size. Raises `Rejected` ("unknown-version",
        "truncated") when where the next frame begins can no longer be told.
        """
        if self._passing_over:
            self._pass_over()
        data, at = self._data, self._at
        if len(data) - at < HEADER_BYTES:
            return None
        length, version, kind, correlation = _HEADER.unpack_from(data, at)
        body_bytes = length - _COUNTED_BYTES
        if version != VERSION or body_bytes < 0:
            raise _lost(version, length)
        if kind not in _TYPES or body_bytes > self._body_bytes_max:
            self._at += HEADER_BYTES
            self._passing_over = body_bytes
            return Unfit(kind, correlation, self._unfit(kind, correlation, body_bytes))
        end = at + HEADER_BYTES + body_bytes
        if len(data) < end:
            return None
        self._at = end
        return Frame(kind, correlation, bytes(memoryview(data)[at + HEADER_BYTES : end]))

    def _pass_over(self) -> None:
        passed = min(self._passing_over, len(self._data) - self._at)
        self._at += passed
        self._passing_over -= passed

    def _unfit(self, kind: int, correlation: int, body_bytes: int) -> Rejected:
        where = f"frame of type {kind}, correlation {correlation}"
        if kind not in _TYPES:
            return Rejected(f"no frame has type {kind}", reason="unknown-type", where=where)
        problem = f"the body has {body_bytes} bytes, more than the limit of {self._body_bytes_max}"
        return Rejected(problem, reason="too-large", where=where)


def _lost(version: int, length: int) -> Rejected:
    if version != VERSION:
        problem = f"the frame has version {version}; this end reads version {VERSION}"
        return Rejected(problem, reason="unknown-version", where="frame.version")
    problem = f"the frame's length is {length}, less than the {_COUNTED_BYTES} bytes of its header"
    return Rejected(problem, reason="truncated", where="frame.length")
