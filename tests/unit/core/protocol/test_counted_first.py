"""What is proved of a zone is counted before an agent relies on it again (protocol §11.7, §4 check 6b)."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.events import Events, levels_lost
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import Trust
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.duties import Task, duties_of
from sojourn.core.protocol.gossip import NOBODY
from sojourn.core.protocol.messages import Proposal, Propose, Reply, Voted
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.waiting import carrying_next, next_accusation, what_waits
from sojourn.core.quorum.fraud import Fraud
from tests.rulings import PureZone, World, driven
from tests.samples import found
from tests.unit.core.protocol.crossing import refused
from tests.unit.core.protocol.test_accusing import two_faced


@pytest.fixture
def world() -> World:
    return World("a", "b", lease_ms=60_000)


def tell(zone: PureZone, *proofs: Fraud, of: PureZone, to: tuple[int, ...] = (0, 1, 2, 3)) -> None:
    for index in to:
        known = zone.anchors[index].proofs
        learned = known.learn(proofs, NOBODY, lambda _: of.sample.signed, lambda _: True)
        assert [*proofs] == learned


def asked(zone: PureZone, proposal: Proposal, head: Certified, anchor: int = 0) -> Reply | None:
    return zone.ask(anchor, Propose(slot=zone.slot(proposal, head), round=0, proposal=proposal))


def obeyed(zone: PureZone, head: Certified, anchor: int = 0) -> Certified:
    mine = zone.anchors[anchor]
    proposal = carrying_next(mine.dossier(head.record.agent_id), mine.view(), mine.identity)
    assert proposal is not None
    assert TransitionKind.ACCUSE is proposal.transition.kind
    proposer = Proposer(proposal, zone.slot(proposal, head), zone.manifest, parent=head)
    driven(zone, proposer)
    assert proposer.decided is not None, proposer.describe()
    return proposer.decided


def owed(zone: PureZone, head: Certified) -> int:
    found = [duties_of(a.dossier(head.record.agent_id), a.view()) for a in zone.anchors]
    return sum(duty.task is Task.OBEY for duties in found for duty in duties)


def test_section_11_what_is_proved_is_counted_by_the_anchors_by_the_published_rule(
    world: World,
) -> None:
    a, b = world.zones
    head = world.launch(a)
    assert 0 == owed(a, head)
    tell(a, two_faced(b.sample, 2), of=b)
    assert 4 == owed(a, head)
    done = obeyed(a, head)
    counted = done.record.trust.events[b.zone.hex()]
    assert (Events(liars=(2,), tolerated=1), 5) == (counted, levels_lost(counted))
    assert 0 == owed(a, done), "once"
    tell(a, two_faced(b.sample, 0), of=b)
    assert (0, 2) == obeyed(a, done).record.trust.events[b.zone.hex()].liars


def test_section_4_check_6b_an_agent_does_not_leave_for_a_zone_that_is_proved_to_lie(
    world: World,
) -> None:
    a, b = world.zones
    head = world.launch(a)
    visa = world.visa(b, world.application(a, b, head))
    leaving = world.depart_proposal(a, b, head, visa)
    tell(a, two_faced(b.sample, 2), of=b)
    answer = asked(a, leaving, head)
    assert refused(answer, "refused")
    assert "anchors of b are proved to have lied" in getattr(answer, "problem", "")


def test_section_4_check_6b_its_steps_go_on(world: World) -> None:
    a, b = world.zones
    head = world.launch(a)
    tell(a, two_faced(b.sample, 2), of=b)
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)


def test_section_4_check_6b_one_anchor_that_knows_holds_nobody_up(world: World) -> None:
    a, b = world.zones
    head = world.launch(a)
    visa = world.visa(b, world.application(a, b, head))
    tell(a, two_faced(b.sample, 2), of=b, to=(0,))
    world.decide(a, world.depart_proposal(a, b, head, visa), head)


def test_section_11_a_zone_that_the_agent_does_not_rely_on_is_not_its_concern() -> None:
    world = World("a", "b", lease_ms=60_000)
    a, b = world.zones
    head = world.launch(a, trust=Trust())
    tell(a, two_faced(b.sample, 2), of=b)
    mine = a.anchors[0]
    dossier = mine.dossier(head.record.agent_id)
    assert next_accusation(dossier, mine.view()) is None
    assert "" == what_waits(dossier, mine.view(), TransitionKind.DEPART)
    assert 0 == owed(a, head)


def test_section_11_where_there_is_no_room_for_it_nobody_is_held_up(world: World) -> None:
    a, b = world.zones
    events = {found(f"zone {n}", n=1, hosts=1).zone.hex(): Events(refused=1) for n in range(63)}
    mine = a.anchors[0]
    head = world.launch(a)
    crowded = replace(head.record, trust=replace(head.record.trust, events=events))
    tell(a, two_faced(b.sample, 2), of=b)
    done = replace(head, transition=replace(head.transition, record=crowded))
    dossier = replace(mine.dossier(head.record.agent_id), head=done)
    assert next_accusation(dossier, mine.view()) is None


def test_section_11_what_sleeps_counts_it_when_it_has_a_host_again(world: World) -> None:
    a, b = world.zones
    head = world.launch(a)
    eligibility = replace(
        head.record.eligibility, status=Status.DORMANT, wake=(Wake(on_message=True),)
    )
    asleep = world.step(a, head, eligibility=eligibility)
    tell(a, two_faced(b.sample, 2), of=b)
    world.clock.boot_ms += 200_000
    assert 0 == owed(a, asleep)
    for anchor in a.anchors:
        anchor.leases.renew(head.record.agent_id, asleep.record.custody.fence, world.clock.boot_ms)
    assert 4 == owed(a, asleep)
