"""What was revoked is relied on no more (protocol §4 check 9, §8.12): whose word counts for whom, and until when."""

from typing import Any

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.governance import Officers
from sojourn.core.agent.orders import Act, Order
from sojourn.core.agent.revocations import About, Reach, Revocation, SignedRevocation, sealed_by
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Arrive, Declined, Proposal, Propose, ShowLock, Voted
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.revoked import is_stopped, why_revoked
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureZone, World
from tests.samples import ISSUER, document, key, successor
from tests.unit.core.protocol.test_validate import intended, intent

ANN, BOB, EVE = (key(name) for name in ("ann", "bob", "eve"))
TWO = Officers(keys=(ANN.public, BOB.public), amend=2, revoke=1)
RULES = document(by=(ANN, BOB), officers=TWO, actions=("order.place",))


@pytest.fixture
def world() -> World:
    return World("a", "b", lease_ms=60_000)


def launched(world: World) -> Certified:
    return world.launch(world.zones[0], RULES, by=(ANN, BOB))


def subject_of(head: Certified, about: About) -> bytes:
    record = head.record
    found = {
        About.CODE: record.capabilities.code,
        About.HOST: record.custody.host,
        About.ISSUER: record.governance.issuer,
    }[about]
    assert found is not None
    return found


def revoked(
    world: World,
    head: Certified,
    about: About = About.CODE,
    *by: Any,
    zone: Any = None,
    **changes: Any,
) -> SignedRevocation:
    """Return a revocation by officers of an agent, or by two anchors of a zone."""
    now_ms = world.clock.wall_ms
    said: dict[str, Any] = {"reach": Reach.AGENTS, "by": head.record.governance.issuer}
    keys = by or (ANN,)
    if zone is not None:
        said = {"reach": Reach.ZONE, "by": zone.zone}
        keys = by or (zone.sample.identity(0), zone.sample.identity(1))
    given = {"about": about, "subject": subject_of(head, about), "issued_ms": now_ms}
    return sealed_by(Revocation(**(said | given | changes)), keys)


def tell(zone: PureZone, *signed: SignedRevocation) -> None:
    for anchor in zone.anchors:
        anchor.learn_revocations(*signed)


def asked(zone: PureZone, proposal: Proposal, parent: Certified | None, anchor: int = 0) -> object:
    zone.give(*proposal.transition.record.governance.named)
    return zone.ask(anchor, Propose(slot=zone.slot(proposal, parent), round=0, proposal=proposal))


def is_refused(reply: object) -> bool:
    return isinstance(reply, Declined) and reply.for_now and "revoked its" in reply.problem


def goes_on(world: World, head: Certified, anchor: int = 0) -> bool:
    """Tell whether an anchor votes for the agent's next step, or refuses for what was revoked."""
    a = world.zones[0]
    reply = asked(a, world.step_proposal(a, head), head, anchor)
    assert isinstance(reply, Voted) or is_refused(reply), reply
    return isinstance(reply, Voted)


@pytest.mark.parametrize("about", About)
@pytest.mark.parametrize("reach", Reach)
def test_section_4_check_9_what_was_revoked_is_relied_on_for_nothing(
    world: World, about: About, reach: Reach
) -> None:
    a, b = world.zones
    head = launched(world)
    visa = world.visa(b, world.application(a, b, head))
    doing = (
        world.step_proposal(a, head),
        intended(world, head, intent()),
        world.depart_proposal(a, b, head, visa),
        world.bind_proposal(a, head),
    )
    tell(a, revoked(world, head, about, zone=a if reach is Reach.ZONE else None))
    for proposal in doing:
        assert is_refused(asked(a, proposal, head)), proposal.transition.kind
    assert is_stopped(
        a.anchors[0].dossier(head.record.agent_id), head.record.custody.host, a.anchors[0].view()
    )


def test_section_8_12_of_a_revoked_host_another_takes_over(world: World) -> None:
    a = world.zones[0]
    head = launched(world)
    tell(a, revoked(world, head, About.HOST))
    view = a.anchors[0].view()
    assert not is_stopped(a.anchors[0].dossier(head.record.agent_id), None, view)
    world.clock.pass_ms(60_000 + 1_000)
    taken = world.bind(a, head, host=1)
    assert goes_on(world, taken)


@pytest.mark.parametrize("about", [About.CODE, About.ISSUER])
def test_section_8_12_nobody_launches_what_was_revoked(world: World, about: About) -> None:
    a = world.zones[0]
    head = launched(world)
    tell(a, revoked(world, head, about))
    other = world.genesis(a, RULES, by=(ANN, BOB), parent=b"\1" * 32)
    assert is_refused(asked(a, other, None))
    slot = a.slot(other, None)
    lock = a.sample.certificate(slot, other.transition.digest, phase=Phase.LOCK)
    again = Propose(slot=slot, round=0, proposal=other, justification=lock)
    assert not is_refused(a.ask(0, again)), "rule 6: what is locked is not wedged"


