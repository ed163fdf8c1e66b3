"""The running total: how many schedules of each profile were ever run, of which commit, and what they broke.

A TOML file that people read and `sojourn sim --add-to` writes. Only eventful schedules are counted.
"""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar, overload

import msgspec

from sojourn.core.base.errors import Misused
from sojourn.testing.schedules.report import Report

__all__ = ["Run", "Totals", "read", "runs_of", "table_of", "text_of", "write"]

T = TypeVar("T")

_HEAD: Final = """\
# Simulated schedules that were run, and what they broke: written by `sojourn sim --add-to`, see
# how-to/simulate.md. `seeds` are first and last; a schedule in which nothing was decided is not counted.
"""


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seeds of one profile that were run at one commit."""

    profile: str
    commit: str
    date: str
    seeds: tuple[int, int]
    """The first and the last."""
    schedules: int
    violations: int
    real: int
    repeated: int
    failing: tuple[int, ...] = ()


class Totals(msgspec.Struct, frozen=True):
    """All runs that were recorded, oldest first."""

    run: tuple[Run, ...] = ()

    def next_seed(self, profile: str) -> int:
        """Return the first seed of a profile that was never run."""
        return max((run.seeds[1] + 1 for run in self.run if run.profile == profile), default=0)

    def schedules(self, profile: str | None = None) -> int:
        """Return how many schedules of a profile were run, or of all."""
        return sum(run.schedules for run in self.run if profile in (None, run.profile))

    def violations(self, profile: str | None = None) -> int:
        """Return how many of them broke a promise."""
        return sum(run.violations for run in self.run if profile in (None, run.profile))

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles that were run, in the order of their first runs."""
        return tuple(dict.fromkeys(run.profile for run in self.run))


@overload
def read(file: Path) -> Totals: ...
@overload
def read(file: Path, form: type[T]) -> T: ...
def read(file: Path, form: Any = Totals) -> Any:
    """Return what a file holds; nothing if there is none. Raises `Misused` if it is no such file.

    `form` is a struct whose one field, `run`, is a tuple of runs.
    """
    if not file.exists():
        return form()
    try:
        parsed = tomllib.loads(file.read_text(encoding="utf-8"))
        return msgspec.convert({"run": parsed.get("run", [])}, form)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        remedy = "Give another file, or mend this one"
        raise Misused(f"{file} is no running total: {error}", remedy=remedy) from None


def runs_of(report: Report, commit: str) -> list[Run]:
    """Return what a report adds."""
    today = datetime.now(UTC).date().isoformat()
    return [
        Run(
            profile=each.profile,
            commit=commit,
            date=today,
            seeds=(each.seeds[0], each.seeds[1] - 1),
            schedules=each.schedules,
            violations=each.violations,
            real=each.real,
            repeated=each.repeated,
            failing=tuple(seed for name, seed, _ in report.failing if name == each.profile),
        )
        for each in report.profiles
        if each.seeds[1] > each.seeds[0]
    ]


def write(file: Path, totals: Totals, added: list[Run]) -> Totals:
    """Add runs to a file; return what it holds now. Runs of one commit whose seeds follow are joined."""
    runs = list(totals.run)
    for run in added:
        last = next((i for i, each in enumerate(runs) if _continues(each, run)), None)
        if last is None:
            runs.append(run)
        else:
            runs[last] = _joined(runs[last], run)
    now = Totals(tuple(runs))
    file.write_text(text_of(now), encoding="utf-8")
    return now


def _continues(earlier: Run, later: Run) -> bool:
    known = (earlier.profile, earlier.commit, earlier.seeds[1] + 1)
    return known == (later.profile, later.commit, later.seeds[0])


def _joined(one: Run, other: Run) -> Run:
    return Run(
        profile=one.profile,
        commit=one.commit,
        date=other.date,
        seeds=(one.seeds[0], other.seeds[1]),
        schedules=one.schedules + other.schedules,
        violations=one.violations + other.violations,
        real=one.real + other.real,
        repeated=one.repeated + other.repeated,
        failing=one.failing + other.failing,
    )


def text_of(totals: Totals) -> str:
    """Return the file that holds these runs."""
    sums = [
        f"[total.{profile}]\n"
        f"schedules = {totals.schedules(profile)}\n"
        f"violations = {totals.violations(profile)}\n"
        for profile in totals.profiles
    ]
    return "\n".join([_HEAD, *sums, *map(table_of, totals.run)])


def table_of(run: msgspec.Struct) -> str:
    """Return a run as a table of TOML."""
    fields = msgspec.structs.asdict(run)
    return "[[run]]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in fields.items())


def _value(value: object) -> str:
    """Return a value as TOML: none here needs more than JSON, and they agree on what is used."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
