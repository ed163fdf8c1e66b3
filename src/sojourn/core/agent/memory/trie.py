"""The shape of a mapping: a radix tree over the bytes of its keys, cut by content alone.

    leaf      ["mapping-leaf/1", [keys], [values]]
    branch    ["mapping-branch/1", prefix, starts, [counts], [sizes], [links]]

Rules of the shape:

1. Entries weighing at most `LEAF_SIZE_MAX` together are one leaf, sorted by key.
2. Heavier ones are a branch at the first byte in which their keys differ. `prefix` holds the bytes
   they have in common from where the branch above looked.
3. A branch looks at one byte: 0 for a key that ends there, else the byte plus one (UTF-8 stays
   below 246). Its range of 256 is halved, as a buddy allocator halves memory, until the entries in
   a part weigh at most `LEAF_SIZE_MAX`, and are a leaf, or the part is one byte wide, and is a tree
   of its own. Parts without entries are left out.
4. For each part its branch holds where it starts, how many entries it has and what they weigh.

So the tree is a function of its entries: no order of operations can be told from a root, equal
content is equal blocks, and one root is one content. Every claim of a branch is checked against the
part when it is loaded; a tree that reads without error is the only tree of its content.

Whoever chooses the keys cannot unbalance it by grinding hashes, as there are none, and cannot make
a block of more than 16 KB: a branch has at most 246 parts. The worst they can do is to choose keys
that are prefixes of each other: the tree is then as deep as the longest of them, and one change
writes a branch of two parts for each byte of `KEY_BYTES_MAX`, 65 KB in all, however large the
mapping. A tree cut by hashes of its keys (a Prolly tree) promises less and wrote more: with 100,000
values of 200 bytes, 11 to 13 KB in 4 to 6 blocks a change, against 4 to 9 KB in 4 to 7 here.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from sojourn.core.agent.memory.blocks import malformed, named_by, unexpected
from sojourn.core.agent.memory.values import Held, Unwritten, from_plain, to_plain, weight
from sojourn.core.base.digests import Link

__all__ = [
    "KEY_BYTES_MAX",
    "LEAF_SIZE_MAX",
    "SYMBOLS",
    "Branch",
    "Entry",
    "Leaf",
    "Part",
    "Range",
    "check_place",
    "fork",
    "from_block",
    "grow",
    "split",
    "symbol_at",
    "to_block",
    "weigh",
]

LEAF_SIZE_MAX: Final = 4096
"""What a leaf may weigh, in bytes. Twice that: twice the bytes a change; half: twice the blocks."""
KEY_BYTES_MAX: Final = 512
"""A key in UTF-8. It bounds the depth of the tree. Less than an object store's 1,024."""
ENTRY_OVERHEAD: Final = 8
"""What an entry weighs beyond key and value: the heads of both, rounded up."""
SYMBOLS: Final = 256
_LEAF: Final = "mapping-leaf/1"
_BRANCH: Final = "mapping-branch/1"


class Entry(NamedTuple):
    """A key in UTF-8 (by which entries are sorted), as text, and its value."""

    raw: bytes
    key: str
    held: Held


class Leaf(msgspec.Struct, frozen=True):
    """Entries in one block. `origin` is the digest of the stored block it came from, if any."""

    keys: tuple[str, ...]
    held: tuple[Held, ...]
    size: int
    origin: bytes | None = None

    @property
    def count(self) -> int:
        """The number of entries."""
        return len(self.keys)

    def entries(self) -> Iterator[Entry]:
        """Yield the entries by key."""
        return map(Entry, map(str.encode, self.keys), self.keys, self.held)

    def find(self, key: str) -> Held | None:
        """Return the value of a key, or None."""
        at = bisect_left(self.keys, key)
        return self.held[at] if self.keys[at : at + 1] == (key,) else None

    def changed(self, key: str, held: Held | None, delta: int) -> "Leaf":
        """Return the leaf with a key set, or removed if `held` is None; it weighs `delta` more."""
        keys, values = self.keys, self.held
        at = bisect_left(keys, key)
        after = at + (keys[at : at + 1] == (key,))
        mid = ((), ()) if held is None else ((key,), (held,))
        return Leaf(
            keys[:at] + mid[0] + keys[after:],
            values[:at] + mid[1] + values[after:],
            self.size + delta,
            self.origin,
        )


