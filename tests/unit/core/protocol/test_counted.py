"""Events are counted as they happened, by every anchor alike; what counts otherwise gets no vote (protocol §4)."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.events import Events
from sojourn.core.agent.governance import Matter
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind, check_constant
from sojourn.core.agent.trust import Trust, TrustedIssuer
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import bound, ordered
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Arrive, Evidence, Proposal, Propose, Reply, Voted
from tests.rulings import PureZone, World
from tests.samples import ISSUER, key, seal
from tests.unit.core.protocol.crossing import Crossing, refused

LEASE_MS = 2_000
BEARER = key("somebody")
REWRITES: dict[str, dict[str, Events]] = {
    "nothing": {},
    "twice": {"of": Events(refused=2, broken=2)},
    "another": {"elsewhere": Events(refused=1, broken=1)},
    "as well": {"of": Events(refused=1, broken=1), "elsewhere": Events(refused=1)},
}
"""What else a host or an anchor might say was counted: `of` stands for the zone that it is about."""


def asked(zone: PureZone, proposal: Proposal, parent: Certified) -> Reply | None:
    return zone.ask(0, Propose(slot=zone.slot(proposal, parent), round=0, proposal=proposal))


def counting(record: AgentRecord, events: dict[str, Events], of: bytes) -> AgentRecord:
    """Return a record that counts something else."""
    named = {"of": of.hex(), "elsewhere": digest(b"elsewhere").hex()}
    said = {named[zone]: counted for zone, counted in events.items()}
    return replace(record, trust=replace(record.trust, events=said))


# A visa that was not honoured


def refused_at(crossing: Crossing) -> tuple[Certified, Certified]:
    """Return a departure, and its refusal when the deadline had passed."""
    gone = crossing.arrived()
    crossing.world.clock.pass_ms(2_000)
    return gone, crossing.world.refuse(crossing.b, gone)


def test_section_4_a_return_counts_the_visa_that_was_not_honoured() -> None:
    crossing = Crossing()
    world, a, b = crossing.world, crossing.a, crossing.b
    back = world.take_back(a, *refused_at(crossing))
    assert {b.zone.hex(): Events(refused=1)} == back.record.trust.events
    a.renew(back)
    gone, _, _ = world.depart(a, b, back, deadline_ms=1_000)
    world.clock.pass_ms(1)
    assert back.record.trust == gone.record.trust, "to leave counts nothing"


def test_section_4_an_admission_counts_nothing() -> None:
    crossing = Crossing()
    there = crossing.world.move(crossing.a, crossing.b, crossing.head)
    assert {} == there.record.trust.events


@pytest.mark.parametrize("rewrite", REWRITES)
def test_section_4_a_return_that_counts_otherwise_gets_no_vote(rewrite: str) -> None:
    crossing = Crossing()
    gone, refusal = refused_at(crossing)
    good = crossing.world.return_proposal(crossing.a, gone, refusal)
    record = counting(good.transition.record, REWRITES[rewrite], crossing.b.zone)
    author, evidence = crossing.a.sample.identity(0), Evidence(refusal=refusal)
    wrong = crossing.world.propose(
        TransitionKind.RETURN, gone, record, author, role=Role.ANCHOR, evidence=evidence
    )
    assert refused(asked(crossing.a, wrong, gone), "bad-change")
    assert isinstance(asked(crossing.a, good, gone), Voted)


def test_section_4_a_zone_that_did_not_honour_its_visa_is_trusted_less() -> None:
    """By the target's own anchors, too: they recompute it from what the record counts."""
    world = World("a", "b")
    a, b = world.zones
    issuer = TrustedIssuer(name="acme", key=ISSUER.public)
    head = world.launch(a, trust=Trust(issuers=(issuer,), minimum={"travel": 5}))
    gone, visa, _ = world.depart(a, b, head, deadline_ms=1_000)
    b.ask_all(Arrive(departure=gone, visa=visa))
    world.clock.pass_ms(2_000)
    back = world.take_back(a, gone, world.refuse(b, gone))
    with pytest.raises(AssertionError, match="trust for travel is 4, 5 is needed"):
        world.visa(b, world.application(a, b, back))
    a.renew(back)
    forgiven = by_order(world, back, Act.FORGIVE)
    assert {} == forgiven.record.trust.events
    world.visa(b, world.application(a, b, forgiven))


# A broken lease


@pytest.fixture
def world() -> World:
    return World("a", "b", lease_ms=LEASE_MS)


def overdue(world: World, head: Certified) -> PureZone:
    """Let the lease of an agent's host run out."""
    world.clock.pass_ms(3 * LEASE_MS)
    return next(zone for zone in world.zones if zone.zone == head.record.custody.zone)


def taken_over(world: World, head: Certified, host: int = 1) -> dict[str, Events]:
    """Return what is counted after a host has bound an agent whose lease ran out."""
    return world.bind(overdue(world, head), head, host).record.trust.events


