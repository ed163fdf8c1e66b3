"""Bytes changed at random, led by coverage, into every decoder; and that such a search finds what is there."""

import pytest

from tests.fuzz.canaries import CANARIES
from tests.fuzz.runs import LACKING, Job, Report, search
from tests.fuzz.targets import by_name

pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

QUICK_RUNS = 8_000
CANARY_RUNS = 250_000
SOAK_SECONDS_EACH = 60


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """Return what a short search of everything reports, under no name, and one for each planted bug."""
    planted = {
        name: Job(targets=(canary.target,), runs=CANARY_RUNS, canary=name)
        for name, canary in CANARIES.items()
        if canary.is_for_bytes
    }
    done = search(Job(runs=QUICK_RUNS), *planted.values())
    return dict(zip(["", *planted], done, strict=True))


def test_no_decoder_does_what_none_may_in_a_short_search(reports: dict[str, Report]) -> None:
    report = reports[""]
    print(report.describe())
    assert [] == report.found
    assert by_name.keys() == report.targets.keys()
    assert QUICK_RUNS - 500 <= report.runs


@pytest.mark.parametrize("name", [name for name, each in CANARIES.items() if each.is_for_bytes])
def test_a_planted_bug_is_found(name: str, reports: dict[str, Report]) -> None:
    print(f"{name}: found by input {reports[name].runs:,}")
    assert [CANARIES[name].target] == [each["target"] for each in reports[name].found]


@pytest.mark.soak
@pytest.mark.parametrize("name", by_name)
def test_no_decoder_does_what_none_may_in_a_long_search(name: str) -> None:
    (report,) = search(Job(targets=(name,), seconds=SOAK_SECONDS_EACH, seed=0))
    print(report.describe())
    assert [] == report.found
