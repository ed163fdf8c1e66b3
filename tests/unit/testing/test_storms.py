"""Storms of faults, seed by seed; and that a seed is the same run everywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sojourn.testing import seeds
from tests.unit.testing.storms import storm

ROOT = Path(__file__).parents[3]


def digests(first: int, last: int, hash_seed: int) -> list[str]:
    """Return what a process of its own says of some seeds."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.testing.storms", str(first), str(last)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"src{os.pathsep}.", "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@seeds(0, 30)
def test_agents_come_through_a_storm(seed: int) -> None:
    storm(seed)


@pytest.mark.soak
@seeds(1_000, 3_000)
def test_agents_come_through_many_storms(seed: int) -> None:
    storm(seed)


def test_a_seed_is_the_same_run_in_every_process() -> None:
    first, second = digests(100, 103, hash_seed=1), digests(100, 103, hash_seed=2)
    assert len({line.split()[1] for line in first}) == 3
    assert first == second


@pytest.mark.soak
def test_many_seeds_are_the_same_runs_in_every_process() -> None:
    assert digests(3_000, 3_020, hash_seed=3) == digests(3_000, 3_020, hash_seed=4)
