"""The parts of a mapping's tree: loaded and checked, searched, walked, written."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from sojourn.core.agent.memory.blocks import BlockSource, NewBlocks, load_block, named_by
from sojourn.core.agent.memory.trie import (
    Branch,
    Leaf,
    Part,
    check_place,
    from_block,
    symbol_at,
    to_block,
)
from sojourn.core.agent.memory.values import Held, write_held
from sojourn.core.base.digests import Link, link_to
from sojourn.core.base.encoding import encode_block

__all__ = ["Parts", "Step", "below_path"]

RECENT_PARTS_MAX: Final = 64
"""Parts kept for the next time: some paths of the tree, at most about half a megabyte."""


class Step(NamedTuple):
    """A branch on the way to a key: where in the key its prefix begins, and the range, if any."""

    branch: Branch
    position: int
    at: int | None


class Parts:
    """Where a tree's parts come from: a source of blocks, and those that were used last.

    A part from a block is checked in itself once and against its branch each time: two branches,
    one of them lying, may name the same block.
    """

    def __init__(self, source: BlockSource, before: "Parts | None" = None) -> None:
        self.source = source
        self._recent: dict[bytes, Part] = {} if before is None else before._recent

    def load(self, link: Link) -> Part:
        """Return the part in a block, and keep it for the next time."""
        part = self._recent.pop(bytes(link), None) or self._read(link)
        self._keep(link, part)
        return part

    def below(self, branch: Branch, at: int, path: bytes) -> Part:
        """Return the part in a range of a branch; `path` is what the branch's keys start with."""
        part = branch.parts[at]
        if isinstance(part, Link):
            part = self.load(part)
            check_place(part, branch, at, path)
        return part

    def find(self, top: Part, raw: bytes, key: str) -> tuple[list[Step], Held | None]:
        """Return the way to a key, from the top, and its value (None: it is not there)."""
        steps: list[Step] = []
        part, position = top, 0
        while isinstance(part, Branch):
            looks_at = position + len(part.prefix)
            is_below = raw[position:looks_at] == part.prefix
            at = part.range_of(symbol_at(raw, looks_at)) if is_below else None
            steps.append(Step(part, position, at))
            if at is None:
                return steps, None
            part = self.below(part, at, raw[:looks_at])
            position = looks_at + 1
        return steps, part.find(key)

    def leaves(
        self, top: Part, path: bytes = b"", prefix: bytes = b"", start: bytes = b""
    ) -> Iterator[Leaf]:
        """Yield, in order, the leaves that may hold keys starting with `prefix`, from `start` on; keeps none.

        `path` is what all keys of `top` start with, as far as the branches above have looked.
        """
        part = top
        todo: list[tuple[Branch, int, bytes]] = []
        while True:
            if isinstance(part, Leaf):
                yield part
            else:
                here = path + part.prefix
                todo += ((part, at, here) for at in reversed(_ranges(part, here, prefix, start)))
            if not todo:
                return
            branch, at, here = todo.pop()
            below = branch.parts[at]
            if isinstance(below, Link):
                below = self._recent.get(bytes(below)) or self._read(below)
                check_place(below, branch, at, here)
            part, path = below, below_path(branch, at, here)

    def write(self, top: Part, new: NewBlocks) -> Part:
        """Write a part and all below it that is not written; return it as it will be loaded."""
        unwritten = [top]
        for part in unwritten:
            if isinstance(part, Branch):
                unwritten += [below for below in part.parts if not isinstance(below, Link)]
        links: dict[int, Link] = {}
        for part in reversed(unwritten):
            if isinstance(part, Leaf):
                clean: Part = replace(part, held=tuple([write_held(h, new) for h in part.held]))
            else:
                below = [b if isinstance(b, Link) else links[id(b)] for b in part.parts]
                clean = replace(part, parts=tuple(below))
            digest = new.add(encode_block(to_block(clean)), stored=(part.origin,))
            clean = replace(clean, origin=digest)
            links[id(part)] = link = link_to(digest)
            self._keep(link, clean)
        return clean

    def _read(self, link: Link) -> Part:
        named = named_by(link)
        return from_block(load_block(self.source, named), named)

    def _keep(self, link: Link, part: Part) -> None:
        self._recent[bytes(link)] = part
        if len(self._recent) > RECENT_PARTS_MAX:
            del self._recent[next(iter(self._recent))]


def below_path(branch: Branch, at: int, path: bytes) -> bytes:
    """Return what all keys in a range start with, as far as is known: a byte more if it has one."""
    start = branch.starts[at]
    return path + bytes([start - 1]) if start and branch.stops[at] - start == 1 else path


def _ranges(branch: Branch, here: bytes, prefix: bytes, start: bytes) -> Sequence[int]:
    """Return the ranges that may hold keys starting with `prefix`, from `start` on; all start with `here`."""
    count, symbol = len(branch.starts), 0
    if start.startswith(here):
        symbol = symbol_at(start, len(here))
    elif here < start:
        return ()
    after = next((at for at in range(count) if branch.stops[at] > symbol), count)
    if here.startswith(prefix):
        return range(after, count)
    found = branch.range_of(prefix[len(here)] + 1) if prefix.startswith(here) else None
    return () if found is None or found < after else (found,)
