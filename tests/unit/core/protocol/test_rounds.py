"""Leaving rounds and leading: hidden locks come to light, and a liar cannot lead a leader astray."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol import decree
from sojourn.core.protocol.dossier import OpenSlot
from sojourn.core.protocol.messages import AskRound, Head, Nack, Proposal, RoundVoted
from sojourn.core.protocol.rounds import Leading, RoundChange, ShownLock
from sojourn.core.quorum.certificates import Certificate, LockSummary, RoundVote
from sojourn.core.quorum.votes import Ballot, Phase
from tests.samples import found, propose
from tests.unit.core.protocol.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def change_of(stage: Stage, round: int = 0) -> RoundChange:
    return RoundChange(stage.slot, round, stage.zone.manifest.committee)


def round_vote(
    stage: Stage, anchor: int, round: int = 0, /, summary: LockSummary | None = None, **ballot: Any
) -> RoundVote:
    said = summary or LockSummary()
    cast = Ballot(
        slot=stage.slot,
        round=round,
        phase=Phase.ROUND,
        value=digest_of(said),
        anchor=anchor,
        counter=1,
    )
    return RoundVote(vote=stage.zone.sample.vote(replace(cast, **ballot)), summary=said)


def voted(
    stage: Stage, anchor: int, lock: Certificate | None = None, proposal: Proposal | None = None
) -> RoundVoted:
    summary = LockSummary(round=lock.round, value=lock.value) if lock else None
    vote = round_vote(stage, anchor, lock.round if lock else 0, summary)
    return RoundVoted(vote=vote, lock=lock, proposal=proposal)


def test_section_3_a_quorum_of_distinct_anchors_leaves_a_round(stage: Stage) -> None:
    change = change_of(stage)
    for anchor in (2, 0, 0, 2):
        change.heard(anchor, voted(stage, anchor))
        assert change.certificate is None
    change.heard(1, voted(stage, 1))
    assert change.certificate is not None
    change.certificate.check(stage.zone.manifest.committee)
    assert [0, 1, 2] == [vote.vote.ballot.anchor for vote in change.votes]


@pytest.mark.parametrize(
    "ballot", [{"round": 1}, {"anchor": 3}, {"slot": None}], ids=["round", "anchor", "slot"]
)
def test_trap_3_votes_for_something_else_do_not_count(stage: Stage, ballot: Any) -> None:
    if "slot" in ballot:
        ballot = {"slot": replace(stage.slot, version=9)}
    change = change_of(stage)
    change.heard(0, RoundVoted(vote=round_vote(stage, 0, **ballot)))
    assert () == change.votes


@pytest.mark.parametrize("spoilt", ["phase", "summary", "seal", "half"])
def test_a_vote_that_cannot_be_what_it_claims_is_rejected(stage: Stage, spoilt: str) -> None:
    other = LockSummary(round=0, value=digest(b"x"))
    good = round_vote(stage, 0)
    wrong = {
        "phase": round_vote(stage, 0, phase=Phase.COMMIT),
        "summary": replace(good, summary=other),
        "seal": replace(good, vote=replace(good.vote, seal=round_vote(stage, 1).vote.seal)),
        "half": round_vote(stage, 0, summary=LockSummary(round=0)),
    }[spoilt]
    change = change_of(stage)
    with pytest.raises(Rejected):
        change.heard(0, RoundVoted(vote=wrong))
    assert () == change.votes


# What a leader proposes


def test_section_3_a_leader_proposes_the_value_of_the_highest_lock(stage: Stage) -> None:
    change = change_of(stage)
    low, high = stage.certificate(stage.x, round=1), stage.certificate(stage.y, round=2)
    change.remember((stage.x,))
    change.heard(0, Nack(round=3, lock=high, proposal=stage.y))
    change.heard(1, Nack(round=3, lock=low, proposal=stage.x))
    assert (high, stage.y) == (change.lock, change.choice())
    assert 3 == change.round_seen


def test_trap_25_a_lock_counts_though_its_value_was_only_remembered(stage: Stage) -> None:
    change = change_of(stage)
    change.remember((stage.x, stage.y))
    lock = stage.certificate(stage.x)
    change.heard(0, Nack(round=0, lock=lock))
    assert (lock, stage.x) == (change.lock, change.choice())


def test_a_liar_that_shows_a_lock_without_its_value_does_not_stop_the_leader(
    stage: Stage,
) -> None:
    change = change_of(stage)
    hidden = stage.certificate(stage.y, round=7)
    change.heard(3, Nack(round=7, lock=hidden))
    change.heard(3, Nack(round=7, lock=hidden, proposal=stage.x))
    change.remember((stage.x,))
    assert (None, stage.x) == (change.lock, change.choice())


@pytest.mark.parametrize("spoilt", ["commit", "two votes", "slot", "value"])
def test_a_forged_lock_is_no_lock(stage: Stage, spoilt: str) -> None:
    good = stage.certificate(stage.y)
    lock = {
        "commit": stage.certificate(stage.y, Phase.COMMIT),
        "two votes": replace(good, votes=good.votes[:2]),
        "slot": replace(good, slot=replace(stage.slot, version=9)),
        "value": replace(good, value=stage.x.transition.digest),
    }[spoilt]
    change = change_of(stage)
    change.remember((stage.x, stage.y))
    try:
        change.heard(0, Nack(round=0, lock=lock, proposal=stage.y))
    except Rejected:
        pass
    assert change.lock is None


def garbage(stage: Stage, at_ms: int = 2**62) -> Proposal:
    """Return what nobody votes for, and every order puts first."""
    author = found("thief").hosts[0]
    return propose(
        stage.x.transition.kind, stage.head, stage.x.transition.record, author, now_ms=at_ms
    )


def test_a_liar_cannot_have_its_garbage_proposed_by_a_leader_that_knows_better(
    stage: Stage,
) -> None:
    change = change_of(stage)
    change.heard(3, Nack(round=0, proposal=garbage(stage)))
    change.remember((stage.x,))
    assert stage.x == change.choice()


def test_a_leader_that_knows_nothing_proposes_what_most_anchors_show(stage: Stage) -> None:
    change = change_of(stage)
    change.heard(3, Nack(round=0, proposal=garbage(stage)))
    for anchor in (0, 1):
        change.heard(anchor, Nack(round=0, proposal=stage.x))
    assert stage.x == change.choice()


def test_a_leader_counts_what_those_show_who_vote_to_leave_each_for_itself(stage: Stage) -> None:
    change = change_of(stage)
    for anchor, proposal in enumerate((stage.x, stage.x, garbage(stage))):
        change.heard(anchor, voted(stage, anchor, None, proposal))
    assert stage.x == change.choice()


def test_a_leader_proposes_the_newest_it_has_judged(stage: Stage) -> None:
    """The older one may be too old for anchors that have not judged it."""
    stage.world.clock.pass_ms(5_000)
    newer = stage.step(b"z")
    change = change_of(stage)
    change.remember((newer, stage.x))
    assert newer == change.choice()


def test_a_leader_says_the_same_for_as_long_as_it_leads_a_round(stage: Stage) -> None:
    """Found by the schedules: with a newer value at each try, half of the anchors voted for one, half for another."""
    leading, state = Leading(), OpenSlot(slot=stage.slot, round=1, entered_ms=0)
    now_ms = stage.x.transition.at_ms
    assert leading.said(state, now_ms) is None
    leading.note(state, stage.x)
    stage.world.clock.pass_ms(5_000)
    change = change_of(stage, 1)
    change.remember((stage.x, stage.step(b"z")))
    assert stage.x == change.choice(leading.said(state, now_ms + 5_000))
    assert leading.said(replace(state, round=2), now_ms) is None
    assert leading.said(state, now_ms + CLOCK_SKEW_MS) is None, (
        "nobody would vote for what is so old"
    )
    leading.forget(stage.agent)
    assert leading.said(state, now_ms) is None


def test_section_3_a_lock_goes_before_what_a_leader_said(stage: Stage) -> None:
    change = change_of(stage, 1)
    change.heard(0, Nack(round=1, lock=stage.certificate(stage.y), proposal=stage.y))
    assert stage.y == change.choice(stage.x)


def test_section_3_a_leader_proposes_a_lock_that_it_was_shown_in_an_earlier_round(
    stage: Stage,
) -> None:
    """Found by the schedules: who held the lock was not heard, and so the round was lost to a liar that hid it."""
    low, high = (ShownLock(stage.certificate(stage.y, round=round), stage.y) for round in (1, 2))
    leading, state = Leading(), OpenSlot(slot=stage.slot, round=3, entered_ms=0)
    leading.note_lock(high)
    assert leading.shown(stage.slot) is None, "that slot is not led here"
    leading.note(state, stage.x)
    for shown in (low, None, high, low):
        leading.note_lock(shown)
    leading.note(replace(state, round=4), stage.x)
    assert high == leading.shown(stage.slot)
    change = change_of(stage, 4)
    change.heard(0, Nack(round=4, lock=low.certificate, proposal=stage.y))
    change.recall(leading.shown(stage.slot))
    assert (stage.y, high) == (change.choice(stage.x), change.shown)
    assert leading.shown(replace(stage.slot, version=9)) is None


def test_a_leader_that_was_shown_nothing_recalls_nothing(stage: Stage) -> None:
    change = change_of(stage, 1)
    change.recall(Leading().shown(stage.slot))
    assert change.shown is None
    assert stage.x == change.choice(stage.x)


def test_nothing_is_pending(stage: Stage) -> None:
    with pytest.raises(Rejected, match="no proposal is pending"):
        change_of(stage).choice()


# Decided already


def test_a_decision_of_this_slot_or_a_later_one_ends_it(stage: Stage) -> None:
    decided = stage.world.decide(stage.zone, stage.x, stage.head)
    later = stage.world.step(stage.zone, decided)
    for known in (decided, later):
        change = change_of(stage)
        change.heard(0, Head(certified=known))
        assert known == change.decided


@pytest.mark.parametrize("spoilt", ["forged", "other agent", "earlier", "another value", "lock"])
def test_a_liar_cannot_end_a_round_change_with_a_decision_that_is_none(
    stage: Stage, spoilt: str
) -> None:
    decided = stage.world.decide(stage.zone, stage.x, stage.head)
    thief = found("thief")
    twin = stage.world.launch(
        stage.zone, capabilities=replace(stage.head.record.capabilities, entry="other:Agent")
    )
    for _ in range(3):
        twin = stage.world.step(stage.zone, twin)
    assert twin.record.version > stage.slot.version
    known = {
        "forged": replace(
            decided, certificate=thief.certificate(stage.slot, decided.transition.digest)
        ),
        "other agent": twin,
        "earlier": stage.head,
        "another value": replace(decided, transition=stage.y.transition),
        "lock": replace(decided, certificate=stage.certificate(stage.x)),
    }[spoilt]
    change = change_of(stage)
    try:
        change.heard(3, Head(certified=known))
    except Rejected:
        pass
    assert change.decided is None


# With real anchors


def lead(stage: Stage, round: int, entry: Any, asked: tuple[int, ...]) -> bool:
    """Do what the leader of a round does, hearing only some anchors; tell whether a value was locked."""
    sender = stage.leader(round)
    leading = decree.leader(stage.slot, round, stage.zone.manifest)
    change = change_of(stage, round)
    for index in asked:
        ask = AskRound(slot=stage.slot, round=round, entry=entry)
        change.heard(index, stage.anchor(index).ask(ask, sender))
    own = stage.anchor(leading).dossier(stage.agent).open
    assert own is not None
    change.remember(own.proposals)
    replies = [
        stage.propose(index, change.choice(), round, entry=entry, justification=change.lock)
        for index in asked
    ]
    votes = [r for r in replies if type(r).__name__ == "Voted"]
    return len(votes) >= stage.zone.manifest.committee.quorum


def test_trap_25_a_lock_that_one_slow_anchor_holds_is_found_within_two_rounds(
    stage: Stage,
) -> None:
    """Round 1's leader does not hear the locked anchor, and is told; round 2's hears of the lock."""
    stage.opened(0, 1, 2)
    stage.opened(3, proposal=stage.y)
    stage.locked(0, stage.x)
    one = stage.left(0)
    without_the_lock = (1, 2, 3)
    lead(stage, 1, one, without_the_lock)
    two = stage.left(1, one)
    assert lead(stage, 2, two, (0, 1, 2, 3))
