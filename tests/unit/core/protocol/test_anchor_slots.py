"""An anchor is asked about a slot that is decided, too early, too late, or another zone's (protocol §3)."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol import decree
from sojourn.core.protocol.dossier import OpenSlot
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    AskRound,
    Declined,
    Head,
    Nack,
    Propose,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.votes import Phase
from tests.unit.core.protocol.crossing import Crossing
from tests.unit.core.protocol.stage import Stage, refused


@pytest.fixture
def stage() -> Stage:
    return Stage()


def opened(stage: Stage, index: int = 0) -> OpenSlot:
    """Return the slot that an anchor has open."""
    state = stage.anchor(index).dossier(stage.agent).open
    assert state is not None
    return state


# Decided


def test_rule_0_a_lock_or_a_round_of_a_decided_slot_is_answered_with_the_decision(
    stage: Stage,
) -> None:
    done = stage.world.decide(stage.zone, stage.x, stage.head)
    anchor, lock = stage.anchor(), stage.certificate(stage.y)
    before = anchor.dossier(stage.agent)
    for request in (
        ShowLock(certificate=lock, proposal=stage.y),
        AskRound(slot=stage.slot, round=1, entry=None),
    ):
        reply = anchor.ask(request)
        assert isinstance(reply, Head) and done == reply.certified
    assert before == anchor.dossier(stage.agent)


def test_section_5_what_is_decided_after_a_refusal_is_applied() -> None:
    """The agent came back in a later term: the refusal of the first closed that term alone."""
    c = Crossing()
    gone = c.arrived()
    c.world.clock.pass_ms(2_000)
    refusal = c.world.refuse(c.b, gone)
    shown = ShowCommit(certificate=refusal.certificate, proposal=None)
    assert [Applied()] * 4 == c.b.ask_all(shown), "it needs no value to be told again"
    back = c.world.take_back(c.a, gone, refusal)
    c.a.renew(back)
    done = c.world.move(c.a, c.b, back)
    assert [done] * 4 == [anchor.dossier(c.agent).head for anchor in c.b.anchors]


# Earlier and later


def test_trap_55_a_commit_vote_is_not_given_up_for_an_earlier_slot(stage: Stage) -> None:
    """An anchor that was away is shown a lock of the next slot, and then asked to vote in the one before."""
    anchor = stage.anchor()
    done = stage.world.decide(stage.zone, stage.x, stage.head, only=(1, 2, 3))
    later = stage.world.step_proposal(stage.zone, done)
    slot, value = stage.zone.slot(later, done), later.transition.digest
    lock = stage.zone.sample.certificate(slot, value, phase=Phase.LOCK)
    assert isinstance(anchor.ask(ShowLock(certificate=lock, proposal=later)), Voted)
    before = anchor.dossier(stage.agent)
    reply = stage.propose(0, stage.x)
    assert isinstance(reply, Declined) and ("refused", True) == (reply.reason, reply.for_now)
    assert before == anchor.dossier(stage.agent)


def test_rule_2_who_is_in_a_round_wants_no_more_proof_of_it(stage: Stage) -> None:
    entry = stage.left(0)
    assert isinstance(stage.propose(0, stage.x, 1, entry=entry), Voted)
    assert isinstance(stage.propose(0, stage.x, 1), Voted)


def test_rule_2_a_round_begins_when_it_is_entered_and_keeps_the_proof(stage: Stage) -> None:
    entry, clock = stage.left(0), stage.world.clock
    clock.pass_ms(7)
    stage.anchor(0).ask(AskRound(slot=stage.slot, round=1, entry=entry))
    assert (1, clock.boot_ms, entry) == (
        opened(stage).round,
        opened(stage).entered_ms,
        opened(stage).entry,
    )
    clock.pass_ms(7)
    stage.locked(0, stage.x, round=2)
    assert (2, clock.boot_ms) == (opened(stage).round, opened(stage).entered_ms)


def test_trap_4_a_round_that_was_left_is_not_voted_to_be_left_again(stage: Stage) -> None:
    """Nor is the present one left for it, though its time is up."""
    stage.anchor(0).ask(AskRound(slot=stage.slot, round=1, entry=stage.left(0)))
    stage.world.clock.pass_ms(decree.round_timeout_ms(1))
    reply = stage.anchor(0).ask(AskRound(slot=stage.slot, round=0))
    assert isinstance(reply, Nack) and 1 == reply.round
    assert opened(stage).round_voted is None


# What was judged


def test_rule_6_only_a_lock_excuses_a_value_from_the_anchors_own_clock(stage: Stage) -> None:
    entry, lock = stage.left(0), stage.certificate(stage.x)
    fresh = stage.anchor(3)
    fresh.dossiers[stage.agent] = replace(fresh.dossier(stage.agent), open=None)
    stage.world.clock.pass_ms(CLOCK_SKEW_MS + 1)
    assert refused(stage.propose(3, stage.x, 1, entry=entry), "untimely")
    assert isinstance(stage.propose(3, stage.x, 1, entry=entry, justification=lock), Voted)


def test_a_nack_that_is_said_again_costs_no_write_and_judges_nothing_anew(stage: Stage) -> None:
    stage.opened(0)
    assert isinstance(stage.propose(0, stage.y), Nack)
    pending = opened(stage).proposals
    again = Propose(slot=stage.slot, round=0, proposal=stage.y)
    ruling = stage.anchor(0).ruling(again, stage.leader(0))
    assert isinstance(ruling.answer, Nack) and ruling.dossier is None
    assert pending == opened(stage).proposals


# Another zone's


def test_section_11_a_decision_of_another_zone_is_not_applied_here() -> None:
    """That zone's signatures are good, and say nothing of what this one decided."""
    c = Crossing()
    gone = c.arrived()
    before = c.b.anchors[0].dossier(c.agent)
    proposal = c.world.depart_proposal(c.a, c.b, c.head, c.visa)
    assert proposal.transition == gone.transition
    show = ShowCommit(certificate=gone.certificate, proposal=proposal)
    reply = c.b.ask(0, show)
    assert isinstance(reply, Declined) and "wrong-zone" == reply.reason
    assert before == c.b.anchors[0].dossier(c.agent)


def test_section_5_an_arrival_that_is_shown_again_is_answered_as_before() -> None:
    c = Crossing()
    arrive = Arrive(departure=c.depart(), visa=c.visa)
    assert Head(certified=None) == c.b.ask(0, arrive)
    repeated = c.b.anchors[0].ruling(arrive)
    assert (Head(certified=None), None) == (repeated.answer, repeated.dossier)
