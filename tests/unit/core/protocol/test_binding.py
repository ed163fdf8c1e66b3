"""Leases and binding (protocol §6): at most one correct host acts, whatever clocks do within rho (P4)."""

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Offer, Requirements
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import CLOCK_DRIFT
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import ordered
from sojourn.core.protocol.binding import (
    Claim,
    Heartbeat,
    HeartbeatReply,
    HostLease,
    LeaseBook,
    candidates,
    rank,
)
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Declined,
    Evidence,
    Nack,
    Proposal,
    Propose,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.proposer import Progress, Proposer
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureAnchor, PureZone, World, driven
from tests.samples import ISSUER, seal

LEASE_MS = 2_000
AGENT, OTHER = digest(b"agent"), digest(b"other agent")
FENCE = (0, 1)


# An anchor's book


def test_a_lease_is_counted_from_the_heartbeat_and_a_little_longer() -> None:
    book = LeaseBook(LEASE_MS, started_ms=-10_000)
    book.renew(AGENT, FENCE, 1_000)
    until_ms = book.until_ms(AGENT, FENCE)
    assert until_ms >= 1_000 + LEASE_MS * (1 + CLOCK_DRIFT)
    assert book.is_live(AGENT, FENCE, until_ms - 1)
    assert not book.is_live(AGENT, FENCE, until_ms)


def test_a_lease_is_of_one_agent_and_one_fence() -> None:
    book = LeaseBook(LEASE_MS, started_ms=-10_000)
    book.renew(AGENT, FENCE, 1_000)
    for agent, fence in ((OTHER, FENCE), (AGENT, (0, 2)), (AGENT, (1, 1))):
        assert not book.is_live(agent, fence, 1_001)
        assert book.until_ms(agent, fence) < 1_000


def test_trap_31_what_was_promised_before_a_restart_counts_as_unexpired() -> None:
    book = LeaseBook(LEASE_MS, started_ms=5_000)
    assert book.until_ms(AGENT, FENCE) >= 5_000 + LEASE_MS * (1 + CLOCK_DRIFT)
    assert not book.is_live(AGENT, FENCE, 5_001)  # but nobody may act on what was not seen


def test_a_lease_that_is_forgotten_is_none() -> None:
    book = LeaseBook(LEASE_MS, started_ms=-10_000)
    book.renew(AGENT, FENCE, 1_000)
    book.forget(AGENT)
    assert not book.is_live(AGENT, FENCE, 1_001)


# A host's count


def beat(sequence: int, *agents: bytes, fence: tuple[int, int] = FENCE) -> Heartbeat:
    claims = tuple(Claim(agent=agent, term=fence[0], binding=fence[1]) for agent in agents)
    return Heartbeat(host=digest(b"host"), sequence=sequence, claims=claims)


def acknowledged(lease: HostLease, sequence: int, *anchors: int, **fields: object) -> None:
    for anchor in anchors:
        lease.acknowledged(anchor, HeartbeatReply(sequence=sequence, **fields))  # type: ignore[arg-type]


def test_section_6_a_lease_is_held_from_the_sending_of_what_a_quorum_acknowledged() -> None:
    lease = HostLease(LEASE_MS, n=4, quorum=3)
    lease.sent(beat(1, AGENT), 100)
    acknowledged(lease, 1, 0, 1)
    assert not lease.is_held(AGENT, FENCE, 100)
    acknowledged(lease, 1, 3)
    assert lease.is_held(AGENT, FENCE, 100)
    until_ms = lease.until_ms(AGENT, FENCE)
    assert until_ms <= 100 + LEASE_MS * (1 - CLOCK_DRIFT)
    assert not lease.is_held(AGENT, FENCE, int(until_ms) + 1)


