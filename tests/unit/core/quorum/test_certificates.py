"""Certificates: a quorum's votes, all for the same thing (protocol §2, §3; traps 1, 3, 9, 10, 12, 13)."""

from collections.abc import Callable
from itertools import combinations, permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ANCHORS_MAX, CERTIFICATE_BYTES_MAX
from sojourn.core.quorum.certificates import (
    Certificate,
    Endorsed,
    LockSummary,
    RoundCertificate,
    certify,
)
from sojourn.core.quorum.votes import Phase
from tests.unit.core.quorum.voters import SLOT, Voters, X, Y, other_slots, pair

FOUR, SEVEN = Voters(4, 1), Voters(7, 2)
CERTIFICATE = FOUR.certificate([0, 1, 3])
LOCKS = {0: LockSummary(), 1: LockSummary(round=1, value=X), 3: LockSummary(round=0, value=Y)}
ROUND_CERTIFICATE = FOUR.round_certificate(LOCKS, round=2)


def _reason(
    certificate: Certificate, voters: Voters = FOUR, *, phase: Phase = Phase.COMMIT
) -> tuple[str, str]:
    with pytest.raises(Rejected) as caught:
        certificate.check(phase, voters.committee)
    return caught.value.reason, caught.value.where


def _round_reason(certificate: RoundCertificate) -> tuple[str, str]:
    with pytest.raises(Rejected) as caught:
        certificate.check(FOUR.committee)
    return caught.value.reason, caught.value.where


def test_a_part_of_a_certificate_leans_on_no_lock_unless_it_names_one() -> None:
    part = Endorsed(anchor=0, counter=1, seal=CERTIFICATE.votes[0].seal)
    certificate = replace(CERTIFICATE, votes=(part,))
    assert certificate.vote(part).ballot.justification is None
    assert certificate == decode(
        encode(certificate), Certificate, what="certificate", limit=CERTIFICATE_BYTES_MAX
    )


# --- what holds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("anchors", [c for k in (3, 4) for c in combinations(range(4), k)], ids=str)
def test_any_quorum_makes_a_certificate(anchors: tuple[int, ...]) -> None:
    certificate = FOUR.certificate(anchors)
    certificate.check(Phase.COMMIT, FOUR.committee)
    assert anchors == certificate.signers()
    assert certificate == decode(
        encode(certificate), Certificate, what="c", limit=CERTIFICATE_BYTES_MAX
    )


def test_a_single_anchor_is_its_own_quorum() -> None:
    alone = Voters(1, 0)
    alone.certificate([0]).check(Phase.COMMIT, alone.committee)
    assert ("no-quorum", "certificate") == _reason(replace(alone.certificate([0]), votes=()), alone)


@given(st.sets(st.integers(0, 6), min_size=5), st.randoms())
@settings(max_examples=40)
def test_trap_9_what_is_certified_does_not_depend_on_who_signed_or_in_which_order(
    anchors: set[int], random: Random
) -> None:
    votes = [SEVEN.vote(anchor) for anchor in anchors]
    random.shuffle(votes)
    certificate = certify(votes, SEVEN.committee)
    assert (SLOT, 0, Phase.COMMIT, X) == (
        certificate.slot,
        certificate.round,
        certificate.phase,
        certificate.value,
    )
    assert certificate == certify(sorted(votes, key=lambda v: v.ballot.anchor), SEVEN.committee)
    certificate.check(Phase.COMMIT, SEVEN.committee)


def test_a_certificate_holds_the_votes_it_was_made_of() -> None:
    votes = [
        FOUR.signed(FOUR.ballot(anchor, justification=digest(b"lock %d" % anchor)))
        for anchor in (3, 0, 2)
    ]
    certificate = certify(votes, FOUR.committee)
    certificate.check(Phase.COMMIT, FOUR.committee)
    held = [certificate.vote(part) for part in certificate.votes]
    assert sorted(votes, key=lambda v: v.ballot.anchor) == held


