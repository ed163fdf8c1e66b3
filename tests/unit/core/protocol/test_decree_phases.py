"""The engine from lock to decision (protocol §3): commit votes, rounds that are left, whole decisions."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.limits import ROUND_BASE_MS, ROUND_DOUBLINGS_MAX, ROUNDS_MAX
from sojourn.core.protocol import decree
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Applied,
    AskHead,
    AskRound,
    Declined,
    Head,
    Nack,
    Need,
    Reply,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.certificates import (
    LockSummary,
    RoundVote,
    certify,
)
from sojourn.core.quorum.votes import Phase
from tests.unit.core.protocol.stage import Stage, refused


@pytest.fixture
def stage() -> Stage:
    return Stage()


# Locks and commits


def test_trap_1_a_quorum_of_lock_votes_decides_nothing(stage: Stage) -> None:
    lock = stage.certificate(stage.x)
    reply = stage.anchor().ask(ShowCommit(certificate=lock, proposal=stage.x))
    assert refused(reply, "wrong-phase")
    assert stage.head == stage.anchor().dossier(stage.agent).head


def test_trap_1_a_commit_certificate_locks_nothing(stage: Stage) -> None:
    reply = stage.anchor().ask(
        ShowLock(certificate=stage.certificate(stage.x, Phase.COMMIT), proposal=stage.x)
    )
    assert refused(reply, "wrong-phase")


def test_trap_3_votes_of_different_rounds_are_no_certificate(stage: Stage) -> None:
    early, late = (stage.certificate(stage.x, round=r) for r in (0, 1))
    mixed = replace(early, votes=(*early.votes[:2], late.votes[2]))
    assert refused(stage.anchor().ask(ShowLock(certificate=mixed)), "bad-signature")


def test_trap_4_no_commit_vote_for_a_round_that_was_left(stage: Stage) -> None:
    entry = stage.entry_to(2)
    stage.anchor().ask(AskRound(slot=stage.slot, round=2, entry=entry))
    lock = stage.certificate(stage.x, round=0)
    reply = stage.anchor().ask(ShowLock(certificate=lock, proposal=stage.x))
    assert isinstance(reply, Nack)
    state = stage.anchor().dossier(stage.agent).open
    assert state is not None and state.lock is None


def test_one_commit_vote_a_round(stage: Stage) -> None:
    stage.locked(0, stage.x)
    reply = stage.anchor().ask(ShowLock(certificate=stage.certificate(stage.y), proposal=stage.y))
    assert isinstance(reply, Nack)


def test_a_lock_vote_for_one_value_does_not_bar_the_commit_of_another(stage: Stage) -> None:
    """A quorum locked y: this anchor's lock vote for x was outvoted."""
    stage.opened(0)
    stage.locked(0, stage.y)


def test_whoever_is_locked_holds_the_value(stage: Stage) -> None:
    """Else a value could be locked by the only anchor that does not know it, for ever."""
    lock = stage.certificate(stage.x)
    reply = stage.anchor().ask(ShowLock(certificate=lock))
    assert isinstance(reply, Need) and "proposal" == reply.what
    assert stage.anchor().dossier(stage.agent).open is None
    reply = stage.anchor().ask(ShowLock(certificate=lock, proposal=stage.y))
    assert isinstance(reply, Need) and "proposal" == reply.what
    assert isinstance(stage.anchor().ask(ShowLock(certificate=lock, proposal=stage.x)), Voted)


def test_a_repeated_lock_gets_the_same_commit_vote(stage: Stage) -> None:
    show = ShowLock(certificate=stage.certificate(stage.x), proposal=stage.x)
    replies = [stage.anchor().ask(show) for _ in range(2)]
    ballots = [replace(r.vote.ballot, counter=0) for r in replies if isinstance(r, Voted)]
    assert 2 == len(ballots) and ballots[0] == ballots[1]


