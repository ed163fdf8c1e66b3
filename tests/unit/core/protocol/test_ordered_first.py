"""What officers ordered goes first (protocol §4 check 6b, §8.8): who knows it stops the agent, and sees to it."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.base.digests import digest
from sojourn.core.base.limits import RANK_STEP_MS
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.duties import Task, duties_of, may_owe_more
from sojourn.core.protocol.messages import (
    Arrive,
    Declined,
    Nack,
    Proposal,
    Propose,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.proposer import Progress, Proposer
from sojourn.core.protocol.visa import Visa
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureZone, World, driven
from tests.samples import ISSUER, key
from tests.unit.core.protocol.test_validate import ORDERS, intended
from tests.unit.core.protocol.test_validate import intent as shown_intent


@pytest.fixture
def world() -> World:
    return World("a", "b", lease_ms=60_000)


def order(
    world: World, head: Certified, act: Act = Act.SUSPEND, lasts_ms: int = 60_000
) -> SignedOrder:
    now_ms = world.clock.wall_ms
    agent = head.record.agent_id
    given = Order(agent=agent, act=act, issued_ms=now_ms, expires_ms=now_ms + lasts_ms)
    return sealed(given, [ISSUER])


def tell(zone: PureZone, signed: SignedOrder, *anchors: int) -> None:
    """Let some anchors (all) of a zone know an order."""
    for index in anchors or range(4):
        assert [signed] == zone.anchors[index].learn_orders(signed)


def asked(zone: PureZone, proposal: Proposal, parent: Certified, anchor: int = 0) -> object:
    return zone.ask(anchor, Propose(slot=zone.slot(proposal, parent), round=0, proposal=proposal))


def is_held_up(reply: object) -> bool:
    """Tell whether a reply says that an order comes first, for now."""
    return isinstance(reply, Declined) and reply.for_now and "comes first" in reply.problem


def obeyed(zone: PureZone, head: Certified, anchor: int = 0) -> Certified:
    """Have an anchor carry out what comes next, as its caretaker does."""
    agent, view = zone.anchors[anchor], zone.anchors[anchor].view()
    signed = view.edicts.next_for(head.record, view.documents, view.now_ms)
    assert signed is not None
    proposal = carrying(signed, head, agent.identity, at_ms=view.now_ms)
    proposer = Proposer(proposal, zone.slot(proposal, head), zone.manifest, parent=head)
    driven(zone, proposer)
    assert proposer.decided is not None, proposer.describe()
    return proposer.decided


@pytest.mark.parametrize("act", [Act.SUSPEND, Act.QUARANTINE, Act.RETIRE, Act.REVOKE])
def test_section_4_check_6b_an_order_that_is_known_comes_before_what_the_agent_does(
    world: World, act: Act
) -> None:
    a, b = world.zones
    head = world.launch(a, ORDERS)
    visa = world.visa(b, world.application(a, b, head))
    doing = (
        world.step_proposal(a, head),
        intended(world, head, shown_intent()),
        world.depart_proposal(a, b, head, visa),
    )
    tell(a, order(world, head, act), 0)
    for proposal in doing:
        assert is_held_up(asked(a, proposal, head)), proposal.transition.kind
        assert f"ordered to {act} it" in asked(a, proposal, head).problem  # type: ignore[attr-defined]
    assert isinstance(asked(a, doing[0], head, anchor=1), Voted), "who does not know it votes"


def test_section_8_f_plus_1_anchors_that_know_an_order_stop_the_agent(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    tell(a, order(world, head), 0, 1)
    step = world.step_proposal(a, head)
    proposer = driven(a, Proposer(step, a.slot(step, head), a.manifest, parent=head))
    assert Progress.WON is not proposer.progress
    signed = order(world, head)
    brought = carrying(signed, head, a.sample.identity(0), at_ms=world.clock.wall_ms)
    assert isinstance(asked(a, brought, head), Voted)
    assert isinstance(asked(a, brought, head, anchor=2), Nack), "it has voted for the step"
    state = a.anchors[2].dossier(head.record.agent_id).open
    assert state is not None
    assert brought == state.proposals[-1], "whoever leads the next round may propose the order"


def test_section_8_f_anchors_that_say_so_hold_up_nothing(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    tell(a, order(world, head), 3)
    assert 2 == world.step(a, head).record.version


def test_section_8_custody_and_orders_are_not_held_up(world: World) -> None:
    a, b = world.zones
    born = world.decide(a, world.genesis(a))
    tell(a, order(world, born))
    assert isinstance(asked(a, world.bind_proposal(a, born), born), Voted)
    other = world.launch(a, parent=digest(b"another"))
    gone, visa, _ask = world.depart(a, b, other)
    for zone in (a, b):
        tell(zone, order(world, gone, Act.RETIRE))
    back = world.arrive(b, gone, visa)
    assert Status.ACTIVE is back.record.eligibility.status, "it is admitted, and meets it there"
    assert is_held_up(asked(b, world.step_proposal(b, back), back))
    assert Status.RETIRED is obeyed(b, back).record.eligibility.status


def test_section_8_a_refused_agent_returns_to_what_was_ordered(world: World) -> None:
    a, b = world.zones
    gone, visa, _ask = world.depart(a, b, world.launch(a), deadline_ms=1_000)
    tell(a, order(world, gone))
    for anchor in b.anchors:
        anchor.ask(_arrival(gone, visa))
    world.clock.pass_ms(1_000)
    back = world.take_back(a, gone, world.refuse(b, gone))
    assert obeyed(a, back).record.eligibility.is_suspended


def _arrival(gone: Certified, visa: Visa) -> Arrive:
    return Arrive(departure=gone, visa=visa)


def test_section_3_rule_6_an_order_wedges_no_value_that_is_locked(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    slot = a.slot(step, head)
    lock = a.sample.certificate(slot, step.transition.digest, phase=Phase.LOCK)
    tell(a, order(world, head))
    assert is_held_up(asked(a, step, head))
    voted = a.ask(0, ShowLock(certificate=lock, proposal=step))
    assert isinstance(voted, Voted) and Phase.COMMIT is voted.vote.ballot.phase


def test_section_8_an_order_that_was_carried_out_holds_up_nothing_any_more(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    suspended = order(world, head)
    tell(a, suspended)
    done = obeyed(a, head)
    world.clock.pass_ms(1)
    resume = order(world, done, Act.RESUME)
    tell(a, resume)
    free = obeyed(a, done)
    assert not free.record.eligibility.is_held
    for anchor in a.anchors:
        assert [] == anchor.learn_orders(suspended), "an old one does not come back"
    assert isinstance(asked(a, world.step_proposal(a, free), free), Voted)


def test_section_8_an_order_that_has_lapsed_holds_up_nothing(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    tell(a, order(world, head, lasts_ms=1_000))
    world.clock.pass_ms(1_000)
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)


def test_section_8_an_order_that_changes_nothing_holds_up_nothing(world: World) -> None:
    """It would for ever: nobody can carry it out."""
    a = world.zones[0]
    head = world.launch(a)
    tell(a, order(world, head, Act.RESUME))
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)


def test_section_8_a_strangers_order_holds_up_nothing(world: World) -> None:
    a = world.zones[0]
    born = world.genesis(a)
    agent = born.transition.record.agent_id
    now_ms = world.clock.wall_ms
    given = Order(agent=agent, act=Act.RETIRE, issued_ms=now_ms, expires_ms=now_ms + 60_000)
    for anchor in a.anchors:
        assert anchor.learn_orders(sealed(given, [key("eve")])), "nobody knows the agent yet"
    head = world.bind(a, world.decide(a, born))
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)
    assert not any(_obeys(a, head))


# The duty


def _obeys(zone: PureZone, head: Certified) -> list[int]:
    """Return when each anchor is to carry out an order, by those that are."""
    found = [duties_of(a.dossier(head.record.agent_id), a.view()) for a in zone.anchors]
    return [duty.due_ms for duties in found for duty in duties if duty.task is Task.OBEY]


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.DORMANT])
def test_section_3_whoever_knows_an_order_sees_to_it_by_rank(world: World, status: Status) -> None:
    a, b = world.zones
    head = world.launch(a)
    wake = (Wake(on_message=True),)
    eligibility = replace(head.record.eligibility, status=status, wake=wake)
    head = world.step(a, head, eligibility=eligibility)
    assert [] == _obeys(a, head)
    tell(a, order(world, head))
    ranked = [world.clock.boot_ms + place * RANK_STEP_MS for place in range(4)]
    assert ranked == sorted(_obeys(a, head))
    tell(b, order(world, head))
    assert [] == _obeys(b, head)
    done = obeyed(a, head)
    assert [] == _obeys(a, done)


def test_section_3_an_order_about_an_agent_between_zones_waits_for_where_it_will_be(
    world: World,
) -> None:
    a, b = world.zones
    gone, visa, ask = world.depart(a, b, world.launch(a))
    for zone in (a, b):
        tell(zone, order(world, gone))
        assert [] == _obeys(zone, gone)
    here = world.arrive(b, gone, visa, ask)
    assert [] == _obeys(a, here)
    assert 4 == len(_obeys(b, here))


def test_a_change_of_what_governs_an_agent_may_make_an_order_due(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    before = a.anchors[0].dossier(head.record.agent_id)
    governance = replace(head.record.governance, version=2)
    record = replace(head.record, governance=governance)
    after = replace(before, head=replace(head, transition=replace(head.transition, record=record)))
    assert may_owe_more(before, after)
    assert not may_owe_more(before, before)
