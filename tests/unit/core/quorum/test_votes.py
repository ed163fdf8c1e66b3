"""One anchor's vote, for one slot, round, phase and value (protocol §2; traps 3, 10, 11, 12)."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value, decode, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.quorum.votes import Ballot, Outcome, Phase, Slot, Tally, Vote, check_vote
from tests.unit.core.quorum.voters import SLOT, Voters, X, Y, other_slots, pair

FOUR = Voters(4, 1)
COMMITTEE = FOUR.committee
VOTE = FOUR.vote(2)


def _reason(vote: Vote, voters: Voters = FOUR) -> tuple[str, str]:
    with pytest.raises(Rejected) as caught:
        check_vote(vote, voters.committee)
    return caught.value.reason, caught.value.where


def test_a_ballot_leans_on_no_lock_unless_it_names_one() -> None:
    ballot = Ballot(slot=SLOT, round=0, phase=Phase.LOCK, value=X, anchor=0, counter=1)
    assert ballot.justification is None
    vote = FOUR.signed(ballot)
    check_vote(vote, COMMITTEE)
    assert vote == decode(encode(vote), Vote, what="vote", limit=1_000)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("anchor", range(4))
def test_a_vote_of_each_anchor_in_each_phase_holds(anchor: int, phase: Phase) -> None:
    check_vote(FOUR.vote(anchor, phase=phase), COMMITTEE)


@pytest.mark.parametrize(
    "value", [VOTE, VOTE.ballot, VOTE.ballot.slot], ids=lambda v: type(v).__name__
)
def test_votes_ballots_and_slots_come_back(value: Value) -> None:
    assert value == decode(encode(value), type(value), what="thing", limit=4096)


@pytest.mark.parametrize("field", other_slots())
def test_trap_12_a_vote_counts_for_its_own_slot_alone(field: str) -> None:
    moved = replace(VOTE, ballot=replace(VOTE.ballot, slot=other_slots()[field]))
    expected = {"group": ("wrong-zone", "vote"), "epoch": ("wrong-epoch", "vote")}
    assert expected.get(field, ("bad-signature", "vote.seal")) == _reason(moved)


def test_trap_12_every_field_of_a_slot_is_tried() -> None:
    assert {"kind", *other_slots()} == set(Slot.__struct_fields__)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("round", 1),
        ("phase", Phase.LOCK),
        ("value", Y),
        ("counter", 1),
        ("justification", digest(b"lock")),
    ],
)
def test_trap_3_a_vote_counts_for_its_own_round_phase_and_value_alone(
    field: str, value: object
) -> None:
    changed = replace(VOTE, ballot=replace(VOTE.ballot, **{field: value}))
    assert ("bad-signature", "vote.seal") == _reason(changed)


def test_a_vote_of_another_zone_or_epoch_is_rejected_before_its_signature_is_looked_at() -> None:
    elsewhere, later = Voters(zone=digest(b"elsewhere")), Voters(epoch=4)
    assert ("wrong-zone", "vote") == _reason(VOTE, elsewhere)
    assert ("wrong-epoch", "vote") == _reason(VOTE, later)
    forged = replace(VOTE, seal=replace(VOTE.seal, signature=bytes(64)))
    assert ("wrong-epoch", "vote") == _reason(forged, later)


@pytest.mark.parametrize("anchor", [4, 5, 2**63 - 1])
def test_a_vote_of_an_anchor_there_is_none_of_is_rejected(anchor: int) -> None:
    ballot = replace(VOTE.ballot, anchor=anchor)
    assert ("unknown-anchor", "vote") == _reason(FOUR.signed(ballot, key=pair("anchor 2")))


def test_a_vote_under_the_key_of_another_anchor_is_rejected() -> None:
    assert ("wrong-key", "vote.seal") == _reason(FOUR.signed(VOTE.ballot, key=pair("anchor 3")))
    assert ("wrong-key", "vote.seal") == _reason(FOUR.signed(VOTE.ballot, key=pair("stranger")))
    stolen = replace(VOTE, ballot=replace(VOTE.ballot, anchor=3))
    assert ("wrong-key", "vote.seal") == _reason(stolen)


@pytest.mark.parametrize(("kind", "role"), list(product(Kind, Role)))
def test_trap_11_no_signature_of_another_kind_or_role_is_a_vote(kind: Kind, role: Role) -> None:
    signer = FOUR.pairs[2]
    signature = signer.sign(statement(kind, role, digest_of(VOTE.ballot)))
    vote = replace(VOTE, seal=Seal(signer=signer.public, signature=signature))
    if (kind, role) == (Kind.VOTE, Role.ANCHOR):
        check_vote(vote, COMMITTEE)
    else:
        assert ("bad-signature", "vote.seal") == _reason(vote)


def test_votes_under_one_signature_hold_one_by_one() -> None:
    ballots = [FOUR.ballot(1, slot=replace(SLOT, agent=digest(b"agent %d" % i))) for i in range(5)]
    votes = FOUR.batched(ballots)
    for vote in votes:
        check_vote(vote, COMMITTEE)
    swapped = Vote(ballot=votes[0].ballot, seal=votes[1].seal)
    assert ("bad-signature", "vote.seal") == _reason(swapped)


# --- tallies -----------------------------------------------------------------------------------------


def _tally(voters: Voters) -> Tally:
    return Tally(voters.committee, SLOT, 0, Phase.COMMIT)


def _unsigned(voters: Voters, anchor: int, value: bytes) -> Vote:
    """Return a vote as a tally takes it, whose seal somebody else has checked."""
    seal = Seal(signer=voters.committee.vote_keys[anchor], signature=bytes(64))
    return Vote(ballot=voters.ballot(anchor, value), seal=seal)


VALUES = [digest(b"value %d" % i) for i in range(3)]
CASTS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(VALUES)), max_size=40)
SIZES = st.integers(1, 31).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, (n - 1) // 3)))


def _best_case(first: dict[int, bytes], n: int, value: bytes) -> int:
    """Return the votes that `value` has if everyone unheard votes for it."""
    return sum(first.get(anchor, value) == value for anchor in range(n))


@given(SIZES, CASTS)
@settings(max_examples=200)
def test_outcomes_are_those_of_every_way_it_can_go_on(
    size: tuple[int, int], casts: list[tuple[int, bytes]]
) -> None:
    n, f = size
    voters = Voters(n, f)
    tally, first = _tally(voters), dict[int, bytes]()
    for anchor, value in [(anchor % n, value) for anchor, value in casts]:
        tally.add(_unsigned(voters, anchor, value))
        first.setdefault(anchor, value)
        for each in VALUES:
            votes = sum(cast == each for cast in first.values())
            expected = Outcome.PENDING
            if votes >= n - f:
                expected = Outcome.WON
            elif _best_case(first, n, each) < n - f:
                expected = Outcome.LOST
            assert expected is tally.outcome(each)
    won = [value for value in VALUES if tally.outcome(value) is Outcome.WON]
    assert (won[0] if won else None) == tally.winner()
    assert len(won) <= 1
    assert sorted(first) == list(tally.heard())


@given(st.permutations([(0, X), (1, X), (2, X), (3, Y), (3, X), (0, Y)]))
def test_an_anchor_counts_once_with_its_first_vote_and_the_second_is_evidence(
    casts: list[tuple[int, bytes]],
) -> None:
    tally, first = _tally(FOUR), dict[int, bytes]()
    for anchor, value in casts:
        tally.add(_unsigned(FOUR, anchor, value))
        first.setdefault(anchor, value)
    assert [a for a in range(4) if first[a] == X] == [v.ballot.anchor for v in tally.votes_for(X)]
    assert {0, 3} == set(tally.conflicts)
    for anchor, (earlier, later) in tally.conflicts.items():
        assert anchor == earlier.ballot.anchor == later.ballot.anchor
        assert {X, Y} == {earlier.ballot.value, later.ballot.value}
        assert first[anchor] == earlier.ballot.value


def test_trap_50_an_anchor_that_votes_for_everything_is_kept_once() -> None:
    tally = _tally(FOUR)
    casts = [_unsigned(FOUR, 2, digest(b"value %d" % i)) for i in range(100)]
    for vote in casts:
        tally.add(vote)
    assert {2: (casts[0], casts[1])} == tally.conflicts
    assert [2] == list(tally.heard())
    assert [casts[0]] == tally.votes_for(digest(b"value 0"))
    assert [] == tally.votes_for(digest(b"value 1"))


def test_the_same_vote_again_changes_nothing() -> None:
    tally = _tally(FOUR)
    for _ in range(5):
        tally.add(VOTE)
    assert ([VOTE], {}) == (tally.votes_for(X), tally.conflicts)
    assert Outcome.PENDING is tally.outcome(X)


@pytest.mark.parametrize("field", [*other_slots(), "round", "phase"])
def test_trap_3_a_tally_takes_no_vote_of_another_slot_round_or_phase(field: str) -> None:
    tally = _tally(FOUR)
    tally.add(FOUR.vote(0))
    changes: dict[str, object] = {"round": 1, "phase": Phase.LOCK}
    ballot: Ballot = FOUR.ballot(1)
    ballot = replace(
        ballot, **{field: changes[field]} if field in changes else {"slot": other_slots()[field]}
    )
    with pytest.raises(Rejected) as caught:
        tally.add(FOUR.signed(ballot))
    assert "wrong-slot" == caught.value.reason
    assert [0] == list(tally.heard())


def test_a_tally_says_how_it_stands() -> None:
    tally = _tally(FOUR)
    assert "0 of 4 heard, 3 needed" == tally.describe()
    for anchor, value in enumerate([X, X, Y]):
        tally.add(_unsigned(FOUR, anchor, value))
    parts = {f"2 for …{X.hex()[-4:]}", f"1 for …{Y.hex()[-4:]}"}
    head, _, rest = tally.describe().partition(": ")
    assert ("3 of 4 heard, 3 needed", parts) == (head, set(rest.split(", ")))


def test_a_slot_says_what_it_decides() -> None:
    assert "version 41 in term 2" == SLOT.describe()
