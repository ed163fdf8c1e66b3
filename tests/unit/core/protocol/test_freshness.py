"""Bounds on staleness (protocol §4 check 6c, §8.11): who holds no head of late votes for nothing an agent does."""

from typing import Any

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.governance import Officers, SignedDocument
from sojourn.core.agent.heads import head_of
from sojourn.core.agent.orders import Act, Order
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Arrive, Declined, Proposal, Propose, ShowLock, Voted
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureZone, World
from tests.samples import ISSUER, document, key, successor
from tests.unit.core.protocol.test_validate import intended, intent

ANN, BOB, EVE = (key(name) for name in ("ann", "bob", "eve"))
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
BOTH = Officers(keys=(ANN.public, BOB.public))
BOUNDED = document(
    by=(ANN,), actions=("order.place",), officers=BOTH, staleness_ms=MINUTE_MS, cool_down_ms=HOUR_MS
)


@pytest.fixture
def world() -> World:
    return World("a", "b", lease_ms=10 * HOUR_MS)


def launched(world: World, *documents: SignedDocument) -> Certified:
    a = world.zones[0]
    return world.launch(a, *(documents or (BOUNDED,)), by=(ANN,))


def vouch(
    world: World,
    of: SignedDocument = BOUNDED,
    *,
    by: Any = ANN,
    ago_ms: int = 0,
    lasts_ms: int = HOUR_MS,
    zone: int = 0,
    anchors: Any = range(4),
) -> None:
    at_ms = world.clock.wall_ms - ago_ms
    signed = head_of(of.document, by, at_ms=at_ms, until_ms=at_ms + lasts_ms)
    for index in anchors:
        world.zones[zone].anchors[index].learn_heads(signed)


def publish(world: World, *run: SignedDocument) -> None:
    for anchor in world.zones[0].anchors:
        assert list(run) == anchor.learn_documents(*run)


def asked(zone: PureZone, proposal: Proposal, parent: Certified, anchor: int = 0) -> object:
    zone.give(*parent.record.governance.named)
    return zone.ask(anchor, Propose(slot=zone.slot(proposal, parent), round=0, proposal=proposal))


def is_stale(reply: object) -> bool:
    return (
        isinstance(reply, Declined) and reply.for_now and "no officer has vouched" in reply.problem
    )


def steps(world: World, head: Certified, anchor: int = 0) -> bool:
    """Tell whether an anchor votes for the agent's next step, or refuses since it has heard of no head of late."""
    a = world.zones[0]
    reply = asked(a, world.step_proposal(a, head), head, anchor)
    assert isinstance(reply, Voted) or is_stale(reply), reply
    return isinstance(reply, Voted)


def test_section_4_check_6c_what_an_agent_does_needs_a_head(world: World) -> None:
    a, b = world.zones
    head = launched(world)
    b.give(*head.record.governance.documents)
    vouch(world, zone=1)
    visa = world.visa(b, world.application(a, b, head))
    doing = (
        world.step_proposal(a, head),
        intended(world, head, intent()),
        world.depart_proposal(a, b, head, visa),
    )
    for proposal in doing:
        assert is_stale(asked(a, proposal, head)), proposal.transition.kind
    vouch(world, anchors=[1])
    assert isinstance(asked(a, doing[0], head, anchor=1), Voted), "who holds one votes"
    assert is_stale(asked(a, doing[0], head, anchor=2))


@pytest.mark.parametrize(
    ("passed_ms", "lasts_ms", "goes_on"),
    [
        (0, HOUR_MS, True),
        (MINUTE_MS - 1, HOUR_MS, True),
        (MINUTE_MS, HOUR_MS, False),
        (999, 1_000, True),
        (1_000, 1_000, False),
    ],
)
def test_section_8_11_a_head_counts_until_its_window_or_the_bound_is_over(
    world: World, passed_ms: int, lasts_ms: int, goes_on: bool
) -> None:
    head = launched(world)
    vouch(world, lasts_ms=lasts_ms)
    world.clock.pass_ms(passed_ms)
    assert goes_on is steps(world, head)
    vouch(world)
    assert steps(world, head), "the next one lets it go on"


def test_section_8_11_no_officer_vouches_ahead_of_time(world: World) -> None:
    head = launched(world)
    vouch(world, ago_ms=-CLOCK_SKEW_MS - 1)
    assert not steps(world, head)


def test_section_8_11_a_document_without_a_bound_needs_no_head(world: World) -> None:
    plain = document(by=(ANN,), officers=BOTH)
    assert steps(world, launched(world, plain))


def test_section_8_11_each_document_has_its_own_bound(world: World) -> None:
    other = document(by=(ANN,), name="other", officers=BOTH, staleness_ms=HOUR_MS)
    head = launched(world, BOUNDED, other)
    vouch(world)
    assert not steps(world, head)
    vouch(world, other, ago_ms=HOUR_MS - MINUTE_MS)
    assert steps(world, head)


def test_section_8_11_only_an_officers_head_counts(world: World) -> None:
    head = launched(world)
    vouch(world, by=EVE)
    assert not steps(world, head)
    vouch(world, by=BOB)
    assert steps(world, head)


