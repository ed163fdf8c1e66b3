"""Blobs of a compartment, as an agent's code sees them: large values, written and read piece by piece.

    put       what fits into one transition, at once
    stream    anything: what has come so far is made final every few megabytes, and then let go
    append    one piece more, for instance one for each turn

Blobs are values of a mapping (`core.agent.memory.blobs`); nothing here holds one whole.
"""

import io
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from sojourn.core.agent.memory.blobs import (
    MEDIA_CHARACTERS_MAX,
    BlobEntry,
    is_blob,
    parse_blob,
)
from sojourn.core.agent.memory.chunks import LENGTH_MAX, Chunks, Cutter
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.compartments import WorkingMemory
from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.records import Record, Woke
from sojourn.runtime.typed import kind_of

if TYPE_CHECKING:
    pass

__all__ = ["PUT_BYTES_MAX", "STREAM_BYTES", "Blob", "BlobCompartment", "Settle", "Source"]

PUT_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of one `put` or `append`: half of what one transition may bring."""
STREAM_BYTES: Final = 8 * 1024 * 1024
"""After so many bytes a stream waits until they are final: what an agent's process holds of it."""
_READ_BYTES: Final = 1024 * 1024


class Readable(Protocol):
    """A file, or what reads like one."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most so many; none at the end."""


Source: TypeAlias = bytes | Readable | Iterable[bytes]
"""Where the bytes of a blob come from."""


class Settle(Operation):
    """Waits until all that was written so far is final."""

    @property
    def is_gated(self) -> bool:
        """True: what came before is sent when it begins."""
        return True

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: a blob that is streamed"

    def accepts(self, record: Record) -> bool:
        """Tell whether it is the waking."""
        return isinstance(record, Woke)

    def deliver(self, record: Record) -> bool:
        """Let the stream go on."""
        self.future.set_result(None)
        return True

    def begin(self) -> None:
        """Wait."""
        self.session.flush(lambda: self.answer(Woke(call=self.call)))


class Blob:
    """A byte string in memory, read in part: as it was when it was opened."""

    def __init__(self, chunks: Chunks, media: str) -> None:
        self._chunks = chunks
        self.media = media

    def __len__(self) -> int:
        """Return the number of bytes."""
        return len(self._chunks)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes from `start` up to `stop` (None: the end), reading only what holds them."""
        return self._chunks.read(start, stop)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the same bytes in pieces of at most 64 KiB, each read when it is taken."""
        return self._chunks.pieces(start, stop)

    def file(self) -> io.BufferedReader:
        """Return a file that reads from it, with `seek`: for code that wants one, such as `zipfile`."""
        return io.BufferedReader(_File(self._chunks), _READ_BYTES)


