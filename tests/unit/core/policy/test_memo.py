"""The memory of decisions."""

from msgspec.structs import replace

from sojourn.core.policy.decision import Decision
from sojourn.core.policy.engine import evaluate, evaluate_all
from sojourn.core.policy.memo import Memo
from tests.unit.core.policy.samples import VIRGINIA, eu_finance, policy, request


def _numbered(number: int) -> Decision:
    return replace(evaluate(eu_finance(), request()), request_digest=bytes([number]) * 32)


def _held(memo: Memo, decision: Decision) -> bool:
    return memo.get(decision.policy_digest, decision.request_digest) is not None


def test_what_was_unused_for_longest_is_forgotten() -> None:
    memo = Memo(limit=2)
    first, second, third = map(_numbered, (1, 2, 3))
    memo.put(first)
    memo.put(second)
    assert first is memo.get(first.policy_digest, first.request_digest)
    memo.put(third)
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
