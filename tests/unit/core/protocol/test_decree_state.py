"""The engine's state from step to step (protocol §3), field by field."""

import hashlib

import pytest
from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ROUNDS_MAX
from sojourn.core.protocol import decree
from sojourn.core.protocol.dossier import CastVote, OpenSlot
from sojourn.core.protocol.messages import AskRound, Propose
from sojourn.core.quorum.certificates import LockSummary, RoundCertificate, RoundVote
from sojourn.core.quorum.votes import Ballot, Phase
from tests.unit.core.protocol.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def left(stage: Stage, round: int) -> RoundCertificate:
    """Return a quorum's wish to leave a round, whether or not the anchors here have it."""
    summary = LockSummary()
    ballots = [
        Ballot(
            slot=stage.slot,
            round=round,
            phase=Phase.ROUND,
            value=digest_of(summary),
            anchor=anchor,
            counter=1,
        )
        for anchor in range(3)
    ]
    votes = tuple(RoundVote(vote=stage.zone.sample.vote(b), summary=summary) for b in ballots)
    return RoundCertificate(slot=stage.slot, round=round, votes=votes)


def voted_everywhere(stage: Stage) -> OpenSlot:
    """Return a slot in round 3 in which every vote was cast, without a lock."""
    return OpenSlot(
        slot=stage.slot,
        entered_ms=1_000,
        round=3,
        lock_voted=stage.x.transition.digest,
        lock_justification=digest(b"a lock"),
        commit_voted=stage.x.transition.digest,
        round_voted=LockSummary(),
        entry=left(stage, 2),
        proposals=(stage.step(b"z"), stage.x, stage.y),
        lease_withheld=True,
    )


def test_rule_2_a_round_begins_without_votes_and_with_its_proof(stage: Stage) -> None:
    before, entry = voted_everywhere(stage), left(stage, 3)
    expected = OpenSlot(
        slot=stage.slot,
        entered_ms=7_000,
        round=4,
        entry=entry,
        proposals=(stage.x, stage.y),
        lease_withheld=True,
    )
    assert expected == decree.enter(before, 4, 7_000, entry)
    assert before is decree.enter(before, 3, 7_000, entry)
    assert before is decree.enter(before, 2, 7_000, entry)


def test_rule_4_a_lock_and_its_value_go_along_into_the_next_round(stage: Stage) -> None:
    lock = stage.certificate(stage.x)
    after = decree.enter(replace(voted_everywhere(stage), lock=lock), 4, 7_000, left(stage, 3))
    assert (lock, (stage.x,)) == (after.lock, after.proposals)
    unknown = replace(voted_everywhere(stage), lock=lock, proposals=(stage.y,))
    assert () == decree.enter(unknown, 4, 7_000, left(stage, 3)).proposals


def test_trap_50_what_a_vote_or_a_lock_rests_on_is_kept_and_of_the_rest_the_newest(
    stage: Stage,
) -> None:
    locked, voted, old, newer, newest = (stage.step(bytes([i])) for i in range(5))
    state = OpenSlot(
        slot=stage.slot,
        entered_ms=0,
        lock=stage.certificate(locked),
        lock_voted=voted.transition.digest,
        proposals=(locked, voted, old, newer),
    )
    assert (locked, voted, newer, newest) == decree.remember(state, newest).proposals
    assert (voted, newer, locked) == decree.remember(state, locked).proposals
    voted_last = replace(state, proposals=(locked, old, voted))
    assert (locked, old, voted, newest) == decree.remember(voted_last, newest).proposals
    copy = replace(newer, seals=())
    assert newer == decree.remember(state, copy).proposals[-1], "what was judged here stays"


def test_rule_2_the_last_round_is_entered_and_none_beyond(stage: Stage) -> None:
    committee = stage.zone.manifest.committee
    decree.check_entry(stage.slot, ROUNDS_MAX, left(stage, ROUNDS_MAX - 1), committee)
    with pytest.raises(Rejected) as caught:
        decree.check_entry(stage.slot, ROUNDS_MAX + 1, left(stage, ROUNDS_MAX), committee)
    assert "bad-round" == caught.value.reason


