"""What a decoder is held to, for whatever bytes.

1. It raises what it declares and nothing else, in a line that can be logged.
2. What it accepts has one form: written again it is the same bytes (`write`), so one value has one digest.
3. Where the form is not canonical (frames of our own child, TOML), what is written is at least read as the
   same value again (`rewrite`).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sojourn.core.base.errors import Rejected

__all__ = ["Finding", "Target", "examine"]

_REASON: Final = re.compile(r"[a-z]+(-[a-z]+)*")
_MESSAGE_CHARS_MAX: Final = 4096


class Finding(AssertionError):
    """A decoder did what none may do."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One decoder: how it reads, what it may raise, how what it read is written, and where to begin.

    `forms` are the types that it reads, `make_seeds` gives valid inputs and some that are not.
    """

    name: str
    read: Callable[[bytes], Any]
    make_seeds: Callable[[], Iterable[bytes]]
    errors: tuple[type[Exception], ...] = (Rejected,)
    write: Callable[[Any], bytes] | None = None
    rewrite: Callable[[Any], bytes] | None = None
    form: Any = None
    is_text: bool = False
    """Whether the input is for people: then what is read is text, and errors may quote it."""
    bytes_max: int = 4096
    """Longest input that the search tries; `test_bounds` tries what is longer."""

    @cached_property
    def seeds(self) -> tuple[bytes, ...]:
        """Inputs to begin with, each once."""
        return tuple(dict.fromkeys(self.make_seeds()))


def examine(target: Target, data: bytes) -> bool:
    """Return whether the target accepts `data`. Raises `Finding` for what none may do."""
    try:
        value = target.read(data)
    except target.errors as error:
        _check_error(target, error)
        return False
    except (Exception, SystemExit) as error:
        raise Finding(f"{target.name} raised {type(error).__name__}: {error}") from error
    if target.write is not None and target.write(value) != data:
        raise Finding(f"{target.name} accepts what it would write otherwise")
    if target.rewrite is not None:
        _check_rewritten(target, target.rewrite, value)
    return True


def _check_error(target: Target, error: Exception) -> None:
    text = str(error)
    if len(text) > _MESSAGE_CHARS_MAX:
        raise Finding(f"{target.name} complains in {len(text)} characters")
    if isinstance(error, Rejected) and not _REASON.fullmatch(error.reason):
        raise Finding(f"{target.name} has the reason {error.reason!r}")
    if not target.is_text and not (text.isprintable() and text.isascii()):
        raise Finding(f"{target.name} repeats what could steer a terminal: {text!a}")


def _check_rewritten(target: Target, rewrite: Callable[[Any], bytes], value: Any) -> None:
    once = rewrite(value)
    try:
        again = rewrite(target.read(once))
    except target.errors as error:
        raise Finding(f"{target.name} does not read what it has read: {error}") from error
    if again != once:
        raise Finding(f"{target.name} reads what was written as something else")
