"""Orders spread by themselves, in whole worlds: given to any anchor anywhere, they come to wherever the agent is."""

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.base.errors import Refused
from sojourn.core.base.limits import GOSSIP_ROUND_MS
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.test_orders import begun, paid
from tests.unit.testing.workers import Listener, Walker

ROUND_S = 1.2 * GOSSIP_ROUND_MS / 1000
LEASE_S = 3.0


def three(world: World) -> tuple[Zone, Zone, Zone]:
    a, b, c = (world.zone(name) for name in "abc")
    return a, b, c


def is_suspended(agent: LaunchedAgent) -> bool:
    return agent.record.eligibility.is_suspended


def suspends(agent: LaunchedAgent, within: float) -> None:
    agent.wait(is_suspended, "is suspended", within)


def resumes(agent: LaunchedAgent, within: float = ROUND_S) -> None:
    agent.wait(lambda _: not is_suspended(agent), "is resumed", within)


# With one seed of eight anchors have voted for the next step before they hear of it, and the engine takes a round.
@pytest.mark.parametrize("seed", [0, 2])
def test_section_11_an_order_given_to_one_anchor_of_another_zone_is_obeyed_within_a_round(
    seed: int,
) -> None:
    with simulate(seed=seed) as world:
        a, _, c = three(world)
        agent = begun(world, c)
        world.publish(agent, "suspend", a.anchors[seed])
        suspends(agent, ROUND_S)
        world.run(LEASE_S)
        before, version = paid(agent), agent.version
        world.run(5)
        assert (before, version) == (paid(agent), agent.version)
        world.publish(agent, "resume", a.anchors[0])
        resumes(agent)
        agent.advances(3)
        assert not world.broken_promises()


def test_section_11_a_zone_that_was_cut_off_carries_an_order_out_when_it_is_healed() -> None:
    with simulate(seed=4) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        heal = world.partition(c, [a, b])
        world.publish(agent, "suspend", a.anchors[0])
        world.run(5)
        assert not is_suspended(agent)
        before = len(paid(agent))
        world.run(2)
        assert len(paid(agent)) > before, "its zone knows nothing of it"
        heal()
        suspends(agent, 10)
        assert not world.broken_promises()


def test_section_11_an_order_finds_an_agent_over_where_it_went_on_to() -> None:
    """Zone b has no line to c but over a: what agents leave behind leads on."""
    with simulate(seed=5) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        world.partition(b, c)
        world.publish(agent, "suspend", b.anchors[1])
        suspends(agent, ROUND_S)


def walking(world: World, start: Zone, *route: str) -> LaunchedAgent:
    return world.launch(Walker, start, memory={"plan": {"route": list(route)}, "diary": None})


def test_section_8_an_agent_in_flight_meets_an_order_at_its_admission() -> None:
    with simulate(seed=6) as world:
        a, b, c = three(world)
        agent = walking(world, a, "b", "a")
        b.hosts[0].pause()
        agent.wait(lambda _: agent.status is Status.DEPARTED, "departs")
        world.publish(agent, "suspend", c.anchors[2])
        world.run(2)
        assert agent.status is Status.DEPARTED
        b.hosts[0].resume()
        suspends(agent, 40)
        world.run(LEASE_S)
        steps = len(agent.performed("visit"))
        assert agent.zone in (a, b)
        world.run(5)
        assert steps == len(agent.performed("visit"))
        world.publish(agent, "resume", c.anchors[0])
        agent.result()
        assert not world.broken_promises()


def test_section_8_a_dormant_agent_is_suspended_in_its_sleep_and_sleeps_on() -> None:
    with simulate(seed=7) as world:
        a, _, c = three(world)
        agent = world.launch(Listener, c)
        agent.rests()
        world.publish(agent, "suspend", a.anchors[0])
        suspends(agent, ROUND_S)
        assert Status.DORMANT is agent.status
        world.run(12)
        assert Status.DORMANT is agent.status, "its time came, and it may not wake"
        world.publish(agent, "resume", a.anchors[3])
        resumes(agent)
        world.send(agent, "at last")
        assert "at last" == agent.result()


def test_section_13_an_order_that_was_acknowledged_survives_every_anchor_of_its_zone() -> None:
    with simulate(seed=8) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        world.partition(a, [b, c])
        world.publish(agent, "suspend", a.anchors[0])
        for anchor in a.anchors:
            anchor.kill()
        world.run(3)
        world.heal()
        world.run(3)
        assert not is_suspended(agent)
        a.anchors[0].start()
        suspends(agent, 20)


def test_section_8_an_old_suspension_does_not_come_back_after_the_agent_was_resumed() -> None:
    """Another zone still carries it, and so does whoever was away."""
    with simulate(seed=9) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        heal = world.partition(b, [a, c])
        world.publish(agent, "suspend", b.anchors[0])
        world.run(1)
        world.publish(agent, "suspend", a.anchors[0])
        suspends(agent, ROUND_S)
        world.publish(agent, "resume", a.anchors[0])
        resumes(agent)
        heal()
        for zone in (a, b, c):
            for anchor in zone.anchors:
                anchor.kill()
                anchor.start()
        agent.advances(3)
        world.run(2 * ROUND_S)
        assert not is_suspended(agent)
        agent.advances(3)


def test_section_8_orders_are_carried_out_in_the_order_in_which_they_were_issued() -> None:
    with simulate(seed=10) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        for anchor in c.anchors:
            anchor.kill()
        for act in ("suspend", "quarantine", "resume"):
            world.publish(agent, act, b.anchors[0])
            world.run(0.1)
        world.run(ROUND_S)
        for anchor in c.anchors:
            anchor.start()
        agent.wait(lambda _: agent.record.eligibility.is_quarantined, "is in quarantine", 20)
        resumes(agent, 10)
        assert agent.record.eligibility.is_quarantined
        assert [] == [each for each in a.anchors if not each.disk.rows("order")], "for all zones"


def test_an_order_that_cannot_be_carried_out_is_declined_where_the_agent_is() -> None:
    with simulate(seed=11) as world:
        a, _, c = three(world)
        agent = begun(world, c)
        world.order(agent, "retire")
        with pytest.raises(Refused, match="the agent has ended"):
            world.publish(agent, "suspend", c.anchors[0])
        with pytest.raises(Refused, match="holds too briefly"):
            world.publish(agent, "suspend", a.anchors[0], lasts=1)


def test_section_11_one_liar_in_each_zone_keeps_no_order_back() -> None:
    with simulate(seed=12) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        for zone in (a, b, c):
            zone.anchors[3].kill()
        world.publish(agent, "suspend", a.anchors[0])
        # Anchors that carry it out at the same time may need a round of the engine for it.
        suspends(agent, 3 * ROUND_S)
