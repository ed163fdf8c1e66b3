"""What a proposer sends, word for word, and to whom (protocol §3); what it makes of each answer."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.messages import (
    Applied,
    Declined,
    Head,
    Nack,
    Need,
    Proposal,
    Propose,
    Reply,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.proposer import Progress, Proposer, Send, Upload
from sojourn.core.protocol.rounds import ShownLock
from sojourn.core.protocol.validate import slot_for
from sojourn.core.quorum.votes import Phase
from tests.samples import found
from tests.unit.core.protocol.crossing import ROOTS, Crossing
from tests.unit.core.protocol.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def proposer_of(stage: Stage, **more: Any) -> Proposer:
    settings: dict[str, Any] = {"parent": stage.head} | more
    return Proposer(stage.x, stage.slot, stage.zone.manifest, **settings)


def answered(stage: Stage, proposer: Proposer, *steps: Send | Upload) -> list[Send | Upload]:
    """Have the anchors answer steps, and return what the proposer sends then."""
    sent: list[Send | Upload] = []
    for step in steps:
        assert isinstance(step, Send)
        sent += proposer.heard(step.anchor, stage.anchor(step.anchor).ask(step.request))
    return sent


def locked(stage: Stage) -> tuple[Proposer, list[Send | Upload]]:
    """Return a proposer that three anchors have lock-voted for, and what it sends then."""
    proposer = proposer_of(stage)
    return proposer, answered(stage, proposer, *proposer.start()[:3])


# The messages


def test_section_3_whoever_leads_a_round_shows_its_proof_and_its_lock(stage: Stage) -> None:
    entry, lock = stage.left(0), stage.certificate(stage.x)
    blocks = (b"a block",)
    proposer = proposer_of(stage, round=1, entry=entry, justification=lock, blocks=blocks)
    ask = Propose(
        slot=stage.slot,
        round=1,
        proposal=stage.x,
        entry=entry,
        justification=lock,
        blocks=blocks,
    )
    assert [Send(anchor, ask) for anchor in range(4)] == proposer.start()


def test_section_3_who_leads_a_round_again_shows_what_was_locked_in_it(stage: Stage) -> None:
    """Nobody may lean on a lock of the round itself, and it need not be voted for again."""
    entry = stage.left(0)
    first = proposer_of(stage, round=1, entry=entry)
    shown: list[Send | Upload] = []
    for index in range(3):
        shown += first.heard(index, stage.propose(index, stage.x, 1, entry=entry))
    assert isinstance(shown[0], Send)
    assert isinstance(shown[0].request, ShowLock)
    lock = shown[0].request.certificate  # and then all are cut off
    for round in (1, 0):  # one that is behind was shown it as well
        again = proposer_of(stage, round=round, entry=entry if round else None, justification=lock)
        show = ShowLock(certificate=lock, proposal=stage.x)
        assert [Send(anchor, show) for anchor in range(4)] == again.start()
        assert Progress.COMMITTING is again.progress
    answered(stage, again, *again.start()[:3])
    assert Progress.WON is again.progress
    assert again.decided is not None
    assert lock.round == again.decided.certificate.round


def test_section_3_a_lock_on_another_value_is_shown_to_nobody(stage: Stage) -> None:
    lock = stage.certificate(stage.y)
    proposer = proposer_of(stage, justification=lock)
    assert all(
        isinstance(each, Send) and isinstance(each.request, Propose) for each in proposer.start()
    )
    assert Progress.LOCKING is proposer.progress


def test_section_3_a_lock_is_shown_to_all_with_the_value_to_who_did_not_vote(
    stage: Stage,
) -> None:
    proposer, shown = locked(stage)
    lock = stage.certificate(stage.x)
    assert (Progress.COMMITTING, 4) == (proposer.progress, len(shown))
    for anchor, step in enumerate(shown):
        assert isinstance(step, Send) and isinstance(step.request, ShowLock)
        expected = stage.x if anchor == 3 else None
        assert (anchor, expected) == (step.anchor, step.request.proposal)
        assert (lock.slot, lock.value) == (
            step.request.certificate.slot,
            step.request.certificate.value,
        )
        step.request.certificate.check(Phase.LOCK, stage.zone.manifest.committee)


def test_section_3_a_decision_is_shown_to_all_with_the_value_to_who_did_not_vote(
    stage: Stage,
) -> None:
    proposer, shown = locked(stage)
    told = answered(stage, proposer, *shown[:3])
    done = proposer.decided
    assert done is not None and stage.x.transition == done.transition
    assert [
        Send(
            anchor,
            ShowCommit(certificate=done.certificate, proposal=stage.x if anchor == 3 else None),
        )
        for anchor in range(4)
    ] == told
    [again] = proposer.heard(3, Need(what="proposal"))
    assert Send(3, ShowCommit(certificate=done.certificate, proposal=stage.x)) == again
    assert [] == proposer.heard(3, Need(what="parent")) == proposer.heard(3, Applied())


def test_a_decision_is_shown_a_few_times_and_not_for_ever(stage: Stage) -> None:
    proposer, shown = locked(stage)
    answered(stage, proposer, *shown[:3])
    for anchor in (3, 2):
        answers = [len(proposer.heard(anchor, Need(what="proposal"))) for _ in range(6)]
        assert [1, 1, 1, 1, 0, 0] == answers


# What an anchor lacks


def test_an_anchor_is_given_what_it_lacks_each_in_its_own_way() -> None:
    c = Crossing()
    gone = c.arrived()
    proposal = c.world.admit_proposal(c.b, gone, c.visa)
    slot = slot_for(gone, proposal.transition, c.b.manifest)
    proposer = Proposer(proposal, slot, c.b.manifest, parent=gone, application=c.ask)
    ask = Propose(slot=slot, round=0, proposal=proposal)
    parent = Proposal(transition=gone.transition, seals=())
    record = c.ask.head.record
    assert [
        Send(1, ShowCommit(certificate=gone.certificate, proposal=parent)),
        Send(1, ask),
    ] == proposer.heard(1, Need(what="parent"))
    assert [
        Upload(2, (*c.ask.chapters, *record.governance.documents), c.ask),
        Send(2, ask),
    ] == proposer.heard(2, Need(what="visa"))
    everything = (
        *c.ask.chapters,
        *record.governance.documents,
        record.capabilities.code,
        *(ROOTS[name] for name in ("free", "eu", "journal")),
    )
    assert [Upload(3, everything, ask)] == proposer.heard(
        3, Need(what="blocks", digests=everything)
    )
    assert {} == proposer.declined


def test_section_5_a_zone_is_given_what_it_holds_and_not_what_another_holds(stage: Stage) -> None:
    ours, theirs = digest(b"held here"), digest(b"held elsewhere")
    here, there = (
        Compartment(form=Form.LOG, root=root, held_by=zone)
        for root, zone in ((ours, stage.zone.zone), (theirs, digest(b"another zone")))
    )
    memory = Memory(compartments={"here": here, "there": there})
    record = replace(stage.x.transition.record, memory=memory)
    proposal = replace(stage.x, transition=replace(stage.x.transition, record=record))
    proposer = Proposer(proposal, stage.slot, stage.zone.manifest)
    [given] = proposer.heard(0, Need(what="blocks", digests=(ours,)))
    assert isinstance(given, Upload) and (ours,) == given.digests
    assert [] == proposer.heard(0, Need(what="blocks", digests=(theirs,)))


def test_an_anchor_that_lacks_the_locked_value_is_shown_it(stage: Stage) -> None:
    proposer, shown = locked(stage)
    lock = shown[0].request.certificate  # type: ignore[union-attr]
    assert [Send(1, ShowLock(certificate=lock, proposal=stage.x))] == proposer.heard(
        1, Need(what="proposal")
    )


@pytest.mark.parametrize("what", ["parent", "visa", "proposal", "blocks", "money"])
def test_what_the_proposer_has_not_got_is_no_help(stage: Stage, what: str) -> None:
    proposer = proposer_of(stage, parent=None)
    assert [] == proposer.heard(2, Need(what=what, digests=(digest(b"not the agent's"),)))
    said = proposer.declined[2]
    assert ("unable", f"it lacks {what}", True) == (said.reason, said.problem, said.for_now)


def test_an_anchor_is_helped_four_times_and_counted_apart_from_the_others(stage: Stage) -> None:
    proposer = proposer_of(stage)
    for anchor in (1, 2):
        helped = [len(proposer.heard(anchor, Need(what="parent"))) for _ in range(4)]
        assert [2, 2, 2, 2] == helped
        assert anchor not in proposer.declined
    assert [] == proposer.heard(1, Need(what="parent"))
    assert Declined(reason="unable", problem="parent", for_now=True) == proposer.declined[1]


# What is made of an answer


def test_an_anchor_that_votes_after_all_neither_declines_nor_is_silent(stage: Stage) -> None:
    proposer = proposer_of(stage)
    first, second, *_ = proposer.start()
    proposer.heard(0, Declined(reason="denied", problem="no", for_now=False))
    assert proposer.may_pass
    proposer.heard(0, stage.propose(0, stage.x))
    proposer.silent(1)
    proposer.heard(1, stage.propose(1, stage.x))
    assert ({}, "anchor" in proposer.describe().partition(";")[2]) == (proposer.declined, False)
    proposer.silent(3)
    assert (Progress.LOCKING, True) == (proposer.progress, proposer.may_pass)


def test_an_anchor_that_missed_the_lock_is_shown_it_when_it_votes(stage: Stage) -> None:
    for miss in ("silent", "declined", "nack"):
        stage = Stage()
        proposer, shown = locked(stage)
        if miss == "silent":
            proposer.silent(3)
        elif miss == "declined":
            proposer.heard(3, Declined(reason="refused", problem="later", for_now=True))
        else:
            proposer.heard(3, Nack(round=0))
        lock = shown[0].request.certificate  # type: ignore[union-attr]
        vote = stage.propose(3, stage.x)
        assert [Send(3, ShowLock(certificate=lock, proposal=None))] == proposer.heard(3, vote)
        assert [] == proposer.heard(3, vote), "once is enough"


def test_a_nack_is_a_no_for_now(stage: Stage) -> None:
    proposer = proposer_of(stage)
    assert [] == proposer.heard(2, Nack(round=0))
    assert {2: Declined(reason="nack", problem="locked", for_now=True)} == proposer.declined


def test_the_highest_lock_of_this_slot_that_is_shown_with_its_value_is_kept(stage: Stage) -> None:
    low, high = (stage.certificate(stage.y, round=round) for round in (1, 2))
    elsewhere = stage.zone.sample.certificate(
        replace(stage.slot, version=9), low.value, phase=Phase.LOCK, round=7
    )
    proposer = proposer_of(stage)
    for lock, value, expected in (
        (None, stage.y, None),
        (elsewhere, stage.y, None),
        (stage.certificate(stage.y, Phase.COMMIT, round=7), stage.y, None),
        (low, None, None),
        (low, stage.x, None),
        (low, stage.y, low),
        (high, stage.y, high),
        (low, stage.y, high),
    ):
        proposer.heard(3, Nack(round=3, lock=lock, proposal=value))
        assert (expected and ShownLock(expected, stage.y)) == proposer.shown
    forged = replace(stage.certificate(stage.y, round=7), votes=high.votes)
    with pytest.raises(Rejected):
        proposer.heard(3, Nack(round=3, lock=forged, proposal=stage.y))
    assert ShownLock(high, stage.y) == proposer.shown


def test_a_vote_that_its_anchor_did_not_sign_does_not_spoil_the_certificate(stage: Stage) -> None:
    proposer = proposer_of(stage)
    true, other = stage.propose(0, stage.x), stage.propose(1, stage.x)
    assert isinstance(true, Voted) and isinstance(other, Voted)
    seals = other.vote.seal, replace(true.vote.seal, signature=other.vote.seal.signature)
    for seal, reason in zip(seals, ("wrong-key", "bad-signature"), strict=True):
        with pytest.raises(Rejected) as caught:
            proposer.heard(0, Voted(vote=replace(true.vote, seal=seal)))
        assert reason == caught.value.reason
    for anchor in range(1, 4):
        shown = proposer.heard(anchor, stage.propose(anchor, stage.x))
    assert isinstance(shown[0], Send) and isinstance(shown[0].request, ShowLock)
    shown[0].request.certificate.check(Phase.LOCK, stage.zone.manifest.committee)


def test_anchors_that_come_and_go_are_counted_apart(stage: Stage) -> None:
    proposer, _ = locked(stage)
    votes = {anchor: stage.propose(anchor, stage.x) for anchor in (2, 3)}
    for count in range(6):
        for anchor, vote in votes.items():
            proposer.silent(anchor)
            expected = 1 if count < 4 else 0
            assert expected == len(proposer.heard(anchor, vote))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [("applied", "wrong-kind"), ("another's", "wrong-value"), ("another value's", "wrong-value")],
)
def test_what_answers_no_proposal_is_rejected_with_the_reason(
    stage: Stage, reply: str, reason: str
) -> None:
    said: dict[str, Reply] = {
        "applied": Applied(),
        "another's": stage.propose(1, stage.x),
        "another value's": stage.propose(0, stage.y),
    }
    proposer = proposer_of(stage)
    with pytest.raises(Rejected) as caught:
        proposer.heard(0, said[reply])
    assert reason == caught.value.reason


def test_why_there_is_no_decision_names_the_phase_and_who_said_no(stage: Stage) -> None:
    proposer, shown = locked(stage)
    proposer.silent(2)
    proposer.heard(0, Declined(reason="refused", problem="no room", for_now=True))
    assert proposer.describe().startswith("0 of 4 heard, 3 needed; ")
    assert proposer.describe().endswith("; anchor 0: no room; anchor 2 does not answer")


# Decided by others


def test_a_head_that_settles_nothing_hides_no_refusal_that_does() -> None:
    c = Crossing()
    gone = c.arrived()
    c.world.clock.pass_ms(2_000)
    refusal = c.world.refuse(c.b, gone)
    late = c.world.admit_proposal(c.b, gone, c.visa)
    slot = slot_for(gone, late.transition, c.b.manifest)
    proposer = Proposer(late, slot, c.b.manifest)
    assert [] == proposer.heard(0, Head(certified=gone, refusal=refusal))
    assert (Progress.OVERTAKEN, refusal) == (proposer.progress, proposer.decided)


def test_another_value_in_this_slot_overtakes(stage: Stage) -> None:
    done = stage.world.decide(stage.zone, stage.y, stage.head)
    proposer = proposer_of(stage)
    assert [] == proposer.heard(0, Head(certified=done))
    assert (Progress.OVERTAKEN, done) == (proposer.progress, proposer.decided)
    assert [] == proposer.heard(3, Need(what="proposal")), "ours was not decided"


def test_a_head_that_is_forged_settles_nothing(stage: Stage) -> None:
    done = stage.world.decide(stage.zone, stage.x, stage.head)
    forged = replace(done, certificate=found("thief").certificate(stage.slot, done.record.digest))
    proposer = proposer_of(stage)
    with pytest.raises(Rejected):
        proposer.heard(0, Head(certified=forged))
    assert (Progress.LOCKING, None) == (proposer.progress, proposer.decided)
    ask = Propose(slot=stage.slot, round=0, proposal=stage.x)
    for reply in (Head(certified=None), Head(certified=stage.head)):
        assert Send(1, ask) == proposer.heard(1, reply)[-1], "it lacks the parent"