def test_section_8_11_a_head_of_another_document_of_that_name_does_not_count(world: World) -> None:
    twin = document(
        by=(ANN,), officers=BOTH, staleness_ms=MINUTE_MS, cedar=BOUNDED.document.cedar + " "
    )
    head = launched(world)
    vouch(world, twin)
    assert not steps(world, head)


# Custody, orders and amendments are not held up


def test_section_8_11_custody_and_what_officers_published_are_not_held_up(world: World) -> None:
    a, b = world.zones
    head = launched(world)
    assert 1 == head.record.version, "it is born, and bound"
    now_ms = world.clock.wall_ms
    for act in (Act.SUSPEND, Act.RETIRE):
        given = Order(
            agent=head.record.agent_id, act=act, issued_ms=now_ms, expires_ms=now_ms + MINUTE_MS
        )
        proposal = carrying(sealed(given, [ANN]), head, ISSUER, at_ms=now_ms)
        assert isinstance(asked(a, proposal, head), Voted)
        now_ms += 1
        a.anchors[0].dossiers[head.record.agent_id] = a.anchors[1].dossier(head.record.agent_id)
    after = world.amend(a, head, successor(BOUNDED, by=(ANN,)))
    assert 2 == after.record.governance.version
    assert not steps(world, after)


def test_section_5_who_has_heard_of_no_head_gives_no_visa_and_admits_nobody(world: World) -> None:
    a, b = world.zones
    head = launched(world)
    vouch(world)
    ask = world.application(a, b, head)
    b.give(*head.record.governance.named, *ask.documents, head.record.capabilities.code)
    assert is_stale(b.ask(0, ask))
    vouch(world, zone=1)
    gone, visa, _ = world.depart(a, b, head)
    world.clock.pass_ms(MINUTE_MS)
    b.ask_all(Arrive(departure=gone, visa=visa))
    proposal = world.admit_proposal(b, gone, visa)
    assert is_stale(asked(b, proposal, gone))
    world.clock.pass_ms(10_000)
    back = world.take_back(a, gone, world.refuse(b, gone))
    assert Status.ACTIVE is back.record.eligibility.status, "it returns, and waits there"
    assert not steps(world, back)


def test_section_3_rule_6_a_value_that_is_locked_is_not_wedged(world: World) -> None:
    a = world.zones[0]
    head = launched(world)
    step = world.step_proposal(a, head)
    slot = a.slot(step, head)
    lock = a.sample.certificate(slot, step.transition.digest, phase=Phase.LOCK)
    assert is_stale(asked(a, step, head))
    assert isinstance(a.ask(0, ShowLock(certificate=lock, proposal=step)), Voted)


# What is newest


def test_section_8_11_a_head_of_the_version_before_counts_where_a_later_one_rules(
    world: World,
) -> None:
    """Nothing was newer when it was sealed: what rules by now has come since."""
    a = world.zones[0]
    second = successor(BOUNDED, by=(ANN,))
    third = successor(second, by=(ANN,))
    head = world.amend(a, launched(world), second, third)
    vouch(world)
    assert steps(world, head)


def test_section_8_11_a_head_of_a_later_version_counts_only_where_that_is_known(
    world: World,
) -> None:
    head = launched(world)
    later = successor(BOUNDED, by=(ANN,), not_before_ms=world.clock.wall_ms + HOUR_MS)
    vouch(world, later)
    assert not steps(world, head), "here what came since is not known"
    publish(world, later)
    assert steps(world, head), "it is, and does not rule yet"


def test_section_8_11_who_was_voted_out_vouches_for_nothing_where_that_is_known(
    world: World,
) -> None:
    a = world.zones[0]
    head = launched(world)
    without_bob = successor(
        BOUNDED,
        by=(ANN,),
        officers=Officers(keys=(ANN.public,)),
        not_before_ms=world.clock.wall_ms + HOUR_MS,
    )
    vouch(world, by=BOB)
    assert steps(world, head)
    publish(world, without_bob)
    assert not steps(world, head, anchor=1), "what he said before counts no more either"
    vouch(world)
    assert steps(world, head, anchor=1)
    rules = successor(BOUNDED, by=(ANN,), officers=Officers(keys=(ANN.public,)))
    other = World("a", "b", lease_ms=10 * HOUR_MS)
    after = other.amend(other.zones[0], launched(other), rules)
    vouch(other, by=BOB)
    assert not steps(other, after)
    assert a.manifest == other.zones[0].manifest


def test_section_8_6_the_bound_of_what_cools_counts_as_well(world: World) -> None:
    """Else whoever stole officers' keys could have it fall at once."""
    a = world.zones[0]
    free = successor(BOUNDED, by=(ANN,), staleness_ms=10 * HOUR_MS)
    head = world.amend(a, launched(world), free)
    vouch(world, free, lasts_ms=10 * HOUR_MS)
    assert steps(world, head)
    world.clock.pass_ms(MINUTE_MS)
    assert not steps(world, head, anchor=1)
    world.clock.pass_ms(HOUR_MS - MINUTE_MS)
    assert steps(world, head, anchor=1), "when it has cooled"