def test_section_4_a_bind_counts_the_lease_that_was_broken(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    assert {} == head.record.trust.events, "nobody held it before"
    assert {a.zone.hex(): Events(broken=1)} == taken_over(world, world.step(a, head))


def test_section_4_whoever_bound_it_and_took_no_step_has_failed_it_too(world: World) -> None:
    head = world.launch(world.zones[0])
    assert {world.zones[0].zone.hex(): Events(broken=1)} == taken_over(world, head)


def test_section_4_a_host_that_binds_again_what_it_holds_breaks_nothing(world: World) -> None:
    """It may have been kept from its lease by a bind that was begun and left (protocol §6.10)."""
    head = world.step(world.zones[0], world.launch(world.zones[0]))
    assert {} == taken_over(world, head, host=0)


def test_section_4_nobody_fails_an_agent_that_rests(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    asleep = replace(head.record.eligibility, status=Status.DORMANT)
    assert {} == taken_over(world, world.step(a, head, eligibility=asleep))


def test_section_4_a_lease_that_officers_let_run_out_is_not_broken(world: World) -> None:
    head = world.step(world.zones[0], world.launch(world.zones[0]))
    head = by_order(world, by_order(world, head, Act.SUSPEND), Act.RESUME)
    assert {} == taken_over(world, head)


def by_order(world: World, head: Certified, act: Act) -> Certified:
    """Have officers' order carried out, a moment later."""
    world.clock.pass_ms(1)
    now_ms = world.clock.wall_ms
    order = Order(agent=head.record.agent_id, act=act, issued_ms=now_ms, expires_ms=now_ms + 60_000)
    signed = SignedOrder(
        order=order, seals=(seal(ISSUER, Kind.ORDER, Role.ISSUER, digest_of(order)),)
    )
    record = ordered(head.record, head.certificate.slot, order)
    proposal = world.propose(
        TransitionKind(act),
        head,
        record,
        BEARER,
        role=Role.PERSON,
        evidence=Evidence(order=signed),
    )
    return world.decide(world.zones[0], proposal, head)


@pytest.mark.parametrize("rewrite", REWRITES)
def test_section_4_a_bind_that_counts_otherwise_gets_no_vote(world: World, rewrite: str) -> None:
    head = world.launch(world.zones[0])
    a = overdue(world, head)
    good = world.bind_proposal(a, head, 1)
    record = counting(good.transition.record, REWRITES[rewrite], a.zone)
    wrong = world.propose(TransitionKind.BIND, head, record, a.hosts[1])
    assert refused(asked(a, wrong, head), "bad-change")
    assert isinstance(asked(a, good, head), Voted)


def test_section_4_a_bind_after_which_none_was_broken_counts_none(world: World) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    record = counting(bound(born, a.hosts[0].public), {"of": Events(broken=1)}, a.zone)
    wrong = world.propose(TransitionKind.BIND, born, record, a.hosts[0])
    assert refused(asked(a, wrong, born), "bad-change")


@pytest.mark.parametrize("kind", [TransitionKind.STEP, TransitionKind.INTEND])
def test_section_4_a_host_counts_nothing_by_itself(world: World, kind: TransitionKind) -> None:
    """It could keep an agent to itself by having it trust nobody else."""
    a = world.zones[0]
    head = world.launch(a)
    good = world.step_proposal(a, head)
    record = counting(good.transition.record, {"elsewhere": Events(refused=9)}, a.zone)
    wrong = world.propose(kind, head, record, a.hosts[0])
    assert refused(asked(a, wrong, head), "bad-change")


# Over a whole term, of which only the ends are shown


def ends(world: World) -> tuple[AgentRecord, AgentRecord]:
    """Return a record that counts something of each kind, and one of a few versions later."""
    head = world.launch(world.zones[0])
    counted = {"of": Events(refused=2, broken=1, liars=(1,), tolerated=1)}
    opened = counting(head.record, counted, world.zones[1].zone)
    return opened, replace(opened, version=opened.version + 7)


def test_section_5_a_zone_that_lies_does_not_erase_what_is_counted(world: World) -> None:
    opened, later = ends(world)
    check_constant(opened, later)
    check_constant(
        opened,
        counting(
            later, {"of": Events(refused=3, broken=1, liars=(1,), tolerated=1)}, world.zones[1].zone
        ),
    )
    for fewer in ({}, {"of": Events(refused=1, broken=1, liars=(1,), tolerated=1)}):
        with pytest.raises(Rejected, match="fell from"):
            check_constant(opened, counting(later, fewer, world.zones[1].zone))


def test_section_5_what_officers_may_have_forgiven_may_be_gone_and_lies_may_not(
    world: World,
) -> None:
    opened, later = ends(world)
    ordered_later = replace(
        later, governance=replace(later.governance, ordered_ms={Matter.EVENTS: 5})
    )
    zone = world.zones[1].zone
    lied = {"of": Events(liars=(1,), tolerated=1)}
    check_constant(opened, counting(ordered_later, lied, zone))
    with pytest.raises(Rejected, match="fell from"):
        check_constant(opened, counting(ordered_later, {}, zone))
