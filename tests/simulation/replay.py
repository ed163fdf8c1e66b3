"""Runs a seed of the schedules: `python -m tests.simulation.replay SEED` writes down all that happens in it."""

import sys

from tests.simulation.oracles import check_accountable, check_safe, check_validates
from tests.simulation.schedule import Schedule

__all__ = ["run"]

ROUNDS_UNTIL_DECIDED = 24


def run(seed: int, *, forgets: bool = False) -> Schedule:
    """Run a seed: a storm, then a calm in which the slot is decided. A failure says how to replay it."""
    schedule = Schedule(seed, forgets=forgets)
    try:
        schedule.storm(check_safe)
        is_decided = schedule.calm(ROUNDS_UNTIL_DECIDED, check_safe)
        check_validates(schedule)
        check_accountable(schedule)
        assert is_decided, f"undecided after {ROUNDS_UNTIL_DECIDED} calm rounds"
    except AssertionError as error:
        schedule.say(f"FAILED: {error}")
        replay = f"python -m tests.simulation.replay {seed}"
        trace = "\n".join(schedule.trace[-30:])
        raise AssertionError(f"seed {seed}: {error}\nreplay: {replay}\n{trace}") from error
    return schedule


if __name__ == "__main__":
    done = Schedule(int(sys.argv[1]))
    try:
        done.storm(check_safe)
        done.calm(ROUNDS_UNTIL_DECIDED, check_safe)
        check_validates(done)
        check_accountable(done)
    finally:
        sys.stdout.write("\n".join([*done.trace, ""]))
