"""Who may approve what, and until when (protocol §10): groups, their turns, and how a petition stands."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.approvals import (
    Approval,
    Approvers,
    Demand,
    Petition,
    SignedApproval,
    Standing,
    Turn,
    check_approvers,
    check_may_answer,
    standing,
    turns,
)
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.base.seals import Kind, Role
from sojourn.core.policy.decision import Ask
from tests.samples import NOW_MS, key, seal

ANN, BEN, CAT, DAN = (key(name) for name in ("ann", "ben", "cat", "dan"))
HOUR = 3_600_000
DESK = Approvers(
    keys=(ANN.public, BEN.public),
    needed=2,
    lasts_ms=8 * HOUR,
    escalate_to="risk",
    after_ms=2 * HOUR,
)
RISK = Approvers(keys=(CAT.public,), lasts_ms=HOUR, escalate_to="board", after_ms=HOUR)
BOARD = Approvers(keys=(DAN.public,), lasts_ms=HOUR)
GROUPS = {"desk": DESK, "risk": RISK, "board": BOARD}
RULES = digest(b"policy")
DEMANDS = (Demand(policy=RULES, asks=(Ask(document="acme/rules", group="desk"),)),)
PETITION = Petition(
    agent=digest(b"agent"),
    version=7,
    policy=RULES,
    request=digest(b"request"),
    demands=DEMANDS,
    step="hedge",
    action="order.place",
    effect="once",
    arguments=digest(b"arguments"),
    asked_ms=NOW_MS,
    expires_ms=NOW_MS + 8 * HOUR,
)
TURNS = turns(DEMANDS, NOW_MS, {RULES: {"acme/rules": GROUPS}})


def answer(
    pair: Any, *, is_approved: bool = True, by: Any = None, **changes: Any
) -> SignedApproval:
    approval = Approval(
        agent=PETITION.agent,
        petition=digest_of(PETITION),
        approver=pair.public,
        is_approved=is_approved,
        issued_ms=NOW_MS,
        expires_ms=NOW_MS + 9 * HOUR,
    )
    approval = replace(approval, **changes)
    sealed = seal(by or pair, Kind.APPROVAL, Role.PERSON, digest_of(approval))
    return SignedApproval(approval=approval, seal=sealed)


def stands(*answers: SignedApproval, after_ms: int = 0) -> str:
    return standing(PETITION, TURNS, answers, NOW_MS + after_ms)


# Groups


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"desk": replace(DESK, keys=(ANN.public,) * 2)}, "approvers.desk.keys"),
        ({"desk": replace(DESK, needed=3)}, "approvers.desk.needed"),
        ({"desk": replace(DESK, needed=0)}, "approvers.desk.needed"),
        ({"risk": replace(RISK, escalate_to="nobody")}, "approvers.desk.escalate_to"),
        ({"board": replace(BOARD, escalate_to="desk")}, "approvers.desk.escalate_to"),
        ({"board": replace(BOARD, escalate_to="board")}, "approvers.desk.escalate_to"),
        ({"desk": replace(DESK, lasts_ms=3 * HOUR)}, "approvers.desk.escalate_to"),
        ({"risk": replace(RISK, lasts_ms=HOUR - 1)}, "approvers.risk.escalate_to"),
    ],
)
def test_groups_that_cannot_approve_are_told(changes: dict[str, Approvers], where: str) -> None:
    sound = {"desk": DESK, "risk": replace(RISK, lasts_ms=2 * HOUR), "board": BOARD}
    check_approvers(sound)
    with pytest.raises(Rejected) as caught:
        check_approvers(sound | changes)
    assert ("bad-approvers", where) == (caught.value.reason, caught.value.where)


def test_groups_have_their_turns_one_after_the_other() -> None:
    until_ms = NOW_MS + 8 * HOUR
    assert TURNS == (
        Turn(RULES, "desk", DESK, NOW_MS, until_ms),
        Turn(RULES, "risk", RISK, NOW_MS + 2 * HOUR, until_ms),
        Turn(RULES, "board", BOARD, NOW_MS + 3 * HOUR, until_ms),
    )


def test_a_group_that_nobody_declared_has_no_say() -> None:
    assert () == turns(DEMANDS, NOW_MS, {RULES: {"acme/other": GROUPS}})
    assert () == turns(DEMANDS, NOW_MS, {RULES: {"acme/rules": {}}})
    assert () == turns(DEMANDS, NOW_MS, {digest(b"other"): {"acme/rules": GROUPS}})
    assert Standing.EXPIRED == standing(PETITION, (), [answer(ANN), answer(BEN)], NOW_MS)


# How a petition stands


def test_it_takes_as_many_approvers_of_one_group_as_it_needs() -> None:
    assert Standing.OPEN == stands()
    assert Standing.OPEN == stands(answer(ANN))
    assert Standing.OPEN == stands(answer(ANN), answer(ANN, reason="again"))
    assert Standing.APPROVED == stands(answer(ANN), answer(BEN))


def test_the_next_group_has_no_say_before_its_turn_and_is_not_added_up() -> None:
    assert Standing.OPEN == stands(answer(ANN), answer(CAT), after_ms=2 * HOUR - 1)
    assert Standing.APPROVED == stands(answer(CAT), after_ms=2 * HOUR)
    assert Standing.APPROVED == stands(answer(ANN), answer(BEN), after_ms=3 * HOUR)
    assert Standing.OPEN == stands(answer(ANN), answer(DAN), after_ms=3 * HOUR - 1)
    assert Standing.APPROVED == stands(answer(DAN), after_ms=3 * HOUR)


def test_it_expires() -> None:
    both = (answer(ANN), answer(BEN))
    assert Standing.APPROVED == stands(*both, after_ms=8 * HOUR - 1)
    assert Standing.EXPIRED == stands(*both, after_ms=8 * HOUR)


def test_one_who_has_a_say_can_decline_whoever_approved() -> None:
    both = (answer(ANN), answer(BEN))
    assert Standing.DECLINED == stands(answer(BEN, is_approved=False))
    assert Standing.DECLINED == stands(*both, answer(BEN, is_approved=False))
    assert Standing.APPROVED == stands(*both, answer(CAT, is_approved=False))
    late = {"after_ms": 2 * HOUR}
    assert Standing.DECLINED == stands(*both, answer(CAT, is_approved=False), **late)
    assert Standing.DECLINED == stands(answer(ANN, is_approved=False, expires_ms=NOW_MS))


def test_an_approval_counts_for_its_petition_and_while_it_holds() -> None:
    other = replace(PETITION, arguments=digest(b"other arguments"))
    for wrong in (
        {"petition": digest_of(other)},
        {"petition": digest_of(replace(PETITION, version=8))},
        {"expires_ms": NOW_MS},
        {"issued_ms": NOW_MS + CLOCK_SKEW_MS + 1},
    ):
        assert Standing.OPEN == stands(answer(ANN), answer(BEN, **wrong)), wrong
    assert Standing.APPROVED == stands(answer(ANN), answer(BEN, issued_ms=NOW_MS + CLOCK_SKEW_MS))


@given(
    st.sets(st.sampled_from([0, 1, 2, 3])),
    st.sets(st.sampled_from([0, 1, 2, 3])),
    st.integers(0, 9 * HOUR),
)
def test_it_stands_as_the_rules_say(yes: set[int], no: set[int], after_ms: int) -> None:
    people = (ANN, BEN, CAT, DAN)
    said = [_unsealed(people[i], True) for i in yes] + [_unsealed(people[i], False) for i in no]
    open_to = {0, 1} | ({2} if after_ms >= 2 * HOUR else set())
    open_to |= {3} if after_ms >= 3 * HOUR else set()
    if after_ms >= 8 * HOUR:
        expected = "expired"
    elif no & open_to:
        expected = "declined"
    elif {0, 1} <= yes or (2 in yes & open_to) or (3 in yes & open_to):
        expected = "approved"
    else:
        expected = "open"
    assert expected == stands(*said, after_ms=after_ms)


SEAL = answer(ANN).seal


def _unsealed(pair: Any, is_approved: bool) -> SignedApproval:
    approval = replace(answer(ANN).approval, approver=pair.public, is_approved=is_approved)
    return SignedApproval(approval=approval, seal=SEAL)


# Who answers


def test_an_answer_is_sealed_by_who_has_a_say() -> None:
    check_may_answer(TURNS, answer(ANN), NOW_MS)
    check_may_answer(TURNS, answer(CAT), NOW_MS + 2 * HOUR)
    for wrong, reason in (
        (answer(CAT), "wrong-key"),
        (answer(key("eve")), "wrong-key"),
        (answer(ANN, by=key("eve")), "wrong-key"),
        (replace(answer(ANN), seal=answer(ANN, is_approved=False).seal), "bad-signature"),
    ):
        with pytest.raises(Rejected) as caught:
            check_may_answer(TURNS, wrong, NOW_MS)
        assert reason == caught.value.reason


def test_trap_11_a_message_of_the_same_bytes_is_no_approval() -> None:
    approval = answer(ANN).approval
    sealed = seal(ANN, Kind.MESSAGE, Role.PERSON, digest_of(approval))
    with pytest.raises(Rejected, match="does not cover this approval"):
        SignedApproval(approval=approval, seal=sealed).check()
