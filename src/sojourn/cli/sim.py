"""`sojourn sim`: simulated schedules, thousands of them, each of which must keep every promise."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sojourn.cli.help import Command
from sojourn.cli.options import is_number, json_option
from sojourn.cli.output import counted, duration, emit, note, say, table
from sojourn.core.base.errors import Failed, Misused

if TYPE_CHECKING:
    from sojourn.testing.schedules.report import ProfileReport, Report
    from sojourn.testing.schedules.sweeping import Swept
    from sojourn.testing.schedules.totals import Totals

__all__ = ["commit_of", "sim"]

_FAILURES_MAX: Final = 3
_TELL_EVERY_S: Final = 10.0
_BROKEN: Final = 1
_INTERRUPTED: Final = 130


@click.command(cls=Command)
@click.option(
    "--seeds",
    "seeds_text",
    metavar="A..B",
    default="0..1000",
    show_default=True,
    help="Seeds from A on, before B; with --add-to also +N: the next N that were never run.",
)
@click.option(
    "--profile",
    "names",
    metavar="NAME",
    multiple=True,
    default=("migrate",),
    show_default=True,
    help="What a seed may choose from; repeatable, or `all`.",
)
@click.option("--profiles", "lists", is_flag=True, help="List the profiles.")
@click.option("--jobs", type=click.IntRange(1), help="Processes.  [default: one for each core]")
@click.option("--real", is_flag=True, help="Real signatures in all schedules, not in one of 50.")
@click.option(
    "--failures",
    type=click.IntRange(1),
    default=_FAILURES_MAX,
    show_default=True,
    help="Stop after so many seeds that broke a promise. Each is shrunk.",
)
@click.option(
    "--replay", metavar="SEED", type=click.IntRange(0), help="Show all that happens in one seed."
)
@click.option(
    "--add-to",
    "total_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add what was run to the running total in this file.",
)
@click.option("--dirty", is_flag=True, help="Add to it even if the source differs from its commit.")
@json_option
def sim(
    *,
    seeds_text: str,
    names: tuple[str, ...],
    lists: bool,
    jobs: int | None,
    real: bool,
    failures: int,
    replay: int | None,
    total_file: Path | None,
    dirty: bool,
    as_json: bool,
) -> int:
    r"""Run simulated schedules of the protocol, and judge each.

    A schedule is one seed: some zones, agents that step, act and move, and whatever goes wrong: messages that are
    late, lost, repeated or cut off, processes that crash and pause, disks and clocks that fail, liars. The machines
    are those that run in production; time is simulated. A promise that is broken is shrunk to a short transcript,
    and ends with exit code 1.

    Examples:
      sojourn sim --seeds 0..10000
      sojourn sim --profile crowded --replay 4711
      sojourn sim --profile all --seeds +20000 --add-to docs/simulated.toml
    """
    if lists:
        return _list()
    profiles = _profiles(names)
    if replay is not None:
        return _replay(profiles, replay, real)
    totals, commit = _totals(total_file, dirty)
    seeds = {name: _seeds(seeds_text, name, totals) for name in profiles}
    found = _run(seeds, jobs or os.cpu_count() or 1, real, failures, as_json)
    emit(found, as_json, _render)
    if total_file is not None and totals is not None:
        _add(total_file, totals, found, commit, as_json)
    if found.failing:
        return _BROKEN
    return _INTERRUPTED if found.is_cut_short else 0


# --- what is asked for --------------------------------------------------------------------------------


def _list() -> int:
    from sojourn.testing.schedules.profile import PROFILES  # noqa: PLC0415 - heavy

    table(("profile", "what it is"), [(name, each.about) for name, each in PROFILES.items()])
    return 0


def _profiles(names: tuple[str, ...]) -> list[str]:
    from sojourn.testing.schedules.profile import PROFILES  # noqa: PLC0415 - heavy

    if "all" in names:
        return list(PROFILES)
    for name in names:
        if name not in PROFILES:
            remedy = f"Choose of {', '.join(PROFILES)}, or all"
            raise Misused(f"there is no profile {name[:40]!r}", remedy=remedy)
    return list(dict.fromkeys(names))


def _seeds(text: str, profile: str, totals: "Totals | None") -> range:
    if text.startswith("+") and is_number(text[1:]):
        if totals is None:
            remedy = "Give the file with --add-to, or seeds as A..B"
            raise Misused("the next seeds are those after a running total's", remedy=remedy)
        first = totals.next_seed(profile)
        return range(first, first + int(text[1:]))
    first_text, dots, last_text = text.partition("..")
    if not dots or not is_number(first_text) or not is_number(last_text):
        raise Misused(f"--seeds is {text[:40]!r}", remedy="Write A..B, such as 0..1000")
    seeds = range(int(first_text), int(last_text))
    if not seeds:
        raise Misused(f"there is no seed in {text[:40]}", remedy="Write A..B with A before B")
    return seeds


def _totals(file: Path | None, dirty: bool) -> "tuple[Totals | None, str]":
    """Return the running total and this commit, before anything is run."""
    if file is None:
        return None, ""
    from sojourn.testing.schedules.totals import read  # noqa: PLC0415 - heavy

    return read(file), commit_of("src", dirty=dirty)


def commit_of(*paths: str, dirty: bool = False) -> str:
    """Return the commit that somebody else needs to run this again.

    Raises `Misused` if what is below `paths` differs from it, unless it may be `dirty`; `Failed` without git.
    """
    commit = _git("rev-parse", "--short=10", "HEAD")
    changed = _git("status", "--porcelain", "--", *paths)
    if changed and not dirty:
        problem = "the source differs from its commit, so that nobody could run this again"
        raise Misused(problem, remedy="Commit first, or give --dirty")
    return f"{commit} and changes" if changed else commit


def _git(*arguments: str) -> str:
    root = Path(__file__).parents[3]
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        remedy = "Run it from a checkout of the project, with git"
        raise Failed(f"{root} has no commit to name: {error}", remedy=remedy) from None
    return done.stdout.strip()


# --- running ------------------------------------------------------------------------------------------


def _replay(profiles: list[str], seed: int, real: bool) -> int:
    from sojourn.testing.schedules.profile import PROFILES  # noqa: PLC0415 - heavy
    from sojourn.testing.schedules.running import is_real, run_plan  # noqa: PLC0415
    from sojourn.testing.schedules.transcript import transcript  # noqa: PLC0415

    is_broken = False
    for name in profiles:
        with_real = real or is_real(seed)
        schedule, violations = run_plan(seed, PROFILES[name], real=with_real, tells=True)
        for line in transcript(schedule, violations):
            say(line)
        is_broken |= bool(violations)
    return _BROKEN if is_broken else 0


def _run(seeds: dict[str, range], jobs: int, real: bool, failures: int, as_json: bool) -> "Report":
    from sojourn.testing.schedules.report import report  # noqa: PLC0415 - heavy
    from sojourn.testing.schedules.sweeping import chunks, sweep  # noqa: PLC0415

    tell = (lambda _: None) if as_json else _teller(sum(map(len, seeds.values())))
    swept = sweep(chunks(seeds), jobs=jobs, real=real, failures_max=failures, tell=tell)
    return report(swept, {name: each.start for name, each in seeds.items()})


def _teller(seeds: int) -> "Callable[[Swept], None]":
    """Return what tells of the progress: on a terminal in one line, elsewhere now and then."""
    is_terminal = sys.stderr.isatty()
    told_s = time.monotonic()

    def tell(swept: "Swept") -> None:
        nonlocal told_s
        took_s = time.monotonic() - swept.began_s
        if not is_terminal and time.monotonic() - told_s < _TELL_EVERY_S:
            return
        told_s = time.monotonic()
        done = sum(swept.seeds.values())
        broken = counted(len(swept.failures), "violation")
        line = f"{done:,} of {seeds:,} seeds, {done / took_s:.0f} a second, {broken}"
        if is_terminal:
            click.echo(f"\r{line:<70}" + ("\n" if done == seeds else ""), err=True, nl=False)
        else:
            note(line)

    return tell


def _add(file: Path, totals: "Totals", found: "Report", commit: str, as_json: bool) -> None:
    from sojourn.testing.schedules.totals import runs_of, write  # noqa: PLC0415 - heavy

    now = write(file, totals, runs_of(found, commit))
    if not as_json:
        say("")
        for name in now.profiles:
            broken = counted(now.violations(name), "violation")
            say(f"{file}: {name}, {now.schedules(name):,} schedules ever, {broken}")


# --- telling ------------------------------------------------------------------------------------------


def _render(found: "Report") -> None:
    for each in found.profiles:
        _render_profile(each)
    for shrunk in found.shrunk:
        failure = shrunk.failure
        say("")
        say(f"{failure.profile}, seed {failure.seed}, made small in {shrunk.tries} tries:")
        for line in shrunk.transcript:
            say(f"  {line}")
        real = " --real" if failure.is_real else ""
        replay = f"sojourn sim --profile {failure.profile} --replay {failure.seed}{real}"
        say(f"  all of it: {replay}")
    say("")
    ended = "interrupted after" if found.is_cut_short else "in"
    say(
        f"{ended} {duration(int(found.took_s * 1000))} on {counted(found.jobs, 'process', 'processes')}"
    )
    for profile, seed, violation in found.failing:
        say(f"BROKEN  {profile}, seed {seed}: {violation}")


def _render_profile(each: "ProfileReport") -> None:
    say(f"{each.profile}: {each.about}")
    table(
        ("times", "schedules", "reached"),
        [(f"{r.times:,}", f"{r.schedules:,}", what) for what, r in each.reached.items()],
    )
    say("")
    say(f"  never reached: {', '.join(each.never) or 'nothing that was expected'}")
    first, end = each.seeds
    say(
        f"  seeds {first}..{end}: {counted(each.schedules, 'schedule')} of {each.events:,} events, and "
        f"{each.uneventful} in which nothing was decided"
    )
    say(f"  {each.real} with real signatures; {each.repeated} run twice, and equal")
    say(f"  {each.per_core_s:.0f} a second and core")
    if each.violations:
        say(f"  {counted(each.violations, 'schedule')} broke a promise")
    elif each.schedules:
        say(
            f"  none broke a promise: at 95%, fewer than 1 in {int(1 / each.bound):,} of such schedules "
            f"do (3/N)"
        )
    say("")
