"""Every planted bug is found: with the seeds noted for it in `make check`, from seed 0 on in a soak (trap 53)."""

import itertools
import re
from pathlib import Path

import pytest

from tests.planted.plant import Plant
from tests.planted.plants import PLANTS, SEEDS_MAX, noted

TRAPS = Path(__file__).parents[2] / "docs" / "protocol" / "14-traps.md"
NAMED = re.compile(r"`([^`]+)`")
FEW = 20
"""So many seeds from the noted one on are tried first;"""
MANY = 500
"""then so many from 0 on: schedules change with the code, and what took 30 seeds may take 90."""


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_trap_53_a_planted_bug_is_found_and_the_right_code_is_not(plant: Plant) -> None:
    begin = noted()[plant.name] - 1
    seeds = itertools.chain(range(begin, begin + FEW), range(MANY))
    assert plant.first(seeds) is not None, f"not found: {plant.fault}"


@pytest.mark.soak
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_trap_53_a_planted_bug_is_found_from_seed_0_on(plant: Plant) -> None:
    assert plant.first(range(SEEDS_MAX)) is not None, f"not found: {plant.fault}"


def test_each_plant_has_a_name_of_its_own_and_is_in_the_list() -> None:
    names = [plant.name for plant in PLANTS]
    assert sorted(set(names)) == sorted(names)
    assert set(names) == noted().keys(), "python -m tests.planted"


def test_the_traps_say_which_plants_show_that_they_are_caught() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", TRAPS.read_text(), re.MULTILINE)
    said = {int(number): set(NAMED.findall(how.partition("planted ")[2])) for number, how in rows}
    planted: dict[int, set[str]] = {}
    for plant in PLANTS:
        if plant.trap:
            planted.setdefault(plant.trap, set()).add(plant.name)
    assert planted == {number: names for number, names in said.items() if names}
