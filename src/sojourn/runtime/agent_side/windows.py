"""Context windows: the newest of a log that fits a budget, for a model that reads no more.

A window is a function of memory, the limit and the counting function, so a replay comes to the same one. What is
pinned is always in it; what is left out may be told by a summary, which is kept in memory and grows by what is newly
left out.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.logs import LogCompartment
from sojourn.runtime.agent_side.mappings import MappingCompartment
from sojourn.runtime.typed import encode_plain, kind_of, to_plain

__all__ = ["Count", "Summarize", "Window", "bytes_in", "summarized", "window_of"]

T = TypeVar("T")

Count = Callable[[Any], int]
"""Counts what a value takes of the limit: tokens, bytes, whatever the limit counts. The same in every replay."""
Summarize = Callable[[str, list[Any]], Awaitable[str]]
"""Makes a summary of an earlier one ("" at first) and of values that it does not cover yet: a step, most often."""
_CALLS_MAX: Final = 64
"""Values that one call of a summary is given: what a model reads at once."""


class Window(NamedTuple, Generic[T]):
    """What fits: (index, value) in the order of the log, and what of the limit they take with the summary.

    `first` is the index from which on everything is in it; `omitted` counts what is older and not pinned, and was not
    trimmed; `summary` tells of it, or is "".
    """

    entries: list[tuple[int, T]]
    size: int
    limit: int
    first: int
    omitted: int
    summary: str = ""

    @property
    def values(self) -> list[T]:
        """The values, in the order of the log."""
        return [value for _, value in self.entries]


def bytes_in(value: Any) -> int:
    """Return the bytes of a text in UTF-8, or of another value as memory keeps it."""
    if isinstance(value, str):
        return len(value.encode(errors="surrogatepass"))
    return len(
        encode_plain(to_plain(value, what="a value of a window"), what="a value of a window")
    )


def window_of(
    log: LogCompartment[T], limit: int, count: Count, pinned: Iterable[int], taken: int = 0
) -> Window[T]:
    """Return the newest values of a log that fit into what `taken` leaves of the limit, and those that are pinned.

    Raises `Misused` if what is pinned does not fit, is not there, or a count is none.
    """
    length, size = len(log), taken
    held: dict[int, T] = {}
    for index in pinned:
        at = index + length if index < 0 else index
        if not log.first <= at < length:
            problem = (
                f"value {index} was to be pinned, of a log with values {log.first} to {length - 1}"
            )
            raise Misused(
                problem, remedy="Pin what is there, by its index; trimming takes pins along"
            )
        if at not in held:
            held[at] = log[at]
            size += _counted(count, held[at], at)
    if size > limit:
        problem = f"what is pinned takes {size} of a window of {limit}"
        raise Misused(problem, remedy="Pin less, or make the window larger")
    first = length
    for at, value in log.newest():
        if at not in held:
            more = _counted(count, value, at)
            if size + more > limit:
                break
            held[at], size = value, size + more
        first = at
    omitted = first - log.first - sum(at < first for at in held)
    return Window(sorted(held.items(), key=lambda entry: entry[0]), size, limit, first, omitted)


async def summarized(
    log: LogCompartment[T],
    limit: int,
    count: Count,
    pinned: Iterable[int],
    summary: tuple[MappingCompartment[Any], str, int, Summarize],
) -> Window[T]:
    """Return a window, with a summary of what it leaves out: kept under a key, of at most so much, made by that.

    Only what is newly left out is given to `Summarize`. Raises `Misused` for a summary that is no text or too large.
    """
    kept, key, room, summarize = summary
    if not 0 < room < limit:
        problem = f"a summary of {room} in a window of {limit}"
        raise Misused(problem, remedy="Give the summary a part of the window")
    pins = list(pinned)
    found = window_of(log, limit, count, pins, taken=room)
    told = _told(kept.get(key), key)
    before, text = max(told[0], log.first), told[1]
    skipped = {at + len(log) if at < 0 else at for at in pins}
    while before < found.first:
        stop = min(found.first, before + _CALLS_MAX)
        values = [value for at, value in log.entries(before, stop) if at not in skipped]
        if values:
            text = await summarize(text, values)
            _check_summary(text, room, count)
        before = stop
        kept[key] = {"before": before, "text": text}
    size = found.size - room + (count(text) if text else 0)
    return found._replace(summary=text, size=size)


def _counted(count: Count, value: Any, at: int) -> int:
    size: object = count(value)
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        problem = f"value {at} was counted as {size!r:.40}, a {kind_of(size)}"
        raise Misused(problem, remedy="Let count= return how many tokens or bytes a value takes")
    return size


def _told(plain: Any, key: str) -> tuple[int, str]:
    """Return before which value a kept summary ends, and its text. Raises `Misused` for what is none."""
    match plain:
        case {"before": int(before), "text": str(text), **more} if before >= 0 and not more:
            return before, text
        case None:
            return 0, ""
    problem = f"a {kind_of(plain)} stands under {key!r:.80}, where a window keeps its summary"
    raise Misused(problem, remedy="Give the window a key of its own")


def _check_summary(text: object, room: int, count: Count) -> None:
    if not isinstance(text, str):
        raise Misused(f"a summary is a {kind_of(text)}", remedy="Let summarize= return text")
    if count(text) > room:
        problem = f"a summary takes {count(text)} of the {room} that it may have"
        raise Misused(
            problem, remedy="Ask the model for less, cut what it says, or give summary_limit="
        )