class Branch(msgspec.Struct, frozen=True):
    """Ranges of the next byte, and the part below each: a link to it, or itself if not written.

    `stops` are where the ranges end; they follow from `starts` and `sizes`.
    """

    prefix: bytes
    starts: bytes
    stops: tuple[int, ...]
    counts: tuple[int, ...]
    sizes: tuple[int, ...]
    parts: tuple["Link | Leaf | Branch", ...]
    origin: bytes | None = None

    @property
    def count(self) -> int:
        """The number of entries."""
        return sum(self.counts)

    @property
    def size(self) -> int:
        """What the entries weigh."""
        return sum(self.sizes)

    def range_of(self, symbol: int) -> int | None:
        """Return the index of the range that holds a symbol, or None."""
        at = bisect_right(self.starts, symbol) - 1
        return at if at >= 0 and symbol < self.stops[at] else None

    def with_part(self, at: int, part: "Leaf | Branch") -> "Branch":
        """Return the branch with another part in the same range."""
        return Branch(
            self.prefix,
            self.starts,
            self.stops,
            (*self.counts[:at], part.count, *self.counts[at + 1 :]),
            (*self.sizes[:at], part.size, *self.sizes[at + 1 :]),
            (*self.parts[:at], part, *self.parts[at + 1 :]),
            self.origin,
        )

    def with_ranges(self, first: int, last: int, new: Sequence["Range"]) -> "Branch":
        """Return the branch with ranges `first` up to `last` replaced."""
        return Branch(
            self.prefix,
            self.starts[:first] + bytes(r.start for r in new) + self.starts[last:],
            self.stops[:first] + tuple(r.stop for r in new) + self.stops[last:],
            self.counts[:first] + tuple(r.part.count for r in new) + self.counts[last:],
            self.sizes[:first] + tuple(r.part.size for r in new) + self.sizes[last:],
            self.parts[:first] + tuple(r.part for r in new) + self.parts[last:],
            self.origin,
        )


Part: TypeAlias = Leaf | Branch


class Range(NamedTuple):
    """A range of symbols and the part of the tree for it."""

    start: int
    stop: int
    part: Part


def weigh(raw: bytes, held: Held) -> int:
    """Return what an entry weighs: an upper bound of its bytes in a leaf."""
    return ENTRY_OVERHEAD + len(raw) + weight(held)


def symbol_at(raw: bytes, position: int) -> int:
    """Return what a branch that looks at `position` sees of a key (rule 3)."""
    return raw[position] + 1 if position < len(raw) else 0


def _common(one: bytes, other: bytes) -> int:
    """Return the number of leading bytes that two strings share."""
    shortest = min(len(one), len(other))
    return next((i for i in range(shortest) if one[i] != other[i]), shortest)


def grow(entries: Sequence[Entry], position: int) -> Part:
    """Return the tree of sorted entries whose keys share `position` bytes (rules 1 and 2).

    Recursive, and shallow: a change grows from what one leaf holds and one entry more, and each
    level of branches takes at least one entry, whose key has a byte for each level, off that.
    """
    size = sum(weigh(entry.raw, entry.held) for entry in entries)
    if size <= LEAF_SIZE_MAX:
        return Leaf(tuple(e.key for e in entries), tuple(e.held for e in entries), size)
    first, last = entries[0].raw, entries[-1].raw
    looks_at = position + _common(first[position:], last[position:])
    return _branch(first[position:looks_at], split(entries, 0, SYMBOLS, looks_at))


def _branch(prefix: bytes, ranges: Sequence[Range]) -> Branch:
    return Branch(prefix, b"", (), (), (), ()).with_ranges(0, 0, ranges)


def split(entries: Sequence[Entry], start: int, stop: int, looks_at: int) -> list[Range]:
    """Return the ranges that a range of symbols falls into (rule 3)."""
    if not entries:
        return []
    size = sum(weigh(entry.raw, entry.held) for entry in entries)
    if size <= LEAF_SIZE_MAX:
        return [Range(start, stop, grow(entries, looks_at))]
    symbol = symbol_at(entries[0].raw, looks_at)
    if symbol == symbol_at(entries[-1].raw, looks_at):
        return [Range(symbol, symbol + 1, grow(entries, looks_at + 1))]
    middle = (start + stop) // 2
    cut = bisect_left(entries, middle, key=lambda entry: symbol_at(entry.raw, looks_at))
    return split(entries[:cut], start, middle, looks_at) + split(
        entries[cut:], middle, stop, looks_at
    )


def fork(branch: Branch, entry: Entry, position: int) -> Branch:
    """Return the tree of `branch` and one entry whose key leaves its prefix somewhere."""
    shared = _common(branch.prefix, entry.raw[position:])
    ours, theirs = branch.prefix[shared] + 1, symbol_at(entry.raw, position + shared)
    start, stop = 0, SYMBOLS
    while start <= ours < stop:
        middle = (start + stop) // 2
        start, stop = (middle, stop) if theirs >= middle else (start, middle)
    shorter = msgspec.structs.replace(branch, prefix=branch.prefix[shared + 1 :])
    ranges = [Range(ours, ours + 1, shorter), Range(start, stop, grow([entry], position))]
    return _branch(branch.prefix[:shared], sorted(ranges, key=lambda r: r.start))


# --- blocks ---------------------------------------------------------------------------------------