def test_section_5_a_zone_that_knows_gives_no_visa_and_admits_nobody(world: World) -> None:
    a, b = world.zones
    head = launched(world)
    gone, visa, _ = world.depart(a, b, head)
    tell(b, revoked(world, head))
    b.ask_all(Arrive(departure=gone, visa=visa))
    assert is_refused(asked(b, world.admit_proposal(b, gone, visa), gone))
    world.clock.pass_ms(10_000)
    back = world.take_back(a, gone, world.refuse(b, gone))
    assert Status.ACTIVE is back.record.eligibility.status
    a.renew(back)
    assert goes_on(world, back), "elsewhere it is not known yet"
    again = world.application(a, b, back)
    b.give(*again.documents, *back.record.governance.named)
    assert is_refused(b.ask(0, again))


def test_section_5_a_host_that_its_zone_revoked_is_no_reason_to_come(world: World) -> None:
    a, b = world.zones
    head = launched(world)
    ask = world.application(a, b, head)
    b.give(*ask.documents, *head.record.governance.named, head.record.capabilities.code)
    tell(b, revoked(world, head, About.HOST, zone=b, subject=ask.terms.host))
    assert is_refused(b.ask(0, ask))


def test_section_8_12_how_an_agent_ends_and_is_amended_is_not_held_up(world: World) -> None:
    a = world.zones[0]
    head = launched(world)
    tell(a, revoked(world, head))
    after = world.amend(a, head, successor(RULES, by=(ANN, BOB)))
    now_ms = world.clock.wall_ms
    agent = after.record.agent_id
    given = Order(agent=agent, act=Act.RETIRE, issued_ms=now_ms, expires_ms=now_ms + 60_000)
    ended = world.decide(a, carrying(sealed(given, [ANN]), after, ISSUER, at_ms=now_ms), after)
    assert Status.RETIRED is ended.record.eligibility.status


def test_section_3_rule_6_a_value_that_is_locked_is_not_wedged(world: World) -> None:
    a = world.zones[0]
    head = launched(world)
    step = world.step_proposal(a, head)
    lock = a.sample.certificate(a.slot(step, head), step.transition.digest, phase=Phase.LOCK)
    tell(a, revoked(world, head))
    assert isinstance(a.ask(0, ShowLock(certificate=lock, proposal=step)), Voted)


# Whose word counts


def test_section_8_12_nobody_else_has_a_say(world: World) -> None:
    a, b = world.zones
    head = launched(world)
    eve = Officers(keys=(EVE.public,))
    evil = document(by=(EVE,), officers=eve, name="evil")
    theirs = world.launch(a, evil, by=(EVE,), parent=b"\2" * 32)
    tell(
        a,
        revoked(world, head, About.CODE, EVE),
        revoked(world, head, About.CODE, ANN, EVE),
        revoked(world, theirs, About.CODE, EVE),
        revoked(world, theirs, About.ISSUER, EVE, subject=head.record.governance.issuer),
        revoked(world, head, About.CODE, ANN, by=theirs.record.governance.issuer),
        revoked(world, head, About.CODE, zone=b),
        revoked(world, head, About.CODE, a.sample.identity(0), zone=a),
    )
    assert goes_on(world, head)
    assert is_refused(asked(a, world.step_proposal(a, theirs), theirs)), "but about their own"


def test_section_8_12_who_was_voted_out_has_no_say_any_more(world: World) -> None:
    a = world.zones[0]
    head = launched(world)
    after = world.amend(
        a, head, successor(RULES, by=(ANN, BOB), officers=Officers(keys=(EVE.public,)))
    )
    world.clock.pass_ms(1)
    tell(a, revoked(world, after, About.CODE, ANN))
    assert goes_on(world, after)
    tell(a, revoked(world, after, About.CODE, EVE))
    assert not goes_on(world, after, anchor=1)


def test_section_8_12_of_an_authority_the_newest_word_counts_and_lifting_takes_more(
    world: World,
) -> None:
    a = world.zones[0]
    head = launched(world)
    first = revoked(world, head)
    tell(a, first)
    world.clock.pass_ms(1)
    tell(a, revoked(world, head, About.CODE, ANN, lifts=True))
    assert not goes_on(world, head), "one of two lifts nothing"
    lifted = revoked(world, head, About.CODE, ANN, BOB, lifts=True)
    tell(a, lifted)
    assert goes_on(world, head)
    tell(a, first)
    assert goes_on(world, head, anchor=1), "an old one that comes again counts no more"
    tell(a, revoked(world, head, About.CODE, zone=a))
    assert not goes_on(world, head, anchor=2), "another's word stands by itself"
    world.clock.pass_ms(1)
    tell(a, revoked(world, head))
    why = why_revoked(head.record, None, a.anchors[0].view())
    assert "its officers revoked its code" == why


def test_section_8_12_at_the_same_moment_what_restrains_counts(world: World) -> None:
    a = world.zones[0]
    head = launched(world)
    tell(a, revoked(world, head), revoked(world, head, About.CODE, ANN, BOB, lifts=True))
    assert not goes_on(world, head)
