"""The machinery of mutation testing at work on one small module, and on a planted weakness."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.mutation.judging import ROOT, SOURCE
from tests.mutation.mutants import mutants_of
from tests.mutation.survivors import explained

MODULE = "core/quorum/committee.py"
TESTS = "tests/unit/core/quorum/test_committee.py"
ASSERTION = "    assert smallest_intersection >= f + 1 == committee.honest_witness\n"


def mutate(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.mutation", MODULE, "--tests", TESTS],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_mutant_of_the_quorums_arithmetic_is_killed() -> None:
    done = mutate(ROOT)
    assert 0 == done.returncode, done.stderr
    assert f"{MODULE}: 28 mutants, 0 survived, 0 of them unexplained, 100.0%" in done.stdout


def test_an_assertion_that_is_gone_is_noticed(tmp_path: Path) -> None:
    for folder in ("src", "tests"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    text = (ROOT / TESTS).read_text()
    assert 1 == text.count(ASSERTION)
    (tmp_path / TESTS).write_text(text.replace(ASSERTION, ""))
    done = mutate(tmp_path)
    assert 1 == done.returncode, done.stderr
    assert f"{MODULE}: 28 mutants, 3 survived, 3 of them unexplained, 89.3%" in done.stdout
    assert "now = '''return self.f + 2'''" in done.stdout


def test_the_list_names_places_that_are_there() -> None:
    """A survivor whose code has gone would explain nothing; `make mutants` looks at the verdicts too."""
    listed = explained()
    files = {key[0] for key in listed}
    there = {mutant.key for file in files for mutant in mutants_of(file, SOURCE / file, listed)}
    assert listed.keys() - there == set()
    assert all(len(why) > 20 for why in listed.values())
