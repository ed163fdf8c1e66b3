"""`make fuzz`: search every decoder at length, one after the other, and say what was run.

In turn, each target gets the same time, with another seed. ARGS: `--minutes N` (default 30), `--target NAME`.
"""

import argparse
import itertools
import sys
import time
from collections import Counter

from tests.fuzz.runs import LACKING, Job, search
from tests.fuzz.targets import by_name

SECONDS_EACH = 10
AT_ONCE = 7
"""Searches of one process, which takes some seconds to start."""


def main() -> int:
    """Search; return 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--target", action="append", choices=sorted(by_name))
    given = parser.parse_args()
    if LACKING:
        sys.exit(LACKING)
    deadline, seed = time.monotonic() + 60 * given.minutes, time.time_ns() % 2**31
    runs, seconds, found = Counter[str](), 0.0, 0
    names = itertools.cycle(given.target or by_name)
    while (left_s := deadline - time.monotonic()) > 0:
        some = list(itertools.islice(names, min(AT_ONCE, 1 + int(left_s / SECONDS_EACH))))
        jobs = [Job(targets=(n,), seconds=SECONDS_EACH, seed=seed, goes_on=True) for n in some]
        for name, report in zip(some, search(*jobs), strict=True):
            runs[name] += report.runs
            seconds += report.seconds
            found += len(report.found)
            sys.stdout.write(f"{name:24} {report.describe()}\n")
        sys.stdout.flush()
        seed += 1
    total = runs.total()
    sys.stdout.write(
        f"{total:,} inputs into {len(runs)} decoders in {seconds / 60:.1f} minutes of searching "
        f"({total / max(seconds, 1):,.0f} a second); {found} found\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
