"""The protocol's models hold, and each invariant breaks where a bug is planted (protocol §15; trap 53)."""

import re
from pathlib import Path

import pytest

from models.check import RUNS, Run, check, lacking, problem

MODELS = Path(__file__).parents[2] / "models"
CONFIGS = {path.stem: path.read_text() for path in MODELS.glob("*.cfg")}
WHOLE = [run for run in RUNS if not run.breaks]


def test_every_configuration_is_in_the_list_once() -> None:
    assert sorted(CONFIGS) == sorted(run.config for run in RUNS)


def test_every_invariant_has_a_planted_bug_that_breaks_it() -> None:
    claimed = {
        (run.model, name)
        for run in WHOLE
        for line in re.findall(r"^INVARIANTS? (.+)$", CONFIGS[run.config], re.MULTILINE)
        for name in line.split()
    }
    assert claimed - {(run.model, run.breaks) for run in RUNS} == set()


def test_every_bug_of_a_model_is_planted() -> None:
    models = {run.model for run in WHOLE}
    bugs = {
        (model, name)
        for model in models
        for name in re.findall(r"(\w+),? *\\\* BUG", (MODELS / f"{model}.tla").read_text())
    }
    planted = {
        (run.model, name)
        for run in RUNS
        for name in re.findall(r"(\w+) = TRUE", CONFIGS[run.config])
    }
    assert bugs == planted
    assert len(planted) == sum(run.model in models for run in RUNS) - len(WHOLE)


@pytest.mark.parametrize(
    "run",
    [pytest.param(run, marks=pytest.mark.soak if run.is_soak else ()) for run in RUNS],
    ids=lambda run: run.config,
)
def test_tlc_says_to_a_model_what_it_must(run: Run) -> None:
    if why := lacking():
        pytest.skip(why)
    found = check(run)
    assert problem(run, found) == "", found.output[-2000:]
