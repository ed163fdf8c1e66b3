"""A sample run, played once for all tests of the report."""

import pytest
from msgspec.structs import replace

from sojourn.demo.report.data import ReportData
from sojourn.demo.risk import estimate, windows
from sojourn.demo.schedule import default_schedule
from tests.unit.demo.sample_run import sample_report


@pytest.fixture(scope="session")
def sample() -> ReportData:
    """A made-up run of 21 long windows, through the default schedule at nine times its pace."""
    schedule = default_schedule()
    changes = tuple(
        replace(change, after_windows=(change.after_windows or 0) // 9)
        for change in schedule.changes
    )
    estimates = [estimate(window) for window in windows(refit_days=200)]
    return sample_report(replace(schedule, changes=changes), estimates)
