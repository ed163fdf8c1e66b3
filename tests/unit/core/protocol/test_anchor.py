"""One anchor's rulings: errors change nothing, repeats are harmless, and evidence is worth what it proves."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.governance import Matter
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol.admission import admitted, child
from sojourn.core.protocol.custody import Certified, check_chain
from sojourn.core.protocol.duties import Task, duties_of
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    AskHead,
    AskRound,
    Declined,
    Evidence,
    Need,
    Proposal,
    Propose,
    Request,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.proposer import Progress, Proposer
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureZone, World, driven


@pytest.fixture
def world() -> World:
    return World("a", "b", "c")


def shown(done: Certified, evidence: Evidence | None = None) -> ShowCommit:
    """Return a decision as anybody may show it, with evidence of their choice."""
    proposal = Proposal(transition=done.transition, seals=(), evidence=evidence or Evidence())
    return ShowCommit(certificate=done.certificate, proposal=proposal)


def chains(zone: PureZone, agent: bytes, world: World) -> list[bool]:
    """Tell for each anchor whether the chain of custody it would hand out proves itself."""
    found = []
    for anchor in zone.anchors:
        try:
            check_chain(agent, anchor.past(agent), world.known.manifests)
        except Rejected:
            found.append(False)
        else:
            found.append(True)
    return found


# Errors change nothing


def test_an_error_changes_nothing_and_says_whether_it_may_pass(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    agent = head.record.agent_id
    step = world.step_proposal(a, head)
    unsealed = Propose(slot=a.slot(step, head), round=0, proposal=replace(step, seals=()))
    early = Propose(slot=a.slot(step, head), round=0, proposal=step)
    before = a.anchors[0].dossier(agent)
    reply = a.ask(0, unsealed)
    assert isinstance(reply, Declined) and not reply.for_now
    world.clock.wall_ms -= CLOCK_SKEW_MS + 1
    reply = a.ask(0, early)
    assert isinstance(reply, Declined) and reply.for_now
    assert before is a.anchors[0].dossier(agent)


@pytest.mark.parametrize("offset", [-CLOCK_SKEW_MS - 1, CLOCK_SKEW_MS + 1])
def test_section_4_the_authors_time_is_bounded_by_the_anchors_clock(
    world: World, offset: int
) -> None:
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    world.clock.wall_ms += offset
    reply = a.ask(0, Propose(slot=a.slot(step, head), round=0, proposal=step))
    assert isinstance(reply, Declined) and "untimely" == reply.reason


def test_repeating_every_message_of_a_life_is_harmless(world: World) -> None:
    a, b, _ = world.zones
    head = world.launch(a)
    gone, visa, ask = world.depart(a, b, head)
    arrive = Arrive(departure=gone, visa=visa)
    b.ask_all(arrive)
    done = world.decide(b, world.admit_proposal(b, gone, visa), gone)
    messages: list[Request] = [
        ask,
        arrive,
        shown(done),
        AskHead(agent=head.record.agent_id),
        shown(head),
    ]
    before = [dict(anchor.dossiers) for anchor in b.anchors]
    for message in messages:
        b.ask_all(message)
    assert before == [anchor.dossiers for anchor in b.anchors]


# Evidence beside a decision is anybody's


def test_section_4_check_8_a_decided_departure_keeps_the_visa_that_was_judged(
    world: World,
) -> None:
    """A liar who is first to show the decision could leave every anchor without the visa to press with."""
    a, b, c = world.zones
    head = world.launch(a)
    visa = world.visa(b, world.application(a, b, head))
    other = world.visa(c, world.application(a, c, head))
    proposal = world.depart_proposal(a, b, head, visa)
    slot = a.slot(proposal, head)
    for anchor in a.anchors:
        assert isinstance(anchor.ask(Propose(slot=slot, round=0, proposal=proposal)), Voted)
    gone = a.sample.certified(proposal.transition)
    for anchor, evidence in zip(
        a.anchors, (Evidence(), Evidence(visa=other), None, Evidence(visa=visa)), strict=True
    ):
        assert Applied() == anchor.ask(shown(gone, evidence))
        assert visa == anchor.dossier(head.record.agent_id).visa


def test_section_4_check_8_an_anchor_that_judged_nothing_keeps_only_a_visa_that_proves_itself(
    world: World,
) -> None:
    a, b, c = world.zones
    head = world.launch(a)
    gone, visa, _ = world.depart(a, b, head)
    other = world.visa(c, world.application(a, c, head))
    forged = replace(visa, certificate=other.certificate)
    for evidence, expected in (
        (Evidence(visa=other), None),
        (Evidence(visa=forged), None),
        (Evidence(), None),
        (Evidence(visa=visa), visa),
    ):
        fresh = a.anchors[0]
        fresh.dossiers[head.record.agent_id] = replace(
            fresh.dossier(head.record.agent_id), head=head, visa=None
        )
        assert Applied() == fresh.ask(shown(gone, evidence))
        assert expected == fresh.dossier(head.record.agent_id).visa


def test_trap_16_a_forged_departure_or_refusal_does_not_enter_the_chain(world: World) -> None:
    a, b, c = world.zones
    head = world.launch(a)
    agent = head.record.agent_id
    gone, visa, ask = world.depart(a, b, head)
    b.ask_all(Arrive(departure=gone, visa=visa))
    admission = world.admit_proposal(b, gone, visa)
    done = b.sample.certified(admission.transition)
    elsewhere = replace(gone.transition, record=head.record)
    forged = c.sample.certified(elsewhere, gone.certificate.slot)
    for anchor in b.anchors:
        assert Applied() == anchor.ask(shown(done, Evidence(departure=forged)))
    assert [True] * 4 == chains(b, agent, world)

    gone, visa, _ = world.depart(b, a, done_and_live(world, b, done), deadline_ms=100)
    a.ask_all(Arrive(departure=gone, visa=visa))
    world.clock.pass_ms(200)
    refusal = world.refuse(a, gone)
    back = b.sample.certified(world.return_proposal(b, gone, refusal).transition)
    lies = c.sample.certified(refusal.transition, refusal.certificate.slot)
    for anchor in b.anchors[:3]:
        assert Applied() == anchor.ask(shown(back, Evidence(refusal=refusal)))
    assert Applied() == b.anchors[3].ask(shown(back, Evidence(refusal=lies)))
    assert [True, True, True] == chains(b, agent, world)[:3]
    unproved = b.anchors[3].dossier(agent).chapter
    assert unproved is not None and unproved.refusal is None


def done_and_live(world: World, zone: PureZone, head: Certified) -> Certified:
    """Renew the lease of a head that was just decided."""
    zone.renew(head)
    return head


def test_a_leader_that_strips_a_locked_value_of_its_evidence_strips_nothing(world: World) -> None:
    a, b, _ = world.zones
    head = world.launch(a)
    visa = world.visa(b, world.application(a, b, head))
    proposal = world.depart_proposal(a, b, head, visa)
    slot, anchor = a.slot(proposal, head), a.anchors[0]
    anchor.ask(Propose(slot=slot, round=0, proposal=proposal))
    lock = a.sample.certificate(slot, proposal.transition.digest, phase=Phase.LOCK)
    stripped = replace(proposal, seals=(), evidence=Evidence())
    assert isinstance(anchor.ask(ShowLock(certificate=lock, proposal=stripped)), Voted)
    state = anchor.dossier(head.record.agent_id).open
    assert state is not None and (proposal,) == state.proposals


# Decisions that were missed


def test_an_anchor_that_missed_the_admission_owes_no_refusal(world: World) -> None:
    a, b, _ = world.zones
    head = world.launch(a)
    gone, visa, ask = world.depart(a, b, head, deadline_ms=100)
    b.ask_all(Arrive(departure=gone, visa=visa))
    late = b.anchors[3]
    done = world.decide(b, world.admit_proposal(b, gone, visa), gone, only=(0, 1, 2))
    b.renew(done)
    stepped = world.decide(b, world.step_proposal(b, done), done, only=(0, 1, 2))
    assert Applied() == late.ask(shown(stepped))
    dossier = late.dossier(head.record.agent_id)
    assert (stepped, None, None) == (dossier.head, dossier.arrival, dossier.application)
    world.clock.pass_ms(1000)
    assert Task.REFUSE not in {duty.task for duty in duties_of(dossier, late.view())}


def test_an_anchor_that_missed_an_opening_does_not_close_the_wrong_chapter(world: World) -> None:
    """The agent was here before: what is known of that stay stays true."""
    a, b, _ = world.zones
    head = world.launch(a)
    agent = head.record.agent_id
    head = world.move(a, b, head)
    stay = a.anchors[3].past(agent)
    gone, visa, ask = world.depart(b, a, head)
    for anchor in a.anchors[:3]:
        anchor.ask(Arrive(departure=gone, visa=visa))
    proposal = world.admit_proposal(a, gone, visa)
    back = world.decide(a, proposal, gone, application=ask, only=(0, 1, 2))
    a.renew(back)
    visa = world.visa(b, world.application(a, b, back))
    proposal = world.depart_proposal(a, b, back, visa)
    again = world.decide(a, proposal, back, only=(0, 1, 2))
    late = a.anchors[3]
    assert Applied() == late.ask(shown(again))
    assert stay == late.past(agent)
    assert [True] * 3 == chains(a, agent, world)[:3]
    dossier = late.dossier(agent)
    assert (again, None, None) == (dossier.head, dossier.onward, dossier.chapter)


# Where it went


def test_section_11_only_the_zone_that_the_departure_names_can_have_admitted_it(
    world: World,
) -> None:
    """Any zone can certify an admission into itself; A would never take the agent back."""
    a, b, c = world.zones
    head = world.launch(a)
    agent = head.record.agent_id
    gone, visa, ask = world.depart(a, b, head)
    record = admitted(gone.record, gone.certificate.slot, c.manifest, c.hosts[0].public)
    proposal = world.propose(TransitionKind.ADMIT, gone, record, c.hosts[0])
    stolen = c.sample.certified(proposal.transition)
    with pytest.raises(Rejected):
        a.anchors[0].learn_onward(agent, stolen)
    assert a.anchors[0].dossier(agent).onward is None
    done = world.arrive(b, gone, visa, ask)
    a.anchors[0].learn_onward(agent, done)
    assert done == a.anchors[0].dossier(agent).onward


@pytest.mark.parametrize("kind", [TransitionKind.REFUSE, TransitionKind.STEP])
def test_section_11_nothing_but_an_admission_points_onward(
    world: World, kind: TransitionKind
) -> None:
    a, b, _ = world.zones
    head = world.launch(a)
    gone, _, _ = world.depart(a, b, head)
    record = admitted(gone.record, gone.certificate.slot, b.manifest, b.hosts[0].public)
    made = world.propose(kind, gone, record, b.hosts[0])
    with pytest.raises(Rejected):
        a.anchors[0].learn_onward(head.record.agent_id, b.sample.certified(made.transition))


# The zone itself


def test_an_agent_cannot_depart_for_where_it_is(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    reply = a.ask(0, world.application(a, a, head))
    assert isinstance(reply, Declined) and "wrong-zone" == reply.reason


# One thing at a time


def test_trap_50_an_agent_has_one_open_slot(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    a.ask(0, Propose(slot=a.slot(step, head), round=0, proposal=step))
    later = replace(a.slot(step, head), version=7)
    lock = a.sample.certificate(later, digest(b"value"), phase=Phase.LOCK)
    for request in (
        AskRound(slot=later, round=0),
        Propose(slot=later, round=0, proposal=step),
        ShowLock(certificate=lock),
    ):
        assert isinstance(a.ask(0, request), Declined | Need), request
    state = a.anchors[0].dossier(head.record.agent_id).open
    assert state is not None and a.slot(step, head) == state.slot


def test_section_4_check_6_a_departed_agent_takes_no_step(world: World) -> None:
    a, b, _ = world.zones
    head = world.launch(a)
    gone, _, _ = world.depart(a, b, head)
    for kind in (TransitionKind.STEP, TransitionKind.BIND, TransitionKind.RETIRE):
        made = world.propose(kind, gone, next_of(gone), world.host_of(a, head))
        reply = a.ask(0, Propose(slot=a.slot(made, gone), round=0, proposal=made))
        assert isinstance(reply, Declined) and "bad-status" == reply.reason


def next_of(head: Certified) -> Any:
    return child(head.record, head.certificate.slot)


def test_a_retired_agent_is_over(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    eligibility = replace(head.record.eligibility, status=Status.RETIRED)
    made = world.propose(
        TransitionKind.RETIRE,
        head,
        replace(
            next_of(head),
            eligibility=eligibility,
            governance=replace(head.record.governance, ordered_ms={Matter.END: 1}),
        ),
        world.host_of(a, head),
    )
    reply = a.ask(0, Propose(slot=a.slot(made, head), round=0, proposal=made))
    assert isinstance(reply, Declined) and "no-order" == reply.reason


def test_an_overtaken_proposal_hears_of_what_was_decided(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    done = world.step(a, head)
    rival = world.propose(
        TransitionKind.STEP,
        head,
        replace(next_of(head), memory=replace(head.record.memory, inbox=digest(b"i"))),
        world.host_of(a, head),
    )
    proposer = driven(a, Proposer(rival, a.slot(rival, head), a.manifest, parent=head))
    assert (Progress.OVERTAKEN, done) == (proposer.progress, proposer.decided)
