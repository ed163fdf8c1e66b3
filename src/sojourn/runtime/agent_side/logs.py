"""A compartment of values in order, as an agent's code sees it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.log import FAN_OUT, Log
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.mappings import Typed

__all__ = ["LogCompartment"]

T = TypeVar("T")


class LogCompartment(Typed[T], Sequence[T]):
    """A compartment of values in the order they were appended. None of them changes, or its index.

    The oldest may be trimmed: what remains keeps its index, and `len` still says what the next value's will be.
    Slices and iterators pass over what was trimmed.
    """

    def append(self, value: T) -> None:
        """Append a value. Raises `Misused` for what cannot be kept."""
        self.extend((value,))

    def extend(self, values: Iterable[T]) -> None:
        """Append values, all or none. Raises `Misused` for what cannot be kept."""
        handle, given = self._handle, list(values)
        try:
            changed = handle.extend([self._plain(value) for value in given])
        except Misused as error:
            shown = given[0] if len(given) == 1 else given
            raise self._unkept("what was to be appended", shown, error) from None
        self._working.replace(self._name, changed)

    @property
    def first(self) -> int:
        """The index of the oldest value that was not trimmed: so many were."""
        return self._handle.first

    def trim(self, *, before: int | None = None, keep: int | None = None) -> int:
        """Trim the values before an index, or all but the newest `keep`; return how many that were.

        What an earlier version of the agent says of them can still be proved. Raises `Misused` for an index that the
        log does not reach, or unless just one of the two is given.
        """
        handle = self._handle
        if (before is None) == (keep is None) or (keep is not None and keep < 0):
            problem = f"log {self._name!r} was to be trimmed with before={before}, keep={keep}"
            raise Misused(
                problem, remedy="Give an index as before=, or a number of values as keep="
            )
        first = before if before is not None else max(len(handle) - (keep or 0), 0)
        trimmed = handle.trim(first)
        if trimmed is not handle:
            self._working.replace(self._name, trimmed)
        return trimmed.first - handle.first

    def __len__(self) -> int:
        return len(self._handle)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        """Return the value at an index, or the list of a slice. Raises `IndexError`."""
        handle = self._handle
        if isinstance(index, int):
            return self._read(handle.get(index + len(handle) if index < 0 else index))
        chosen = range(len(handle))[index]
        if chosen.step == 1:
            return [self._read(plain) for plain in handle.slice(chosen.start, chosen.stop)]
        return [self._read(handle.get(at)) for at in chosen if at >= handle.first]

    def __iter__(self) -> Iterator[T]:
        """Yield the values that are there now."""
        return (self._read(plain) for plain in self._handle.slice(0))

    def __reversed__(self) -> Iterator[T]:
        """Yield the values that are there now, the newest first, reading no more than are taken."""
        return (value for _, value in self._newest_first(self._handle))

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, T]]:
        """Yield the (index, value) from index `start` up to `stop`, reading no more than are taken.

        Indices are those of a slice: negative ones count from the end.
        """
        handle = self._handle
        chosen = range(len(handle))[start:stop]
        indices = range(max(chosen.start, handle.first), chosen.stop)
        return (
            (at, self._read(plain))
            for at, plain in zip(indices, handle.slice(indices.start, indices.stop), strict=True)
        )

    def newest(self) -> Iterator[tuple[int, T]]:
        """Yield the (index, value) that are there now, the newest first, reading no more than are taken."""
        return self._newest_first(self._handle)

    def _newest_first(self, handle: Log) -> Iterator[tuple[int, T]]:
        stop = len(handle)
        while stop > handle.first:
            start = max((stop - 1) // FAN_OUT * FAN_OUT, handle.first)
            values = list(handle.slice(start, stop))
            for at in range(stop - 1, start - 1, -1):
                yield at, self._read(values[at - start])
            stop = start

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the index of the oldest value that equals this one. Raises `ValueError` if there is none."""
        for at, each in self.entries(start, stop):
            if each == value:
                return at
        raise ValueError(f"{value!r:.80} is not in log {self._name!r}")

    @property
    def _handle(self) -> Log:
        handle = self._working.open(self._name, Form.LOG)
        assert isinstance(handle, Log)
        return handle
