"""When nobody admits it (protocol §5): refused after the deadline, and returned; never stranded, never two."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import departed
from sojourn.core.protocol.messages import (
    Arrive,
    Declined,
    Evidence,
    Head,
    Nack,
    Need,
    Propose,
    Voted,
)
from sojourn.core.protocol.proposer import Progress, Proposer
from sojourn.core.protocol.validate import slot_for
from tests.rulings import driven
from tests.samples import found, seal
from tests.unit.core.protocol.crossing import Crossing, refused


@pytest.fixture
def crossing() -> Crossing:
    return Crossing()


# Refusing


def test_trap_17_nobody_refuses_before_the_deadline_on_its_own_clock(crossing: Crossing) -> None:
    gone = crossing.arrived()
    proposal = crossing.world.refuse_proposal(crossing.b, gone)
    crossing.world.clock.pass_ms(999)
    reply = crossing.proposed(crossing.b, proposal, gone)
    assert isinstance(reply, Declined) and reply.for_now
    crossing.world.clock.pass_ms(1)
    assert isinstance(crossing.proposed(crossing.b, proposal, gone), Voted)


def test_trap_17_an_anchor_that_has_only_just_seen_it_waits_its_own_time(
    crossing: Crossing,
) -> None:
    gone = crossing.depart()
    arrive = Arrive(departure=gone, visa=crossing.visa)
    crossing.b.ask(0, arrive)
    crossing.world.clock.pass_ms(2_000)
    proposal = crossing.world.refuse_proposal(crossing.b, gone)
    reply = crossing.proposed(crossing.b, proposal, gone, index=1)
    assert isinstance(reply, Declined) and reply.for_now
    crossing.b.ask(1, arrive)
    assert isinstance(crossing.proposed(crossing.b, proposal, gone, index=1), Declined)
    assert isinstance(crossing.proposed(crossing.b, proposal, gone, index=0), Voted)


def test_trap_18_nobody_refuses_an_agent_that_has_not_departed(crossing: Crossing) -> None:
    """Else anybody could strand an agent by refusing terms to come."""
    world, b = crossing.world, crossing.b
    world.clock.pass_ms(50_000)
    record = departed(
        crossing.head.record, crossing.head.certificate.slot, crossing.visa, b.manifest
    )
    made = world.propose(TransitionKind.DEPART, crossing.head, record, crossing.a.hosts[0])
    forged = found("thief").certified(made.transition)
    for departure in (None, crossing.head, forged):
        proposal = replace(world.refuse_proposal(b, forged), evidence=Evidence(departure=departure))
        slot = slot_for(forged, proposal.transition, b.manifest)
        reply = b.ask(0, Propose(slot=slot, round=0, proposal=proposal))
        assert isinstance(reply, Declined | Need)
    assert 0 == b.anchors[0].dossier(crossing.agent).high_term


def test_section_2_only_an_anchor_of_the_target_refuses(crossing: Crossing) -> None:
    gone = crossing.arrived()
    crossing.world.clock.pass_ms(2_000)
    good = crossing.world.refuse_proposal(crossing.b, gone)
    for author, role in (
        (crossing.b.hosts[0], Role.HOST),
        (crossing.a.sample.identity(0), Role.ANCHOR),
        (crossing.b.sample.vote_key(0), Role.ANCHOR),
        (crossing.b.sample.identity(0), Role.HOST),
    ):
        wrong = crossing.world.propose(
            TransitionKind.REFUSE, gone, gone.record, author, role=role, evidence=good.evidence
        )
        assert isinstance(crossing.proposed(crossing.b, wrong, gone), Declined)


def test_section_5_a_refusal_closes_the_term_and_makes_no_version(crossing: Crossing) -> None:
    gone = crossing.arrived()
    crossing.world.clock.pass_ms(2_000)
    refusal = crossing.world.refuse(crossing.b, gone)
    dossier = crossing.b.anchors[0].dossier(crossing.agent)
    assert (None, refusal, 1, None) == (
        dossier.head,
        dossier.refusal,
        dossier.high_term,
        dossier.arrival,
    )
    assert gone.record == refusal.record
    reply = crossing.b.ask(0, Arrive(departure=gone, visa=crossing.visa))
    assert isinstance(reply, Head) and refusal == reply.refusal
    late = crossing.world.admit_proposal(crossing.b, gone, crossing.visa)
    proposer = Proposer(
        late, slot_for(gone, late.transition, crossing.b.manifest), crossing.b.manifest
    )
    driven(crossing.b, proposer)
    assert (Progress.OVERTAKEN, refusal) == (proposer.progress, proposer.decided)


@pytest.mark.parametrize("admitting", range(5))
def test_trap_19_admission_and_refusal_compete_for_one_slot(admitting: int) -> None:
    """Some anchors vote to admit, the others to refuse: at most one of the two is ever decided."""
    crossing = Crossing()
    world, b = crossing.world, crossing.b
    gone = crossing.arrived()
    world.clock.pass_ms(2_000)
    admit = world.admit_proposal(b, gone, crossing.visa)
    refuse = world.refuse_proposal(b, gone)
    slot = slot_for(gone, admit.transition, b.manifest)
    assert slot == slot_for(gone, refuse.transition, b.manifest)
    for index in range(4):
        chosen = admit if index < admitting else refuse
        assert isinstance(crossing.proposed(b, chosen, gone, index), Voted)
    outcomes = [driven(b, Proposer(proposal, slot, b.manifest)) for proposal in (admit, refuse)]
    decided = {p.decided.certificate.value for p in outcomes if p.decided is not None}
    expected = {4: 1, 3: 1, 2: 0, 1: 1, 0: 1}[admitting]
    assert expected == len(decided)
    for other in (admit, refuse):
        reply = crossing.proposed(b, other, gone)
        assert isinstance(reply, Head | Nack | Voted)


# Returning


def test_trap_16_only_the_refusal_of_that_very_departure_brings_it_back(
    crossing: Crossing,
) -> None:
    world, a, b = crossing.world, crossing.a, crossing.b
    gone = crossing.arrived()
    world.clock.pass_ms(60_000)
    refusal = world.refuse(b, gone)
    thief = found("thief")
    forged = replace(
        refusal,
        certificate=thief.certificate(refusal.certificate.slot, refusal.certificate.value),
    )
    for wrong in (None, gone, forged, crossing.head):
        proposal = world.return_proposal(a, gone, wrong)
        assert isinstance(crossing.proposed(a, proposal, gone), Declined)
    back = world.take_back(a, gone, refusal)
    assert (a.zone, 2) == (back.record.custody.zone, back.record.custody.term)


def test_trap_16_an_earlier_refusal_does_not_bring_back_a_later_departure(
    crossing: Crossing,
) -> None:
    world, a, b = crossing.world, crossing.a, crossing.b
    gone = crossing.arrived()
    world.clock.pass_ms(2_000)
    first = world.refuse(b, gone)
    back = world.take_back(a, gone, first)
    a.renew(back)
    again, visa, _ = world.depart(a, b, back, deadline_ms=1_000)
    assert again.record.migration is not None and 3 == again.record.migration.next_term
    stale = world.return_proposal(a, again, first)
    assert refused(crossing.proposed(a, stale, again), "wrong-parent")
    b.ask_all(Arrive(departure=again, visa=visa))
    done = world.arrive(b, again, visa)
    assert 3 == done.record.custody.term


def test_section_2_only_an_anchor_of_the_source_takes_back(crossing: Crossing) -> None:
    world, a, b = crossing.world, crossing.a, crossing.b
    gone = crossing.arrived()
    world.clock.pass_ms(2_000)
    refusal = world.refuse(b, gone)
    good = world.return_proposal(a, gone, refusal)
    wrong = replace(
        good,
        seals=(seal(a.hosts[0], Kind.TRANSITION, Role.HOST, good.transition.digest),),
    )
    assert isinstance(crossing.proposed(a, wrong, gone), Declined)
    elsewhere = world.propose(
        TransitionKind.RETURN,
        gone,
        good.transition.record,
        b.sample.identity(0),
        role=Role.ANCHOR,
        evidence=good.evidence,
    )
    assert refused(crossing.proposed(a, elsewhere, gone), "wrong-author")


def test_section_5_a_return_restores_what_was_and_nothing_else(crossing: Crossing) -> None:
    world, a, b = crossing.world, crossing.a, crossing.b
    gone = crossing.arrived()
    world.clock.pass_ms(2_000)
    refusal = world.refuse(b, gone)
    good = world.return_proposal(a, gone, refusal).transition.record
    wrong = world.propose(
        TransitionKind.RETURN,
        gone,
        replace(good, custody=replace(good.custody, host=a.hosts[1].public)),
        a.sample.identity(0),
        role=Role.ANCHOR,
        evidence=Evidence(refusal=refusal),
    )
    assert refused(crossing.proposed(a, wrong, gone), "bad-change")