class _File(io.RawIOBase):
    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._chunks)}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._chunks.read(self._at, self._at + len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class BlobCompartment:
    """`ctx.memory.blobs(name)`: the blobs of a mapping, by key. Values that are none may stand beside them.

    `settle` waits until what was written is final.
    """

    def __init__(
        self, working: WorkingMemory, name: str, settle: Callable[[], Awaitable[None]]
    ) -> None:
        self._working = working
        self._name = name
        self._settle = settle

    def __getitem__(self, key: str) -> Blob:
        """Return a blob. Raises `KeyError`, and `Misused` for a value that is none."""
        entry = self._entry(key)
        return Blob(entry.open(self._working.new), entry.media)

    def get(self, key: str) -> Blob | None:
        """Return a blob, or None. Raises `Misused` for a value that is none."""
        try:
            return self[key]
        except KeyError:
            return None

    def __contains__(self, key: str) -> bool:
        return key in self._handle

    def __delitem__(self, key: str) -> None:
        """Remove a blob. Raises `KeyError`, and `Misused` for a value that is none."""
        self._entry(key)
        self._working.replace(self._name, self._handle.delete(key))

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self, prefix: str = "", *, start: str = "", stop: str | None = None) -> Iterator[str]:
        """Yield the keys of blobs that start with `prefix`, from `start` on and before `stop`, in order."""
        return (key for key, plain in self._handle.items(prefix, start, stop) if is_blob(plain))

    def put(self, key: str, source: Source, *, media: str = "") -> Blob:
        """Set a blob from bytes, a file, or pieces in order, and return it. `media` is its type, for people.

        Raises `Misused` beyond 32 MiB: those take `stream`.
        """
        return self._grown(key, Cutter(), source, media)

    def append(self, key: str, source: Source) -> Blob:
        """Append to a blob, or begin it, and return it. Raises `Misused` for more than 32 MiB at once."""
        if key not in self:
            return self._grown(key, Cutter(), source, "")
        entry = self._entry(key)
        cutter = Cutter.after(entry.root, self._working.new)
        return self._grown(key, cutter, source, entry.media)

    async def stream(
        self, key: str, source: Source | AsyncIterable[bytes], *, media: str = ""
    ) -> Blob:
        """Set a blob of up to 1 GiB from bytes, a file, or pieces as they come, and return it.

        What has come is final every 8 MiB, and is what the key has meanwhile. A replay does it again from the last
        restart point: where pieces come from steps, a turn and an `append` for each keep that short.
        """
        cutter, since = Cutter(), 0
        self._write(key, cutter, media)
        pieces = source if isinstance(source, AsyncIterable) else _awaited(_pieces(source))
        number = 0
        async for piece in pieces:
            for part in self._parts(key, number, piece):
                self._feed(key, cutter, part)
                since += len(part)
                if since >= STREAM_BYTES:
                    self._write(key, cutter, media)
                    await self._settle()
                    since = 0
            number += 1
        return self._write(key, cutter, media)

    def _grown(self, key: str, cutter: Cutter, source: Source, media: str) -> Blob:
        before = cutter.length
        for number, piece in enumerate(_pieces(source)):
            for part in self._parts(key, number, piece):
                self._feed(key, cutter, part)
            if cutter.length - before > PUT_BYTES_MAX:
                problem = (
                    f"{self._what(key)} was to grow by more than {PUT_BYTES_MAX} bytes at once"
                )
                raise Misused(problem, remedy="Use: await blobs.stream(key, pieces)")
        return self._write(key, cutter, media)

    def _parts(self, key: str, number: int, piece: object) -> Iterator[bytes]:
        """Yield a piece in parts that are small enough to be let go in time."""
        if not isinstance(piece, bytes | bytearray | memoryview):
            problem = f"piece {number} of {self._what(key)} is a {kind_of(piece)}"
            raise Misused(problem, remedy="Give bytes: encode text, and read files in binary mode")
        view = memoryview(piece).cast("B")
        for at in range(0, len(view), _READ_BYTES):
            yield bytes(view[at : at + _READ_BYTES])

    def _feed(self, key: str, cutter: Cutter, part: bytes) -> None:
        length = cutter.length + len(part)
        if length > LENGTH_MAX:
            problem = f"{self._what(key)} would have {length} bytes, more than {LENGTH_MAX}"
            raise Misused(problem, remedy="Keep its parts under keys of their own")
        cutter.feed(part)

    def _write(self, key: str, cutter: Cutter, media: str) -> Blob:
        """Make the blob what was cut by now. Nothing is made where it may not be written."""
        if len(media) > MEDIA_CHARACTERS_MAX:
            size = f"{len(media)} characters, more than {MEDIA_CHARACTERS_MAX}"
            problem = f"the media type of {self._what(key)} has {size}"
            raise Misused(problem, remedy="Give one as in a header: image/png")
        handle = self._handle
        handle.get(key)  # finds a key that is none, before anything is made
        self._working.check_writable(self._name)
        self._working.is_untidy = True
        entry = BlobEntry(cutter.length, media, cutter.finish(self._working.new))
        self._working.replace(self._name, handle.put(key, entry.to_plain()))
        return Blob(entry.open(self._working.new), media)

    def _what(self, key: str) -> str:
        return f"blob {key!r:.80} of compartment {self._name!r}"

    def _entry(self, key: str) -> BlobEntry:
        plain = self._handle.get(key, _ABSENT)
        if plain is _ABSENT:
            raise KeyError(key)
        if not is_blob(plain):
            problem = f"{key!r:.80} of compartment {self._name!r} is no blob but a {kind_of(plain)}"
            raise Misused(problem, remedy=f"Read it as ctx.memory[{self._name!r}][{key!r:.80}]")
        return parse_blob(plain)

    @property
    def _handle(self) -> Mapping:
        handle = self._working.open(self._name, Form.MAPPING)
        assert isinstance(handle, Mapping)
        return handle


def _pieces(source: Any) -> Iterator[bytes]:
    """Yield bytes as pieces, a file's in pieces of a megabyte, others as they come. Raises `Misused` for none."""
    if isinstance(source, bytes | bytearray | memoryview):
        return iter((source,))  # type: ignore[arg-type]
    if callable(getattr(source, "read", None)):
        return iter(lambda: source.read(_READ_BYTES), b"")
    if isinstance(source, Iterable) and not isinstance(source, str):
        return iter(source)
    problem = f"a blob was to be made of a {kind_of(source)}"
    raise Misused(
        problem, remedy="Give bytes, a file opened in binary mode, or an iterable of bytes"
    )


async def _awaited(pieces: Iterator[bytes]) -> AsyncIterable[bytes]:
    for piece in pieces:
        yield piece


_ABSENT: Final = object()
