"""Frames on their way out: written together, and held back when the other end does not read."""

import asyncio
from typing import Final, Protocol

from sojourn.transports.frames import HEADER_BYTES, header

__all__ = ["ByteStream", "FrameWriter"]

_WRITE_AT_BYTES: Final = 64 * 1024
"""Queued bytes that are written at once, not at the end of the loop's turn: four full TLS
records."""


class ByteStream(Protocol):
    """What a connection needs of the stream below it: the write half of an `asyncio.Transport`."""

    def write(self, data: bytes) -> None:
        """Send bytes, or keep them until they can be sent."""

    def pause_reading(self) -> None:
        """Deliver nothing more for now."""

    def resume_reading(self) -> None:
        """Deliver again."""

    def close(self) -> None:
        """Send what is kept, then end the stream."""

    def abort(self) -> None:
        """End the stream now."""


class FrameWriter:
    """Writes the frames of one turn of the event loop together: one system call, one TLS record."""

    def __init__(self, stream: ByteStream) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False

    @property
    def is_held_back(self) -> bool:
        """Whether the stream takes no more for now."""
        return not self._writable.is_set()

    async def wait_writable(self) -> None:
        """Return when the stream takes frames, or has ended."""
        # Others may fill it again between the event and our turn.
        while not self._writable.is_set():
            await self._writable.wait()

    def put(self, kind: int, correlation: int, body: bytes) -> None:
        """Queue a frame. Does nothing once the stream has ended."""
        if self._ended:
            return
        if not self._queue:
            self._loop.call_soon(self.flush)
        self._queue.append(header(kind, correlation, len(body)))
        self._queue.append(body)
        self._queued_bytes += HEADER_BYTES + len(body)
        if self._queued_bytes >= _WRITE_AT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is queued."""
        if self._queue:
            data = b"".join(self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            self._stream.write(data)

    def hold_back(self) -> None:
        """Let senders wait: the stream is full."""
        if not self._ended:
            self._writable.clear()

    def let_go(self) -> None:
        """Let senders go on."""
        self._writable.set()

    def end(self) -> None:
        """Drop whatever is put from now on, and let no sender wait."""
        self._ended = True
        self._queue.clear()
        self._writable.set()
