"""Words that stand for all: whatever set of patterns some word matches, one of them does."""

import itertools
from collections import Counter
from fnmatch import fnmatchcase

import pytest

from sojourn.core.policy.attributes import Field
from sojourn.core.policy.words import fresh, words_of

ANY = Field("string")
NAME = Field("string", least=1, most=4)


def patterns(*texts: str) -> list[tuple[str | None, ...]]:
    return [tuple(None if c == "*" else c for c in text) for text in texts]


def matched(texts: tuple[str, ...], word: str) -> tuple[bool, ...]:
    return tuple(fnmatchcase(word, text) for text in texts)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", [ANY, NAME])
@pytest.mark.parametrize(
    ("texts", "constants"),
    [
        (("a*",), []),
        (("a*", "*b", "*ab*"), []),
        (("a*b", "ab", "aab"), ["ab"]),
        (("*",), ["", "a"]),
        (("a*a", "aa*"), ["aa", "aaa"]),
        (("", "b*a*b"), ["bab"]),
    ],
)
def test_every_set_of_patterns_that_words_match_has_its_words(
    texts: tuple[str, ...], constants: list[str], kind: Field, count: int
) -> None:
    found, is_all = words_of(patterns(*texts), constants, kind, count)
    tried = ("".join(c) for n in range(6) for c in itertools.product("abcde", repeat=n))
    there = Counter(
        matched(texts, word) for word in tried if word not in constants and kind.admits(word)
    )
    assert is_all
    assert len(found) == len(set(found))
    assert {key: min(number, count) for key, number in there.items()} == Counter(
        matched(texts, word) for word in found
    )
    assert all(kind.admits(word) and word not in constants for word in found)


def test_a_walk_that_is_cut_short_says_so() -> None:
    texts = [f"*{a}*{b}*{a}*{b}*{c}*" for a, b, c in itertools.permutations("abcde", 3)]
    assert not words_of(patterns(*texts), [], ANY, 1)[1]


def test_fresh_strings_are_not_taken() -> None:
    assert ["other-2", "other-3"] == fresh({"other"}, 2)