def test_votes_from_batches_make_a_certificate() -> None:
    other = replace(SLOT, agent=digest(b"another agent"))
    votes = [FOUR.batched([FOUR.ballot(a), FOUR.ballot(a, slot=other)])[0] for a in range(3)]
    certify(votes, FOUR.committee).check(Phase.COMMIT, FOUR.committee)


def test_the_largest_certificate_is_within_the_limit() -> None:
    most = Voters(ANCHORS_MAX, 10)
    slots = [replace(SLOT, version=version) for version in range(1024)]
    batched = most.batched([most.ballot(0, slot=slot) for slot in slots])[0].seal
    whole = most.certificate(range(ANCHORS_MAX))
    grown = [
        replace(part, seal=replace(part.seal, inclusion=batched.inclusion)) for part in whole.votes
    ]
    assert len(encode(replace(whole, votes=tuple(grown)))) < CERTIFICATE_BYTES_MAX


# --- what does not -----------------------------------------------------------------------------------


def _with_votes(*anchors: int) -> Certificate:
    parts = {part.anchor: part for part in FOUR.certificate(range(4)).votes}
    return replace(CERTIFICATE, votes=tuple(parts[anchor] for anchor in anchors))


@pytest.mark.parametrize(
    ("anchors", "reason"),
    [
        ((), "no-quorum"),
        ((0, 1), "no-quorum"),
        ((0, 1, 1), "duplicate-signer"),
        ((0, 0, 0, 0), "duplicate-signer"),
        ((1, 1, 2, 3), "duplicate-signer"),
        ((1, 0, 2), "duplicate-signer"),
        ((3, 2, 1, 0), "duplicate-signer"),
    ],
)
def test_trap_10_only_distinct_anchors_in_order_and_enough_of_them_count(
    anchors: tuple[int, ...], reason: str
) -> None:
    assert (reason, "certificate") == _reason(_with_votes(*anchors))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 10, 13])
def test_trap_10_one_vote_less_than_n_minus_f_is_no_quorum(n: int) -> None:
    f = (n - 1) // 3
    voters = Voters(n, f)
    full = voters.certificate(range(n))
    replace(full, votes=full.votes[f:]).check(Phase.COMMIT, voters.committee)
    assert ("no-quorum", "certificate") == _reason(replace(full, votes=full.votes[f + 1 :]), voters)


@pytest.mark.parametrize("field", other_slots())
def test_trap_12_a_certificate_holds_for_its_own_slot_alone(field: str) -> None:
    expected = {"group": ("wrong-zone", "certificate"), "epoch": ("wrong-epoch", "certificate")}
    moved = replace(CERTIFICATE, slot=other_slots()[field])
    assert expected.get(field, ("bad-signature", "certificate.votes[0].seal")) == _reason(moved)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, round=1),
        lambda c: replace(c, phase=Phase.LOCK),
        lambda c: replace(c, value=Y),
    ],
    ids=["round", "phase", "value"],
)
def test_a_certificate_holds_for_its_own_round_phase_and_value_alone(
    change: Callable[[Certificate], Certificate],
) -> None:
    changed = change(CERTIFICATE)
    bad = ("bad-signature", "certificate.votes[0].seal")
    assert bad == _reason(changed, phase=changed.phase)


@pytest.mark.parametrize(("held", "needed"), list(permutations(Phase, 2)))
def test_trap_1_a_certificate_of_one_phase_is_none_of_another(held: Phase, needed: Phase) -> None:
    certificate = FOUR.certificate([0, 1, 2], phase=held)
    certificate.check(held, FOUR.committee)
    assert ("wrong-phase", "certificate") == _reason(certificate, phase=needed)
    renamed = replace(certificate, phase=needed)
    assert ("bad-signature", "certificate.votes[0].seal") == _reason(renamed, phase=needed)


def test_the_phase_is_looked_at_before_anything_else() -> None:
    """Whoever needs a commit hears that it got a lock, whatever else is wrong with that."""
    nobody = replace(FOUR.certificate([0, 1, 2], phase=Phase.LOCK), votes=())
    assert ("wrong-phase", "certificate") == _reason(nobody, Voters(zone=digest(b"elsewhere")))


