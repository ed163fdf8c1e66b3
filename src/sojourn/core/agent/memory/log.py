"""A log: values in the order they were appended, of which the oldest may be trimmed.

    root      ["log/1", length, [links], [values]]                    the full parts, then the rest of the values
    trimmed   ["log-trimmed/1", length, trimmed, [items], [values]]   the same, with digests of what was dropped

A part of height h holds `FAN_OUT` ** (h + 1) values and never changes again (`log_parts`). The root keeps what
does not fill a leaf, and the full parts largest first: as many of each height as the digit of the
length says, read in base `FAN_OUT`. So an append writes one small block, and a leaf and perhaps
branches each time one fills; a move ships those and the root; and the shape follows from the length
alone: appending one by one or all at once gives one root.

A trim takes the oldest values away and leaves every other where it is, under the index that it always had. Parts
that are trimmed whole are dropped; up to `FAN_OUT` - 1 trimmed values stay in a block beside those that remain, and
are not to be read. The root that the log would have untrimmed follows from the trimmed one (`untrimmed`): so what
was trimmed is still committed to, and a proof of any value by an earlier root holds (`proofs`).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sojourn.core.agent.memory.blocks import (
    BlockSource,
    NewBlocks,
    load_block,
    malformed,
    unexpected,
)
from sojourn.core.agent.memory.log_parts import (
    FAN_OUT,
    Dropped,
    Leaf,
    Part,
    Place,
    branch_parts,
    item_of,
    items_from,
    joined,
    leaf_values,
    places,
    trimmed,
    whole,
    write_part,
)
from sojourn.core.agent.memory.values import (
    Held,
    from_plain,
    hold,
    open_held,
    to_plain,
    write_held,
)
from sojourn.core.base.digests import ZERO, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused

__all__ = ["FAN_OUT", "LENGTH_MAX", "Log"]

LENGTH_MAX: Final = 2**48
"""Values in a log: eleven heights of branches."""
_ROOT: Final = "log/1"
_TRIMMED: Final = "log-trimmed/1"


class Log:
    """Values in order: builtins that DAG-CBOR can say. Open one with `load`.

    Handles are immutable: appending returns a new one, and `commit` makes blocks. Every method that
    reads may raise `MissingBlock` (fetch it and do the same again) and, for blocks that are not
    what they claim to be, `Rejected`.
    """

    def __init__(
        self,
        length: int,
        parts: tuple[Part, ...],
        rest: tuple[Held, ...],
        root: bytes | None,
        source: BlockSource,
        first: int = 0,
    ) -> None:
        self._length = length
        self._parts = parts
        self._rest = rest
        self._root = root
        self._source = source
        self._first = first

    @classmethod
    def load(cls, root: bytes, source: BlockSource) -> "Log":
        """Open the log with this root; all zeros is the empty one."""
        if root == ZERO:
            return cls(0, (), (), ZERO, source)
        length, first, parts, rest = _read_root(load_block(source, root), root)
        return cls(length, parts, rest, root, source, first)

    @property
    def root(self) -> bytes:
        """The digest that names the content, of a handle that `load` or `commit` returned."""
        assert self._root is not None, "a changed log has a root when it is committed"
        return self._root

    @property
    def first(self) -> int:
        """The index of the first value that was not trimmed: so many were."""
        return self._first

    def __len__(self) -> int:
        """Return how many values were ever appended: the index that the next one gets."""
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
                parts.append(Leaf(tuple(rest)))
                rest.clear()
                _carry(parts, length, self._first)
        if length == self._length:
            return self
        if length > LENGTH_MAX:
            raise Misused(f"a log of {length} values", remedy="Begin another")
        return Log(length, tuple(parts), tuple(rest), None, self._source, self._first)

    def trim(self, first: int) -> "Log":
        """Return the log without the values before index `first`; it stays as it is if they are gone.

        Reads the way to the border. Raises `Misused` for an index that the log does not reach.
        """
        if not 0 <= first <= self._length:
            problem = f"a log of {self._length} values cannot begin with index {first}"
            raise Misused(problem, remedy=f"Trim what is before 0 to {self._length}")
        if first <= self._first:
            return self
        parts = tuple(
            trimmed(part, place, self._first, first, self._source) for part, place in self._placed()
        )
        return Log(self._length, parts, self._rest, None, self._source, first)

    def untrimmed(self, new: NewBlocks) -> bytes:
        """Return the root that this log has with nothing trimmed.

        Makes in `new` the blocks that the trim has replaced, as they were: with them and the dropped ones, the
        untrimmed log reads as it ever did.
        """
        links = [link_to(whole(part, place, self._first, new)) for part, place in self._placed()]
        if not self._length:
            return ZERO
        rest = [to_plain(write_held(held, new)) for held in self._rest]
        return new.add(encode_block([_ROOT, self._length, links, rest]))

    def get(self, index: int) -> Any:
        """Return the value at an index from 0. Raises `IndexError` outside the log, and for what was trimmed."""
        if not 0 <= index < self._length:
            raise IndexError(f"index {index} of a log of {self._length}")
        if index < self._first:
            raise IndexError(f"value {index} was trimmed: the log begins with {self._first}")
        return next(self.slice(index, index + 1))

    def slice(self, start: int, stop: int | None = None) -> Iterator[Any]:
        """Yield the values from index `start` up to `stop` (None: the end), reading their leaves only.

        Indices beyond the end mean the end, as in a slice, and what was trimmed is passed over; negative ones are
        `Misused`.
        """
        end = self._length if stop is None else min(stop, self._length)
        if start < 0 or end < 0:
            raise Misused(f"negative index: {min(start, end)}", remedy="Count from the start")
        found = self._held(max(start, self._first), end)
        return (open_held(held, self._source) for held in found)

    def __iter__(self) -> Iterator[Any]:
        return self.slice(0)

    def commit(self, new: NewBlocks) -> "Log":
        """Write what has changed since the last commit into `new`; return the log with its root.

        The returned handle reads from `new`.
        """
        if self._root is not None:
            return Log(self._length, self._parts, self._rest, self._root, new, self._first)
        parts = tuple(write_part(part, place, new) for part, place in self._placed())
        rest = tuple(write_held(held, new) for held in self._rest)
        shape = [[item_of(part) for part in parts], [to_plain(held) for held in rest]]
        block = [_TRIMMED, self._length, self._first] if self._first else [_ROOT, self._length]
        root = new.add(encode_block([*block, *shape]))
        return Log(self._length, parts, rest, root, new, self._first)

    def begins_like(self, shorter: "Log") -> bool:
        """Tell whether this log begins with all values of another, both untrimmed, by digests alone."""
        if any(self._digest_of(place) != part for part, place in shorter._placed()):
            return False
        start = len(shorter) - len(shorter._rest)
        return tuple(self._held(start, len(shorter))) == shorter._rest

    def _digest_of(self, sought: Place) -> Part | None:
        """Return the part at a place, by its digest if it is written."""
        found = [(part, place) for part, place in self._placed()]
        while found:
            around = [each for each in found if each[1].at <= sought.at < each[1].stop]
            if not around or around[0][1].height < sought.height:
                return None
            part, place = around[0]
            if place == sought:
                return part
            below = branch_parts(part, place, self._first, self._source)
            found = list(zip(below, place.below(), strict=True))
        return None

    def _placed(self) -> Iterator[tuple[Part, Place]]:
        return zip(self._parts, places(self._length), strict=True)

    def _held(self, start: int, stop: int) -> Iterator[Held]:
        at = 0
        for part, place in self._placed():
            at = place.stop
            if place.at < stop and start < at:
                yield from self._inside(part, place, start, stop)
        yield from self._rest[max(0, start - at) : max(0, stop - at)]

    def _inside(self, part: Part, place: Place, start: int, stop: int) -> Iterator[Held]:
        """Yield the values from `start` up to `stop` that a full part holds."""
        if place.height == 0:
            held = leaf_values(part, self._source)
            yield from held[max(0, start - place.at) : max(0, stop - place.at)]
            return
        below = branch_parts(part, place, self._first, self._source)
        for each, where in zip(below, place.below(), strict=True):
            if where.at < stop and start < where.stop:
                yield from self._inside(each, where, start, stop)


def _carry(parts: list[Part], length: int, first: int) -> None:
    """Join full parts, now that there are `length` values in them: a carry in base `FAN_OUT`."""
    leaves, height = length // FAN_OUT, 0
    while leaves % FAN_OUT == 0:
        height += 1
        place = Place(length - Place(0, height).size, height)
        parts[-FAN_OUT:] = [joined(parts[-FAN_OUT:], place, first)]
        leaves //= FAN_OUT


def _read_root(
    plain: Any, named: bytes
) -> tuple[int, int, tuple[bytes | Dropped, ...], tuple[bytes | Held, ...]]:
    first: Any = 0
    match plain:
        case [str(kind), int(length), list(items), list(values)] if kind == _ROOT:
            pass
        case [str(kind), int(length), int(first), list(items), list(values)] if kind == _TRIMMED:
            if type(first) is not int or not 0 < first <= length:
                raise malformed(f"{first} of {length} values trimmed", "bad-field", named)
        case _:
            raise unexpected(plain, (_ROOT, _TRIMMED), named)
    if type(length) is not int or not 0 < length <= LENGTH_MAX:
        raise malformed(f"a log of {length} values", "bad-field", named)
    where = places(length)
    needed = len(where), length % FAN_OUT
    if (len(items), len(values)) != needed:
        found = f"{len(items)} parts and {len(values)} values"
        problem = f"{found}, where a log of {length} has {needed[0]} and {needed[1]}"
        raise malformed(problem, "wrong-count", named)
    parts = items_from(items, where, first, named)
    return length, first, parts, tuple(from_plain(value, named) for value in values)
