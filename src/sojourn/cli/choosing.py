"""Which of several things that an agent asks somebody means, by the first digits of its digest."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from sojourn.core.base.errors import Misused

__all__ = ["chosen"]

_SHORTEST: Final = 4
"""Digits that are enough to name something by, if nothing else begins so."""

T = TypeVar("T")


def chosen(
    asked: Sequence[T],
    digest: Callable[[T], bytes],
    which: str | None,
    name: str,
    what: str,
    *,
    by: str = "",
) -> T:
    """Return what is meant of what the agent with a local name asks; `which` begins its digest, in hexadecimal.

    Without it there has to be only one. `what` it is, and `by` what option it is named, an error says. Raises
    `Misused` if none is meant, or several are.
    """
    found = [each for each in asked if _is_named(digest(each).hex(), which)]
    if len(found) == 1:
        return found[0]
    if not asked:
        raise Misused(f"{name} asks nothing now", remedy=f"See `sojourn agent logs {name}`")
    choices = ", ".join(digest(each).hex()[:12] for each in asked)
    problem = f"{len(found)} {what}s of {name} are meant" if found else f"there is no such {what}"
    raise Misused(problem, remedy=f"Name one of {choices} {by}".rstrip())


def _is_named(named: str, which: str | None) -> bool:
    return which is None or (len(which) >= _SHORTEST and named.startswith(which.lower()))
