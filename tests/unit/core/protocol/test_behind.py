"""An anchor that missed a decision knows it by what came after, and promises nothing by what it still holds."""

from sojourn.core.protocol.binding import Claim, Heartbeat, HeartbeatReply, HostLease
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    Declined,
    Proposal,
    Propose,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureAnchor, PureZone, World
from tests.unit.core.protocol.crossing import Crossing

LEASE_MS = 2_000


def shown(done: Certified) -> ShowCommit:
    return ShowCommit(
        certificate=done.certificate, proposal=Proposal(transition=done.transition, seals=())
    )


def beat_of(head: Certified, sequence: int = 1) -> Heartbeat:
    custody = head.record.custody
    assert custody.host is not None
    claim = Claim(agent=head.record.agent_id, term=custody.term, binding=custody.binding)
    return Heartbeat(host=custody.host, sequence=sequence, claims=(claim,))


def is_renewed(anchor: PureAnchor, head: Certified) -> bool:
    return not anchor.heartbeat(beat_of(head)).declined


def bound_by_votes_of(zone: PureZone, bind: Proposal, head: Certified, late: int) -> Certified:
    """Return a decided bind: `late` voted for it and has not heard the outcome; anchor 0 has, and did not vote."""
    slot, value = zone.slot(bind, head), bind.transition.digest
    for index in (1, 2, 3):
        assert isinstance(zone.ask(index, Propose(slot=slot, round=0, proposal=bind)), Voted)
    lock = zone.sample.certificate(slot, value, phase=Phase.LOCK)
    assert isinstance(zone.ask(late, ShowLock(certificate=lock)), Voted)
    done = Certified(transition=bind.transition, certificate=zone.sample.certificate(slot, value))
    for index in {0, 1, 2, 3} - {late}:
        assert Applied() == zone.ask(index, shown(done))
    return done


def test_section_6_two_hosts_never_act_though_a_voter_sees_a_later_slot_first() -> None:
    """The old host wakes up; anchor 0 renews it just before it hears of the bind, and anchor 3 is a liar.

    Anchor 2 voted for the bind. It may not renew the old host when the successor's next step replaces the slot
    that it voted in: that the bind was decided there it has not heard (found by the model `Lease`).
    """
    world = World("a", lease_ms=LEASE_MS)
    a = world.zones[0]
    head = world.launch(a)
    old = HostLease(LEASE_MS, n=4, quorum=3)
    world.clock.pass_ms(LEASE_MS + 10)
    beat = beat_of(head, sequence=2)
    old.sent(beat, world.clock.boot_ms)
    old.acknowledged(0, a.anchors[0].heartbeat(beat))
    done = bound_by_votes_of(a, world.bind_proposal(a, head, 1), head, late=2)
    step = world.step_proposal(a, done)
    lock = a.sample.certificate(
        a.slot(step, done), step.transition.digest, phase=Phase.LOCK, anchors=(0, 1, 3)
    )
    assert isinstance(a.ask(2, ShowLock(certificate=lock, proposal=step)), Voted)

    old.acknowledged(2, a.anchors[2].heartbeat(beat))
    old.acknowledged(3, HeartbeatReply(sequence=2))

    assert not old.is_held(head.record.agent_id, head.record.custody.fence, world.clock.boot_ms)
    assert not is_renewed(a.anchors[2], head)
    assert Applied() == a.ask(2, shown(done))
    assert is_renewed(a.anchors[2], done)


def test_section_6_who_knows_of_a_later_term_renews_nobody_of_an_earlier_one() -> None:
    """It missed that the agent left, went on and came back to be refused: the refusal alone says so."""
    c = Crossing(deadline_ms=100)
    late = c.a.anchors[3]
    assert is_renewed(late, c.head)
    proposal = c.world.depart_proposal(c.a, c.b, c.head, c.visa)
    left = c.world.decide(c.a, proposal, c.head, only=(0, 1, 2))
    there = c.world.arrive(c.b, left, c.visa, c.ask)
    gone, visa, _ = c.world.depart(c.b, c.a, there, deadline_ms=100)
    c.a.ask_all(Arrive(departure=gone, visa=visa))
    c.world.clock.pass_ms(200)
    c.world.refuse(c.a, gone)
    assert late.dossier(c.agent).head == c.head

    assert not is_renewed(late, c.head)


def test_section_5_the_time_waited_for_one_departure_counts_for_no_other() -> None:
    """An anchor that missed how an earlier arrival ended waits for the later one from when it sees it."""
    c = Crossing(deadline_ms=1_000)
    late = c.b.anchors[3]
    gone = c.arrived()
    c.world.clock.pass_ms(2_000)
    refusal = c.world.decide(c.b, c.world.refuse_proposal(c.b, gone), gone, only=(0, 1, 2))
    back = c.world.take_back(c.a, gone, refusal)
    c.a.renew(back)
    again, visa, _ = c.world.depart(c.a, c.b, back, deadline_ms=1_000)
    assert late.dossier(c.agent).arrival is not None
    early = c.world.refuse_proposal(c.b, again)

    reply = c.proposed(c.b, early, again, index=3)
    assert isinstance(reply, Declined) and reply.for_now, reply

    late.ask(Arrive(departure=again, visa=visa))
    assert isinstance(c.proposed(c.b, early, again, index=3), Declined)
    c.world.clock.pass_ms(1_000)
    assert isinstance(c.proposed(c.b, early, again, index=3), Voted)