def test_a_decision_is_applied_once_and_again_harmlessly(stage: Stage) -> None:
    done = stage.world.decide(stage.zone, stage.x, stage.head)
    show = ShowCommit(certificate=done.certificate, proposal=stage.x)
    before = stage.anchor().dossier(stage.agent)
    assert done == before.head and before.open is None
    assert Applied() == stage.anchor().ask(show)
    assert before == stage.anchor().dossier(stage.agent)


def test_a_decision_without_its_value_is_not_applied(stage: Stage) -> None:
    commit = stage.certificate(stage.x, Phase.COMMIT)
    reply = stage.anchor().ask(ShowCommit(certificate=commit))
    assert isinstance(reply, Need) and "proposal" == reply.what
    assert refused(
        stage.anchor().ask(ShowCommit(certificate=commit, proposal=stage.y)), "wrong-value"
    )


# Leaving a round


def test_a_round_is_not_left_before_its_time(stage: Stage) -> None:
    stage.opened(0)
    ask = AskRound(slot=stage.slot, round=0)
    assert isinstance(stage.anchor().ask(ask), Nack)
    stage.world.clock.pass_ms(ROUND_BASE_MS - 1)
    assert isinstance(stage.anchor().ask(ask), Nack)
    stage.world.clock.pass_ms(1)
    assert isinstance(stage.anchor().ask(ask), RoundVoted)


def test_the_time_of_a_round_doubles_and_stops_doubling() -> None:
    times = [decree.round_timeout_ms(round) for round in range(ROUND_DOUBLINGS_MAX + 3)]
    assert [ROUND_BASE_MS * 2**r for r in range(ROUND_DOUBLINGS_MAX + 1)] == times[:-2]
    assert times[-3] == times[-2] == times[-1] == decree.round_timeout_ms(ROUNDS_MAX)


def test_a_reboot_does_not_keep_a_round_for_as_long_as_the_machine_was_up(stage: Stage) -> None:
    """Boot times of different boots are not comparable; a round's clock guards no promise."""
    stage.opened(0)
    stage.world.clock.boot_ms, stage.world.clock.boot = 5, digest(b"another boot")
    stage.anchor().restart()
    reply = stage.anchor().ask(AskRound(slot=stage.slot, round=0))
    assert isinstance(reply, RoundVoted)


def test_section_3_the_round_vote_carries_the_lock_and_its_value(stage: Stage) -> None:
    lock = stage.locked(0, stage.x)
    stage.world.clock.pass_ms(ROUND_BASE_MS)
    reply = stage.anchor().ask(AskRound(slot=stage.slot, round=0))
    assert isinstance(reply, RoundVoted)
    assert (0, stage.x.transition.digest) == (reply.vote.summary.round, reply.vote.summary.value)
    assert (lock, stage.x) == (reply.lock, reply.proposal)


def test_section_11_an_anchor_says_one_thing_when_it_leaves_a_round(stage: Stage) -> None:
    """Two round votes of one key that differ would prove fraud against an honest anchor (P5)."""
    stage.opened(0)
    stage.world.clock.pass_ms(ROUND_BASE_MS)
    ask = AskRound(slot=stage.slot, round=0)
    first = stage.anchor().ask(ask)
    lock = stage.locked(0, stage.x)
    stage.anchor().restart()
    again = stage.anchor().ask(ask)
    assert isinstance(first, RoundVoted) and isinstance(again, RoundVoted)
    assert first.vote.summary == again.vote.summary
    assert lock == again.lock  # nothing is hidden for all that


def stuck_votes(stage: Stage, *indexes: int) -> tuple[RoundVote, ...]:
    """Have some anchors lock-vote, and then vote to leave the round."""
    stage.opened(*indexes)
    stage.world.clock.pass_ms(ROUND_BASE_MS)
    ask = AskRound(slot=stage.slot, round=0)
    replies = [stage.anchor(index).ask(ask) for index in indexes]
    return tuple(reply.vote for reply in replies if isinstance(reply, RoundVoted))


