"""A log: values in the order they were appended.

    root      ["log/1", length, [links], [values]]       the full parts, then the rest of the values
    branch    ["log-branch/1", height, [links]]          `FAN_OUT` parts of height - 1
    leaf      ["log-leaf/1", [values]]                   `FAN_OUT` values; its height is 0

A part of height h holds `FAN_OUT` ** (h + 1) values and never changes again. The root keeps what
does not fill a leaf, and the full parts largest first: as many of each height as the digit of the
length says, read in base `FAN_OUT`. So an append writes one small block, and a leaf and perhaps
branches each time one fills; a move ships those and the root; and the shape follows from the length
alone: appending one by one or all at once gives one root.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from sojourn.core.agent.memory.blocks import (
    BlockSource,
    NewBlocks,
    load_block,
    malformed,
    named_by,
    unexpected,
)
from sojourn.core.agent.memory.values import (
    Held,
    from_plain,
    hold,
    open_held,
    to_plain,
    write_held,
)
from sojourn.core.base.digests import ZERO, Link, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused

__all__ = ["FAN_OUT", "LENGTH_MAX", "Log"]

FAN_OUT: Final = 16
"""Values in a leaf, parts in a branch. Eight: half the bytes an append, twice the blocks in all."""
LENGTH_MAX: Final = 2**48
"""Values in a log: eleven heights of branches."""
_ROOT: Final = "log/1"
_BRANCH: Final = "log-branch/1"
_LEAF: Final = "log-leaf/1"


class _Leaf(msgspec.Struct, frozen=True):
    """A full leaf that is not written yet."""

    held: tuple[Held, ...]


class _Branch(msgspec.Struct, frozen=True):
    """A full branch that is not written yet."""

    height: int
    parts: tuple["bytes | _Leaf | _Branch", ...]


_Part: TypeAlias = bytes | _Leaf | _Branch
"""A full part: its digest, or itself while it is not written."""


class Log:
    """Values in order: builtins that DAG-CBOR can say. Open one with `load`.

    Handles are immutable: appending returns a new one, and `commit` makes blocks. Every method that
    reads may raise `MissingBlock` (fetch it and do the same again) and, for blocks that are not
    what they claim to be, `Rejected`.
    """

    def __init__(
        self,
        length: int,
        parts: tuple[_Part, ...],
        rest: tuple[Held, ...],
        root: bytes | None,
        source: BlockSource,
    ) -> None:
        self._length = length
        self._parts = parts
        self._rest = rest
        self._root = root
        self._source = source

    @classmethod
    def load(cls, root: bytes, source: BlockSource) -> "Log":
        """Open the log with this root; all zeros is the empty one."""
        if root == ZERO:
            return cls(0, (), (), ZERO, source)
        length, parts, rest = _read_root(load_block(source, root), root)
        return cls(length, parts, rest, root, source)

    @property
    def root(self) -> bytes:
        """The digest that names the content, of a handle that `load` or `commit` returned."""
        assert self._root is not None, "a changed log has a root when it is committed"
        return self._root

    def __len__(self) -> int:
        return self._length

    def append(self, value: Any) -> "Log":
        """Return the log with one value more. Raises `Misused` for a value that cannot be kept."""
        return self.extend((value,))

    def extend(self, values: Iterable[Any]) -> "Log":
        """Return the log with values appended in their order. Raises `Misused` as `append` does."""
        length, parts, rest = self._length, list(self._parts), list(self._rest)
        for value in values:
            rest.append(hold(value))
            length += 1
            if len(rest) == FAN_OUT:
                parts.append(_Leaf(tuple(rest)))
                rest.clear()
                _carry(parts, length // FAN_OUT)
        if length == self._length:
            return self
        if length > LENGTH_MAX:
            raise Misused(f"a log of {length} values", remedy="Begin another")
        return Log(length, tuple(parts), tuple(rest), None, self._source)

    def get(self, index: int) -> Any:
        """Return the value at an index from 0. Raises `IndexError` outside the log."""
        if not 0 <= index < self._length:
            raise IndexError(f"index {index} of a log of {self._length}")
        return next(self.slice(index, index + 1))

    def slice(self, start: int, stop: int | None = None) -> Iterator[Any]:
        """Yield the values from index `start` up to `stop` (None: the end), reading their leaves only.

        Indices beyond the end mean the end, as in a slice; negative ones are `Misused`.
        """
        end = self._length if stop is None else min(stop, self._length)
        if start < 0 or end < 0:
            raise Misused(f"negative index: {min(start, end)}", remedy="Count from the start")
        return (open_held(held, self._source) for held in self._held(start, end))

    def __iter__(self) -> Iterator[Any]:
        return self.slice(0)

    def commit(self, new: NewBlocks) -> "Log":
        """Write what was appended since the last commit into `new`; return the log with its root.

        The returned handle reads from `new`.
        """
        if self._root is not None:
            return Log(self._length, self._parts, self._rest, self._root, new)
        parts = tuple(_write(part, new) for part in self._parts)
        rest = tuple(write_held(held, new) for held in self._rest)
        links = [link_to(part) for part in parts]
        block = [_ROOT, self._length, links, [to_plain(held) for held in rest]]
        return Log(self._length, parts, rest, new.add(encode_block(block)), new)

    def _held(self, start: int, stop: int) -> Iterator[Held]:
        at = 0
        for height, part in zip(_heights(self._length), self._parts, strict=True):
            size = _capacity(height)
            if at < stop and start < at + size:
                yield from self._inside(part, height, max(0, start - at), min(size, stop - at))
            at += size
        yield from self._rest[max(0, start - at) : max(0, stop - at)]

    def _inside(self, part: _Part, height: int, start: int, stop: int) -> Iterator[Held]:
        """Yield values of a full part; `start` < `stop` count from its own first."""
        if height == 0:
            yield from self._leaf(part)[start:stop]
            return
        size = _capacity(height - 1)
        below = self._branch(part, height)
        for i in range(start // size, -(-stop // size)):
            at = i * size
            yield from self._inside(below[i], height - 1, max(0, start - at), min(size, stop - at))

    def _leaf(self, part: _Part) -> tuple[Held, ...]:
        if isinstance(part, bytes):
            return _read_leaf(load_block(self._source, part), part)
        assert isinstance(part, _Leaf)
        return part.held

    def _branch(self, part: _Part, height: int) -> tuple[_Part, ...]:
        if isinstance(part, bytes):
            return _read_branch(load_block(self._source, part), height, part)
        assert isinstance(part, _Branch)
        return part.parts


def _capacity(height: int) -> int:
    """Return the number of values in a full part of this height."""
    return int(FAN_OUT ** (height + 1))


def _heights(length: int) -> list[int]:
    """Return the heights of the full parts of a log, largest first: the digits of its length."""
    leaves, height, heights = length // FAN_OUT, 0, list[int]()
    while leaves:
        heights += [height] * (leaves % FAN_OUT)
        leaves, height = leaves // FAN_OUT, height + 1
    return heights[::-1]


def _carry(parts: list[_Part], leaves: int) -> None:
    """Join full parts, now that there are `leaves` leaves: a carry in base `FAN_OUT`."""
    height = 0
    while leaves % FAN_OUT == 0:
        height += 1
        parts[-FAN_OUT:] = [_Branch(height, tuple(parts[-FAN_OUT:]))]
        leaves //= FAN_OUT


def _write(part: _Part, new: NewBlocks) -> bytes:
    """Write a full part, if it is not written, and return its digest."""
    if isinstance(part, bytes):
        return part
    if isinstance(part, _Leaf):
        values = [to_plain(write_held(held, new)) for held in part.held]
        return new.add(encode_block([_LEAF, values]))
    links = [link_to(_write(below, new)) for below in part.parts]
    return new.add(encode_block([_BRANCH, part.height, links]))


def _read_root(plain: Any, named: bytes) -> tuple[int, tuple[bytes, ...], tuple[bytes | Held, ...]]:
    match plain:
        case [str(kind), int(length), list(links), list(values)] if kind == _ROOT:
            pass
        case _:
            raise unexpected(plain, (_ROOT,), named)
    if type(length) is not int or not 0 < length <= LENGTH_MAX:
        raise malformed(f"a log of {length} values", "bad-field", named)
    needed = len(_heights(length)), length % FAN_OUT
    if (len(links), len(values)) != needed:
        found = f"{len(links)} parts and {len(values)} values"
        problem = f"{found}, where a log of {length} has {needed[0]} and {needed[1]}"
        raise malformed(problem, "wrong-count", named)
    return length, _digests(links, named), tuple(from_plain(value, named) for value in values)


def _read_leaf(plain: Any, named: bytes) -> tuple[Held, ...]:
    match plain:
        case [str(kind), list(values)] if kind == _LEAF:
            pass
        case _:
            raise unexpected(plain, (_LEAF,), named)
    if len(values) != FAN_OUT:
        raise malformed(f"a leaf of {len(values)} values", "wrong-count", named)
    return tuple(from_plain(value, named) for value in values)


def _read_branch(plain: Any, height: int, named: bytes) -> tuple[bytes, ...]:
    match plain:
        case [str(kind), int(found), list(links)] if kind == _BRANCH:
            pass
        case _:
            raise unexpected(plain, (_BRANCH,), named)
    if found != height or type(found) is not int:
        problem = f"a branch of height {found} where {height} belongs"
        raise malformed(problem, "wrong-level", named)
    if len(links) != FAN_OUT:
        raise malformed(f"a branch of {len(links)} parts", "wrong-count", named)
    return _digests(links, named)


def _digests(links: Sequence[Any], named: bytes) -> tuple[bytes, ...]:
    if not all(isinstance(link, Link) for link in links):
        raise malformed("a part that is no link", "bad-field", named)
    return tuple(map(named_by, links))
