"""Runs a seed of the schedules: `python -m tests.simulation.replay SEED` writes down all that happens in it."""

import sys

from tests.simulation.oracles import check_accountable, check_safe, check_validates
from tests.simulation.schedule import Schedule

__all__ = ["judge", "run"]

ROUNDS_UNTIL_DECIDED = 24
EVENTS_SHOWN = 30


def judge(schedule: Schedule) -> None:
    """Let a schedule go through a storm, then a calm in which the slot is decided; fail if anything is wrong."""
    schedule.storm(check_safe)
    is_decided = schedule.calm(ROUNDS_UNTIL_DECIDED, check_safe)
    check_validates(schedule)
    check_accountable(schedule)
    assert is_decided, f"undecided after {ROUNDS_UNTIL_DECIDED} calm rounds"


def run(seed: int) -> Schedule:
    """Judge a seed. A failure says how to replay it, and what happened last."""
    schedule = Schedule(seed)
    try:
        judge(schedule)
    except AssertionError as error:
        replay = f"python -m tests.simulation.replay {seed}"
        last = "\n".join(schedule.trace[-EVENTS_SHOWN:])
        raise AssertionError(f"seed {seed}: {error}\nreplay: {replay}\n{last}") from error
    return schedule


if __name__ == "__main__":
    shown = Schedule(int(sys.argv[1]))
    try:
        judge(shown)
    finally:
        sys.stdout.write("\n".join([*shown.trace, ""]))
