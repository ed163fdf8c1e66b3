"""Which blocks are stored, and what stands in them, remembered of those that were asked for last."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from sojourn.runtime.store import Store

__all__ = ["KnownStored", "StoredBlocks"]

_REMEMBERED_MAX: Final = 65_536
"""Digests, some 100 bytes each: the roots of a thousand agents with long lives."""

T = TypeVar("T")


class StoredBlocks(Mapping[bytes, T]):
    """What is found among the blocks by digest and read as one form: documents, chapters of custody, parentages."""

    def __init__(
        self, block: Callable[[bytes], bytes | None], read: Callable[[bytes], T], *, cached: int
    ) -> None:
        """Have a block's bytes from `block`, read them by `read`, and keep the last `cached` that were read."""
        self._block, self._read = block, read
        self._cached_max = cached
        self._cache: OrderedDict[bytes, T] = OrderedDict()

    def __getitem__(self, named: bytes) -> T:
        known = self._cache.get(named)
        if known is None:
            data = self._block(named)
            if data is None:
                raise KeyError(named)
            known = self._read(data)
            self._cache[named] = known
            if len(self._cache) > self._cached_max:
                self._cache.popitem(last=False)
        return known

    def __contains__(self, named: object) -> bool:
        return named in self._cache or (isinstance(named, bytes) and self._block(named) is not None)

    def forget(self, digests: Iterable[bytes]) -> None:
        """Forget what stands in blocks that are being removed."""
        for named in digests:
            self._cache.pop(named, None)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._cache)

    def __len__(self) -> int:
        return len(self._cache)


class KnownStored:
    """The blocks that a store was found to hold, and that nobody has removed since (ADR 0060).

    The root of a log names up to fifteen parts of each height, nearly the same in each version. To ask the store for
    all of them again and again is what made a version of a long life dearer than one of a short life.
    """

    def __init__(self, store: Store, most: int = _REMEMBERED_MAX) -> None:
        """Know of none yet; remember at most so many, those that were asked for last."""
        self._store, self._half = store, max(1, most // 2)
        self._newer: dict[bytes, None] = {}
        self._older: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._newer.keys() | self._older.keys())

    def missing(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return which blocks are not stored, in their order, without repetition. Raises `StoreFailed`."""
        unsure = [named for named in dict.fromkeys(digests) if not self._is_known(named)]
        missing = self._store.missing_blocks(unsure)
        self._remember(set(unsure).difference(missing))
        return missing

    def forget(self, digests: Iterable[bytes]) -> None:
        """Know no more of blocks, once they are removed: the store is asked again."""
        for named in digests:
            self._newer.pop(named, None)
            self._older.pop(named, None)

    def _is_known(self, named: bytes) -> bool:
        if named in self._newer:
            return True
        if named not in self._older:
            return False
        self._remember((named,))
        return True

    def _remember(self, digests: Iterable[bytes]) -> None:
        """Remember blocks: those of the newer half of what was asked for, and of the half before it."""
        for named in digests:
            if len(self._newer) >= self._half:
                self._newer, self._older = {}, self._newer
            self._newer[named] = None
