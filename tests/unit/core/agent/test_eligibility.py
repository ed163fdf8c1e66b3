"""Budgets: what is spent only rises, and never past its limit (protocol §4 check 12)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent.eligibility import (
    ACTING,
    ENDED,
    Budget,
    Eligibility,
    Status,
    check_budgets,
)
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


def test_section_2_a_grant_alone_raises_a_limit_and_none_falls() -> None:
    for limit in (11, 9):
        new = {"calls": Budget(limit=limit, spent=4)}
        if limit > 10:
            check_budgets(CALLS, new, may_raise=True)
        for may_raise in (False,) if limit > 10 else (False, True):
            with pytest.raises(Rejected):
                check_budgets(CALLS, new, may_raise=may_raise)


@pytest.mark.parametrize("name", ["steps", "wall_ms"])
def test_section_2_an_exhausted_agent_may_lie_down_and_nothing_else(name: str) -> None:
    budgets = {name: Budget(limit=3, spent=3), "calls": Budget(limit=0)}
    active = Eligibility(status=Status.ACTIVE, budgets=budgets)
    asleep = Eligibility(status=Status.DORMANT, budgets=budgets)
    assert active.is_exhausted and active.is_acting
    assert asleep.is_exhausted and not asleep.is_acting
    assert f"dormant, {name} used up" == asleep.describe()
    for left in ({name: Budget(limit=3, spent=2)}, {"calls": Budget(limit=0)}):
        eligibility = Eligibility(status=Status.DORMANT, budgets=left)
        assert eligibility.is_acting and not eligibility.is_exhausted
        assert "dormant" == eligibility.describe()


def test_no_status_both_acts_and_has_ended() -> None:
    assert not ACTING & ENDED
    others = set(Status) - ACTING - ENDED
    assert {Status.DEPARTED} == others
