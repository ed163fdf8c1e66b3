"""Large byte strings, cut where their length says: change a part, keep the rest.

    chunk     a byte string of `CHUNK_BYTES`, the last one shorter
    index     ["chunks/1", length, [links]]    `INDEX_LINKS_MAX` links, each to `span(length)` bytes

A single index holds up to 16 MiB; beyond that an index of indexes, and so on. Cuts are at fixed
offsets: a change in place leaves every other chunk as it was; an insertion moves what follows it.
The shape follows from the length alone, so that one content has one root and a reader can check
every block it meets.
"""

from collections.abc import Iterator
from typing import Any, Final

from sojourn.core.agent.memory.blocks import (
    BlockSource,
    NewBlocks,
    load_block,
    malformed,
    named_by,
    unexpected,
)
from sojourn.core.base.digests import Link, digest, link_to
from sojourn.core.base.encoding import decode_block, encode_block
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import BLOCK_BYTES_MAX, CHUNK_BYTES

__all__ = [
    "INDEX_LINKS_MAX",
    "LENGTH_MAX",
    "Chunks",
    "Cutter",
    "check_length",
    "span",
    "weigh_chunks",
    "write",
]

INDEX_LINKS_MAX: Final = 256
"""Links in an index: 11 KB, the price of one changed chunk of 64 KiB. UnixFS uses 174 or 1024."""
LENGTH_MAX: Final = 2**30
"""Bytes in one byte string: 1 GiB, 16,384 chunks, an index of 64 indexes."""
_INDEX: Final = "chunks/1"
_FULL: Final = INDEX_LINKS_MAX * CHUNK_BYTES
"""Bytes under an index of chunks that is full."""


def span(length: int) -> int:
    """Return the bytes under each link, but the last, of the index of `length` bytes."""
    reach = CHUNK_BYTES
    while reach * INDEX_LINKS_MAX < length:
        reach *= INDEX_LINKS_MAX
    return reach


def write(data: bytes, new: NewBlocks, *, like: bytes | None = None) -> bytes:
    """Cut `data` into new blocks and return the digest of its index.

    `like` is the index of an earlier, stored version: what it has already is not made anew. Raises
    `Misused` beyond `LENGTH_MAX` bytes; `MissingBlock` or `Rejected` for what is read of the
    earlier version.
    """
    check_length(len(data))
    stored = frozenset[bytes]() if like is None else frozenset(_digests(like, new))
    return _write_index(memoryview(data), new, stored)


def check_length(length: int) -> None:
    """Raise `Misused` for more bytes than one byte string may have."""
    if length > LENGTH_MAX:
        raise Misused(
            f"{length} bytes are more than the {LENGTH_MAX} that one value may have",
            remedy="Cut it and keep the parts under keys of their own",
        )


def weigh_chunks(data: bytes) -> dict[bytes, int] | None:
    """Return what the blocks of the chunks weigh, in bytes, that a block names, unread; None if it names none.

    Raises `Rejected` for what is no block.
    """
    plain = decode_block(data, what="block", limit=BLOCK_BYTES_MAX)
    if not isinstance(plain, list) or not plain or plain[0] != _INDEX:
        return None
    length, below = _index_from(plain, digest(data))
    if span(length) > CHUNK_BYTES:
        return None
    sizes = [min(CHUNK_BYTES, length - at) for at in range(0, length, CHUNK_BYTES)]
    return {
        named: size + 1 + sum(size >= least for least in (24, 256)) + 2 * (size >= 65_536)
        for named, size in zip(below, sizes, strict=True)
    }


def _index(length: int, below: list[bytes]) -> bytes:
    return encode_block([_INDEX, length, [link_to(named) for named in below]])


def _write_index(data: memoryview, new: NewBlocks, stored: frozenset[bytes]) -> bytes:
    reach = span(len(data))
    parts = [data[at : at + reach] for at in range(0, len(data), reach)]
    if reach == CHUNK_BYTES:
        below = [new.add(encode_block(bytes(part)), stored=stored) for part in parts]
    else:
        below = [_write_index(part, new, stored) for part in parts]
    return new.add(_index(len(data), below), stored=stored)