def test_section_6_the_oldest_of_a_quorums_newest_counts() -> None:
    lease = HostLease(LEASE_MS, n=4, quorum=3)
    for sequence, anchors in ((1, (0, 1, 2, 3)), (2, (0, 1)), (3, (0, 2))):
        lease.sent(beat(sequence, AGENT), 100 * sequence)
        acknowledged(lease, sequence, *anchors)
    reference = HostLease(LEASE_MS, n=4, quorum=3)
    reference.sent(beat(2, AGENT), 200)
    acknowledged(reference, 2, 0, 1, 2)
    assert reference.until_ms(AGENT, FENCE) == lease.until_ms(AGENT, FENCE)


def test_one_anchor_that_answers_for_ever_is_one_anchor() -> None:
    lease = HostLease(LEASE_MS, n=4, quorum=3)
    lease.sent(beat(1, AGENT), 100)
    acknowledged(lease, 1, *[2] * 9)
    assert not lease.is_held(AGENT, FENCE, 101)


def test_answers_that_are_late_or_to_nothing_do_no_harm() -> None:
    lease = HostLease(LEASE_MS, n=4, quorum=3)
    acknowledged(lease, 7, 0, 1, 2)
    lease.sent(beat(1, AGENT), 100)
    lease.sent(beat(2, AGENT), 100 + 2 * LEASE_MS)
    acknowledged(lease, 1, 0, 1, 2)
    assert not lease.is_held(AGENT, FENCE, 101)


def test_what_is_declined_is_not_renewed() -> None:
    lease = HostLease(LEASE_MS, n=4, quorum=3)
    lease.sent(beat(1, AGENT, OTHER), 100)
    acknowledged(lease, 1, 0, 1, 2, declined=(AGENT,))
    assert not lease.is_held(AGENT, FENCE, 101)
    assert lease.is_held(OTHER, FENCE, 101)


def test_section_6_a_lease_is_withheld_if_one_declines_and_those_left_are_no_quorum() -> None:
    """Found by the schedules: one anchor was gone for good, one declined for ever, and two renewed for ever."""
    lease = HostLease(LEASE_MS, n=4, quorum=3)
    lease.sent(beat(1, AGENT), 0)
    acknowledged(lease, 1, 0, 1)
    assert not lease.is_withheld(AGENT, FENCE)  # two are silent: it may be they are only slow
    acknowledged(lease, 1, 2, declined=(AGENT,))
    assert lease.is_withheld(AGENT, FENCE)
    assert not lease.is_withheld(AGENT, (FENCE[0], FENCE[1] + 1))
    acknowledged(lease, 1, 3)
    assert not lease.is_withheld(AGENT, FENCE)
    lease.forget(AGENT)
    assert not lease.is_withheld(AGENT, FENCE)


def test_a_lease_of_an_earlier_fence_is_none() -> None:
    lease = HostLease(LEASE_MS, n=4, quorum=3)
    lease.sent(beat(1, AGENT), 100)
    acknowledged(lease, 1, 0, 1, 2)
    assert not lease.is_held(AGENT, (0, 2), 101)
    lease.sent(beat(2, AGENT, fence=(0, 2)), 102)
    acknowledged(lease, 2, 0)
    assert not lease.is_held(AGENT, FENCE, 103)


# The promise: a host stops before a quorum could have bound another


@dataclass
class SomeClock:
    """A clock with an offset of its own, running wrong by at most rho."""

    offset: float
    rate: float

    def at(self, true_ms: float) -> int:
        return int(self.offset + true_ms * self.rate)

    def true(self, local_ms: float) -> float:
        return (local_ms - self.offset) / self.rate


def some_clock(chance: random.Random) -> SomeClock:
    rate = chance.choice([1 - CLOCK_DRIFT, 1 + CLOCK_DRIFT, 1, chance.uniform(0.999, 1.001)])
    return SomeClock(chance.uniform(0, 1e9), rate)