def to_block(part: Part) -> list[Any]:
    """Return what the block of a part says. Everything below the part must have been written."""
    if isinstance(part, Leaf):
        written = [held for held in part.held if not isinstance(held, Unwritten)]
        assert len(written) == len(part.held)
        return [_LEAF, list(part.keys), [to_plain(held) for held in written]]
    return [
        _BRANCH,
        part.prefix,
        part.starts,
        list(part.counts),
        list(part.sizes),
        list(part.parts),
    ]


def from_block(plain: Any, named: bytes) -> Part:
    """Return the part in the block `named`, checked as far as it goes. Raises `Rejected`."""
    match plain:
        case [str(kind), list(keys), list(values)] if kind == _LEAF:
            return _to_leaf(keys, values, named)
        case [str(kind), bytes(prefix), bytes(starts), list(counts), list(sizes), list(parts)] if (
            kind == _BRANCH
        ):
            return _to_branch(prefix, starts, counts, sizes, parts, named)
        case _:
            raise unexpected(plain, (_LEAF, _BRANCH), named)


def _to_leaf(keys: list[Any], values: list[Any], named: bytes) -> Leaf:
    if not 0 < len(keys) == len(values):
        raise malformed(f"{len(keys)} keys, {len(values)} values", "wrong-count", named)
    if not all(isinstance(key, str) for key in keys):
        raise malformed("a key that is not text", "bad-field", named)
    if not all(one < other for one, other in pairwise(keys)):
        raise malformed("keys out of order", "wrong-order", named)
    held = tuple(from_plain(value, named) for value in values)
    lengths = [len(key.encode()) for key in keys]
    size = ENTRY_OVERHEAD * len(keys) + sum(lengths) + sum(map(weight, held))
    if size > LEAF_SIZE_MAX or max(lengths) > KEY_BYTES_MAX:
        problem = f"a leaf of {size} bytes with a key of {max(lengths)}"
        raise malformed(problem, "too-large", named)
    return Leaf(tuple(keys), held, size, named)


def _to_branch(
    prefix: bytes,
    starts: bytes,
    counts: list[Any],
    sizes: list[Any],
    parts: list[Any],
    named: bytes,
) -> Branch:
    if len(prefix) > KEY_BYTES_MAX:
        raise malformed(f"a prefix of {len(prefix)} bytes", "too-deep", named)
    if not 1 < len(starts) == len(counts) == len(sizes) == len(parts):
        problem = (
            f"{len(starts)} starts, {len(counts)} counts, {len(sizes)} sizes, {len(parts)} links"
        )
        raise malformed(problem, "wrong-count", named)
    if not all(type(number) is int and number > 0 for number in (*counts, *sizes)):
        raise malformed("a part that is empty", "bad-field", named)
    if not all(isinstance(link, Link) for link in parts):
        raise malformed("a part that is no link", "bad-field", named)
    if not all(one < other for one, other in pairwise(starts)):
        raise malformed("ranges out of order", "wrong-order", named)
    stops = _stops(starts, sizes)
    if stops is None or (starts[0] == 0 and sizes[0] > LEAF_SIZE_MAX):
        raise malformed("ranges that the sizes do not call for", "non-canonical", named)
    for link in parts:
        named_by(link)
    return Branch(prefix, starts, stops, tuple(counts), tuple(sizes), tuple(parts), named)


def _stops(starts: bytes, sizes: Sequence[int]) -> tuple[int, ...] | None:
    """Return where the ranges of a branch end, or None unless they are those of rule 3."""
    sums = [0, *accumulate(sizes)]
    stops: list[int] = []
    todo = [(0, SYMBOLS, 0, len(starts))]
    while todo:
        start, stop, first, last = todo.pop()
        if first == last:
            continue
        if sums[last] - sums[first] <= LEAF_SIZE_MAX or stop - start == 1:
            if last - first != 1 or starts[first] != start:
                return None
            stops.append(stop)
            continue
        middle = (start + stop) // 2
        cut = bisect_left(starts, middle, first, last)
        todo += ((middle, stop, cut, last), (start, middle, first, cut))
    return tuple(stops)


def check_place(part: Part, branch: Branch, at: int, path: bytes) -> None:
    """Raise `Rejected` unless a part is what its branch says and belongs into its range.

    `path` is what all keys of the branch start with, up to the byte it looks at.
    """
    named = part.origin
    assert named is not None
    if (part.count, part.size) != (branch.counts[at], branch.sizes[at]):
        found, claimed = (part.count, part.size), (branch.counts[at], branch.sizes[at])
        problem = f"(entries, size) are {found}; the branch says {claimed}"
        raise malformed(problem, "wrong-count", named)
    if isinstance(part, Branch):
        if len(path) + 1 + len(part.prefix) > KEY_BYTES_MAX:
            problem = f"keys of more than {KEY_BYTES_MAX} bytes"
            raise malformed(problem, "too-deep", named)
        return
    for key in (part.keys[0].encode(), part.keys[-1].encode()):
        symbol = symbol_at(key, len(path))
        if not key.startswith(path) or not branch.starts[at] <= symbol < branch.stops[at]:
            raise malformed("keys in another's range", "wrong-order", named)
