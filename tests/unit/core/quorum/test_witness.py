"""A witness (protocol §11.7) convicts whoever said two things, from whatever it hears of, and nobody else."""

from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import WITNESSED_CERTIFICATES_MAX
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Phase, Vote
from sojourn.core.quorum.witness import Witness
from tests.unit.core.quorum.voters import SLOT, Voters, X, Y

Z = Voters()
LIAR = 2
LOCK_X = Z.certificate((0, 1, LIAR), X, phase=Phase.LOCK)


def vote(value: bytes, round: int = 0, phase: Phase = Phase.LOCK, anchor: int = LIAR) -> Vote:
    return Z.vote(anchor, value, round=round, phase=phase)


def named(found: list[Fraud]) -> list[int]:
    """Return whom proofs name, each checked."""
    for proof in found:
        proof.check(Z.committee)
    return [proof.anchor for proof in found]


def test_section_11_a_vote_that_was_given_in_vain_convicts_who_is_in_the_certificate() -> None:
    witness = Witness(Z.committee)
    assert [] == witness.take([LOCK_X])
    assert [LIAR] == named(witness.take(votes=[vote(Y)]))


def test_section_11_whatever_is_heard_first() -> None:
    witness = Witness(Z.committee)
    assert [] == witness.take(votes=[vote(Y)])
    assert [LIAR] == named(witness.take([LOCK_X]))
    two = Witness(Z.committee)
    assert [LIAR] == named(two.take(votes=[vote(Y), vote(X)]))


def test_section_11_two_certificates_convict_those_who_signed_both() -> None:
    witness = Witness(Z.committee)
    witness.take([LOCK_X])
    other = Z.certificate((1, LIAR, 3), Y, phase=Phase.LOCK)
    assert [1, LIAR] == named(witness.compare([other]))


def test_section_11_a_lock_that_is_seen_explains_a_later_vote() -> None:
    """Kind (b): the justification is shown if the witness has seen it."""
    lock_y = Z.certificate((0, 1, 3), Y, round=1, phase=Phase.LOCK)
    leaning = replace(vote(Y, 2).ballot, justification=digest_of(lock_y))
    for seen, expected in (([lock_y], []), ([], [])):
        witness = Witness(Z.committee)
        witness.take(seen, [vote(X, 0, Phase.COMMIT)])
        assert expected == named(witness.take(votes=[Z.signed(leaning)]))
    witness = Witness(Z.committee)
    witness.take(votes=[vote(X, 0, Phase.COMMIT)])
    assert [LIAR] == named(witness.take(votes=[vote(Y, 2)])), "it names no justification"


def test_section_11_a_lock_that_explains_nothing_is_shown_with_the_proof() -> None:
    lock_x = Z.certificate((0, 1, 3), X, round=1, phase=Phase.LOCK)
    leaning = replace(vote(Y, 2).ballot, justification=digest_of(lock_x))
    witness = Witness(Z.committee)
    witness.take([lock_x], [vote(X, 0, Phase.COMMIT)])
    [proof] = witness.take(votes=[Z.signed(leaning)])
    assert lock_x == proof.shown


def test_section_11_what_an_honest_anchor_says_convicts_nobody() -> None:
    witness = Witness(Z.committee)
    commit_y = Z.certificate((0, 1, LIAR), Y, round=1)
    lock_y = Z.certificate((0, 1, LIAR), Y, round=1, phase=Phase.LOCK)
    assert [] == witness.take([LOCK_X, lock_y, commit_y], [vote(X), vote(Y, 1, anchor=3)])
    assert [] == witness.take([LOCK_X, lock_y, commit_y], [vote(X), vote(Y, 1, anchor=3)])


def test_section_11_nobody_is_convicted_by_what_another_signed() -> None:
    witness = Witness(Z.committee)
    witness.take([LOCK_X])
    forged = Z.signed(vote(Y).ballot, key=Z.pairs[1])
    assert [] == witness.compare(votes=[forged])
    spoilt = replace(LOCK_X, value=Y)
    assert [] == witness.compare([spoilt])
    assert [LIAR] == named(witness.take(votes=[vote(Y)])), "nor is anybody hidden by it"


def test_each_is_convicted_once() -> None:
    witness = Witness(Z.committee)
    witness.take([LOCK_X])
    assert [LIAR] == named(witness.take(votes=[vote(Y)]))
    assert [] == witness.take(votes=[vote(Y), vote(digest_of(vote(Y).ballot))])


def test_what_is_compared_is_not_remembered() -> None:
    witness = Witness(Z.committee)
    assert [] == witness.compare([LOCK_X], [vote(Y)])
    assert not witness.has_seen(SLOT)


def test_the_newest_slots_are_remembered() -> None:
    witness = Witness(Z.committee, slots_max=2)
    slots = [replace(SLOT, version=version) for version in range(3)]
    for slot in slots:
        witness.take(votes=[Z.signed(replace(vote(X).ballot, slot=slot))])
    assert [False, True, True] == [witness.has_seen(slot) for slot in slots]


def test_one_slot_is_remembered_up_to_a_bound_for_each_anchor() -> None:
    witness = Witness(Z.committee)
    witness.take(votes=[vote(X, round) for round in range(WITNESSED_CERTIFICATES_MAX)])
    witness.take(votes=[vote(X, 99), vote(X, 99, anchor=1)])
    assert [] == witness.compare(votes=[vote(Y, 99)]), "there was no room"
    assert [1] == named(witness.compare(votes=[vote(Y, 99, anchor=1)]))


def test_votes_of_another_zone_or_epoch_are_none_of_its_business() -> None:
    witness = Witness(Z.committee)
    other = Voters(epoch=4)
    slot = replace(SLOT, epoch=4)
    strange = [other.signed(replace(vote(value).ballot, slot=slot)) for value in (X, Y)]
    assert [] == witness.take(votes=strange)
    assert not witness.has_seen(slot)
