"""One change to a mapping's tree: a key set or removed."""

from bisect import bisect_left
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from sojourn.core.agent.memory.parts import Parts, Step, below_path
from sojourn.core.agent.memory.trie import (
    LEAF_SIZE_MAX,
    SYMBOLS,
    Branch,
    Entry,
    Leaf,
    Part,
    Range,
    fork,
    grow,
    split,
    symbol_at,
    weigh,
)
from sojourn.core.agent.memory.values import Held

__all__ = ["Change"]


class Change(msgspec.Struct, frozen=True):
    """A key set to a value, or removed (`held` is None). The tree then weighs `delta` more."""

    raw: bytes
    key: str
    held: Held | None
    delta: int

    @classmethod
    def of(cls, raw: bytes, key: str, before: Held | None, after: Held | None) -> "Change":
        """Return the change of one key's value, None being absence."""
        grown = 0 if after is None else weigh(raw, after)
        return cls(raw, key, after, grown - (0 if before is None else weigh(raw, before)))

    def apply(self, top: Part, steps: Sequence[Step], parts: Parts) -> Part:
        """Return the changed tree; `steps` is the way to the key. Only what lies on it is new.

        Where the shape changes is known beforehand, from `delta`: at the first branch, from the
        top, where a range of symbols gets heavy enough to be cut or light enough to be one leaf
        (`trie`, rule 3). Above it, branches change in one range. Raises as `Parts`.
        """
        if top.size + self.delta <= LEAF_SIZE_MAX:
            return self._leaf(top, parts)
        if isinstance(top, Leaf):
            return grow(self._edit(list(top.entries())), 0)
        depth = 0
        while (at := steps[depth].at) is not None and self._stays_heavy(
            steps[depth].branch.sizes[at]
        ):
            depth += 1
        changed = self._reshaped(steps[depth], parts)
        for branch, _, at in reversed(steps[:depth]):
            assert at is not None
            changed = branch.with_part(at, changed)
        return changed

    def _stays_heavy(self, size: int) -> bool:
        return size > LEAF_SIZE_MAX and size + self.delta > LEAF_SIZE_MAX

    def _leaf(self, top: Part, parts: Parts) -> Leaf:
        """Return all entries in one leaf, as they now fit."""
        if isinstance(top, Leaf):
            return top.changed(self.key, self.held, self.delta)
        entries = [entry for leaf in parts.leaves(top) for entry in leaf.entries()]
        leaf = grow(self._edit(entries), 0)
        assert isinstance(leaf, Leaf)
        return leaf

    def _reshaped(self, step: Step, parts: Parts) -> Branch:
        """Return the branch with the ranges around the key as rule 3 now wants them."""
        branch, position, _ = step
        looks_at = position + len(branch.prefix)
        if self.raw[position:looks_at] != branch.prefix:
            assert self.held is not None
            return fork(branch, Entry(self.raw, self.key, self.held), position)
        symbol = symbol_at(self.raw, looks_at)
        start, stop = 0, SYMBOLS
        first, last = 0, len(branch.starts)
        while self._stays_heavy(sum(branch.sizes[first:last])):
            middle = (start + stop) // 2
            start, stop = (middle, stop) if symbol >= middle else (start, middle)
            first = bisect_left(branch.starts, start, first, last)
            last = bisect_left(branch.starts, stop, first, last)
        path = self.raw[:looks_at]
        found = [parts.below(branch, at, path) for at in range(first, last)]
        size = sum(branch.sizes[first:last]) + self.delta
        if len(found) == 1 and isinstance(found[0], Leaf) and 0 < size <= LEAF_SIZE_MAX:
            new = [Range(start, stop, found[0].changed(self.key, self.held, self.delta))]
        else:
            paths = [below_path(branch, at, path) for at in range(first, last)]
            entries = [
                entry
                for part, below in zip(found, paths, strict=True)
                for leaf in parts.leaves(part, below)
                for entry in leaf.entries()
            ]
            new = split(self._edit(entries), start, stop, looks_at)
        return _shortened(branch.with_ranges(first, last, new), path, parts)

    def _edit(self, entries: list[Entry]) -> list[Entry]:
        """Return sorted entries with the change made."""
        at = bisect_left(entries, self.raw, key=lambda entry: entry.raw)
        after = at + (at < len(entries) and entries[at].raw == self.raw)
        new = [] if self.held is None else [Entry(self.raw, self.key, self.held)]
        return [*entries[:at], *new, *entries[after:]]


def _shortened(branch: Branch, path: bytes, parts: Parts) -> Branch:
    """Return the branch, or the one below if it is the only part: keys differ further on."""
    if len(branch.starts) > 1:
        return branch
    below = parts.below(branch, 0, path)
    assert isinstance(below, Branch)
    prefix = branch.prefix + bytes([branch.starts[0] - 1]) + below.prefix
    return replace(below, prefix=prefix)
