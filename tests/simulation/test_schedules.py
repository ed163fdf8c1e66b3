"""Many random schedules of one slot: never two decisions, and always one once it is calm.

The check of the check is in `tests/planted`: bugs that these schedules must find.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.replay import run

SEEDS = 300
SOAK_SEEDS = 20_000


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_p1_never_two_decisions_and_p6_always_one_in_the_end(first: int) -> None:
    for seed in range(first, first + 50):
        run(seed)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SEEDS, SOAK_SEEDS, 1_000))
def test_p1_and_p6_under_many_more_schedules(first: int) -> None:
    for seed in range(first, first + 1_000):
        run(seed)


# Determinism


def test_a_seed_replays_its_run() -> None:
    assert [run(seed).trace for seed in range(10)] == [run(seed).trace for seed in range(10)]


def test_a_seed_replays_its_run_in_another_process() -> None:
    root = Path(__file__).parents[2]
    outputs = set()
    for hash_seed in ("0", "7"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation.replay", "17"],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{root}/src:{root}"},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert 1 == len(outputs)
    assert "\n".join(run(17).trace) == outputs.pop().strip("\n")
