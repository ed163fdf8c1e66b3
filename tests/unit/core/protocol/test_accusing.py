"""Accusations: proofs against a zone that an agent relies on are counted, each liar once; all else gets no vote."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.events import Events, levels_lost
from sojourn.core.agent.governance import Matter
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import Trust, TrustedIssuer, judge
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.accusation import Accusation
from sojourn.core.protocol.accusing import accusing
from sojourn.core.protocol.admission import ordered
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Declined, Evidence, Proposal, Propose, Reply, Voted
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from tests.rulings import PureZone, World
from tests.samples import ISSUER, SampleZone, endorsement, found, key, seal
from tests.unit.core.protocol.crossing import refused

BEARER, ALICE = key("somebody"), key("alice")


@pytest.fixture
def world() -> World:
    return World("a", "b")


def two_faced(zone: SampleZone, anchor: int = 2, **fields: Any) -> Fraud:
    """Return two lock votes of one anchor for different values, in any slot of its zone."""
    agent, realm = digest(b"any agent"), zone.manifest.realm
    slot = Slot(realm=realm, group=zone.zone, epoch=0, agent=agent, term=0, version=7)
    one, other = (
        Ballot(
            slot=replace(slot, **fields),
            round=0,
            phase=Phase.LOCK,
            value=digest(said),
            anchor=anchor,
            counter=1,
        )
        for said in (b"x", b"y")
    )
    return Fraud(one=zone.vote(one), other=zone.vote(other))


def accusation(zone: SampleZone, *anchors: int, **fields: Any) -> Accusation:
    """Return an accusation of some anchors of a zone that the issuer vouches for."""
    made = Accusation(
        manifest=zone.signed,
        proofs=tuple(two_faced(zone, anchor) for anchor in anchors),
        endorsements=(endorsement(zone.zone),),
    )
    return replace(made, **fields)


def carried(world: World, head: Certified, given: Accusation) -> Proposal:
    return accusing(given, head, BEARER, at_ms=world.clock.wall_ms)


def asked(world: World, proposal: Proposal, head: Certified) -> Reply | None:
    zone = world.zones[0]
    return zone.ask(0, Propose(slot=zone.slot(proposal, head), round=0, proposal=proposal))


def accuse(world: World, head: Certified, given: Accusation) -> Certified:
    return world.decide(world.zones[0], carried(world, head, given), head)


def level(world: World, head: Certified, zone: PureZone) -> int:
    known = world.known.endorsements
    return judge(head.record.trust, zone.zone, "travel", known, world.clock.wall_ms).level


# What is counted


def test_section_11_anybody_may_have_a_proved_lie_counted(world: World) -> None:
    b = world.zones[1]
    head = world.launch(world.zones[0])
    assert 5 == level(world, head, b)
    done = accuse(world, head, accusation(b.sample, 2))
    assert {b.zone.hex(): Events(liars=(2,), tolerated=1)} == done.record.trust.events
    assert 0 == level(world, done, b)
    before, after = head.record, done.record
    assert (before.custody, before.memory, before.eligibility) == (
        after.custody,
        after.memory,
        after.eligibility,
    )


def test_section_11_the_agent_goes_on_and_goes_there_no_more(world: World) -> None:
    a, b = world.zones
    head = accuse(world, world.launch(a), accusation(b.sample, 2))
    head = world.step(a, head)
    with pytest.raises(AssertionError, match="trust for travel is 0"):
        world.visa(b, world.application(a, b, head))


def test_section_11_a_departure_is_judged_by_what_is_counted_by_then(world: World) -> None:
    """Its visa is from before, and void by nothing that it was judged by: its own zone says no."""
    a, b = world.zones
    head = world.launch(a)
    visa = world.visa(b, world.application(a, b, head))
    head = accuse(world, head, accusation(b.sample, 2))
    assert refused(asked(world, world.depart_proposal(a, b, head, visa), head), "denied")


def test_section_11_each_liar_is_counted_once_whoever_proves_it_again(world: World) -> None:
    c = world.found("c", 7)
    head = accuse(world, world.launch(world.zones[0]), accusation(c.sample, 2))
    assert 4 == levels_lost(head.record.trust.events[c.zone.hex()])
    with pytest.raises(Rejected) as caught:
        carried(world, head, accusation(c.sample, 2))
    assert "nothing-new" == caught.value.reason
    head = accuse(world, head, accusation(c.sample, 2, 5))
    assert (2, 5) == head.record.trust.events[c.zone.hex()].liars
    head = accuse(world, head, accusation(c.sample, 0))
    assert 10 == levels_lost(head.record.trust.events[c.zone.hex()]), "more than it tolerates"


def test_section_4_officers_cannot_forgive_a_lie(world: World) -> None:
    b = world.zones[1]
    head = accuse(world, world.launch(world.zones[0]), accusation(b.sample, 2))
    now_ms = world.clock.wall_ms
    order = Order(
        agent=head.record.agent_id, act=Act.FORGIVE, issued_ms=now_ms, expires_ms=now_ms + 1
    )
    with pytest.raises(Rejected, match="nothing to forgive"):
        ordered(head.record, head.certificate.slot, order)
    cleared = replace(
        world.step_proposal(world.zones[0], head).transition.record,
        trust=replace(head.record.trust, events={}),
        governance=replace(head.record.governance, ordered_ms={Matter.EVENTS: now_ms}),
    )
    signed = SignedOrder(
        order=order, seals=(seal(ISSUER, Kind.ORDER, Role.ISSUER, digest_of(order)),)
    )
    wrong = world.propose(
        TransitionKind.FORGIVE,
        head,
        cleared,
        BEARER,
        role=Role.PERSON,
        evidence=Evidence(order=signed),
    )
    assert isinstance(asked(world, wrong, head), Declined)


# What is not


def test_section_11_what_proves_nothing_is_not_counted(world: World) -> None:
    b = world.zones[1].sample
    head = world.launch(world.zones[0])
    good = two_faced(b)
    mallory = found("mallory")
    cases: dict[str, Accusation] = {
        "no-fraud": accusation(b, 2, proofs=(replace(good, other=good.one),)),
        "wrong-key": accusation(b, 2, proofs=(_signed_by_another(b),)),
        "wrong-zone": accusation(b, 2, proofs=(two_faced(b, group=mallory.zone),)),
        "wrong-epoch": accusation(b, 2, proofs=(two_faced(b, epoch=1),)),
        "wrong-realm": accusation(b, 2, proofs=(two_faced(b, realm="production"),)),
        "unknown-anchor": accusation(b, 2, proofs=(_of_nobody(b),)),
    }
    for reason, case in cases.items():
        assert refused(asked(world, carried(world, head, case), head), reason), reason
    assert isinstance(asked(world, carried(world, head, accusation(b, 2)), head), Voted)


def _signed_by_another(zone: SampleZone) -> Fraud:
    fraud = two_faced(zone)
    other = seal(zone.vote_key(1), Kind.VOTE, Role.ANCHOR, digest_of(fraud.other.ballot))
    return replace(fraud, other=replace(fraud.other, seal=other))


def _of_nobody(zone: SampleZone) -> Fraud:
    return two_faced(zone, anchor=9)


def test_section_11_a_zone_that_the_agent_would_never_enter_is_not_its_concern(
    world: World,
) -> None:
    """Anybody founds zones, and has their anchors lie: nobody fills an agent's lineage with that."""
    stranger = found("stranger")
    head = world.launch(world.zones[0])
    by_alice = accusation(stranger, 2, endorsements=(endorsement(stranger.zone, by=ALICE),))
    assert refused(asked(world, carried(world, head, by_alice), head), "no-concern")
    over = endorsement(stranger.zone, not_after_ms=world.clock.wall_ms)
    late = accusation(stranger, 2, endorsements=(over,))
    assert refused(asked(world, carried(world, head, late), head), "no-concern")
    forged = replace(endorsement(stranger.zone), seal=late.endorsements[0].seal)
    made_up = accusation(stranger, 2, endorsements=(forged,))
    assert refused(asked(world, carried(world, head, made_up), head), "bad-signature")


