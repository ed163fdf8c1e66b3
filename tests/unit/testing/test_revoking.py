"""Revocations, in whole worlds: what relies on revoked code, hosts and issuers stops, wherever it is."""

import pytest

from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.test_edicts import LEASE_S, ROUND_S, three
from tests.unit.testing.test_orders import paid
from tests.unit.testing.workers import Payer, Walker


def begun(world: World, zone: Zone) -> LaunchedAgent:
    """Return an agent that pays for long, and has paid a few."""
    memory = {"plan": {"turns": 1000, "pace_s": 0.6}, "unsure": None, "done": None}
    agent = world.launch(Payer, zone, memory=memory)
    world.run_until(lambda: len(paid(agent)) > 3, "a few payments")
    return agent


def stands(world: World, agent: LaunchedAgent, seconds: float = 5.0) -> bool:
    before = (paid(agent), agent.version)
    world.run(seconds)
    return before == (paid(agent), agent.version)


@pytest.mark.parametrize("about", ["code", "issuer"])
def test_section_8_12_all_agents_of_an_issuer_stop_wherever_they_are_and_go_on_when_it_is_lifted(
    about: str,
) -> None:
    with simulate(seed=1) as world:
        a, b, c = three(world)
        agents = [begun(world, zone) for zone in (b, c)]
        world.revoke(agents[0], about, a.anchors[0])
        world.run(ROUND_S + LEASE_S)
        before = [(paid(agent), agent.version) for agent in agents]
        world.run(8)
        assert before == [(paid(agent), agent.version) for agent in agents]
        world.revoke(agents[0], about, b.anchors[1], lifts=True)
        for agent in agents:
            agent.advances(3, 20)
        assert not world.broken_promises()


def test_section_8_12_an_agent_leaves_a_revoked_host_for_another_of_its_zone() -> None:
    with simulate(seed=2) as world:
        a, c = world.zone("a"), world.zone("c", hosts=2)
        agent = begun(world, c)
        revoked = agent.record.custody.host
        world.revoke(agent, "host", a.anchors[0])
        agent.wait(lambda it: it.record.custody.host not in (None, revoked), "moves over", 20)
        agent.advances(5)
        assert not world.broken_promises()


def test_section_8_12_a_zone_revokes_for_itself_alone() -> None:
    with simulate(seed=3) as world:
        a, _, c = three(world)
        here, there = begun(world, a), begun(world, c)
        world.revoke(here, "code", a.anchors[2], in_zone=a)
        world.run(ROUND_S + LEASE_S)
        assert stands(world, here)
        there.advances(3)
        world.revoke(here, "code", a.anchors[0], in_zone=a, lifts=True)
        here.advances(3, 20)
        assert not world.broken_promises()


def test_section_5_nobody_whose_code_a_zone_revoked_comes_there() -> None:
    with simulate(seed=4) as world:
        a, b, c = three(world)
        memory = {"plan": {"route": ["b", "c"]}, "diary": None}
        agent = world.launch(Walker, a, memory=memory)
        world.revoke(agent, "code", c.anchors[0], in_zone=c)
        agent.wait(lambda it: it.zone is b, "goes to b", 60)
        world.run(8)
        assert agent.zone is b, "and not to c"
        assert not world.broken_promises()


def test_section_13_a_revocation_that_was_acknowledged_survives_every_anchor_of_its_zone() -> None:
    with simulate(seed=5) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        world.partition(a, [b, c])
        world.revoke(agent, "code", a.anchors[0])
        for anchor in a.anchors:
            anchor.kill()
        world.heal()
        agent.advances(2)
        a.anchors[0].start()
        world.run(5 + LEASE_S)
        assert stands(world, agent)