def first_overlap(seed: int, host_lease: type[HostLease] = HostLease) -> str:
    """Return where a host and a quorum's bind would overlap under this seed's clocks and delays, or nothing.

    Delays are anything from none to longer than a lease, messages are lost, f of the anchors acknowledge
    everything and would bind at any time, and anchors restart.
    """
    chance = random.Random(seed)
    n = chance.choice([1, 4, 7])
    f, quorum = (n - 1) // 3, n - (n - 1) // 3
    host, clocks = some_clock(chance), [some_clock(chance) for _ in range(n)]
    books = [LeaseBook(LEASE_MS, clock.at(0) - 10 * LEASE_MS) for clock in clocks]
    lease = host_lease(LEASE_MS, n, quorum)
    events: list[tuple[float, int, str, int, int]] = []
    for sequence in range(chance.randrange(1, 8)):
        sent = chance.uniform(0, 3 * LEASE_MS)
        events.append((sent, sequence, "send", -1, sequence))
        for anchor in range(n):
            there = sent + chance.choice([0, chance.uniform(0, 3 * LEASE_MS)])
            back = there + chance.choice([0, chance.uniform(0, LEASE_MS)])
            if chance.random() < 0.8:
                events.append((there, sequence, "arrive", anchor, sequence))
                if chance.random() < 0.9:
                    events.append((back, sequence, "return", anchor, sequence))
        if chance.random() < 0.2:
            events.append((chance.uniform(0, 3 * LEASE_MS), -1, "restart", chance.randrange(n), 0))
    order = {"send": 0, "arrive": 1, "return": 2, "restart": 3}
    for now, _, what, anchor, sequence in sorted(events, key=lambda e: (e[0], order[e[2]])):
        if what == "send":
            lease.sent(beat(sequence, AGENT), host.at(now))
        elif what == "arrive" and anchor >= f:
            books[anchor].renew(AGENT, FENCE, clocks[anchor].at(now))
        elif what == "return":
            lease.acknowledged(anchor, HeartbeatReply(sequence=sequence))
        elif what == "restart" and anchor >= f:
            books[anchor] = LeaseBook(LEASE_MS, clocks[anchor].at(now))
        ends = host.true(lease.until_ms(AGENT, FENCE))
        if host.at(now) >= lease.until_ms(AGENT, FENCE):
            continue
        expired = [
            anchor
            for anchor in range(f, n)
            if clocks[anchor].true(books[anchor].until_ms(AGENT, FENCE)) <= ends
        ]
        if len(expired) + f >= quorum:
            return f"seed {seed}: at {now:.0f} ms of {ends:.0f}, anchors {expired} may bind"
    return ""


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_trap_30_and_p4_a_host_stops_before_a_quorum_could_bind(seed: int) -> None:
    assert "" == first_overlap(seed)


class CountsFromTheAnswer(HostLease):
    """A host that counts its lease from when it heard, as is naively done."""

    def acknowledged(self, anchor: int, reply: HeartbeatReply) -> None:
        if reply.sequence in self._sent:
            _, claims = self._sent[reply.sequence]
            newest = max(at for at, _ in self._sent.values())
            self._sent[reply.sequence] = (newest, claims)
        super().acknowledged(anchor, reply)


class CountsOneAnchorLess(HostLease):
    """A host that takes one acknowledgement less than a quorum for enough."""

    def __init__(self, lease_ms: int, n: int, quorum: int) -> None:
        super().__init__(lease_ms, n, max(1, quorum - 1))


class TrustsItsClock(HostLease):
    """A host without a margin and without an allowance for drift, longer by a little."""

    def __init__(self, lease_ms: int, n: int, quorum: int) -> None:
        super().__init__(lease_ms, n, quorum)
        self._length_ms = lease_ms * 1.01


@pytest.mark.parametrize("planted", [CountsFromTheAnswer, CountsOneAnchorLess, TrustsItsClock])
def test_the_check_of_p4_finds_planted_bugs(planted: type[HostLease]) -> None:
    found = next((s for s in range(3_000) if first_overlap(s, planted)), None)
    assert found is not None


# Binding at anchors


@pytest.fixture
def world() -> World:
    return World("a", lease_ms=LEASE_MS)


def bind_request(world: World, zone: PureZone, head: Certified, host: int = 1) -> Propose:
    proposal = world.bind_proposal(zone, head, host)
    return Propose(slot=zone.slot(proposal, head), round=0, proposal=proposal)


