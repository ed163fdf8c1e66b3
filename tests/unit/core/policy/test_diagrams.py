"""Decision diagrams: functions kept once, that have the values which functions have."""

import itertools
import random
from collections.abc import Callable, Hashable
from typing import Any

import pytest

from sojourn.core.policy.diagrams import Diagram, Diagrams, TooLarge

COUNTS = (2, 3, 2, 4)
"""Alternatives of four choices."""


def value(diagrams: Diagrams, diagram: Diagram, taken: tuple[int, ...]) -> Hashable:
    """Return what a function is, by asking for a way to each value it has, one choice fixed."""
    for place, alternative in enumerate(taken):
        only = tuple(diagrams.constant(n == alternative) for n in range(COUNTS[place]))
        diagram = diagrams.apply(
            lambda is_taken, v: v if is_taken else None, diagrams.of(place, only), diagram
        )
    (found,) = (each for each in diagrams.values(diagram) if each is not None)
    return found


def test_what_is_applied_is_applied_to_every_value() -> None:
    rng = random.Random(1)
    diagrams = Diagrams(100_000)
    places = [diagrams.choice(count) for count in COUNTS]
    leaves = [
        diagrams.of(place, tuple(diagrams.constant(rng.randint(0, 2)) for _ in range(count)))
        for place, count in zip(places, COUNTS, strict=True)
    ]
    plus, product = leaves[0], leaves[1]
    for leaf in leaves[1:]:
        plus, product = (
            diagrams.apply(lambda a, b: a + b, plus, leaf),
            diagrams.apply(lambda a, b: a * b, leaf, product),
        )
    for taken in itertools.product(*map(range, COUNTS)):
        each: list[Any] = [value(diagrams, leaf, taken) for leaf in leaves]
        assert sum(each) == value(diagrams, plus, taken)
        assert each[1] * each[1] * each[2] * each[3] == value(diagrams, product, taken)


def test_equal_functions_are_one() -> None:
    diagrams = Diagrams(1_000)
    both: Callable[[Any, Any], Any] = lambda a, b: a and b  # noqa: E731
    one, two = (
        diagrams.of(place, (diagrams.constant(False), diagrams.constant(True)))
        for place in (diagrams.choice(2), diagrams.choice(2))
    )
    assert diagrams.apply(both, one, two) == diagrams.apply(both, two, one)
    assert diagrams.apply(both, one, one) == one
    assert diagrams.constant(True) != diagrams.constant(1)


def test_a_way_leads_to_a_value_or_there_is_none() -> None:
    diagrams = Diagrams(1_000)
    place, other = diagrams.choice(3), diagrams.choice(2)
    inner = diagrams.of(other, (diagrams.constant("b"), diagrams.constant("c")))
    diagram = diagrams.of(place, (diagrams.constant("a"), inner, inner))
    assert {place: 0} == diagrams.way(diagram, "a")
    assert {place: 1, other: 1} == diagrams.way(diagram, "c")
    assert diagrams.way(diagram, "d") is None
    assert {"a", "b", "c"} == set(diagrams.values(diagram))


def test_steps_and_choices_are_bounded() -> None:
    diagrams = Diagrams(4)
    one, two, three = (
        diagrams.of(diagrams.choice(2), (diagrams.constant(0), diagrams.constant(1)))
        for _ in range(3)
    )
    with pytest.raises(TooLarge, match="4 steps"):
        diagrams.apply(lambda *each: sum(each), one, two, three)
    with pytest.raises(TooLarge, match="400 choices"):
        [diagrams.choice(2) for _ in range(400)]