@pytest.mark.parametrize(
    ("value", "round", "phase"), [(X, 1, Phase.COMMIT), (X, 0, Phase.LOCK), (Y, 0, Phase.COMMIT)]
)
def test_trap_3_votes_of_another_round_phase_or_value_cannot_be_mixed_in(
    value: bytes, round: int, phase: Phase
) -> None:
    stray = FOUR.vote(3, value, round=round, phase=phase)
    part = Endorsed(anchor=3, counter=stray.ballot.counter, seal=stray.seal)
    mixed = replace(CERTIFICATE, votes=(*CERTIFICATE.votes[:2], part))
    assert ("bad-signature", "certificate.votes[2].seal") == _reason(mixed)
    with pytest.raises(AssertionError):
        certify([FOUR.vote(0), FOUR.vote(1), stray], FOUR.committee)


def test_too_few_votes_are_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        FOUR.certificate([0, 1])


def test_trap_13_a_committee_of_strangers_is_no_committee() -> None:
    """The same zone and epoch, and a quorum of keys that nobody vouched for."""
    strangers = Voters()
    strangers.pairs = [pair(f"stranger {i}") for i in range(4)]
    assert ("wrong-key", "certificate.votes[0].seal") == _reason(strangers.certificate(range(3)))


def test_wrong_zone_epoch_anchor_key_and_signature_have_their_reasons() -> None:
    assert ("wrong-zone", "certificate") == _reason(CERTIFICATE, Voters(zone=digest(b"elsewhere")))
    assert ("wrong-epoch", "certificate") == _reason(CERTIFICATE, Voters(epoch=2))
    first, second, third = CERTIFICATE.votes
    beyond = replace(CERTIFICATE, votes=(first, second, replace(third, anchor=4)))
    assert ("unknown-anchor", "certificate") == _reason(beyond)
    moved = replace(CERTIFICATE, votes=(first, second, replace(third, anchor=2)))
    assert ("wrong-key", "certificate.votes[2].seal") == _reason(moved)
    counted = replace(CERTIFICATE, votes=(first, replace(second, counter=0), third))
    assert ("bad-signature", "certificate.votes[1].seal") == _reason(counted)
    leaned = replace(CERTIFICATE, votes=(replace(first, justification=X), second, third))
    assert ("bad-signature", "certificate.votes[0].seal") == _reason(leaned)


def test_an_anchor_there_is_none_of_is_noticed_before_any_signature_is_looked_at() -> None:
    forged = [
        replace(part, seal=replace(part.seal, signature=bytes(64))) for part in CERTIFICATE.votes
    ]
    beyond = (*forged[:2], replace(forged[2], anchor=4))
    assert ("unknown-anchor", "certificate") == _reason(replace(CERTIFICATE, votes=beyond))


def test_more_parts_than_any_committee_has_are_rejected_when_read() -> None:
    crowd = replace(CERTIFICATE, votes=CERTIFICATE.votes[:1] * (ANCHORS_MAX + 1))
    with pytest.raises(Rejected) as caught:
        decode(encode(crowd), Certificate, what="certificate", limit=CERTIFICATE_BYTES_MAX)
    assert ("bad-field", "certificate.votes") == (caught.value.reason, caught.value.where)


# --- leaving a round ---------------------------------------------------------------------------------


def test_a_quorum_that_wants_to_leave_a_round_may_be_locked_differently() -> None:
    ROUND_CERTIFICATE.check(FOUR.committee)
    data = encode(ROUND_CERTIFICATE)
    limit = CERTIFICATE_BYTES_MAX
    assert ROUND_CERTIFICATE == decode(data, RoundCertificate, what="r", limit=limit)


@pytest.mark.parametrize("summary", [LockSummary(round=0), LockSummary(value=X)], ids=repr)
def test_half_a_lock_summary_is_rejected(summary: LockSummary) -> None:
    """Signed as it is: an anchor that says a round without a value, or the reverse, says nothing."""
    votes = FOUR.round_certificate({0: LockSummary(), 1: summary, 2: LockSummary()}, round=2)
    assert ("bad-summary", "round-certificate.votes[1]") == _round_reason(votes)


