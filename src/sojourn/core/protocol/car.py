"""CAR, version 1: blocks in a file, each with its name. Read and written strictly, one section at a time.

    length, {"roots": [link], "version": 1}      DAG-CBOR
    length, link, block                          as many as there are

Lengths are unsigned varints in their shortest form. One root, and its block comes first; every block is
DAG-CBOR named by its SHA-256, as everywhere here. Another CAR reader reads what is written here; what another
writes may have forms that this one refuses.

Source: the CARv1 specification (content-addressable archives); multiformats' unsigned varint.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from sojourn.core.base.digests import ZERO, Link, digest, link_to
from sojourn.core.base.encoding import decode_block, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CAPSULE_BYTES_MAX

__all__ = ["ByteSource", "CarReader", "Section", "car_header", "car_section"]

_VERSION: Final = 1
_HEADER_BYTES_MAX: Final = 256
_VARINT_BYTES_MAX: Final = 9
"""Enough for 2^63, as the specification of unsigned varints has it."""
_LINK_BYTES: Final = 36
_CBOR_LINK: Final = bytes(link_to(ZERO))[:4]


class ByteSource(Protocol):
    """Bytes in order, such as a file opened for reading."""

    def read(self, size: int, /) -> bytes:
        """Return the next `size` bytes, fewer only where they end."""


class Section(NamedTuple):
    """One block of a file: its digest, its bytes, and where its section begins in the file."""

    named: bytes
    data: bytes
    offset: int


def car_header(root: bytes) -> bytes:
    """Return the beginning of a file whose root block has this digest."""
    header = encode_block({"roots": [link_to(root)], "version": _VERSION})
    return _varint(len(header)) + header


def car_section(data: bytes) -> bytes:
    """Return the section of a block."""
    link = bytes(link_to(digest(data)))
    return _varint(len(link) + len(data)) + link + data


class CarReader:
    """A file's blocks, verified against their names, in the order in which they stand.

    Construction reads the header. Raises `Rejected`: "truncated", "malformed", "non-canonical", "wrong-kind",
    "unknown-version", "bad-link", "too-large", "wrong-digest"; `where` says at which byte.
    """

    def __init__(self, source: ByteSource, *, what: str) -> None:
        """Read the header. `what` names the file's content in errors."""
        self._source, self._what = source, what
        self._offset = 0
        size = self._length(_HEADER_BYTES_MAX)
        if size is None:
            raise self._bad("it is empty", "truncated", 0)
        self.root = self._root(self._read(size, 0))

    @property
    def offset(self) -> int:
        """How many bytes have been read."""
        return self._offset

    def sections(self, limit: int) -> Iterator[Section]:
        """Yield the blocks, each of at most `limit` bytes."""
        while (section := self.next_section(limit)) is not None:
            yield section

    def next_section(self, limit: int) -> Section | None:
        """Return the next block, of at most `limit` bytes; None at the end of the file."""
        offset = self._offset
        size = self._length(_LINK_BYTES + limit)
        if size is None:
            return None
        if size <= _LINK_BYTES:
            raise self._bad(f"a section of {size} bytes has no block", "malformed", offset)
        section = self._read(size, offset)
        link, data = section[:_LINK_BYTES], section[_LINK_BYTES:]
        if not link.startswith(_CBOR_LINK):
            raise self._bad("its link is not CIDv1, DAG-CBOR, SHA-256", "bad-link", offset)
        if digest(data) != link[len(_CBOR_LINK) :]:
            raise self._bad("the block is not the one that its link names", "wrong-digest", offset)
        return Section(link[len(_CBOR_LINK) :], data, offset)

    def _root(self, header: bytes) -> bytes:
        plain = decode_block(header, what=f"{self._what} header", limit=_HEADER_BYTES_MAX)
        match plain:
            case {"version": int(version)} if version != _VERSION or isinstance(version, bool):
                problem = f"CAR version {version}; this version reads {_VERSION}"
                raise self._bad(problem, "unknown-version", 0)
            case {"version": 1, "roots": [Link() as root], **rest} if not rest:
                link = bytes(root)
                if len(link) == _LINK_BYTES and link.startswith(_CBOR_LINK):
                    return link[len(_CBOR_LINK) :]
                raise self._bad("its root is not CIDv1, DAG-CBOR, SHA-256", "bad-link", 0)
        raise self._bad("it does not begin as a CAR with one root", "wrong-kind", 0)

    def _length(self, limit: int) -> int | None:
        """Return the length of what follows, or None at the end of the file."""
        offset, value = self._offset, 0
        for count in range(_VARINT_BYTES_MAX):
            byte = self._source.read(1)
            if not byte:
                if not count:
                    return None
                raise self._bad("it ends in a length", "truncated", offset)
            self._offset += 1
            value |= (byte[0] & 0x7F) << 7 * count
            if byte[0] < 0x80:
                if count and not byte[0]:
                    raise self._bad("a length is not in its shortest form", "non-canonical", offset)
                return self._checked(value, limit, offset)
        raise self._bad("a length has too many bytes", "malformed", offset)

    def _checked(self, size: int, limit: int, offset: int) -> int:
        if size > limit:
            raise self._bad(f"{size} bytes where {limit} may be", "too-large", offset)
        if self._offset + size > CAPSULE_BYTES_MAX:
            raise self._bad(f"more than {CAPSULE_BYTES_MAX} bytes", "too-large", offset)
        return size

    def _read(self, size: int, offset: int) -> bytes:
        data = self._source.read(size)
        self._offset += len(data)
        if len(data) != size:
            raise self._bad(f"it ends {size - len(data)} bytes too soon", "truncated", offset)
        return data

    def _bad(self, problem: str, reason: str, offset: int) -> Rejected:
        return Rejected(problem, reason=reason, where=f"{self._what}, byte {offset}")


def _varint(value: int) -> bytes:
    """Return an unsigned varint: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
