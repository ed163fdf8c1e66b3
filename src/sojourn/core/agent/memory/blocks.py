"""Blocks: what memory is made of, and which of them a copy lacks.

A block is canonical DAG-CBOR named by the SHA-256 of its bytes; it refers to other blocks by links.
There is one codec and no other. Were plain bytes ("raw") a second one, then a value that happens to
be the bytes of an index, once stored as plain bytes, would pass for a stored index whose children
nobody has: names cover bytes, not codecs. So chunks of large values are DAG-CBOR byte strings, at
five bytes each.

One invariant carries everything: *whoever stores a block stores everything below it.* A store
accepts a block only when the blocks of `links` are there, so that having a root is having all of it
(protocol §3 rule 7), and the search for what a copy lacks never looks below a block it has
(architecture §8: a hop costs what is new).
"""

from collections.abc import (
    Callable,
    Container,
    Generator,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
    Set,
)
from types import MappingProxyType
from typing import Any, Final, Protocol

from sojourn.core.base.digests import ZERO, Link, cid_text, digest, link_to
from sojourn.core.base.encoding import decode_block
from sojourn.core.base.errors import Failed, Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX

__all__ = [
    "BlockSource",
    "MissingBlock",
    "NewBlocks",
    "NoBlocks",
    "levels",
    "links",
    "links_in",
    "load_block",
    "malformed",
    "missing_closure",
    "missing_levels",
    "named_by",
    "read_block",
    "unexpected",
]

_LINK_HEAD: Final = bytes(link_to(ZERO))[:-32]


class MissingBlock(Failed):
    """A block is not at hand. Fetch `digest`, then do the same again: handles do not change."""

    code = "missing-block"

    def __init__(self, digest: bytes) -> None:
        super().__init__(
            f"block {cid_text(digest)} is not at hand", remedy="Fetch it from another holder"
        )
        self.digest = digest


class BlockSource(Protocol):
    """Where blocks are read from. It need not verify them: `load_block` does."""

    def get(self, named: bytes) -> bytes:
        """Return the bytes of the block with this digest. Raises `MissingBlock`."""


class NoBlocks:
    """A source without blocks: for what is made anew, or brings nothing."""

    def get(self, named: bytes) -> bytes:
        """Raise `MissingBlock`."""
        raise MissingBlock(named)


class NewBlocks:
    """The blocks made since the last save, over the source of all others.

    Blocks stand in `made` children first, so that a store can take them in that order. Reading sees
    both; a memory's handles therefore keep working until `forget` says that the source has them.
    """

    def __init__(
        self, source: BlockSource, made: MutableMapping[bytes, bytes] | None = None
    ) -> None:
        """Read all others from `source`; keep the new ones in `made`, which keeps its order, or in memory."""
        self._source = source
        self._made: MutableMapping[bytes, bytes] = {} if made is None else made
        self.made_bytes = sum(map(len, self._made.values()))

    @property
    def made(self) -> Mapping[bytes, bytes]:
        """The new blocks: digest to bytes, children before parents."""
        return MappingProxyType(self._made)

    def get(self, named: bytes) -> bytes:
        """Return the bytes of a block, new or not. Raises `MissingBlock`."""
        data = self._made.get(named)
        return self._source.get(named) if data is None else data

    def add(self, data: bytes, *, stored: Container[bytes | None] = ()) -> bytes:
        """Keep a block unless its digest is among those known to be `stored`; return the digest."""
        named = digest(data)
        if named not in stored and named not in self._made:
            self._made[named] = data
            self.made_bytes += len(data)
        return named

    def forget(self, digests: Sequence[bytes]) -> None:
        """Drop blocks that the source holds by now. Unknown ones are passed over."""
        for named in digests:
            self.made_bytes -= len(self._made.pop(named, b""))


def malformed(problem: str, reason: str, named: bytes) -> Rejected:
    """Return the error for the block `named`."""
    return Rejected(problem, reason=reason, where=f"block {cid_text(named)}")


