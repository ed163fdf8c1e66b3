"""How one value is kept: in its parent block while small, in blocks of its own when large.

    at most `INLINE_BYTES_MAX`, no links     byte string: the value's encoding
    at most `CHUNK_BYTES`, or with links     [length, link]: a block that is the encoding itself
    larger                                   [length, link]: the encoding, in chunks

What holds links is never inline, so that every link is visible to `blocks.links`. The rule looks at
nothing but the value: one value is kept in one way (history independence).
"""

from typing import Any, Final, NamedTuple, TypeAlias

from sojourn.core.agent.memory import chunks
from sojourn.core.agent.memory.blocks import (
    BlockSource,
    NewBlocks,
    links_in,
    malformed,
    named_by,
    read_block,
)
from sojourn.core.base.digests import Link, digest, link_to
from sojourn.core.base.encoding import decode_block, encode_block
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import CHUNK_BYTES

__all__ = [
    "INLINE_BYTES_MAX",
    "VALUE_BYTES_MAX",
    "Held",
    "Reference",
    "Unwritten",
    "from_plain",
    "hold",
    "open_held",
    "to_plain",
    "weight",
    "write_held",
]

INLINE_BYTES_MAX: Final = 1024
"""A quarter of a leaf: below it, a block of its own would cost more bytes and one more write."""
VALUE_BYTES_MAX: Final = chunks.LENGTH_MAX
REFERENCE_WEIGHT: Final = 48
"""What a reference weighs in a leaf, in bytes: a length and a link."""
_LINK_HEAD: Final = b"\xd8\x2a"
"""CBOR tag 42. An encoding without these two bytes holds no link."""


class Reference(NamedTuple):
    """A value in blocks of its own: the length of its encoding, and its first block's digest."""

    length: int
    digest: bytes


class Unwritten(NamedTuple):
    """A value that will have blocks of its own when it is written.

    `like` is the stored value it replaces: most of a large value is often unchanged.
    """

    encoded: bytes
    like: Reference | None


Held: TypeAlias = bytes | Reference | Unwritten
"""A value as its parent keeps it: its encoding, or where that is."""


def hold(value: Any, before: Held | None = None) -> Held:
    """Return how to keep a value: builtins of DAG-CBOR, with `Link`s to blocks of this memory.

    `before` is the value it replaces; the very same is returned if nothing changes. Raises
    `Misused` for what DAG-CBOR cannot say and for what is nested too deeply or too large.
    """
    encoded = _encoded(value)
    linked = _LINK_HEAD in encoded and _check_links(value)
    if len(encoded) > (CHUNK_BYTES if linked else VALUE_BYTES_MAX):
        raise _unkeepable(f"it has {len(encoded)} bytes{' and holds links' * linked}")
    if len(encoded) <= INLINE_BYTES_MAX and not linked:
        return encoded
    return _unchanged(encoded, before) or Unwritten(encoded, _stored(before))


def _encoded(value: Any) -> bytes:
    try:
        return encode_block(value)
    except Rejected as error:
        raise _unkeepable(error.problem) from None


def _check_links(value: Any) -> bool:
    """Tell whether a value holds links. Raises `Misused` for one that cannot name a block."""
    try:
        digests = [named_by(link) for link in links_in(value)]
    except Rejected as error:
        raise _unkeepable(error.problem) from None
    return bool(digests)


def _unkeepable(problem: str) -> Misused:
    return Misused(
        f"a value cannot be kept in memory: {problem}",
        remedy="Keep None, bool, int, float, str, bytes, and lists and dicts (str keys) of these, "
        f"up to {VALUE_BYTES_MAX} bytes ({CHUNK_BYTES} with links)",
    )


def _stored(before: Held | None) -> Reference | None:
    if isinstance(before, Unwritten):
        return before.like
    return before if isinstance(before, Reference) else None


def _unchanged(encoded: bytes, before: Held | None) -> Held | None:
    """Return `before` if it is known to be the same value, without reading any block."""
    if isinstance(before, Unwritten):
        return before if before.encoded == encoded else None
    if isinstance(before, Reference) and before.length == len(encoded) <= CHUNK_BYTES:
        return before if before.digest == digest(encoded) else None
    return None


def open_held(held: Held, source: BlockSource) -> Any:
    """Return the value. Raises `MissingBlock`; `Rejected` for what is not how any value is kept."""
    encoded = _encoding(held, source)
    value = decode_block(encoded, what="value", limit=VALUE_BYTES_MAX)
    linked = _LINK_HEAD in encoded and bool(links_in(value))
    in_own_block = isinstance(held, Reference) and held.length <= CHUNK_BYTES
    if linked and not in_own_block and not isinstance(held, Unwritten):
        raise Rejected("a value hides links in a byte string", reason="hidden-link", where="value")
    if in_own_block and not linked and len(encoded) <= INLINE_BYTES_MAX:
        problem = f"a value of {len(encoded)} bytes has a block of its own"
        raise Rejected(problem, reason="non-canonical", where="value")
    return value


def _encoding(held: Held, source: BlockSource) -> bytes:
    if not isinstance(held, Reference):
        return held if isinstance(held, bytes) else held.encoded
    if held.length > CHUNK_BYTES:
        return chunks.Chunks(held.digest, held.length, source).read()
    data = read_block(source, held.digest)
    if len(data) != held.length:
        problem = f"a value of {len(data)} bytes where {held.length} belong"
        raise malformed(problem, "wrong-length", held.digest)
    return data


def write_held(held: Held, new: NewBlocks) -> bytes | Reference:
    """Write a value's own blocks, if it has any still to be written."""
    if not isinstance(held, Unwritten):
        return held
    encoded, like = held
    if len(encoded) <= CHUNK_BYTES:
        return Reference(len(encoded), new.add(encoded, stored=(like.digest if like else None,)))
    earlier = like.digest if like is not None and like.length > CHUNK_BYTES else None
    return Reference(len(encoded), chunks.write(encoded, new, like=earlier))


def weight(held: Held) -> int:
    """Return the bytes a value takes in its parent, near enough: it decides where to cut."""
    return len(held) if isinstance(held, bytes) else REFERENCE_WEIGHT


def to_plain(held: bytes | Reference) -> Any:
    """Return a value's form in its parent block."""
    return held if isinstance(held, bytes) else [held.length, link_to(held.digest)]


def from_plain(plain: Any, parent: bytes) -> bytes | Reference:
    """Return a value from its form in the block `parent`. Raises `Rejected`."""
    if isinstance(plain, bytes):
        if len(plain) > INLINE_BYTES_MAX:
            problem = f"a value of {len(plain)} bytes inline"
            raise malformed(problem, "too-large", parent)
        return plain
    match plain:
        case [int(length), Link() as link] if length is not True and 0 < length <= VALUE_BYTES_MAX:
            return Reference(length, named_by(link))
        case _:
            raise malformed("neither a value nor a reference to one", "bad-field", parent)
