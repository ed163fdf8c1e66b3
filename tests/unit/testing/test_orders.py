"""Officers order an agent about, in whole worlds: it stops, it goes on, it is kept from the world."""

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.base.errors import Rejected
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.workers import Listener, Payer

TURNS = 40
LEASE_S = 3.0


def pays(world: World, zone: Zone) -> LaunchedAgent:
    plan = {"turns": TURNS, "pace_s": 0.2}
    return world.launch(Payer, zone, memory={"plan": plan, "unsure": None, "done": None})


def paid(agent: LaunchedAgent) -> list[int]:
    return [each.arguments[0] for each in agent.performed("pay")]


def begun(world: World, zone: Zone) -> LaunchedAgent:
    """Return an agent that has paid a few."""
    agent = pays(world, zone)
    world.run_until(lambda: len(paid(agent)) > 3, "a few payments")
    return agent


def test_section_8_a_suspended_agent_is_still_until_it_is_resumed() -> None:
    with simulate(seed=1) as world:
        agent = begun(world, world.zone("a", hosts=2))
        world.order(agent, "suspend")
        assert agent.record.eligibility.is_suspended
        world.run(LEASE_S)
        before, version = paid(agent), agent.version
        world.run(120)
        assert (before, version) == (paid(agent), agent.version), "nobody takes it up meanwhile"
        world.order(agent, "resume")
        agent.result()
        assert list(range(TURNS)) == agent.memory("done")
        assert list(range(TURNS)) == sorted(set(paid(agent)))
        assert not world.broken_promises()


def test_section_8_an_agent_in_quarantine_acts_on_nothing_until_it_is_lifted() -> None:
    with simulate(seed=2) as world:
        agent = begun(world, world.zone("a"))
        world.order(agent, "quarantine")
        world.run(LEASE_S)
        before = paid(agent)
        world.run(120)
        assert before == paid(agent)
        assert agent.record.eligibility.is_quarantined
        world.order(agent, "lift")
        agent.result()
        assert list(range(TURNS)) == agent.memory("done"), "it has not failed meanwhile, but waited"
        assert not world.broken_promises()


def test_section_8_a_sleeper_that_was_suspended_costs_nothing_when_its_time_has_come() -> None:
    """Its host woke it, found that it may not run, put it to sleep, and woke it again, without a pause."""
    with simulate(seed=5) as world:
        zone = world.zone("a", anchors=1)
        agent = world.launch(Listener, zone)
        agent.rests()
        world.order(agent, "suspend")
        world.run(10)
        before = world.trace.messages
        world.run(2)
        assert world.trace.messages - before < 100
        world.order(agent, "resume")
        world.run(5)
        world.send(agent, "at last")
        assert "at last" == agent.result()


@pytest.mark.parametrize(
    ("act", "status"), [("retire", Status.RETIRED), ("revoke", Status.REVOKED)]
)
def test_section_2_an_agent_that_was_ended_never_acts_again(act: str, status: Status) -> None:
    with simulate(seed=3) as world:
        agent = begun(world, world.zone("a", hosts=2))
        world.order(agent, "suspend")
        world.order(agent, act)
        assert status is agent.status
        before, version = paid(agent), agent.version
        world.run(120)
        assert (before, version) == (paid(agent), agent.version)
        with pytest.raises(Rejected, match="nothing to resume: the agent is re"):
            world.order(agent, "resume")


def test_section_8_with_one_anchor_dead_and_its_host_killed_an_order_is_carried_out() -> None:
    with simulate(seed=4) as world:
        zone = world.zone("a", hosts=2)
        agent = begun(world, zone)
        zone.anchors[0].kill()
        assert agent.host is not None
        agent.host.kill()
        world.order(agent, "suspend")
        world.order(agent, "resume")
        agent.result()
        assert list(range(TURNS)) == agent.memory("done")
