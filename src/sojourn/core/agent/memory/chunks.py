"""Large byte strings, cut where their length says: change a part, keep the rest.

    chunk     a byte string of `CHUNK_BYTES`, the last one shorter
    index     ["chunks/1", length, [links]]    `INDEX_LINKS_MAX` links, each to `span(length)` bytes

A single index holds up to 16 MiB; beyond that an index of indexes, and so on. Cuts are at fixed
offsets: a change in place leaves every other chunk as it was; an insertion moves what follows it.
The shape follows from the length alone, so that one content has one root and a reader can check
every block it meets.
"""

from collections.abc import Iterator
from typing import Final

from sojourn.core.agent.memory.blocks import (
    BlockSource,
    NewBlocks,
    load_block,
    malformed,
    named_by,
    unexpected,
)
from sojourn.core.base.digests import Link, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import CHUNK_BYTES

__all__ = ["INDEX_LINKS_MAX", "LENGTH_MAX", "Chunks", "span", "write"]

INDEX_LINKS_MAX: Final = 256
"""Links in an index: 11 KB, the price of one changed chunk of 64 KiB. UnixFS uses 174 or 1024."""
LENGTH_MAX: Final = 2**30
"""Bytes in one byte string: 1 GiB, 16,384 chunks, an index of 64 indexes."""
_INDEX: Final = "chunks/1"


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
    if len(data) > LENGTH_MAX:
        raise Misused(
            f"{len(data)} bytes are more than the {LENGTH_MAX} that one value may have",
            remedy="Cut it and keep the parts under keys of their own",
        )
    stored = frozenset[bytes]() if like is None else frozenset(_digests(like, new))
    return _write_index(memoryview(data), new, stored)


def _write_index(data: memoryview, new: NewBlocks, stored: frozenset[bytes]) -> bytes:
    reach = span(len(data))
    parts = [data[at : at + reach] for at in range(0, len(data), reach)]
    if reach == CHUNK_BYTES:
        below = [new.add(encode_block(bytes(part)), stored=stored) for part in parts]
    else:
        below = [_write_index(part, new, stored) for part in parts]
    index = [_INDEX, len(data), [link_to(named) for named in below]]
    return new.add(encode_block(index), stored=stored)


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
        end = self._length if stop is None else min(stop, self._length)
        if start < 0 or end < 0:
            raise Misused(f"negative offset: {min(start, end)}", remedy="Count from the start")
        if start >= end:
            return b""
        return b"".join(self._pieces(self.root, self._length, start, end))

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
    plain = load_block(source, named)
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
