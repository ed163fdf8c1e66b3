"""Orders of different matters do not void each other, whichever comes first (protocol §8.8)."""

from itertools import permutations

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Declined
from sojourn.core.protocol.ordering import carrying, sealed
from tests.rulings import PureZone, World
from tests.samples import ISSUER
from tests.unit.core.protocol.test_ordered_first import asked, obeyed

HOUR_MS = 3_600_000


@pytest.fixture
def world() -> World:
    return World("a", lease_ms=60_000)


def order(world: World, head: Certified, act: Act, ago_ms: int) -> SignedOrder:
    """Return an order that was issued so long ago."""
    now_ms = world.clock.wall_ms
    agent, expires_ms = head.record.agent_id, now_ms + HOUR_MS
    given = Order(agent=agent, act=act, issued_ms=now_ms - ago_ms, expires_ms=expires_ms)
    return sealed(given, [ISSUER])


def told(world: World, head: Certified, act: Act, ago_ms: int) -> Certified:
    """Let all anchors know an order, and have it carried out."""
    signed = order(world, head, act, ago_ms)
    a = world.zones[0]
    for anchor in a.anchors:
        anchor.learn_orders(signed)
    return obeyed(a, head)


def standing(head: Certified) -> tuple[bool, bool]:
    eligibility = head.record.eligibility
    return eligibility.is_suspended, eligibility.is_quarantined


def is_void(zone: PureZone, head: Certified, signed: SignedOrder) -> bool:
    """Tell whether no anchor votes for an order any more, since a later one was carried out."""
    proposal = carrying(signed, head, ISSUER, at_ms=zone.clock.wall_ms)
    reply = asked(zone, proposal, head)
    return isinstance(reply, Declined) and "rollback" == reply.reason


def test_section_8_a_resume_does_not_void_a_quarantine_that_was_ordered_before_it(
    world: World,
) -> None:
    head = world.launch(world.zones[0])
    head = told(world, head, Act.SUSPEND, 40)
    head = told(world, head, Act.RESUME, 10)
    head = told(world, head, Act.QUARANTINE, 20)
    assert (False, True) == standing(head)


def test_section_8_a_lift_ends_no_suspension_and_a_resume_no_quarantine(world: World) -> None:
    head = world.launch(world.zones[0])
    head = told(world, head, Act.QUARANTINE, 40)
    head = told(world, head, Act.SUSPEND, 30)
    assert (True, True) == standing(head)
    lifted = told(world, head, Act.LIFT, 20)
    assert (True, False) == standing(lifted)
    assert (False, False) == standing(told(world, lifted, Act.RESUME, 25))


def test_section_8_of_one_matter_a_later_order_voids_those_before_it(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    early = order(world, head, Act.SUSPEND, 30)
    head = told(world, head, Act.SUSPEND, 20)
    head = told(world, head, Act.QUARANTINE, 40)
    head = told(world, head, Act.RESUME, 10)
    assert is_void(a, head, early)
    assert is_void(a, head, order(world, head, Act.SUSPEND, 20)), "it cannot be repeated either"
    assert not is_void(a, head, order(world, head, Act.LIFT, 30))


@pytest.mark.parametrize("act", [Act.RETIRE, Act.REVOKE])
def test_section_8_an_end_that_was_ordered_before_anything_else_still_ends(
    world: World, act: Act
) -> None:
    head = world.launch(world.zones[0])
    head = told(world, head, Act.SUSPEND, 20)
    head = told(world, head, Act.RESUME, 10)
    ended = told(world, head, act, 50)
    assert ended.record.eligibility.status in (Status.RETIRED, Status.REVOKED)


GIVEN = ((Act.SUSPEND, 50), (Act.QUARANTINE, 40), (Act.LIFT, 30), (Act.SUSPEND, 15))


@pytest.mark.parametrize("heard", list(permutations(GIVEN)))
def test_section_8_what_comes_of_several_orders_does_not_depend_on_which_is_heard_first(
    world: World, heard: tuple[tuple[Act, int], ...]
) -> None:
    """But for what changes nothing when it is heard, and waits."""
    a = world.zones[0]
    head = world.launch(a)
    for act, ago_ms in heard:
        signed = order(world, head, act, ago_ms)
        for anchor in a.anchors:
            anchor.learn_orders(signed)
        while a.anchors[0].edicts.next_for(
            head.record, a.anchors[0].view().documents, world.clock.wall_ms
        ):
            head = obeyed(a, head)
    assert (True, False) == standing(head)
