"""Runs: every item once, in order, in few lengths."""

from hypothesis import given
from hypothesis import strategies as st

from sojourn.stores.sqlite.statements import RUN_MAX, runs


@given(st.integers(0, 1000))
def test_runs_hold_every_item_once_in_order(count: int) -> None:
    cut = list(runs(range(count)))
    assert [item for run in cut for item in run] == list(range(count))
    lengths = [len(run) for run in cut]
    assert set(lengths) <= {1, 2, 4, 8, 16, 32, RUN_MAX}
    assert len([length for length in lengths if length < RUN_MAX]) <= 6
