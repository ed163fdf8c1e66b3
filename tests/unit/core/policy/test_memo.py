"""The memory of decisions."""

from sojourn.core.policy.engine import evaluate, evaluate_all
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import PolicyRequest
from tests.unit.core.policy.samples import VIRGINIA, eu_finance, policy, request


def _held(memo: Memo, asked: PolicyRequest) -> bool:
    return memo.get(eu_finance().digest, asked) is not None


def test_what_was_unused_for_longest_is_forgotten() -> None:
    memo = Memo(limit=2)
    first, second, third = (request(cost_micros=cost) for cost in (1, 2, 3))
    decision = evaluate(eu_finance(), first)
    memo.put(first, decision)
    memo.put(second, evaluate(eu_finance(), second))
    assert decision is memo.get(eu_finance().digest, first)
    memo.put(third, evaluate(eu_finance(), third))
    assert [True, False, True] == [_held(memo, each) for each in (first, second, third)]
    assert 2 == len(memo)


def test_an_equal_request_gets_the_remembered_decision() -> None:
    memo = Memo()
    parties = [("mine", eu_finance())]
    (first,) = evaluate_all(parties, request(labels=("a",)), memo).decisions
    (again,) = evaluate_all(parties, request(labels=("a",)), memo).decisions
    assert first.decision is again.decision
    assert 1 == len(memo)


def test_another_request_or_policy_does_not() -> None:
    memo = Memo()
    evaluate_all([("mine", eu_finance())], request(), memo)
    elsewhere = evaluate_all([("mine", eu_finance())], request(where=VIRGINIA), memo)
    assert ("mine",) == elsewhere.denied_by
    stricter = policy('permit (principal, action == Action::"retire", resource);')
    assert ("mine",) == evaluate_all([("mine", stricter)], request(), memo).denied_by
    assert 3 == len(memo)