def test_section_11_a_chain_of_endorsements_makes_it_its_concern() -> None:
    world = World("a")
    far = found("far")
    issuer = TrustedIssuer(name="acme", key=ISSUER.public, depth=2, operations=("execute",))
    head = world.launch(world.zones[0], trust=Trust(issuers=(issuer,)))
    chain = (endorsement(ALICE.public, depth=1), endorsement(far.zone, by=ALICE))
    done = accuse(world, head, accusation(far, 2, endorsements=chain))
    assert (2,) == done.record.trust.events[far.zone.hex()].liars
    half = accusation(found("farther"), 2, endorsements=chain[:1])
    assert refused(asked(world, carried(world, done, half), done), "no-concern")


def test_section_11_a_manifest_of_the_accusers_own_making_convicts_nobody(world: World) -> None:
    b = world.zones[1].sample
    head = world.launch(world.zones[0])
    entries = (replace(b.manifest.anchors[0], vote_key=BEARER.public), *b.manifest.anchors[1:])
    forged = replace(b.signed, manifest=replace(b.manifest, anchors=entries))
    given = accusation(b, 2, manifest=forged)
    assert refused(asked(world, carried(world, head, given), head), "no-concern"), "another zone"
    unsigned = replace(b.signed, seals=b.signed.seals[:3])
    given = accusation(b, 2, manifest=unsigned)
    assert refused(asked(world, carried(world, head, given), head), "no-quorum")


def test_section_11_what_is_counted_is_what_was_proved(world: World) -> None:
    b = world.zones[1]
    head = world.launch(world.zones[0])
    given = accusation(b.sample, 2)
    good = carried(world, head, given).transition
    for events in (
        {},
        {b.zone.hex(): Events(liars=(1, 2), tolerated=1)},
        {b.zone.hex(): Events(liars=(3,), tolerated=1)},
        {b.zone.hex(): Events(liars=(2,), tolerated=0)},
        {b.zone.hex(): Events(liars=(2,), tolerated=1, refused=1)},
        {world.zones[0].zone.hex(): Events(liars=(2,), tolerated=1)},
    ):
        record = replace(good.record, trust=replace(good.record.trust, events=events))
        wrong = world.propose(
            TransitionKind.ACCUSE,
            head,
            record,
            BEARER,
            role=Role.PERSON,
            evidence=Evidence(accusation=given),
        )
        assert refused(asked(world, wrong, head), "bad-change"), events
    bare = world.propose(TransitionKind.ACCUSE, head, good.record, BEARER, role=Role.PERSON)
    assert refused(asked(world, bare, head), "no-proof")
    as_host = world.propose(
        TransitionKind.ACCUSE, head, good.record, BEARER, evidence=Evidence(accusation=given)
    )
    assert refused(asked(world, as_host, head), "bad-signature")