def test_section_6_a_bind_waits_until_the_lease_has_run_out_at_this_anchor(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    until_ms = a.anchors[0].leases.until_ms(head.record.agent_id, head.record.custody.fence)
    world.clock.pass_ms(until_ms - world.clock.boot_ms - 1)
    reply = a.ask(0, bind_request(world, a, head))
    assert isinstance(reply, Declined) and reply.for_now
    world.clock.pass_ms(1)
    assert isinstance(a.ask(0, bind_request(world, a, head)), Voted)


def test_section_6_a_bind_waits_for_the_lease_that_was_renewed_last(world: World) -> None:
    """By then what an anchor that has just started counts for everybody has run out."""
    a = world.zones[0]
    head = world.launch(a)
    world.clock.pass_ms(LEASE_MS // 2)
    a.renew(head)
    world.clock.pass_ms(LEASE_MS * 3 // 4)
    assert world.clock.boot_ms > a.anchors[0].leases.until_ms(digest(b"nobody"), (0, 0))
    reply = a.ask(0, bind_request(world, a, head))
    assert isinstance(reply, Declined) and reply.for_now
    world.clock.pass_ms(LEASE_MS)
    assert isinstance(a.ask(0, bind_request(world, a, head)), Voted)


def test_an_envelope_is_current_until_the_moment_it_expires(world: World) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    host = a.hosts[1].public
    offered = world.known.envelopes[a.zone]
    for left_ms, is_current in ((0, False), (1, True)):
        expires_ms = world.clock.wall_ms + left_ms
        offered[host] = replace(offered[host], expires_ms=expires_ms)
        assert isinstance(a.ask(0, bind_request(world, a, born)), Voted) is is_current


def test_trap_31_an_anchor_that_has_just_started_binds_nobody(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    world.clock.pass_ms(2 * LEASE_MS)
    a.anchors[0].restart()
    assert isinstance(a.ask(0, bind_request(world, a, head)), Declined)
    world.clock.pass_ms(LEASE_MS + 10)
    assert isinstance(a.ask(0, bind_request(world, a, head)), Voted)


def test_an_agent_that_nobody_has_is_bound_at_once(world: World) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    assert isinstance(a.ask(0, bind_request(world, a, born)), Voted)


def test_a_bind_names_an_enrolled_host_with_a_current_envelope(world: World) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    del world.known.envelopes[a.zone][a.hosts[1].public]
    reply = a.ask(0, bind_request(world, a, born))
    assert isinstance(reply, Declined) and reply.for_now


@pytest.mark.parametrize(
    ("offer", "may_bind"),
    [
        (Offer(memory_mib=512, slots=1), True),
        (Offer(memory_mib=511, slots=1), False),
        (Offer(memory_mib=512, slots=0), True),
    ],
    ids=["enough", "too little", "its slots it knows itself"],
)
def test_6_6_a_bind_names_a_host_that_offers_what_is_required(
    world: World, offer: Offer, may_bind: bool
) -> None:
    a = world.zones[0]
    plain = world.genesis(a).transition.record.capabilities
    needs = replace(plain, requires=Requirements(memory_mib=512))
    born = world.decide(a, world.genesis(a, capabilities=needs))
    known = world.known.envelopes[a.zone]
    host = a.hosts[1].public
    known[host] = replace(known[host], offer=offer)
    reply = a.ask(0, bind_request(world, a, born))
    if may_bind:
        assert isinstance(reply, Voted)
    else:
        assert isinstance(reply, Declined) and reply.for_now
        assert "needs 512 MiB" in reply.problem


def test_6_6_who_cannot_run_an_agent_is_no_candidate_for_it(world: World) -> None:
    a = world.zones[0]
    record = world.decide(a, world.genesis(a)).record
    needy = replace(
        record, capabilities=replace(record.capabilities, requires=Requirements(gpus=1))
    )
    known = dict(world.known.envelopes[a.zone])
    assert set(known) == set(candidates(record, known))
    assert [] == list(candidates(needy, known))
    able = a.hosts[1].public
    known[able] = replace(known[able], offer=Offer(gpus=1, slots=1))
    assert [able] == list(candidates(needy, known))
    known[able] = replace(known[able], offer=Offer(gpus=1, slots=0))
    assert [] == list(candidates(needy, known))


def test_a_bind_is_sealed_by_the_host_it_names(world: World) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    proposal = world.bind_proposal(a, born, 1)
    stolen = replace(
        proposal,
        seals=(seal(a.hosts[0], Kind.TRANSITION, Role.HOST, proposal.transition.digest),),
    )
    reply = a.ask(0, Propose(slot=a.slot(proposal, born), round=0, proposal=stolen))
    assert isinstance(reply, Declined) and "wrong-key" == reply.reason


def is_renewed(anchor: PureAnchor, head: Certified) -> bool:
    custody = head.record.custody
    assert custody.host is not None
    claim = Claim(agent=head.record.agent_id, term=custody.term, binding=custody.binding)
    beat = Heartbeat(host=custody.host, sequence=1, claims=(claim,))
    return not anchor.heartbeat(beat).declined


def test_section_6_only_the_heads_fence_of_the_bound_host_is_renewed(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    anchor, (host, other) = a.anchors[0], (h.public for h in a.hosts)
    claim = Claim(agent=head.record.agent_id, term=0, binding=1)
    for named, claimed, is_good in (
        (host, claim, True),
        (other, claim, False),
        (host, replace(claim, binding=0), False),
        (host, replace(claim, binding=2), False),
        (host, replace(claim, term=1), False),
        (host, replace(claim, agent=OTHER), False),
    ):
        beat = Heartbeat(host=named, sequence=1, claims=(claimed,))
        assert is_good == (not anchor.heartbeat(beat).declined)


@pytest.mark.parametrize(
    "ordered",
    [
        {"status": Status.RETIRED},
        {"status": Status.DEPARTED},
        {"status": Status.REVOKED},
        {"is_suspended": True},
    ],
)
def test_an_agent_that_may_not_act_is_not_renewed(world: World, ordered: dict[str, Any]) -> None:
    a = world.zones[0]
    head = world.launch(a)
    record = replace(head.record, eligibility=replace(head.record.eligibility, **ordered))
    ended = replace(head, transition=replace(head.transition, record=record))
    dossier = a.anchors[0].dossier(head.record.agent_id)
    a.anchors[0].dossiers[head.record.agent_id] = replace(dossier, head=ended)
    assert not is_renewed(a.anchors[0], head)


def test_trap_27_an_anchor_that_voted_to_bind_declines_the_old_hosts_heartbeats(
    world: World,
) -> None:
    """A paused host that wakes up would be renewed while its successor is being committed."""
    a = world.zones[0]
    head = world.launch(a)
    world.clock.pass_ms(LEASE_MS + 10)
    voter, other = a.anchors[0], a.anchors[1]
    assert isinstance(voter.ask(bind_request(world, a, head)), Voted)
    assert not is_renewed(voter, head)
    assert is_renewed(other, head)
    voter.restart()
    assert not is_renewed(voter, head)


def retirement(world: World, head: Certified) -> Proposal:
    """Return the order of the officers to retire an agent, as a proposal."""
    now_ms = world.clock.wall_ms
    order = Order(
        agent=head.record.agent_id, act=Act.RETIRE, issued_ms=now_ms, expires_ms=now_ms + 1_000
    )
    signed = SignedOrder(
        order=order, seals=(seal(ISSUER, Kind.ORDER, Role.ISSUER, digest_of(order)),)
    )
    return world.propose(
        TransitionKind.RETIRE,
        head,
        ordered(head.record, head.certificate.slot, order),
        ISSUER,
        role=Role.PERSON,
        evidence=Evidence(order=signed),
    )


def test_section_6_it_declines_them_until_the_slot_is_decided_whatever_is_locked_since(
    world: World,
) -> None:
    """Once f+1 correct anchors voted to bind, a justified bind skips the lease check at others (rule 6).

    So none of the f+1 may renew the old host again, even one that was since locked on another value: else it,
    an anchor that has renewed it a moment ago and a liar would be a quorum for the old host.
    """
    a = world.zones[0]
    head = world.launch(a)
    world.clock.pass_ms(LEASE_MS + 10)
    voter = a.anchors[0]
    bind = bind_request(world, a, head)
    assert isinstance(voter.ask(bind), Voted)
    retire = retirement(world, head)
    for round in (1, 2, 3):
        lock = a.sample.certificate(
            bind.slot, retire.transition.digest, phase=Phase.LOCK, round=round
        )
        assert isinstance(voter.ask(ShowLock(certificate=lock, proposal=retire)), Voted)
        assert not is_renewed(voter, head)
    done = world.decide(a, retirement(world, head), head, only=(1, 2, 3))
    assert Status.RETIRED is done.record.eligibility.status


def test_a_bind_that_is_only_pending_withholds_nothing(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    assert isinstance(a.ask(0, Propose(slot=a.slot(step, head), round=0, proposal=step)), Voted)
    world.clock.pass_ms(LEASE_MS + 10)
    assert isinstance(a.ask(0, bind_request(world, a, head)), Nack)
    assert is_renewed(a.anchors[0], head)


def test_it_renews_again_when_a_step_was_decided_instead(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    voter = a.anchors[0]
    step = world.step_proposal(a, head)
    world.clock.pass_ms(LEASE_MS + 10)
    assert isinstance(voter.ask(bind_request(world, a, head)), Voted)
    a.renew(head)
    done = world.decide(a, step, head, only=(1, 2, 3))
    assert done.record.custody.fence == head.record.custody.fence
    shown = Proposal(transition=done.transition, seals=())
    voter.ask(ShowCommit(certificate=done.certificate, proposal=shown))
    assert is_renewed(voter, head)


@pytest.mark.parametrize("first", range(5))
def test_trap_27_a_late_step_and_a_bind_compete_for_one_slot(world: World, first: int) -> None:
    """`first` anchors see the step before the bind; the lease ends between the two."""
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    slot = a.slot(step, head)
    for index in range(first):
        a.ask(index, Propose(slot=slot, round=0, proposal=step))
    world.clock.pass_ms(LEASE_MS + 10)
    bind = bind_request(world, a, head).proposal
    assert a.slot(bind, head) == slot
    outcomes = [
        driven(a, Proposer(proposal, slot, a.manifest, parent=head)) for proposal in (step, bind)
    ]
    won = [p.decided for p in outcomes if p.progress is Progress.WON]
    assert len(won) <= 1
    if first >= 3:  # a quorum judged the step while the lease ran
        assert won and won[0] is not None and won[0].transition == step.transition
    if first <= 1:
        assert won and won[0] is not None and won[0].transition == bind.transition


def test_trap_2_a_dead_hosts_half_step_does_not_wedge_the_next_bind(world: World) -> None:
    """Two lock votes for the step of a host that died, two for the bind: the anchors lead on."""
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    slot = a.slot(step, head)
    for index in (0, 1):
        a.ask(index, Propose(slot=slot, round=0, proposal=step))
    world.clock.pass_ms(LEASE_MS + 10)
    bind = bind_request(world, a, head).proposal
    assert Progress.STALLED is driven(a, Proposer(bind, slot, a.manifest, parent=head)).progress
    pending = [a.anchors[i].dossier(head.record.agent_id).open for i in range(4)]
    assert all(state is not None and bind in state.proposals for state in pending)


# Rank


@given(st.binary(min_size=1, max_size=40), st.sets(st.binary(min_size=32, max_size=32), max_size=9))
def test_section_6_rank_is_the_same_everywhere_and_loses_nobody(
    context: bytes, members: set[bytes]
) -> None:
    ranked = rank(context, members)
    assert sorted(members) == sorted(ranked)
    assert ranked == rank(context, sorted(members, reverse=True))
    for gone in members:
        assert [m for m in ranked if m != gone] == rank(context, members - {gone})
