"""Strings that stand for all others: fresh ones, and words that patterns tell apart."""

from collections import deque
from itertools import islice
from typing import Any, Final

from sojourn.core.policy.attributes import Field

__all__ = ["Pattern", "fresh", "words_of"]

Pattern = tuple[str | None, ...]
"""What `like` asks for: letters, and None for a wildcard."""

_LETTERS: Final = tuple(map(chr, range(ord("a"), 0xD800)))
_STATES_MAX: Final = 2_000


def fresh(taken: set[str], count: int) -> list[str]:
    """Return so many strings that are not taken."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        word = "other" if number == 0 else f"other-{number + 1}"
        number += 1
        if word not in taken:
            found.append(word)
    return found


def words_of(
    patterns: list[Pattern], constants: list[str], kind: Field, count: int
) -> tuple[list[str], bool]:
    """Return words, none of them constants: `count` for each set of patterns that so many match.

    All patterns are walked together, each by the set of its places that a word can have come to,
    as a bit mask, with the constants as one tree. A word comes to one state; so as many words as
    there are, up to `count`, are met if every state is met that often. The second value says
    whether the walk was whole.
    """
    letters = sorted({c for each in (*patterns, *constants) for c in each if c is not None})
    # Letters that nothing names stand for all such letters: as many as words may have to differ.
    letters += list(islice((c for c in _LETTERS if c not in letters), count))
    start = tuple(_skipped(pattern, 1) for pattern in patterns)
    prefixes = {constant[:n] for constant in constants for n in range(len(constant) + 1)}
    pending = deque([(start, "")])
    seen: dict[Any, int] = {}
    words: dict[tuple[bool, ...], list[str]] = {}
    while pending and len(seen) < _STATES_MAX:
        places, word = pending.popleft()
        if word not in constants and kind.admits(word):
            matched = tuple(bool(p >> len(g) & 1) for p, g in zip(places, patterns, strict=True))
            words.setdefault(matched, []).append(word)
        for letter in letters if len(word) < kind.most else ():
            after = tuple(_stepped(g, p, letter) for g, p in zip(patterns, places, strict=True))
            state = (after, word + letter if word + letter in prefixes else None)
            if seen.get(state, 0) < count:
                seen[state] = seen.get(state, 0) + 1
                pending.append((after, word + letter))
    return sorted(word for each in words.values() for word in each[:count]), not pending


def _stepped(pattern: Pattern, places: int, letter: str) -> int:
    after = 0
    for at, each in enumerate(pattern):
        if places >> at & 1:
            after |= 1 << at if each is None else 1 << at + 1 if each == letter else 0
    return _skipped(pattern, after)


def _skipped(pattern: Pattern, places: int) -> int:
    """Return the places with those that follow without a letter: a wildcard may match nothing."""
    for at, each in enumerate(pattern):
        if each is None and places >> at & 1:
            places |= 1 << at + 1
    return places
