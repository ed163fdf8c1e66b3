"""Mutation testing: `make mutants`, or `make mutants ARGS="core/quorum stores/memory.py"` for a part.

Prints every survivor that `survivors.toml` does not explain, in the form in which it would stand there, and
fails if there is one; tells of listed ones that are killed now.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

from tests.mutation.judging import (
    ROOT,
    SECONDS_A_MUTANT,
    SOURCE,
    Reach,
    Verdict,
    anew,
    reach_of,
    swapped,
)
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.survivors import explained, shown

VECTORS = ["tests/conformance/test_vectors.py", "tests/conformance/test_values.py"]
PARTS = {
    "core/quorum": (["tests/unit/core/quorum"], ["tests/unit/core/protocol", *VECTORS]),
    "core/base": (["tests/unit/core/base"], ["tests/unit/core/agent", *VECTORS]),
    "stores": (["tests/unit/stores", "tests/conformance/test_stores.py"],),
    "core/protocol": (["tests/unit/core/protocol"], ["tests/simulation", *VECTORS]),
}
"""What is mutated, and the tests that judge it: the first all of it, the next what they left alive."""
DATA = {"core/base/limits.py"}
"""Numbers alone: tests use them by name. Those that the protocol states are held by a test of their own."""


LIVING = (Verdict.SURVIVED, Verdict.UNREACHED)
THIRD_PARTIES = (
    *("apsw", "cbrrr", "cedarpy", "cryptography.x509", "msgspec", "nacl.bindings", "OpenSSL.SSL"),
)


def main() -> int:
    """Judge all mutants of the parts asked for."""
    options = _options()
    _settle()
    started = time.monotonic()
    verdicts: dict[Mutant, Verdict] = {}
    for package, files in _asked(options.parts).items():
        stages = [options.tests] if options.tests else PARTS[package]
        verdicts |= _judge(package, files, stages, options)
    unexplained = _report(verdicts)
    sys.stdout.write(f"{len(verdicts)} mutants in {time.monotonic() - started:.0f} s\n")
    if options.json:
        rows = [[*mutant.key, mutant.line, verdict] for mutant, verdict in verdicts.items()]
        Path(options.json).write_text(json.dumps(rows, indent=1))
    return 1 if unexplained else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=list(PARTS), help="folders or files below src/sojourn"
    )
    parser.add_argument("--tests", nargs="*", help="judge by these tests instead")
    parser.add_argument("--confirm", type=int, default=0, help="judge so many of the killed anew")
    parser.add_argument("--json", help="write all verdicts to this file")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS_A_MUTANT, help="of tests, for each mutant"
    )
    parser.add_argument("--again", help="judge only what survived in such a file")
    return parser.parse_args()


def _settle() -> None:
    """Import what no mutant changes, so that every fork has it, and fix how property tests run."""
    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    for name in THIRD_PARTIES:
        import_module(name)
    settings.register_profile(
        "mutants",
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=50,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"


def _asked(parts: Iterable[str]) -> dict[str, list[str]]:
    """Return the files to mutate of each package of which something was asked."""
    files: dict[str, list[str]] = {}
    for part in parts:
        package = next(package for package in PARTS if part.startswith(package))
        path = SOURCE / part
        found = [path] if path.is_file() else sorted(path.rglob("*.py"))
        names = [file.relative_to(SOURCE).as_posix() for file in found]
        files.setdefault(package, []).extend(name for name in names if name not in DATA)
    return files


def _lived(path: str | None) -> set[tuple[str, ...]] | None:
    rows = json.loads(Path(path).read_text()) if path else None
    return None if rows is None else {tuple(row[:4]) for row in rows if row[5] in LIVING}


def _judge(
    package: str, files: list[str], stages: Iterable[list[str]], options: argparse.Namespace
) -> dict[Mutant, Verdict]:
    only = _lived(options.again)
    found = [mutant for file in files for mutant in mutants_of(file, SOURCE / file)]
    mutants = [mutant for mutant in found if only is None or mutant.key in only]
    verdicts = dict.fromkeys(mutants, Verdict.UNREACHED)
    for tests in stages:
        if lived := [mutant for mutant in mutants if verdicts[mutant] in LIVING]:
            verdicts |= _judge_by(package, tests, lived, options)
    return verdicts


def _judge_by(
    package: str, tests: list[str], mutants: list[Mutant], options: argparse.Namespace
) -> dict[Mutant, Verdict]:
    files = sorted({mutant.file for mutant in mutants})
    reach = reach_of(tests, files)._replace(budget=options.seconds)
    reached = [mutant for mutant in mutants if reach.tests_for(mutant)]
    _check_controls(reached, tests, reach)
    bodies = [mutant for mutant in reached if mutant.function is not None]
    told = _told(package, swapped(bodies, tests, reach), len(bodies))
    verdicts = dict(told)
    again = [mutant for mutant in reached if _is_open(mutant, verdicts.get(mutant), reach)]
    verdicts |= _told(package, ((one, anew(one, reach)) for one in again), len(again))
    _confirm(verdicts, bodies, reach, options.confirm)
    return verdicts


def _check_controls(mutants: list[Mutant], tests: list[str], reach: Reach) -> None:
    """Stop unless places with their own text survive, both ways: what kills those says nothing."""
    some = {mutant.file: mutant for mutant in mutants if mutant.function is not None}
    unchanged = [one._replace(source=(SOURCE / one.file).read_text()) for one in some.values()]
    swaps = [verdict for _, verdict in swapped(unchanged, tests, reach)]
    imports = [anew(one, reach) for one in unchanged[:1]]
    if set(swaps + imports) - {Verdict.SURVIVED}:
        raise SystemExit(f"mutation: unchanged code is {swaps}, {imports}")


def _is_open(mutant: Mutant, verdict: Verdict | None, reach: Reach) -> bool:
    """Tell whether a mutant must be judged by importing it, for swapping it in came too late or could not be."""
    if verdict in (Verdict.KILLED, Verdict.TIMED_OUT):
        return False
    late = mutant.line in reach.imported.get(mutant.file, ())
    return mutant.function is None or verdict is Verdict.UNSWAPPED or late


def _confirm(
    verdicts: dict[Mutant, Verdict], bodies: list[Mutant], reach: Reach, count: int
) -> None:
    """Judge some of those that were killed by swapping anew: both ways must agree."""
    killed = [mutant for mutant in bodies if verdicts[mutant] is Verdict.KILLED]
    for mutant in random.Random(0).sample(killed, min(count, len(killed))):
        if (verdict := anew(mutant, reach)) is Verdict.SURVIVED:
            sys.stdout.write(f"killed by swapping alone: {mutant.key}\n")
            verdicts[mutant] = verdict


def _told(
    part: str, verdicts: Iterable[tuple[Mutant, Verdict]], total: int
) -> Iterable[tuple[Mutant, Verdict]]:
    counts: Counter[Verdict] = Counter()
    started = time.monotonic()
    for number, (mutant, verdict) in enumerate(verdicts, 1):
        counts[verdict] += 1
        if number % 50 == 0 or number == total:
            rate = 60 * number / (time.monotonic() - started)
            said = ", ".join(f"{count} {name}" for name, count in counts.items())
            sys.stderr.write(f"{part}: {number} of {total}, {rate:.0f} a minute: {said}\n")
        if verdict in LIVING:
            sys.stderr.write(
                f"{verdict}: {mutant.file}:{mutant.line}: {mutant.was} → {mutant.now}\n"
            )
        yield mutant, verdict


def _report(verdicts: dict[Mutant, Verdict]) -> int:
    """Print the score of each file and what is not explained; return how much that is."""
    known = explained()
    files = Counter(mutant.file for mutant in verdicts)
    lived = [m for m, v in verdicts.items() if v in LIVING]
    unexplained = [mutant for mutant in lived if mutant.key not in known]
    for file, count in files.items():
        left = sum(mutant.file == file for mutant in lived)
        open_ = sum(mutant.file == file for mutant in unexplained)
        score = 100 * (count - left) / count
        sys.stdout.write(
            f"{file}: {count} mutants, {left} survived, {open_} of them unexplained, {score:.1f}%\n"
        )
    for mutant in unexplained:
        sys.stdout.write(shown(mutant, verdicts[mutant]))
    dead = {key for key in known if key[0] in files} - {mutant.key for mutant in lived}
    for key in sorted(dead):
        sys.stdout.write(f"listed, and killed or gone now: {key}\n")
    return len(unexplained)


if __name__ == "__main__":
    raise SystemExit(main())