def test_an_anchor_that_has_seen_nothing_of_a_slot_leaves_a_round_that_a_correct_one_leaves(
    stage: Stage,
) -> None:
    """Else two votes here, one silent anchor and one that saw nothing would hold the agent for ever."""
    ask = AskRound(slot=stage.slot, round=0, votes=stuck_votes(stage, 1, 2))
    assert isinstance(stage.anchor().ask(ask), Nack)
    stage.world.clock.pass_ms(ROUND_BASE_MS)
    assert isinstance(stage.anchor().ask(ask), RoundVoted)


def test_trap_26_nobody_has_a_slot_opened_without_a_correct_anchor(stage: Stage) -> None:
    one, two = stuck_votes(stage, 1, 2)
    moved = replace(stage.slot, version=9)
    for votes, slot in (
        ((), stage.slot),
        ((one,), stage.slot),
        ((one, one), stage.slot),
        ((one, replace(two, summary=LockSummary(round=0, value=digest(b"x")))), stage.slot),
        ((one, two), moved),
    ):
        reply = stage.anchor().ask(AskRound(slot=slot, round=0, votes=votes))
        assert isinstance(reply, Declined), votes
        assert stage.anchor().dossier(stage.agent).open is None


def test_an_anchor_that_has_seen_nothing_of_a_slot_enters_a_round_with_its_proof(
    stage: Stage,
) -> None:
    entry = stage.left(0)
    fresh = stage.anchor(3)
    fresh.dossiers[stage.agent] = replace(fresh.dossier(stage.agent), open=None)
    assert isinstance(fresh.ask(AskRound(slot=stage.slot, round=1, entry=entry)), Nack)
    state = fresh.dossier(stage.agent).open
    assert state is not None and 1 == state.round


def test_a_left_round_stays_left_after_a_crash(stage: Stage) -> None:
    entry = stage.entry_to(1)
    stage.anchor().ask(AskRound(slot=stage.slot, round=1, entry=entry))
    stage.anchor().restart()
    assert isinstance(stage.propose(0, stage.x), Nack)


# Whole decisions


def votes_of(replies: list[Reply]) -> list[Any]:
    return [reply.vote for reply in replies if isinstance(reply, Voted)]


def test_trap_2_split_votes_end_in_a_decision(stage: Stage) -> None:
    """x to two anchors and y to two: nobody has a quorum in round 0."""
    stage.opened(0, 1)
    stage.opened(2, 3, proposal=stage.y)
    entry = stage.entry_to(1)
    votes = votes_of([stage.propose(i, stage.y, 1, entry=entry) for i in range(4)])
    lock = certify(votes, stage.zone.manifest.committee)
    shown = [stage.anchor(i).ask(ShowLock(certificate=lock, proposal=stage.y)) for i in range(4)]
    commit = certify(votes_of(shown), stage.zone.manifest.committee)
    done = Certified(transition=stage.y.transition, certificate=commit)
    done.check(stage.world.known.manifests)
    replies = [stage.anchor(i).ask(ShowCommit(certificate=commit)) for i in range(4)]
    assert [Applied()] * 4 == replies
    assert done == stage.zone.head(stage.agent)


def test_trap_5_and_rule_3_a_promise_survives_a_crash(stage: Stage) -> None:
    stage.opened(0)
    stage.anchor().restart()
    assert isinstance(stage.propose(0, stage.y), Nack)
    assert isinstance(stage.propose(0, stage.x), Voted)


def test_asking_for_the_head_changes_nothing(stage: Stage) -> None:
    reply = stage.anchor().ask(AskHead(agent=stage.agent))
    assert isinstance(reply, Head) and stage.head == reply.certified
    assert Head(certified=None) == stage.anchor().ask(AskHead(agent=digest(b"nobody")))
    assert {stage.agent} == set(stage.anchor().dossiers)
