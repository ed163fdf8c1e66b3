"""The full parts of a log: what their blocks say, and what a trim leaves of them.

    branch    ["log-branch/1", height, [links]]              `FAN_OUT` parts of height - 1
    cut       ["log-trimmed-branch/1", height, [items]]      a branch whose first parts were trimmed
    leaf      ["log-leaf/1", [values]]                       `FAN_OUT` values; its height is 0

A trim drops whole parts. Where one stood its digest remains, as bytes: no link, so that nobody has to store what it
names. A branch that lies across the border becomes a *cut*: digests of what was dropped, then links to what remains.
Which branches are cut follows from the number of values that were trimmed, so one content, trimmed so far, has one
root; and the branch that a cut stands for can be made again from it, block for block.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from sojourn.core.agent.memory.blocks import (
    BlockSource,
    NewBlocks,
    load_block,
    malformed,
    named_by,
    unexpected,
)
from sojourn.core.agent.memory.values import Held, from_plain, to_plain, write_held
from sojourn.core.base.digests import Link, link_to
from sojourn.core.base.encoding import encode_block

__all__ = [
    "FAN_OUT",
    "Branch",
    "Cut",
    "Dropped",
    "Leaf",
    "Part",
    "Place",
    "branch_parts",
    "item_of",
    "items_from",
    "joined",
    "leaf_values",
    "places",
    "trimmed",
    "whole",
    "write_part",
]

FAN_OUT: Final = 16
"""Values in a leaf, parts in a branch. Eight: half the bytes an append, twice the blocks in all."""
_BRANCH: Final = "log-branch/1"
_CUT: Final = "log-trimmed-branch/1"
_LEAF: Final = "log-leaf/1"
_DIGEST_BYTES: Final = 32


class Leaf(msgspec.Struct, frozen=True):
    """A full leaf that is not written yet."""

    held: tuple[Held, ...]


class Branch(msgspec.Struct, frozen=True):
    """A full branch that is not written yet."""

    parts: tuple["Part", ...]


class Cut(msgspec.Struct, frozen=True):
    """A branch that is trimmed in part, and is not written yet."""

    parts: tuple["Part", ...]


class Dropped(NamedTuple):
    """A part that was trimmed: the digest that it had."""

    digest: bytes


Part: TypeAlias = bytes | Leaf | Branch | Cut | Dropped
"""A full part: the digest of its block, or itself while it is not written."""


class Place(NamedTuple):
    """Where a full part stands: the index of its first value, and its height."""

    at: int
    height: int

    @property
    def size(self) -> int:
        """The number of values in it."""
        return int(FAN_OUT ** (self.height + 1))

    @property
    def stop(self) -> int:
        """The index behind its last value."""
        return self.at + self.size

    def is_dropped(self, first: int) -> bool:
        """Tell whether all of it is trimmed where `first` is the first value that is not."""
        return self.stop <= first

    def is_cut(self, first: int) -> bool:
        """Tell whether some leaf of it is trimmed and some is not."""
        return self.height > 0 and self.at + FAN_OUT <= first < self.stop

    def below(self) -> Iterator["Place"]:
        """Yield the places of a branch's parts."""
        size = self.size // FAN_OUT
        return (Place(self.at + i * size, self.height - 1) for i in range(FAN_OUT))


def places(length: int) -> list[Place]:
    """Return where the full parts of a log stand, largest first: the digits of its length."""
    leaves, height, heights = length // FAN_OUT, 0, list[int]()
    while leaves:
        heights += [height] * (leaves % FAN_OUT)
        leaves, height = leaves // FAN_OUT, height + 1
    found, at = list[Place](), 0
    for height in reversed(heights):
        found.append(Place(at, height))
        at = found[-1].stop
    return found


def joined(parts: Sequence[Part], place: Place, first: int) -> Part:
    """Return the part that these make together."""
    return Cut(tuple(parts)) if place.is_cut(first) else Branch(tuple(parts))


def trimmed(part: Part, place: Place, before: int, first: int, source: BlockSource) -> Part:
    """Return what is left of a part, of which `before` values had been trimmed and `first` now are."""
    if place.is_dropped(first):
        is_gone = isinstance(part, Dropped)
        return part if is_gone else Dropped(whole(part, place, before, NewBlocks(source)))
    if not place.is_cut(first):
        return part
    below = zip(branch_parts(part, place, before, source), place.below(), strict=True)
    return Cut(tuple(trimmed(each, where, before, first, source) for each, where in below))