class Cutter:
    """Cuts bytes that come in pieces, to what `write` makes of them at once.

    What is cut stands in `made` until it is taken by `finish`; a digest for each chunk stays.
    """

    def __init__(self) -> None:
        self.length = 0
        self.made: dict[bytes, bytes] = {}
        self._full: list[bytes] = []
        self._chunks: list[bytes] = []
        self._rest = bytearray()

    @classmethod
    def after(cls, root: bytes, source: BlockSource) -> "Cutter":
        """Return one that goes on behind a byte string, of which it reads the last indexes and the last chunk."""
        cutter = cls()
        cutter.length, below = _read_index(root, source)
        if span(cutter.length) > CHUNK_BYTES:
            cutter._full, last = below[:-1], below[-1]
            _, below = _read_index(last, source)
        cutter._chunks = below
        if beyond := cutter.length % CHUNK_BYTES:
            cutter._rest += Chunks(root, cutter.length, source).read(cutter.length - beyond)
            cutter._chunks = below[:-1]
        return cutter

    def feed(self, piece: bytes) -> None:
        """Take a piece. Raises `Misused` beyond `LENGTH_MAX` bytes, and then nothing is taken."""
        check_length(self.length + len(piece))
        self.length += len(piece)
        rest = memoryview(piece)
        if self._rest:
            lacking = CHUNK_BYTES - len(self._rest)
            self._rest += rest[:lacking]
            rest = rest[lacking:]
            if len(self._rest) < CHUNK_BYTES:
                return
            self._cut(bytes(self._rest))
            self._rest.clear()
        while len(rest) >= CHUNK_BYTES:
            self._cut(bytes(rest[:CHUNK_BYTES]))
            rest = rest[CHUNK_BYTES:]
        self._rest += rest

    def finish(self, new: NewBlocks) -> bytes:
        """Return the root of what was taken so far, and make its blocks in `new`; more may follow."""
        self.let_go(new)
        full, chunks = list(self._full), list(self._chunks)
        if self._rest:
            if len(chunks) == INDEX_LINKS_MAX:
                full.append(new.add(_index(_FULL, chunks)))
                chunks.clear()
            chunks.append(new.add(encode_block(bytes(self._rest))))
        if not full:
            return new.add(_index(self.length, chunks))
        beyond = self.length - len(full) * _FULL
        return new.add(_index(self.length, [*full, new.add(_index(beyond, chunks))]))

    def let_go(self, new: NewBlocks) -> None:
        """Make in `new` what is cut by now, and hold it no longer."""
        for data in self.made.values():
            new.add(data)
        self.made.clear()

    def _cut(self, chunk: bytes) -> None:
        if len(self._chunks) == INDEX_LINKS_MAX:
            self._full.append(self._make(_index(_FULL, self._chunks)))
            self._chunks.clear()
        self._chunks.append(self._make(encode_block(chunk)))

    def _make(self, data: bytes) -> bytes:
        named = digest(data)
        self.made[named] = data
        return named


class Chunks:
    """A byte string read from its chunks, in part or whole. Every block is checked as it is met."""

    def __init__(self, root: bytes, length: int, source: BlockSource) -> None:
        self.root = root
        self._length = length
        self._source = source

    @classmethod
    def load(cls, root: bytes, source: BlockSource) -> "Chunks":
        """Open the byte string whose index is `root`. Raises `MissingBlock` and `Rejected`."""
        length, _ = _read_index(root, source)
        return cls(root, length, source)

    def __len__(self) -> int:
        return self._length

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes from `start` up to `stop` (None: the end), reading only their chunks.

        Offsets beyond the end mean the end, as in a slice; negative ones are `Misused`. Raises
        `MissingBlock`; and `Rejected` for a block that is not what the length asks for.
        """
        return b"".join(self.pieces(start, stop))

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the same bytes chunk by chunk, reading each when it is taken."""
        end = self._length if stop is None else min(stop, self._length)
        if start < 0 or end < 0:
            raise Misused(f"negative offset: {min(start, end)}", remedy="Count from the start")
        return self._pieces(self.root, self._length, start, end) if start < end else iter(())

    def _pieces(self, root: bytes, length: int, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to `stop`, which is further on, of the index `root`."""
        found, below = _read_index(root, self._source)
        if found != length:
            problem = f"an index of {found} bytes where {length} belong"
            raise malformed(problem, "wrong-length", root)
        reach = span(length)
        for i in range(start // reach, -(-stop // reach)):
            at = i * reach
            size = min(reach, length - at)
            if reach == CHUNK_BYTES:
                yield self._chunk(below[i], size)[max(0, start - at) : stop - at]
            else:
                yield from self._pieces(below[i], size, max(0, start - at), min(size, stop - at))

    def _chunk(self, named: bytes, size: int) -> bytes:
        chunk = load_block(self._source, named)
        if not isinstance(chunk, bytes):
            raise malformed("not a chunk of bytes", "wrong-kind", named)
        if len(chunk) != size:
            problem = f"a chunk of {len(chunk)} bytes where {size} belong"
            raise malformed(problem, "wrong-length", named)
        return chunk


def _read_index(named: bytes, source: BlockSource) -> tuple[int, list[bytes]]:
    """Return the length an index claims and the digests it holds: as many as that length needs."""
    return _index_from(load_block(source, named), named)


def _index_from(plain: Any, named: bytes) -> tuple[int, list[bytes]]:
    match plain:
        case [str(kind), int(length), list(found)] if kind == _INDEX:
            pass
        case _:
            raise unexpected(plain, (_INDEX,), named)
    if isinstance(length, bool) or not 0 <= length <= LENGTH_MAX:
        raise malformed(f"an index of {length} bytes", "bad-field", named)
    needed = -(-length // span(length))
    if len(found) != needed or not all(isinstance(link, Link) for link in found):
        problem = f"an index of {length} bytes needs {needed} links"
        raise malformed(problem, "wrong-count", named)
    return length, [named_by(link) for link in found]


def _digests(root: bytes, source: BlockSource) -> Iterator[bytes]:
    """Yield the digests of all blocks at and below an index, without reading the chunks."""
    yield root
    length, below = _read_index(root, source)
    if span(length) == CHUNK_BYTES:
        yield from below
    else:
        for named in below:
            yield from _digests(named, source)
