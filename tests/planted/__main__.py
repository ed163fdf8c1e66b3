"""Searches for every planted bug from seed 0 on, and writes down how many seeds it took.

`python -m tests.planted [NAME ...]`; without names, for all of them.
"""

import sys
import time

from tests.planted.plants import PLANTS, SEEDS_MAX, noted, write


def main(names: list[str]) -> int:
    """Search, tell of each, write the list after each; return 1 if one was not found."""
    seeds, missed = noted(), 0
    for plant in PLANTS:
        if names and plant.name not in names:
            continue
        began = time.monotonic()
        seed = plant.first(range(SEEDS_MAX))
        took = f"{time.monotonic() - began:.1f} s"
        if seed is None:
            missed += 1
            seeds.pop(plant.name, None)
            sys.stdout.write(f"{plant.name}: NOT FOUND with {SEEDS_MAX} seeds, {took}\n")
        else:
            seeds[plant.name] = seed + 1
            sys.stdout.write(f"{plant.name}: {seed + 1} seeds, {took}\n")
        sys.stdout.flush()
        write(seeds)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
