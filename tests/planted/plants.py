"""All planted bugs, and how many seeds each took to be found (`found.toml`, written by `python -m tests.planted`)."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.planted import (
    calling,
    checks,
    counting,
    custody,
    delegating,
    engine,
    expecting,
    handling,
    heads,
    leases,
    ordering,
    remembering,
    revoking,
    stepping,
    telling,
    upgrading,
    writing,
)
from tests.planted.plant import Plant

__all__ = ["PLANTS", "SEEDS_MAX", "noted", "write"]

PLANTS: Final[tuple[Plant, ...]] = (
    *engine.PLANTS,
    *leases.PLANTS,
    *custody.PLANTS,
    *checks.PLANTS,
    *counting.PLANTS,
    *heads.PLANTS,
    *revoking.PLANTS,
    *delegating.PLANTS,
    *stepping.PLANTS,
    *remembering.PLANTS,
    *writing.PLANTS,
    *upgrading.PLANTS,
    *calling.PLANTS,
    *expecting.PLANTS,
    *telling.PLANTS,
    *ordering.PLANTS,
    *handling.PLANTS,
)
SEEDS_MAX: Final = 100_000
"""Each must be found with one of so many seeds."""
FOUND: Final = Path(__file__).parent / "found.toml"


def noted() -> dict[str, int]:
    """Return how many seeds each took when it was last searched for from seed 0, by name."""
    if not FOUND.exists():
        return {}
    return {name: row["seeds"] for name, row in tomllib.loads(FOUND.read_text()).items()}


def write(seeds: dict[str, int]) -> None:
    """Write the list anew, in the order of the plants."""
    FOUND.write_text("\n".join(_lines(seeds)))


def _lines(seeds: dict[str, int]) -> Iterable[str]:
    yield "# Which bugs were planted, and with how many seeds each was found: python -m tests.planted"
    for plant in PLANTS:
        if plant.name in seeds:
            yield ""
            yield f'["{plant.name}"]'
            if plant.trap:
                yield f"trap = {plant.trap}"
            yield f'fault = "{plant.fault}"'
            yield f'vehicle = "{plant.vehicle.name}"'
            yield f"seeds = {seeds[plant.name]}"
    yield ""
