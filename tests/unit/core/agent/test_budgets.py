"""What each transition must spend (protocol §2): properties of the one function that hosts and anchors ask."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.budgets import (
    CALLS,
    COST_MICROS,
    HOPS,
    STEPS,
    TOKENS,
    WALL_MS,
    charged,
    check_affordable,
    check_transition,
    spend,
)
from sojourn.core.agent.eligibility import Budget, Pending, Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind, check_constant
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import BudgetExhausted, Rejected
from tests.unit.core.agent.records import ACTIVE, BOUND, HOST, changed, following, slot_of

NAMES = (STEPS, CALLS, COST_MICROS, TOKENS, WALL_MS, HOPS, "orders")
COST = {COST_MICROS: 7, TOKENS: 3}
LIVELY = st.sampled_from([TransitionKind.STEP, TransitionKind.INTEND])


def agent(limit: int = 50, **limits: int) -> AgentRecord:
    """Return the record of an active, bound agent that has every budget, at time 0."""
    budgets = {name: Budget(limit=limits.get(name, limit)) for name in NAMES}
    return changed(BOUND, eligibility__budgets=budgets, eligibility__uncharged_since_ms=0)


def next_of(kind: TransitionKind, old: AgentRecord, **changes: Any) -> AgentRecord:
    """Return the record that its author would propose before anything is charged."""
    return following(old, **({"memory__journal": digest(old.digest)} | changes))


def check(
    kind: TransitionKind, old: AgentRecord, new: AgentRecord, at_ms: int, **cost: int
) -> None:
    made = Transition(kind=kind, parent=old.digest, record=new, author=HOST, at_ms=at_ms)
    check_transition(made, old, slot_of(old), cost)


def reason_of(
    kind: TransitionKind, old: AgentRecord, new: AgentRecord, at_ms: int, **cost: int
) -> str:
    try:
        check(kind, old, new, at_ms, **cost)
    except Rejected as rejected:
        return rejected.reason
    return ""


def spent(record: AgentRecord) -> dict[str, int]:
    return {name: budget.spent for name, budget in record.eligibility.budgets.items()}


MOVES = st.lists(
    st.tuples(
        LIVELY,
        st.integers(-20, 40),  # time that passed, by the author's clock
        st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)),  # what the code says it spent
        st.integers(0, 9),  # what the intent declares
    ),
    max_size=30,
)


@given(MOVES, st.integers(0, 60))
def test_section_2_spending_never_falls_nor_passes_its_limit_and_adds_up(
    moves: list[tuple[TransitionKind, int, dict[str, int], int]], limit: int
) -> None:
    """Whatever an honest author proposes is accepted, or would pass a limit; and it is accounted for."""
    head, at_ms, accepted, latest_ms = agent(limit), 0, [], 0
    for kind, passed_ms, amounts, cost in moves:
        at_ms = max(0, at_ms + passed_ms)
        declared = {COST_MICROS: cost, TOKENS: cost}
        budgets = spend(head.eligibility.budgets, amounts)
        plain = next_of(kind, head, eligibility__budgets=budgets)
        new = charged(kind, head, plain, at_ms, declared)
        assert new is charged(kind, head, new, at_ms, declared)
        reason = reason_of(kind, head, new, at_ms, **declared)
        assert reason in {"", "over-budget"}
        if reason:
            continue
        before, after = spent(head), spent(new)
        assert all(before[name] <= after[name] <= limit for name in NAMES)
        head, latest_ms = new, max(latest_ms, at_ms)
        accepted.append(kind)
    intents = accepted.count(TransitionKind.INTEND)
    assert spent(head)[CALLS] == intents
    assert spent(head)[STEPS] >= min(limit, len(accepted) - intents)
    assert spent(head)[WALL_MS] == min(limit, latest_ms)
    assert spent(head)[HOPS] == 0


@given(LIVELY, st.sampled_from(NAMES), st.integers(-3, 3).filter(bool), st.integers(0, 40))
def test_section_4_check_12_no_other_count_passes(
    kind: TransitionKind, name: str, by: int, at_ms: int
) -> None:
    head = changed(agent(), eligibility__budgets={n: Budget(limit=50, spent=5) for n in NAMES})
    declared = COST if kind is TransitionKind.INTEND else {}
    good = charged(kind, head, next_of(kind, head), at_ms, declared)
    check(kind, head, good, at_ms, **declared)
    budget = good.eligibility.budgets[name]
    budgets = good.eligibility.budgets | {name: replace(budget, spent=budget.spent + by)}
    told = changed(good, eligibility__budgets=budgets)
    is_claim = by > 0 and name not in (CALLS, WALL_MS, HOPS)
    if is_claim:
        check(kind, head, told, at_ms, **declared)
    else:
        with pytest.raises(Rejected) as caught:
            check(kind, head, told, at_ms, **declared)
        fell = told.eligibility.budgets[name].spent < 5
        assert ("bad-change" if fell else "miscounted") == caught.value.reason


@pytest.mark.parametrize("change", [{"spent": 4}, {"limit": 49}, {"spent": 51}])
def test_no_later_version_has_spent_less_or_may_spend_less(change: dict[str, int]) -> None:
    """What lies between an opening and a head is not shown: a zone that lies could give back what was spent."""
    head = changed(agent(), eligibility__budgets={n: Budget(limit=50, spent=5) for n in NAMES})
    later = following(head)
    check_constant(head, later)
    more = {name: Budget(limit=60, spent=6) for name in NAMES}
    check_constant(head, changed(later, eligibility__budgets=more))
    budgets = head.eligibility.budgets
    given_back = budgets | {HOPS: replace(budgets[HOPS], **change)}
    with pytest.raises(Rejected):
        check_constant(head, changed(later, eligibility__budgets=given_back))


def test_an_agent_without_budgets_counts_nothing() -> None:
    bare = changed(ACTIVE, eligibility__budgets={})
    new = next_of(TransitionKind.INTEND, bare)
    assert new is charged(TransitionKind.INTEND, bare, new, 99, COST)
    assert new.eligibility.uncharged_since_ms is None


@pytest.mark.parametrize("name", NAMES[:-1])
def test_each_budget_is_counted_by_itself(name: str) -> None:
    """An agent that has one of them is not asked about the others."""
    budgets = {name: Budget(limit=100)}
    since = 0 if name == WALL_MS else None
    head = changed(BOUND, eligibility__budgets=budgets, eligibility__uncharged_since_ms=since)
    for kind in (TransitionKind.STEP, TransitionKind.INTEND):
        new = charged(kind, head, next_of(kind, head), 11, COST)
        assert {name} == new.eligibility.budgets.keys()
        check(kind, head, new, 11, **COST)


def test_what_has_been_had_uses_up_a_budget_and_what_is_the_applications_does_not_fit() -> None:
    budgets = {name: Budget(limit=10, spent=8) for name in NAMES}
    after = spend(budgets, dict.fromkeys(NAMES, 5))
    full = {name for name, budget in after.items() if budget.spent == 10}
    assert {STEPS, COST_MICROS, TOKENS} == full
    assert 13 == after["orders"].spent  # which no anchor accepts


@pytest.mark.parametrize(
    ("kind", "limits", "said"),
    [
        (TransitionKind.INTEND, {"calls": 0}, "1 of budget 'calls' needed, 0 of 0 are spent"),
        (TransitionKind.INTEND, {"cost_micros": 6}, "7 of budget 'cost_micros' needed, 0 of 6"),
        (TransitionKind.INTEND, {"tokens": 2}, "sojourn agent grant AGENT tokens=\\+3"),
        (TransitionKind.DEPART, {"hops": 0}, "1 of budget 'hops' needed"),
    ],
)
def test_the_gate_says_which_budget_and_what_to_do(
    kind: TransitionKind, limits: dict[str, int], said: str
) -> None:
    declared = COST if kind is TransitionKind.INTEND else {}
    check_affordable(kind, agent(), declared)
    with pytest.raises(BudgetExhausted, match=said):
        check_affordable(kind, agent(**limits), declared)


@pytest.mark.parametrize("name", [STEPS, WALL_MS])
@pytest.mark.parametrize(
    ("kind", "before", "after", "may"),
    [
        (TransitionKind.STEP, Status.ACTIVE, Status.DORMANT, True),
        (TransitionKind.STEP, Status.ACTIVE, Status.ACTIVE, False),
        (TransitionKind.STEP, Status.DORMANT, Status.DORMANT, False),
        (TransitionKind.STEP, Status.DORMANT, Status.ACTIVE, False),
        (TransitionKind.INTEND, Status.ACTIVE, Status.ACTIVE, False),
        (TransitionKind.ASK, Status.ACTIVE, Status.ACTIVE, False),
        (TransitionKind.BIND, Status.ACTIVE, Status.ACTIVE, True),
        (TransitionKind.BIND, Status.DORMANT, Status.DORMANT, True),
    ],
)
def test_section_2_without_steps_or_time_an_agent_only_lies_down(
    name: str, kind: TransitionKind, before: Status, after: Status, may: bool
) -> None:
    head = changed(agent(**{name: 0}), eligibility__status=before)
    fields: dict[str, Any] = {"eligibility__status": after}
    if kind is TransitionKind.BIND:
        new = following(head, custody__binding=head.custody.binding + 1, **fields)
    else:
        asked = Pending(petition=digest(b"asked"), expires_ms=9)
        fields |= {"eligibility__petitions": (asked,)} if kind is TransitionKind.ASK else {}
        new = next_of(kind, head, **fields)
    new = charged(kind, head, new, 5)
    if may:
        check(kind, head, new, 5)
        assert 0 == spent(new)[name]
    else:
        with pytest.raises(Rejected, match=f"its {name} are used up"):
            check(kind, head, new, 5)