@pytest.mark.parametrize("later", [3, 2**62])
def test_trap_26_nobody_leaves_a_round_with_a_lock_from_a_later_one(later: int) -> None:
    lock = LockSummary(round=later, value=X)
    left = FOUR.round_certificate({0: LockSummary(), 1: LockSummary(), 2: lock}, round=2)
    assert ("bad-summary", "round-certificate.votes[2]") == _round_reason(left)
    same = FOUR.round_certificate({0: LOCKS[1], 1: LOCKS[1], 2: LOCKS[1]}, round=1)
    same.check(FOUR.committee)


@pytest.mark.parametrize(
    ("anchors", "reason"),
    [
        ((), "no-quorum"),
        ((0, 1), "no-quorum"),
        ((0, 1, 1), "duplicate-signer"),
        ((0, 3, 1), "duplicate-signer"),
    ],
)
def test_trap_10_a_round_is_left_by_a_quorum_of_distinct_anchors(
    anchors: tuple[int, ...], reason: str
) -> None:
    parts = {item.vote.ballot.anchor: item for item in ROUND_CERTIFICATE.votes}
    changed = replace(ROUND_CERTIFICATE, votes=tuple(parts[anchor] for anchor in anchors))
    assert (reason, "round-certificate") == _round_reason(changed)


@pytest.mark.parametrize("field", other_slots())
def test_trap_12_a_round_certificate_holds_for_its_own_slot_alone(field: str) -> None:
    slot = other_slots()[field]
    assert ("wrong-slot", "round-certificate") == _round_reason(
        replace(ROUND_CERTIFICATE, slot=slot)
    )
    votes = tuple(
        replace(item, vote=replace(item.vote, ballot=replace(item.vote.ballot, slot=slot)))
        for item in ROUND_CERTIFICATE.votes
    )
    expected = {
        "group": ("wrong-zone", "round-certificate.votes[0]"),
        "epoch": ("wrong-epoch", "round-certificate.votes[0]"),
    }
    bad = ("bad-signature", "round-certificate.votes[0].seal")
    assert expected.get(field, bad) == _round_reason(
        RoundCertificate(slot=slot, round=2, votes=votes)
    )


def test_trap_3_votes_to_leave_different_rounds_cannot_be_mixed() -> None:
    stray = FOUR.round_vote(3, round=1)
    mixed = replace(ROUND_CERTIFICATE, votes=(*ROUND_CERTIFICATE.votes[:2], stray))
    assert ("wrong-slot", "round-certificate") == _round_reason(mixed)
    assert ("wrong-slot", "round-certificate") == _round_reason(replace(ROUND_CERTIFICATE, round=3))


def test_a_vote_of_another_phase_leaves_no_round() -> None:
    first, second, third = ROUND_CERTIFICATE.votes
    summary = third.summary
    commit = FOUR.vote(3, digest_of(summary), round=2, phase=Phase.COMMIT)
    changed = replace(ROUND_CERTIFICATE, votes=(first, second, replace(third, vote=commit)))
    assert ("wrong-phase", "round-certificate.votes[2]") == _round_reason(changed)


def test_a_lock_summary_that_was_not_signed_is_rejected() -> None:
    first, second, third = ROUND_CERTIFICATE.votes
    for summary in (LockSummary(), LockSummary(round=9, value=Y), LockSummary(round=0, value=X)):
        hidden = replace(ROUND_CERTIFICATE, votes=(first, second, replace(third, summary=summary)))
        assert ("bad-summary", "round-certificate.votes[2]") == _round_reason(hidden)


def test_a_round_vote_under_another_key_is_rejected() -> None:
    first, second, third = ROUND_CERTIFICATE.votes
    forged = FOUR.signed(third.vote.ballot, key=pair("stranger"))
    changed = replace(ROUND_CERTIFICATE, votes=(first, second, replace(third, vote=forged)))
    assert ("wrong-key", "round-certificate.votes[2].seal") == _round_reason(changed)