def test_rule_5_the_lead_goes_round_in_the_order_of_hashes_of_keys_after_the_slot(
    stage: Stage,
) -> None:
    manifest = stage.zone.manifest
    context = digest_of(stage.slot)
    hashes = [hashlib.sha256(context + each.identity).digest() for each in manifest.anchors]
    order = sorted(range(4), key=hashes.__getitem__)
    for round in (1, 2, 3, 9, ROUNDS_MAX):
        assert order[(round - 1) % 4] == decree.leader(stage.slot, round, manifest)


def test_rule_4_a_vote_leans_on_the_highest_lock_for_its_value(stage: Stage) -> None:
    low, high = stage.certificate(stage.x, round=1), stage.certificate(stage.x, round=2)
    for held, shown, expected in (
        (None, None, None),
        (low, None, low),
        (None, low, low),
        (low, high, high),
        (high, low, high),
    ):
        state = OpenSlot(slot=stage.slot, entered_ms=0, round=3, lock=held)
        ask = Propose(slot=stage.slot, round=3, proposal=stage.x, justification=shown)
        after, cast = decree.lock_vote(state, ask, 2)
        named = digest_of(expected) if expected else None
        assert (named, named) == (after.lock_justification, cast.ballot.justification)
        assert (stage.x.transition.digest, 2) == (after.lock_voted, cast.ballot.anchor)
        # Asked again with another lock it says what it said.
        again = replace(ask, justification=high)
        assert (after, cast) == decree.lock_vote(after, again, 2)


def test_trap_26_a_later_round_is_proved_and_the_first_by_votes_to_leave_it(stage: Stage) -> None:
    committee = stage.zone.manifest.committee
    votes = left(stage, 0).votes[:2]
    decree.check_stuck(AskRound(slot=stage.slot, round=0, votes=votes), committee)
    decree.check_stuck(AskRound(slot=stage.slot, round=1, entry=left(stage, 0)), committee)
    for ask, reason in (
        (AskRound(slot=stage.slot, round=1, votes=votes), "bad-round"),
        (AskRound(slot=stage.slot, round=2, entry=left(stage, 0)), "bad-round"),
        (AskRound(slot=stage.slot, round=0, votes=votes[:1]), "not-open"),
        (AskRound(slot=stage.slot, round=0, votes=left(stage, 1).votes), "wrong-slot"),
    ):
        with pytest.raises(Rejected) as caught:
            decree.check_stuck(ask, committee)
        assert reason == caught.value.reason


def test_rule_2_a_lock_of_a_later_round_begins_that_round_and_is_committed_to(stage: Stage) -> None:
    lock = stage.certificate(stage.x, round=5)
    voted = stage.x.transition.digest
    expected = OpenSlot(
        slot=stage.slot,
        entered_ms=7_000,
        round=5,
        commit_voted=voted,
        lock=lock,
        proposals=(stage.y, stage.x),
        lease_withheld=True,
    )
    before = replace(voted_everywhere(stage), proposals=(stage.y,))
    after, cast = decree.commit_vote(before, lock, stage.x, 2, 7_000)
    assert expected == after
    assert isinstance(cast, CastVote)
    assert (5, Phase.COMMIT, voted, None, 2) == (
        cast.ballot.round,
        cast.ballot.phase,
        cast.ballot.value,
        cast.ballot.justification,
        cast.ballot.anchor,
    )
    # Asked again with another copy of the lock it says the same, and keeps the one it has.
    copy = stage.certificate(stage.x, round=5, anchors=(1, 2, 3))
    assert (after, cast) == decree.commit_vote(after, copy, stage.x, 2, 9_000)


def test_section_6_a_vote_for_a_bind_withholds_the_lease_for_as_long_as_the_slot_is_open(
    stage: Stage,
) -> None:
    step = stage.x
    bind = replace(step, transition=replace(step.transition, kind=TransitionKind.BIND))
    fresh = OpenSlot(slot=stage.slot, entered_ms=0)
    for state, proposal, expected in (
        (fresh, step, False),
        (fresh, bind, True),
        (replace(fresh, lease_withheld=True), step, True),
    ):
        ask = Propose(slot=stage.slot, round=0, proposal=proposal)
        after, _ = decree.lock_vote(state, ask, 0)
        assert expected is after.lease_withheld
