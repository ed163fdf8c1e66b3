"""Figures: what was measured in each repetition, and what is said of it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Case", "Figure", "Result", "Scale", "quantile"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much patience there is: repetitions of each measurement, and seconds for each of them.

    `steps` are those of the one agent that does very many, if not as many as by default.
    """

    repetitions: int = 5
    seconds: float = 5.0
    is_quick: bool = False
    steps: int | None = None


QUICK = Scale(repetitions=3, seconds=1.5, is_quick=True)


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, measured once in each repetition."""

    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def plain(self) -> dict[str, Any]:
        """Return the figure for JSON."""
        spread = {"median": self.median, "min": min(self.values), "max": max(self.values)}
        return {"unit": self.unit} | spread | {"values": list(self.values)}

    def __str__(self) -> str:
        """Return the median with the lowest and the highest value beside it."""
        low, high = _shown(min(self.values)), _shown(max(self.values))
        if low == high:
            return _shown(self.median)
        return f"{_shown(self.median)} ({low}–{high})"


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a benchmark: figures under the same circumstances, by what they are."""

    name: str
    figures: Mapping[str, Figure]

    @classmethod
    def of(
        cls, name: str, units: Mapping[str, str], repetitions: Sequence[Mapping[str, float]]
    ) -> "Case":
        """Return the case whose repetitions each measured the same quantities."""
        figures = {
            what: Figure(unit, tuple(measured[what] for measured in repetitions))
            for what, unit in units.items()
        }
        return cls(name, figures)


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark found, and under which settings of its own.

    `failed` says why, for each case whose processes failed: it has no figures.
    """

    cases: Sequence[Case]
    settings: Mapping[str, Any] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def quantile(values: Sequence[float], percent: int) -> float:
    """Return the value that `percent` of 100 do not exceed, interpolated; at least one value is needed."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _shown(value: float) -> str:
    """Return a number with about three significant digits, and thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
