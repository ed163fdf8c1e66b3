"""A mapping: text keys to values, in the order of the keys' code points.

Handles are immutable: a change returns a new one and costs the path to the key. Nothing is encoded
until `commit`, which makes the blocks of the changed paths and no others: many changes leave no
garbage behind. The shape of the tree is the business of `trie`, its blocks that of `parts`, a
change that of `change`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sojourn.core.agent.memory.blocks import BlockSource, NewBlocks
from sojourn.core.agent.memory.change import Change
from sojourn.core.agent.memory.parts import Parts, Step
from sojourn.core.agent.memory.trie import KEY_BYTES_MAX, Leaf, Part
from sojourn.core.agent.memory.values import Held, hold, open_held
from sojourn.core.base.digests import ZERO, link_to
from sojourn.core.base.errors import Misused

__all__ = ["Mapping"]

_EMPTY = Leaf((), (), 0)


class Mapping:
    """Text keys to values: builtins that DAG-CBOR can say. Open one with `load`.

    Every method that reads may raise `MissingBlock` (fetch it and do the same again) and, for
    blocks that are not what they claim to be, `Rejected`. A key is text of at most `KEY_BYTES_MAX`
    bytes; any other is `Misused`.
    """

    def __init__(self, top: Part, root: bytes | None, parts: Parts) -> None:
        self._top = top
        self._root = root
        self._parts = parts

    @classmethod
    def load(cls, root: bytes, source: BlockSource) -> "Mapping":
        """Open the mapping with this root; all zeros is the empty one."""
        parts = Parts(source)
        return cls(_EMPTY if root == ZERO else parts.load(link_to(root)), root, parts)

    @property
    def root(self) -> bytes:
        """The digest that names the content, of a handle that `load` or `commit` returned."""
        assert self._root is not None, "a changed mapping has a root when it is committed"
        return self._root

    def __len__(self) -> int:
        return self._top.count

    def __contains__(self, key: str) -> bool:
        return self._find(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or `default`."""
        held = self._find(key)
        return default if held is None else open_held(held, self._parts.source)

    def keys(self, prefix: str = "", start: str = "", stop: str | None = None) -> Iterator[str]:
        """Yield the keys that start with `prefix`, in order, without reading large values.

        Those from `start` on and before `stop` (None: the end). Only leaves that may hold some are read.
        """
        return (key for key, _ in self._scan(prefix, start, stop))

    def items(
        self, prefix: str = "", start: str = "", stop: str | None = None
    ) -> Iterator[tuple[str, Any]]:
        """Yield the (key, value) of the same keys, in order."""
        source = self._parts.source
        return ((key, open_held(held, source)) for key, held in self._scan(prefix, start, stop))

    def put(self, key: str, value: Any) -> "Mapping":
        """Return the mapping with `key` set. Raises `Misused` for a value that cannot be kept."""
        raw = _checked(key)
        steps, before = self._parts.find(self._top, raw, key)
        after = hold(value, before)
        if after == before:
            return self
        return self._changed(steps, Change.of(raw, key, before, after))

    def delete(self, key: str) -> "Mapping":
        """Return the mapping without `key`. Raises `KeyError` if it is not there."""
        raw = _checked(key)
        steps, before = self._parts.find(self._top, raw, key)
        if before is None:
            raise KeyError(key)
        return self._changed(steps, Change.of(raw, key, before, None))

    def commit(self, new: NewBlocks) -> "Mapping":
        """Write what changed since the last commit into `new`; return the mapping with its root.

        The returned handle reads from `new`. A block that came out as it was is not made anew.
        """
        parts = Parts(new, self._parts)
        if self._root is not None:
            return Mapping(self._top, self._root, parts)
        if not len(self):
            return Mapping(_EMPTY, ZERO, parts)
        top = parts.write(self._top, new)
        return Mapping(top, top.origin, parts)

    def _find(self, key: str) -> Held | None:
        return self._parts.find(self._top, _checked(key), key)[1]

    def _changed(self, steps: list[Step], change: Change) -> "Mapping":
        return Mapping(change.apply(self._top, steps, self._parts), None, self._parts)

    def _scan(self, prefix: str, start: str, stop: str | None) -> Iterator[tuple[str, Held]]:
        if stop is not None:
            _checked(stop)
        leaves = self._parts.leaves(self._top, prefix=_checked(prefix), start=_checked(start))
        return _between(leaves, prefix, start, stop)


def _between(
    leaves: Iterable[Leaf], prefix: str, start: str, stop: str | None
) -> Iterator[tuple[str, Held]]:
    for leaf in leaves:
        for key, held in zip(leaf.keys, leaf.held, strict=True):
            if stop is not None and key >= stop:
                return
            if key >= start and key.startswith(prefix):
                yield key, held


def _checked(key: str) -> bytes:
    """Return a key in UTF-8. Raises `Misused` for what cannot be a key."""
    try:
        raw = key.encode()
    except (AttributeError, UnicodeEncodeError):
        raise Misused(f"not a key: {key!r:.80}", remedy="Use text") from None
    if len(raw) > KEY_BYTES_MAX:
        problem = f"a key has {len(raw)} bytes, more than {KEY_BYTES_MAX}: {key!r:.80}"
        raise Misused(problem, remedy="Use its digest as the key")
    return raw
