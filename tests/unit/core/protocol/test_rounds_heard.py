"""What is made of each thing that is heard while a round is left (protocol §3)."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol.dossier import OpenSlot
from sojourn.core.protocol.messages import Nack, Proposal, RoundVoted
from sojourn.core.protocol.rounds import Leading, RoundChange
from sojourn.core.quorum.certificates import Certificate, LockSummary, RoundVote
from sojourn.core.quorum.votes import Ballot, Phase
from tests.unit.core.protocol.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def change_of(stage: Stage, round: int = 3) -> RoundChange:
    return RoundChange(stage.slot, round, stage.zone.manifest.committee)


def voted(stage: Stage, anchor: int, lock: Certificate, proposal: Proposal) -> RoundVoted:
    """Return an anchor's vote to leave round 3, with its lock."""
    summary = LockSummary(round=lock.round, value=lock.value)
    ballot = Ballot(
        slot=stage.slot,
        round=3,
        phase=Phase.ROUND,
        value=digest_of(summary),
        anchor=anchor,
        counter=1,
    )
    vote = RoundVote(vote=stage.zone.sample.vote(ballot), summary=summary)
    return RoundVoted(vote=vote, lock=lock, proposal=proposal)


def test_section_3_a_vote_to_leave_brings_its_lock_to_light(stage: Stage) -> None:
    change, lock = change_of(stage), stage.certificate(stage.x, round=1)
    change.heard(1, Nack(round=3, lock=None, proposal=stage.y))
    change.heard(2, voted(stage, 2, lock, stage.x))
    assert (lock, stage.x) == (change.lock, change.choice())
    assert [2] == [item.vote.ballot.anchor for item in change.votes]


def test_section_3_of_the_locks_on_a_value_the_highest_is_kept_whichever_comes_first(
    stage: Stage,
) -> None:
    low, high = (stage.certificate(stage.x, round=round) for round in (1, 2))
    for first, second in ((low, high), (high, low)):
        change = change_of(stage)
        change.heard(1, Nack(round=3, lock=first, proposal=stage.x))
        change.heard(2, Nack(round=3, lock=second, proposal=stage.x))
        assert high == change.lock


def test_section_3_a_lock_of_another_slot_is_nothing_here(stage: Stage) -> None:
    change = change_of(stage)
    elsewhere, value = replace(stage.slot, version=9), stage.x.transition.digest
    lock = stage.zone.sample.certificate(elsewhere, value, phase=Phase.LOCK)
    change.heard(1, Nack(round=3, lock=lock, proposal=stage.x))
    assert change.lock is None


def test_section_3_what_more_anchors_show_goes_before_what_is_newer(stage: Stage) -> None:
    change = change_of(stage)
    stage.world.clock.pass_ms(5)
    newer = stage.step(b"newer")
    for anchor, proposal in ((0, stage.x), (1, stage.x), (2, newer)):
        change.heard(anchor, Nack(round=3, lock=None, proposal=proposal))
    assert stage.x == change.choice()


def test_section_3_who_shows_nothing_leaves_nothing_pending(stage: Stage) -> None:
    change = change_of(stage)
    change.heard(1, Nack(round=3, lock=None, proposal=None))
    with pytest.raises(Rejected) as caught:
        change.choice()
    assert "unknown-value" == caught.value.reason


def test_what_was_said_is_said_again_until_it_is_half_too_old(stage: Stage) -> None:
    leading, state = Leading(), OpenSlot(slot=stage.slot, entered_ms=0, round=2)
    leading.note(state, stage.x)
    at_ms, patience_ms = stage.x.transition.at_ms, CLOCK_SKEW_MS // 2
    assert stage.x == leading.said(state, at_ms + patience_ms - 1)
    assert leading.said(state, at_ms + patience_ms) is None