def unexpected(plain: Any, kinds: Sequence[str], named: bytes) -> Rejected:
    """Return the error for the block `named`, which says `plain` where one of `kinds` belongs.

    A block of memory is a list that begins with its kind and version: another version of the kind
    is "unknown-version", another shape of the version "bad-field", all else "wrong-kind".
    """
    found = plain[0] if isinstance(plain, list) and plain else None
    if not isinstance(found, str):
        found = type(plain).__name__
    if found in kinds:
        return malformed(f"not what {found} looks like", "bad-field", named)
    readable = " or ".join(kinds)
    if found.partition("/")[0] in {kind.partition("/")[0] for kind in kinds}:
        problem = f"format {found[:40]!a}; this version reads {readable}"
        return malformed(problem, "unknown-version", named)
    return malformed(f"{found[:40]!a} where {readable} belongs", "wrong-kind", named)


def read_block(source: BlockSource, named: bytes) -> bytes:
    """Return a block's bytes. Raises `MissingBlock`; `Rejected` ("wrong-digest") for others."""
    data = source.get(named)
    if digest(data) != named:
        raise malformed("the bytes have another digest", "wrong-digest", named)
    return data


def load_block(source: BlockSource, named: bytes) -> Any:
    """Return what a block says. Raises as `read_block`, and `Rejected` as `decode_block`."""
    data = read_block(source, named)
    try:
        return decode_block(data, what="block", limit=BLOCK_BYTES_MAX)
    except Rejected as error:
        raise malformed(error.problem, error.reason, named) from None


def named_by(link: Link) -> bytes:
    """Return the digest a link to a block of memory names.

    Raises `Rejected` ("bad-link") for anything but CIDv1, DAG-CBOR, SHA-256.
    """
    data = bytes(link)
    if len(data) != len(_LINK_HEAD) + 32 or not data.startswith(_LINK_HEAD):
        shown = data[:40].hex()
        raise Rejected(f"not a CIDv1 link to DAG-CBOR by SHA-256: {shown}", reason="bad-link")
    return data[len(_LINK_HEAD) :]


def levels(value: Any) -> Iterator[list[Any]]:
    """Yield the value, then what lies directly inside it, and so on, level by level."""
    level = [value]
    while level:
        yield level
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]


def links(data: bytes) -> list[bytes]:
    """Return the digests of the blocks that a block refers to, each once.

    Raises `Rejected` if the bytes are no block: one of `decode_block`'s reasons, or "bad-link".
    """
    value = decode_block(data, what="block", limit=BLOCK_BYTES_MAX)
    return list(dict.fromkeys(map(named_by, links_in(value))))


def links_in(value: Any) -> list[Link]:
    """Return the links inside a decoded value, whatever they name."""
    return [inner for level in levels(value) for inner in level if isinstance(inner, Link)]


def missing_closure(
    root: bytes, have: Callable[[Sequence[bytes]], Set[bytes]], source: BlockSource
) -> list[bytes]:
    """Return the digests of what a copy lacks of `root` and below, children before parents.

    `have` is asked which of some digests the copy stores: once for each level of the tree, never
    twice for a digest, never below a block it has. Raises `MissingBlock` and `Rejected` for what
    `source` gives.
    """
    search = missing_levels([root], source)
    level = next(search)
    while True:
        try:
            level = search.send(have(level))
        except StopIteration as done:
            missing: list[bytes] = done.value
            return missing


def missing_levels(
    roots: Sequence[bytes], source: BlockSource
) -> Generator[list[bytes], Set[bytes], list[bytes]]:
    """Do what `missing_closure` does, of several roots at once and for callers who must wait for each answer.

    Yields the digests to ask for, level by level; is sent those that the copy has; returns the
    missing.
    """
    below: dict[bytes, list[bytes]] = {}
    asked = dict.fromkeys(roots)
    level = list(asked)
    while level:
        held = yield level
        lacking = [named for named in level if named not in held]
        below |= {named: links(read_block(source, named)) for named in lacking}
        children = dict.fromkeys(child for named in lacking for child in below[named])
        level = [child for child in children if child not in asked]
        asked |= dict.fromkeys(level)
    return _children_first(roots, below)


def _children_first(roots: Sequence[bytes], below: Mapping[bytes, list[bytes]]) -> list[bytes]:
    """Return the keys of `below` under `roots`; a block that two levels share goes before both."""
    done: dict[bytes, None] = {}
    todo = [(root, False) for root in reversed(roots)]
    while todo:
        named, is_expanded = todo.pop()
        if named in done or named not in below:
            continue
        if is_expanded:
            done[named] = None
        else:
            todo.append((named, True))
            todo.extend((child, False) for child in reversed(below[named]))
    return list(done)
