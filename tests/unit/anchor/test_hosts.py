"""Who runs agents here: connections are remembered within bounds, agents are found by the host they want."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor.hosts import Hosts, Wanted
from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Unreachable
from sojourn.core.base.limits import CLOCK_SKEW_MS, HOSTS_MAX
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.exchange import WorkItem, decode_work
from sojourn.core.protocol.messages import Arrive
from tests.rulings import PureZone, World


class Line:
    """A connection that remembers what it was told."""

    def __init__(self, *, closed: bool = False) -> None:
        self.is_closed = closed
        self.told: list[bytes] = []

    def notify(self, body: bytes) -> None:
        if self.is_closed:
            raise Unreachable("closed")
        self.told.append(body)


def line(*, closed: bool = False) -> Any:
    return Line(closed=closed)


# Hosts


def test_a_host_is_told_over_its_newest_connection() -> None:
    hosts, old, new = Hosts(), line(), line()
    assert hosts.note(b"h", old)
    assert not hosts.note(b"h", old)
    assert hosts.note(b"h", new)
    hosts.offer([b"h", b"unknown"], WorkItem(has_mail=True))
    assert [] == old.told
    assert WorkItem(has_mail=True) == decode_work(new.told[0]).items[0]


def test_one_that_cannot_be_told_is_forgotten() -> None:
    hosts, gone = Hosts(), line(closed=True)
    hosts.note(b"h", gone)
    assert not hosts.is_connected(b"h")
    hosts.offer([b"h"], WorkItem())
    assert hosts.note(b"h", gone)


def test_strangers_that_come_and_go_are_not_remembered_for_ever() -> None:
    hosts = Hosts()
    hosts.note(b"mine", line())
    for number in range(2 * HOSTS_MAX):
        hosts.note(digest(b"%d" % number), line(closed=True))
    assert len(hosts._connections) <= HOSTS_MAX
    assert hosts.is_connected(b"mine")


# Wanted


@pytest.fixture
def world() -> World:
    return World("a", "b")


def wanted(zone: PureZone, *dossiers: Dossier) -> Wanted:
    made = Wanted(zone.zone)
    for dossier in dossiers:
        made.note(dossier)
    return made


def test_an_agent_wants_the_host_it_is_bound_to_or_any(world: World) -> None:
    a = world.zones[0]
    anchor, (first, second) = a.anchors[0], a.hosts
    born = world.decide(a, world.genesis(a))
    agent = born.record.agent_id
    made = wanted(a, anchor.dossier(agent))
    assert [(agent, (0, 0))] == made.by(first.public, 0) == made.by(second.public, 0)
    world.bind(a, born)
    made.note(anchor.dossier(agent))
    assert [(agent, (0, 1))] == made.by(first.public, 0)
    assert [] == made.by(second.public, 0)


@pytest.mark.parametrize(
    ("wake", "is_wanting"), [(Wake(at_ms=1), True), (Wake(on_message=True), False)]
)
def test_one_asleep_wants_its_host_only_if_time_wakes_it(
    world: World, wake: Wake, is_wanting: bool
) -> None:
    a = world.zones[0]
    head = world.launch(a)
    asleep = replace(head.record.eligibility, status=Status.DORMANT, wake=(wake,))
    head = world.step(a, head, eligibility=asleep)
    made = wanted(a, a.anchors[0].dossier(head.record.agent_id))
    assert is_wanting == bool(made.by(a.hosts[0].public, 0))


def test_one_that_sleeps_is_told_of_shortly_before_it_wakes(world: World) -> None:
    """A host that has just started need not hear of a hundred thousand that sleep for a year."""
    a = world.zones[0]
    head = world.launch(a)
    agent, host = head.record.agent_id, a.hosts[0].public
    wake = (Wake(on_message=True), Wake(at_ms=20_000_000), Wake(at_ms=10_000_000))
    asleep = replace(head.record.eligibility, status=Status.DORMANT, wake=wake)
    head = world.step(a, head, eligibility=asleep)
    dossier = a.anchors[0].dossier(agent)
    made = wanted(a, dossier)
    assert [] == made.by(host, 10_000_000 - 200_000)
    ahead_ms = CLOCK_SKEW_MS + 20_000  # it asks every 15 s
    assert [(agent, (0, 1))] == made.by(host, 10_000_000 - ahead_ms)
    for _ in range(200):
        made.note(replace(dossier, head=None))
        made.note(dossier)
    assert len(made._later) < 100
    assert [] == made.by(host, 0)
    assert [(agent, (0, 1))] == made.by(host, 10_000_001)


def test_one_that_left_wants_nobody_here_and_the_host_of_its_visa_there(world: World) -> None:
    a, b = world.zones
    head = world.launch(a)
    agent = head.record.agent_id
    made = wanted(a, a.anchors[0].dossier(agent))
    gone, visa, _ = world.depart(a, b, head)
    b.ask_all(Arrive(departure=gone, visa=visa))
    made.note(a.anchors[0].dossier(agent))
    assert [] == made.by(a.hosts[0].public, 0)
    assert ({}, {}) == (made._agents, made._wants)
    there = wanted(b, b.anchors[0].dossier(agent))
    assert [(agent, None)] == there.by(b.hosts[0].public, 0)
