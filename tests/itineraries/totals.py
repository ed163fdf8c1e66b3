"""The running total of itineraries: how many were ever run, of which commit and seeds, and what was seen of them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from sojourn.testing.schedules.totals import table_of
from tests.itineraries.itineraries import Outcome

__all__ = ["COUNTED", "Run", "Totals", "added", "run_of", "write"]

COUNTED: Final = ("itineraries", "moves", "abroad", "seen")
_HEAD: Final = """\
# Itineraries that were run, and what came of them: written by `python -m tests.itineraries --add-to`. `seeds` are
# first and last, of one world each; `abroad` are the itineraries that led to where something that was carried may
# not be; `seen` says how often that was seen where it may be, `violations` in how many worlds elsewhere.
"""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seeds that were run at one commit."""

    commit: str
    date: str
    seeds: tuple[int, int]
    """The first and the last."""
    itineraries: int
    moves: int
    abroad: int
    seen: int
    violations: int
    failing: tuple[int, ...] = ()


class Totals(msgspec.Struct, frozen=True):
    """All runs that were recorded, oldest first."""

    run: tuple[Run, ...] = ()

    @property
    def next_seed(self) -> int:
        """The first seed that was never run."""
        return max((run.seeds[1] + 1 for run in self.run), default=0)

    def of(self, name: str) -> int:
        """Return how many there were of all runs, of anything that a run counts."""
        return sum(getattr(run, name) for run in self.run)


def run_of(seeds: range, commit: str, outcome: Outcome, failing: tuple[int, ...] = ()) -> Run:
    """Return what came of some seeds; those that are failing count as violations, and as nothing else."""
    return Run(
        commit=commit,
        date=datetime.now(UTC).date().isoformat(),
        seeds=(seeds[0], seeds[-1]),
        violations=len(failing),
        failing=failing,
        **{name: outcome[name] for name in COUNTED},
    )


def added(totals: Totals, run: Run) -> Totals:
    """Return the totals with one more run; it is joined to the last one if it goes on with that."""
    if not totals.run:
        return Totals((run,))
    last = totals.run[-1]
    if (last.commit, last.seeds[1] + 1) != (run.commit, run.seeds[0]):
        return Totals((*totals.run, run))
    sums = {name: getattr(last, name) + getattr(run, name) for name in (*COUNTED, "violations")}
    failing = last.failing + run.failing
    joined = replace(run, seeds=(last.seeds[0], run.seeds[1]), failing=failing, **sums)
    return Totals((*totals.run[:-1], joined))


def write(file: Path, totals: Totals) -> None:
    """Write the file that holds these runs, for people and for `read`."""
    sums = "".join(f"{name} = {totals.of(name)}\n" for name in (*COUNTED, "violations"))
    tables = [_HEAD, f"[total]\n{sums}", *map(table_of, totals.run)]
    file.write_text("\n".join(tables), encoding="utf-8")
