"""Budgets: what is spent only rises, and never past its limit (protocol §4 check 12)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent.eligibility import ACTING, ENDED, Budget, Status, check_budgets
from sojourn.core.base.errors import Rejected

CALLS = {"calls": Budget(limit=10, spent=4)}


@pytest.mark.parametrize(
    ("new", "reason", "where"),
    [
        ({}, "bad-change", ""),
        ({"cost": Budget(limit=10, spent=4)}, "bad-change", ""),
        (CALLS | {"cost": Budget(limit=1)}, "bad-change", ""),
        ({"calls": Budget(limit=11, spent=4)}, "bad-change", ".calls"),
        ({"calls": Budget(limit=9, spent=4)}, "bad-change", ".calls"),
        ({"calls": Budget(limit=10, spent=3)}, "bad-change", ".calls"),
        ({"calls": Budget(limit=10, spent=11)}, "over-budget", ".calls"),
    ],
)
def test_section_4_check_12_budgets(new: dict[str, Budget], reason: str, where: str) -> None:
    with pytest.raises(Rejected) as caught:
        check_budgets(CALLS, new)
    assert (reason, f"eligibility.budgets{where}") == (caught.value.reason, caught.value.where)


@given(*[st.integers(0, 20)] * 3)
def test_section_4_check_12_spending_may_rise_to_the_limit(
    limit: int, before: int, after: int
) -> None:
    old, new = ({"calls": Budget(limit=limit, spent=spent)} for spent in (before, after))
    if before <= after <= limit:
        check_budgets(old, new)
    else:
        with pytest.raises(Rejected):
            check_budgets(old, new)


def test_no_status_both_acts_and_has_ended() -> None:
    assert not ACTING & ENDED
    others = set(Status) - ACTING - ENDED
    assert {Status.DEPARTED} == others
