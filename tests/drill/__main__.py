"""Workflows by the thousand under a nemesis: `python -m tests.drill --count 10000`, as `make drill` does.

They are run in parts, each in zones of its own and with the next seed. Ends with 1 if one was lost, an idempotent
effect was had under two keys, or one that may be had once was had twice. What the processes logged stays in the
folder then. What came of each part is written to the running total at once, if one is given.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from sojourn.cli.sim import commit_of
from sojourn.core.base.errors import SojournError
from sojourn.testing.schedules.totals import read
from tests.drill.drill import ZONES, Drill, run
from tests.drill.totals import Run, Totals, run_of, stuck, write
from tests.system.ground import LEASE_MS


def main() -> int:
    """Carry out what is asked for."""
    options = _options()
    file: Path | None = options.add_to
    totals = read(file, Totals) if file else Totals()
    commit = commit_of("src", "tests/drill", "tests/system") if file else ""
    seed = options.seed if options.seed is not None else totals.next_seed
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either ends the processes, too
    violations = 0
    for at in range(0, options.count, options.part):
        drill = Drill(
            min(options.part, options.count - at),
            seed + at // options.part,
            every_s=options.every,
            zones=options.zones,
            at_once=options.at_once,
            lease_ms=options.lease_ms,
            patience_s=options.patience,
        )
        try:
            done = _carried_out(drill, commit, options.folder)
        except KeyboardInterrupt:
            _tell("interrupted")
            return 130
        violations += done.violations
        if file:
            totals = Totals((*read(file, Totals).run, done))
            write(file, totals)
            _tell(f"{file}: {totals.of('ended'):,} workflows ever")
    return 1 if violations else 0


def _carried_out(drill: Drill, commit: str, parent: Path | None) -> Run:
    folder = Path(tempfile.mkdtemp(prefix="sojourn-drill-", dir=parent))
    try:
        outcome = asyncio.run(run(drill, folder, _tell))
    except AssertionError as problem:
        _tell(f"STUCK  seed {drill.seed}: {problem}; see {folder}")
        return stuck(drill, commit, str(problem))
    _tell(f"seed {drill.seed}: {outcome}")
    for line in outcome.account.problems:
        _tell(f"BROKEN  {line}; see {folder}")
    if not outcome.account.problems:
        shutil.rmtree(folder)
    return run_of(drill, commit, outcome)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="workflows")
    parser.add_argument("--part", type=int, default=1000, help="as many in the same zones")
    parser.add_argument(
        "--seed", type=int, help="of the first part, or the next that is not in the total"
    )
    parser.add_argument(
        "--every", type=float, default=3.0, help="seconds between kills, on average"
    )
    parser.add_argument("--zones", type=int, default=len(ZONES), choices=(1, 2), help="how many")
    parser.add_argument("--at-once", type=int, default=48, help="workflows under way together")
    parser.add_argument("--lease-ms", type=int, default=LEASE_MS, help="longer where all is slow")
    parser.add_argument(
        "--patience", type=float, default=300.0, help="seconds in which one must end"
    )
    parser.add_argument("--folder", type=Path, help="where zones and ledger go")
    parser.add_argument("--add-to", type=Path, help="the running total to add to")
    return parser.parse_args()


def _tell(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SojournError as error:
        sys.exit(str(error))
