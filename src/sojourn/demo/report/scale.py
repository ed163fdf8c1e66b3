"""Maps values to pixels, and finds round values to mark on an axis."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from sojourn.pages.markup import number

__all__ = ["Scale", "line", "spread", "ticks"]


class Scale(NamedTuple):
    """A straight map from [low, high] to pixels [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`."""
        share = (value - self.low) / (self.high - self.low or 1)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most about `most` round values in [low, high]: steps of 1, 2 or 5 times 10^k."""
    if not high > low:
        return [low]
    rough = (high - low) / max(most, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def line(points: Iterable[tuple[float, float]]) -> str:
    """Return the path data of a line through `points`."""
    return "".join(
        f"{'L' if index else 'M'}{number(x)} {number(y)}" for index, (x, y) in enumerate(points)
    )


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions near `wanted`, in its order, at least `gap` apart and within [low, high].

    Labels at the end of lines are placed with it. Too many for the room end up below `high`.
    """
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed = [0.0] * len(wanted)
    floor = low
    for index in order:
        placed[index] = max(wanted[index], floor)
        floor = placed[index] + gap
    ceiling = high
    for index in reversed(order):
        placed[index] = max(min(placed[index], ceiling), low)
        ceiling = placed[index] - gap
    return placed
