"""What a planted bug is, and how one is put into code that is right."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Protocol
from unittest.mock import patch

from tests.planted.vehicles import Test

__all__ = ["Plant", "Vehicle", "all_of", "in_place_of", "instead", "nothing"]

Planting = Callable[[], AbstractContextManager[Any]]
"""Puts a bug in, for as long as the context lasts; each time anew."""


class Vehicle(Protocol):
    """A way of looking for bugs, one seed after another."""

    @property
    def name(self) -> str:
        """What it is called in the list, such as `simulator: migrate`."""

    def set_out(self, seed: int) -> None:
        """Make what a look with this seed shares with others, while the code is right."""

    def seen(self, seed: int) -> str:
        """Look at what a seed does with the code as it is; return what is wrong in a sentence, or nothing."""


@dataclass(frozen=True)
class Plant:
    """One bug: `name`, the number of its trap in protocol §14 (0: none), the fault in a sentence.

    `breaks` must be in what the vehicle says: the bug is found by what it breaks, and not by anything else.
    """

    name: str
    trap: int
    fault: str
    vehicle: Vehicle
    breaks: str
    planted: Planting

    def is_found(self, seed: int) -> bool:
        """Tell whether the vehicle finds the bug with a seed, and nothing wrong without it."""
        self.vehicle.set_out(seed)
        with self.planted():
            seen = self.vehicle.seen(seed)
        return bool(seen) and self.breaks in seen and self._is_right_without(seed)

    def _is_right_without(self, seed: int) -> bool:
        """Tell whether nothing is wrong with the right code. A test of the suite says that where it stands."""
        return isinstance(self.vehicle, Test) or not self.vehicle.seen(seed)

    def first(self, seeds: Iterable[int]) -> int | None:
        """Return the first of some seeds with which it is found."""
        return next((seed for seed in seeds if self.is_found(seed)), None)


def instead(owner: Any, name: str, make: Callable[[Any], Any]) -> Planting:
    """Return how a function is exchanged for what `make` makes of the right one, anew for each look."""
    return lambda: patch.object(owner, name, make(getattr(owner, name)))


def in_place_of(owner: Any, name: str, wrong: Any) -> Planting:
    """Return how a function or a constant is exchanged for a wrong one."""
    return lambda: patch.object(owner, name, wrong)


def all_of(*plantings: Planting) -> Planting:
    """Return how several exchanges are made together, where one alone makes no bug."""

    def planted() -> ExitStack:
        with ExitStack() as stack:
            for each in plantings:
                stack.enter_context(each())
            return stack.pop_all()

    return planted


def nothing(*_args: Any, **_named: Any) -> None:
    """Check nothing, do nothing."""
