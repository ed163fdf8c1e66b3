"""The benchmarks there are, in the order in which they run."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measuring import Result, Scale

__all__ = ["NAMES", "Benchmark", "load"]

NAMES: Final = (
    *("startup", "gate", "engine", "steps", "migration", "idle", "sleepers"),
    *("workflow", "endurance"),
    "memory",
)
"""Each is the name of a module beside this one that has a `BENCHMARK`."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What it measures, in a few words, and how: `run` gets a scale and an empty folder of its own."""

    about: str
    run: Callable[[Scale, Path], Result]


def load(name: str) -> Benchmark:
    """Return a benchmark; what it needs is imported here, so that one that lacks something fails alone."""
    benchmark = importlib.import_module(f"benchmarks.{name}").BENCHMARK
    assert isinstance(benchmark, Benchmark)
    return benchmark
