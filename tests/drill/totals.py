"""The running total of drills: how many workflows were ever run, of which commit and seeds, and what came of them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from sojourn.testing.schedules.totals import table_of
from tests.drill.drill import Drill, Outcome

__all__ = ["COUNTED", "Run", "Totals", "run_of", "stuck", "write"]

COUNTED: Final = (
    "workflows",
    "ended",
    "moved",
    "mates",
    "entered",
    "repeated",
    "paid",
    "unsure",
    "hosts_killed",
    "anchors_killed",
    "seconds",
    "violations",
)
_HEAD: Final = """\
# Workflows that were run while a nemesis killed processes: written by `python -m tests.drill --add-to`, one run for
# each seed. `moved` of those that ended changed zones half way, `mates` had a child that they asked; `entered` are
# the idempotent effects, of which `repeated` were tried again under their key; `paid` are those that may be had
# once, and of `unsure` the workflow was told that nobody knows. `violations` are broken promises, each with its line.
"""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One drill."""

    commit: str
    date: str
    seed: int
    every_s: float
    """Seconds between kills, on average."""
    at_once: int
    lease_ms: int
    workflows: int
    ended: int
    moved: int
    mates: int
    entered: int
    repeated: int
    paid: int
    unsure: int
    hosts_killed: int
    anchors_killed: int
    seconds: int
    violations: int
    problems: tuple[str, ...] = ()


class Totals(msgspec.Struct, frozen=True):
    """All drills that were recorded, oldest first."""

    run: tuple[Run, ...] = ()

    @property
    def next_seed(self) -> int:
        """The first seed that was never run."""
        return max((run.seed + 1 for run in self.run), default=0)

    def of(self, name: str) -> int:
        """Return how many there were of all drills, of anything that a drill counts."""
        return sum(getattr(run, name) for run in self.run)


def run_of(drill: Drill, commit: str, outcome: Outcome) -> Run:
    """Return what came of a drill."""
    account = outcome.account
    return Run(
        **_settings(drill, commit),
        workflows=drill.count,
        ended=account.closed,
        moved=account.moved,
        mates=account.mates,
        entered=account.entered,
        repeated=account.repeated,
        paid=account.paid,
        unsure=account.unsure,
        hosts_killed=outcome.kills["host"],
        anchors_killed=outcome.kills["anchor"],
        seconds=round(outcome.took_s),
        violations=len(account.problems),
        problems=account.problems,
    )


def stuck(drill: Drill, commit: str, problem: str) -> Run:
    """Return what came of a drill that got no further: a broken promise, and nothing that counts."""
    nothing = dict.fromkeys(COUNTED, 0) | {"workflows": drill.count, "violations": 1}
    return Run(**_settings(drill, commit), problems=(problem,), **nothing)


def _settings(drill: Drill, commit: str) -> dict[str, Any]:
    """Return what a run was set out with, by the fields' names."""
    return {
        "commit": commit,
        "date": _today(),
        "seed": drill.seed,
        "every_s": drill.every_s,
        "at_once": drill.at_once,
        "lease_ms": drill.lease_ms,
    }


def write(file: Path, totals: Totals) -> None:
    """Write the file that holds these runs, for people and for `read`; a reader finds it old or new."""
    sums = "".join(f"{name} = {totals.of(name)}\n" for name in COUNTED)
    beside = file.with_suffix(".new")
    text = "\n".join([_HEAD, f"[total]\n{sums}", *map(table_of, totals.run)])
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
