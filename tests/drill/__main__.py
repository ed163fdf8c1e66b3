"""Workflows by the thousand under a nemesis: `python -m tests.drill --count 10000`, as `make drill` does.

Ends with 1 if one was lost, an idempotent effect was had under two keys, or one that may be had once was had twice.
What the processes logged stays in the folder then.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.drill.drill import ZONES, Drill, run
from tests.system.ground import LEASE_MS


def main() -> int:
    """Carry out what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="workflows")
    parser.add_argument("--seed", type=int, default=0, help="of the nemesis")
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
    options = parser.parse_args()
    drill = Drill(
        options.count,
        options.seed,
        every_s=options.every,
        zones=options.zones,
        at_once=options.at_once,
        lease_ms=options.lease_ms,
        patience_s=options.patience,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either ends the processes, too
    folder = Path(tempfile.mkdtemp(prefix="sojourn-drill-", dir=options.folder))
    try:
        outcome = asyncio.run(run(drill, folder, _tell))
    except AssertionError as stuck:
        _tell(f"STUCK  seed {drill.seed}: {stuck}; see {folder}")
        return 1
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130
    _tell(f"seed {drill.seed}: {outcome}")
    for problem in outcome.account.problems:
        _tell(f"BROKEN  {problem}; see {folder}")
    if outcome.account.problems:
        return 1
    shutil.rmtree(folder)
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
