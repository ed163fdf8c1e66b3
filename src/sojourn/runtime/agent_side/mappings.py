"""A compartment of keys and values, as an agent's code sees it: read by key, by prefix, by range, by page."""

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Dictionary
from itertools import islice
from typing import Any, Final, Generic, NamedTuple, TypeVar, overload

from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.compartments import WorkingMemory
from sojourn.runtime.typed import from_plain, kind_of, to_plain

__all__ = ["MappingCompartment", "Page", "Typed"]

T = TypeVar("T")

_ABSENT: Final = object()


class Page(NamedTuple, Generic[T]):
    """Some entries of a mapping, in order; `next` is what to give as `after` for more, or None at the end."""

    items: list[tuple[str, T]]
    next: str | None


class Typed(Generic[T]):
    """A compartment by name, with values of one type."""

    def __init__(self, working: WorkingMemory, name: str, form: Any) -> None:
        self._working = working
        self._name = name
        self._form = form

    def _read(self, plain: Any) -> T:
        if self._form is Any:
            return plain  # type: ignore[no-any-return]
        value: T = from_plain(plain, self._form, what=f"a value of compartment {self._name!r}")
        return value

    def _plain(self, value: T) -> Any:
        return to_plain(value, what=f"a value for compartment {self._name!r}")

    def _unkept(self, at: str, value: object, error: Misused) -> Misused:
        """Return the error for a value that cannot be kept, with where it was to be, its type and its size."""
        problem = f"{at} of compartment {self._name!r} ({kind_of(value)}): {error.problem}"
        return Misused(problem, remedy=error.remedy)


class MappingCompartment(Typed[T]):
    """A compartment of text keys and values, in the order of the keys' code points."""

    def __getitem__(self, key: str) -> T:
        """Return the value of a key. Raises `KeyError`."""
        found = self._handle.get(key, _ABSENT)
        if found is _ABSENT:
            raise KeyError(key)
        return self._read(found)

    def __setitem__(self, key: str, value: T) -> None:
        """Set the value of a key. Raises `Misused` for what cannot be kept."""
        self._working.replace(self._name, self._put(self._handle, key, value))

    def _put(self, handle: Mapping, key: str, value: T) -> Mapping:
        try:
            return handle.put(key, self._plain(value))
        except Misused as error:
            raise self._unkept(f"key {key!r:.80}", value, error) from None

    def __delitem__(self, key: str) -> None:
        """Remove a key. Raises `KeyError`."""
        self._working.replace(self._name, self._handle.delete(key))

    def __contains__(self, key: str) -> bool:
        return key in self._handle

    def __len__(self) -> int:
        return len(self._handle)

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    @overload
    def get(self, key: str) -> T | None: ...
    @overload
    def get(self, key: str, default: T) -> T: ...
    def get(self, key: str, default: T | None = None) -> T | None:
        """Return the value of a key, or `default`."""
        found = self._handle.get(key, _ABSENT)
        return default if found is _ABSENT else self._read(found)

    def keys(self, prefix: str = "", *, start: str = "", stop: str | None = None) -> Iterator[str]:
        """Yield the keys that start with `prefix`, from `start` on and before `stop`, in order."""
        return self._handle.keys(prefix, start, stop)

    def items(
        self, prefix: str = "", *, start: str = "", stop: str | None = None
    ) -> Iterator[tuple[str, T]]:
        """Yield the (key, value) of the same keys, in order."""
        found = self._handle.items(prefix, start, stop)
        return ((key, self._read(plain)) for key, plain in found)

    def values(self, prefix: str = "", *, start: str = "", stop: str | None = None) -> Iterator[T]:
        """Yield the values of the same keys, in the order of the keys."""
        return (value for _, value in self.items(prefix, start=start, stop=stop))

    def page(
        self, limit: int, *, after: str | None = None, prefix: str = "", stop: str | None = None
    ) -> Page[T]:
        """Return at most `limit` entries whose keys start with `prefix` and come after `after`, and before `stop`.

        Reads no more than them: give the page's `next` as `after` for the next page. Raises `Misused` for a limit
        below 1.
        """
        if limit < 1:
            raise Misused(f"a page of {limit} entries", remedy="Ask for at least one")
        found = self.items(prefix, start=after or "", stop=stop)
        items = list(islice((item for item in found if item[0] != after), limit + 1))
        return Page(items[:limit], items[limit - 1][0] if len(items) > limit else None)

    def update(self, values: Dictionary[str, T] | Iterable[tuple[str, T]]) -> None:
        """Set many values, all or none. Raises `Misused` for what cannot be kept."""
        handle = self._handle
        pairs = values.items() if isinstance(values, Dictionary) else values
        for key, value in pairs:
            handle = self._put(handle, key, value)
        self._working.replace(self._name, handle)

    @overload
    def pop(self, key: str) -> T: ...
    @overload
    def pop(self, key: str, default: T | None) -> T | None: ...
    def pop(self, key: str, default: Any = _ABSENT) -> Any:
        """Remove a key and return its value; `default`, if it is given, where there is none. Raises `KeyError`."""
        if default is not _ABSENT and key not in self:
            return default
        value = self[key]
        del self[key]
        return value

    def clear(self, prefix: str = "", *, start: str = "", stop: str | None = None) -> int:
        """Remove the keys that start with `prefix`, from `start` on and before `stop`; return how many there were."""
        handle, count = self._handle, 0
        for key in self.keys(prefix, start=start, stop=stop):
            handle, count = handle.delete(key), count + 1
        self._working.replace(self._name, handle)
        return count

    @property
    def _handle(self) -> Mapping:
        handle = self._working.open(self._name, Form.MAPPING)
        assert isinstance(handle, Mapping)
        return handle