def whole(part: Part, place: Place, first: int, new: NewBlocks) -> bytes:
    """Return the digest that a part has untrimmed, and make in `new` the blocks that cuts have replaced."""
    if isinstance(part, Dropped):
        return part.digest
    if isinstance(part, Leaf):
        return _write_leaf(part, new)
    if isinstance(part, bytes) and not place.is_cut(first):
        return part
    below = zip(branch_parts(part, place, first, new), place.below(), strict=True)
    links = [link_to(whole(each, where, first, new)) for each, where in below]
    return new.add(encode_block([_BRANCH, place.height, links]))


def write_part(part: Part, place: Place, new: NewBlocks) -> bytes | Dropped:
    """Write a part, if it is not written, and return its digest."""
    if isinstance(part, bytes | Dropped):
        return part
    if isinstance(part, Leaf):
        return _write_leaf(part, new)
    below = zip(part.parts, place.below(), strict=True)
    items = [item_of(write_part(each, where, new)) for each, where in below]
    return new.add(encode_block([_CUT if isinstance(part, Cut) else _BRANCH, place.height, items]))


def _write_leaf(leaf: Leaf, new: NewBlocks) -> bytes:
    values = [to_plain(write_held(held, new)) for held in leaf.held]
    return new.add(encode_block([_LEAF, values]))


def leaf_values(part: Part, source: BlockSource) -> tuple[Held, ...]:
    """Return the values of a leaf. Raises `MissingBlock` and `Rejected`."""
    if isinstance(part, bytes):
        return _read_leaf(load_block(source, part), part)
    assert isinstance(part, Leaf)
    return part.held


def branch_parts(part: Part, place: Place, first: int, source: BlockSource) -> tuple[Part, ...]:
    """Return the parts of a branch. Raises `MissingBlock` and `Rejected`."""
    if isinstance(part, bytes):
        return _read_branch(load_block(source, part), place, first, part)
    assert isinstance(part, Branch | Cut)
    return part.parts


def item_of(part: bytes | Dropped) -> Link | bytes:
    """Return how the block above names a part."""
    return part.digest if isinstance(part, Dropped) else link_to(part)


def items_from(
    items: Sequence[Any], where: Sequence[Place], first: int, named: bytes
) -> tuple[bytes | Dropped, ...]:
    """Return the parts that a block above names, of which `first` values are trimmed. Raises `Rejected`."""
    return tuple(
        _dropped(item, named) if place.is_dropped(first) else _linked(item, named)
        for item, place in zip(items, where, strict=True)
    )


def _linked(item: Any, named: bytes) -> bytes:
    if not isinstance(item, Link):
        raise malformed("a part that is no link", "bad-field", named)
    return named_by(item)


def _dropped(item: Any, named: bytes) -> Dropped:
    if not isinstance(item, bytes) or len(item) != _DIGEST_BYTES:
        raise malformed("a trimmed part that is no digest", "bad-field", named)
    return Dropped(item)


def _read_leaf(plain: Any, named: bytes) -> tuple[Held, ...]:
    match plain:
        case [str(kind), list(values)] if kind == _LEAF:
            pass
        case _:
            raise unexpected(plain, (_LEAF,), named)
    if len(values) != FAN_OUT:
        raise malformed(f"a leaf of {len(values)} values", "wrong-count", named)
    return tuple(from_plain(value, named) for value in values)


def _read_branch(plain: Any, place: Place, first: int, named: bytes) -> tuple[Part, ...]:
    wanted = _CUT if place.is_cut(first) else _BRANCH
    match plain:
        case [str(kind), int(found), list(items)] if kind == wanted:
            pass
        case _:
            raise unexpected(plain, (wanted,), named)
    if found != place.height or type(found) is not int:
        problem = f"a branch of height {found} where {place.height} belongs"
        raise malformed(problem, "wrong-level", named)
    if len(items) != FAN_OUT:
        raise malformed(f"a branch of {len(items)} parts", "wrong-count", named)
    return items_from(items, list(place.below()), first, named)
