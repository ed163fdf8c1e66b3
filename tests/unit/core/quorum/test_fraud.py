"""Fraud proofs (protocol §11.5): two votes at odds convict whoever cast them, and nobody else, by what they say."""

import random

import pytest
from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.quorum.certificates import Certificate, LockSummary
from sojourn.core.quorum.fraud import Fraud, frauds_in
from sojourn.core.quorum.votes import Ballot, Phase, Vote
from sojourn.testing.checkers.blame import is_fraud
from tests.unit.core.quorum.voters import Voters, X, Y, other_slots

Z = Voters()
LIAR = 2


def vote(value: bytes = X, round: int = 0, phase: Phase = Phase.LOCK, **more: object) -> Vote:
    return Z.signed(replace(Z.ballot(LIAR, value, round=round, phase=phase), **more))


def reason(one: Vote, other: Vote, shown: Certificate | None = None) -> str:
    """Return why two votes are no proof, the same in either order; nothing if they are one."""
    said = {_reason(Fraud(one=a, other=b, shown=shown)) for a, b in ((one, other), (other, one))}
    assert 1 == len(said)
    return said.pop()


def _reason(fraud: Fraud) -> str:
    try:
        fraud.check(Z.committee)
    except Rejected as error:
        return error.reason
    return ""


# (a) two values in one slot, round and phase


@pytest.mark.parametrize("phase", [Phase.LOCK, Phase.COMMIT, Phase.ROUND])
def test_section_11_two_values_in_one_slot_round_and_phase_are_fraud(phase: Phase) -> None:
    assert "" == reason(vote(X, phase=phase), vote(Y, phase=phase))


def test_section_11_visas_for_two_terms_are_none() -> None:
    assert "no-fraud" == reason(vote(X, phase=Phase.VISA), vote(Y, phase=Phase.VISA))


def test_what_an_honest_anchor_casts_is_none() -> None:
    assert "no-fraud" == reason(vote(X), vote(X, counter=99)), "the same again"
    assert "no-fraud" == reason(vote(X, 0), vote(Y, 1)), "a value that was not locked"
    assert "no-fraud" == reason(vote(X, 0), vote(Y, 1, Phase.COMMIT)), "the lock came before"
    assert "no-fraud" == reason(vote(X), vote(Y, phase=Phase.ROUND))
    same = vote(X, 0, Phase.COMMIT), vote(X, 3)
    assert "no-fraud" == reason(*same)


@pytest.mark.parametrize("field", other_slots())
def test_votes_in_two_slots_are_none(field: str) -> None:
    assert "wrong-slot" == reason(vote(X), vote(Y, slot=other_slots()[field]))


def test_section_11_two_anchors_that_disagree_are_none() -> None:
    assert "wrong-slot" == reason(vote(X), Z.vote(1, Y, phase=Phase.LOCK))


def test_section_11_nobody_is_convicted_by_a_vote_that_is_not_its_own() -> None:
    forged = Z.signed(Z.ballot(LIAR, Y, phase=Phase.LOCK), key=Z.pairs[1])
    assert "wrong-key" == reason(vote(X), forged)
    spoilt = replace(vote(Y), seal=vote(X).seal)
    assert "bad-signature" == reason(vote(X), spoilt)
    with pytest.raises(Rejected) as caught:
        Fraud(one=vote(X), other=vote(Y)).check(Voters(epoch=4).committee)
    assert "wrong-epoch" == caught.value.reason


def test_votes_under_one_seal_of_many_are_a_proof() -> None:
    mine = [Z.ballot(LIAR, value, phase=Phase.LOCK) for value in (X, Y)]
    one, other = Z.batched(mine)
    assert "" == reason(one, other)


# (b) a lock on another value, for no reason


COMMIT = vote(X, 2, Phase.COMMIT)


def lock_of(value: bytes, round: int) -> Certificate:
    return Z.certificate((0, 1, 3), value, round=round, phase=Phase.LOCK)


def leaning(on: Certificate, round: int = 5) -> Vote:
    return vote(Y, round, justification=digest_of(on))


def test_section_11_a_lock_vote_for_another_value_that_names_nothing_is_fraud() -> None:
    assert "" == reason(COMMIT, vote(Y, 3))
    assert "no-fraud" == reason(COMMIT, vote(Y, 2)), "it may have been cast before"


@pytest.mark.parametrize("round", [3, 4, 5])
def test_section_11_one_that_leans_on_a_lock_in_between_is_none(round: int) -> None:
    explained = lock_of(Y, round)
    assert "no-fraud" == reason(COMMIT, leaning(explained), explained)


@pytest.mark.parametrize(
    "false",
    [
        lock_of(Y, 2),
        lock_of(Y, 6),
        lock_of(X, 4),
        Z.certificate((0, 1, 3), Y, round=4),
        replace(lock_of(Y, 4), votes=lock_of(Y, 4).votes[:2]),
        replace(lock_of(Y, 4), votes=lock_of(Y, 3).votes),
    ],
    ids=["too early", "too late", "of another value", "a commit", "no quorum", "unsigned"],
)
def test_section_11_one_that_leans_on_anything_else_is_fraud(false: Certificate) -> None:
    assert "" == reason(COMMIT, leaning(false), false)


def test_section_11_what_is_named_and_not_shown_proves_nothing() -> None:
    explained = lock_of(Y, 4)
    assert "no-fraud" == reason(COMMIT, leaning(explained))
    assert "no-fraud" == reason(COMMIT, leaning(explained), lock_of(X, 4)), "another is shown"


# What certificates prove


def test_section_11_two_certificates_convict_those_who_signed_both() -> None:
    mine, theirs = (
        Z.certificate(anchors, value, phase=Phase.LOCK)
        for anchors, value in (((0, 1, 2), X), ((1, 2, 3), Y))
    )
    assert [1, 2] == [fraud.anchor for fraud in frauds_in([mine, theirs], Z.committee)]
    assert [] == frauds_in([mine, mine, lock_of(Y, 1)], Z.committee)


def test_section_11_the_oracle_of_the_simulator_says_the_same() -> None:
    """It was written apart: here all justifications that are named are shown to both."""
    chance = random.Random(7)
    known = [lock_of(value, round) for value in (X, Y) for round in range(4)]
    shown = {digest_of(each): each for each in known}
    found = 0
    for _ in range(3000):
        one, other = (_any_ballot(chance, known) for _ in range(2))
        lock = one if one.phase is Phase.LOCK else other
        fraud = Fraud(
            one=Z.signed(one),
            other=Z.signed(other),
            shown=shown.get(lock.justification or b""),
        )
        assert is_fraud(one, other, shown) == (_reason(fraud) == ""), (one, other)
        found += is_fraud(one, other, shown)
    assert 100 < found < 2900


def _any_ballot(chance: random.Random, known: list[Certificate]) -> Ballot:
    phase, value = chance.choice(list(Phase)), chance.choice((X, Y))
    if phase is Phase.ROUND:
        value = digest_of(LockSummary(round=0, value=value))
    leans = chance.choice([None, *known]) if phase is Phase.LOCK else None
    ballot = Z.ballot(LIAR, value, round=chance.randrange(4), phase=phase)
    return replace(ballot, justification=digest_of(leans) if leans else None)
