"""Itineraries by the thousand: `python -m tests.itineraries --seeds +4000 --add-to docs/itineraries.toml`.

Runs the seeds A..B, or with --add-to the next N that were never run, on all cores, and ends with 1 if anything was
where it may not be. The running total is written as the seeds go by, in their order: what is interrupted keeps what
it has.
"""

import argparse
import sys
import time
from os import cpu_count
from pathlib import Path
from typing import Final

from sojourn.cli.sim import commit_of
from sojourn.core.base.errors import SojournError
from sojourn.testing.schedules.totals import read
from tests.itineraries.itineraries import Outcome
from tests.itineraries.running import parts
from tests.itineraries.totals import COUNTED, Totals, added, run_of, write

_TELL_EVERY_S: Final = 10.0


def main() -> int:
    """Run what is asked for."""
    options = _options()
    file: Path | None = options.add_to
    totals = read(file, Totals) if file else Totals()
    commit = commit_of("src", "tests/itineraries", dirty=options.dirty) if file else ""
    seeds = _seeds(options.seeds, totals if file else None)
    whole, failures, began_s = Outcome(), dict[int, str](), time.monotonic()
    told_s = began_s
    try:
        for part in parts(seeds, options.jobs):
            whole.update(part.outcome)
            failures |= part.failures
            for seed, problem in part.failures.items():
                sys.stdout.write(f"BROKEN  seed {seed}: {problem}\n")
            if file:
                totals = added(
                    totals, run_of(part.seeds, commit, part.outcome, tuple(part.failures))
                )
                write(file, totals)
            if time.monotonic() - told_s >= _TELL_EVERY_S or part.seeds[-1] == seeds[-1]:
                told_s = time.monotonic()
                _tell(whole, len(failures), told_s - began_s)
    except KeyboardInterrupt:
        sys.stdout.write("interrupted\n")
        return 130
    if file:
        sys.stdout.write(f"{file}: {totals.of('itineraries'):,} itineraries ever\n")
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.itineraries", description=__doc__)
    parser.add_argument("--seeds", default="0..4", help="A..B, or with --add-to also +N")
    parser.add_argument("--jobs", type=int, default=cpu_count() or 1, help="processes")
    parser.add_argument("--add-to", type=Path, help="the running total to add to")
    parser.add_argument("--dirty", action="store_true", help="even if the source has changed")
    return parser.parse_args()


def _seeds(text: str, totals: Totals | None) -> range:
    if text.startswith("+") and totals is not None:
        return range(totals.next_seed, totals.next_seed + int(text[1:]))
    first, _, last = text.partition("..")
    return range(int(first), int(last))


def _tell(outcome: Outcome, broken: int, took_s: float) -> None:
    counts = ", ".join(f"{outcome[name]:,} {name}" for name in COUNTED)
    rate = outcome["itineraries"] / took_s
    sys.stdout.write(f"{counts}; {rate:.1f} a second; {broken} worlds failed\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SojournError as error:
        sys.exit(str(error))
