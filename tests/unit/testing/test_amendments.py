"""Officers amend agents' policies, in whole worlds: at once where they narrow, in time where they widen."""

from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.workers import Trader, Walker

TURNS = 60
OPEN = "permit (principal, action, resource);"
CLOSED = OPEN + 'forbid (principal, action == Action::"order.place", resource);'


def trades(world: World, zone: Zone, policy: str = OPEN, **given: float) -> LaunchedAgent:
    memory = {"plan": {"turns": TURNS}, "said": []}
    return world.launch(Trader, zone, memory=memory, policy=policy, **given)


def said(agent: LaunchedAgent) -> list[str]:
    """Return what came of each turn: "placed" or "denied"."""
    return [each.split()[0] for each in agent.memory("said")]


def goes_on(world: World, agent: LaunchedAgent, turns: int = 3) -> list[str]:
    """Return what comes of the next few turns."""
    before = len(said(agent))
    world.run_until(lambda: len(said(agent)) >= before + turns, "a few turns more")
    return said(agent)[before:]


def test_section_8_6_what_is_narrowed_is_forbidden_while_it_runs() -> None:
    with simulate(seed=1) as world:
        agent = trades(world, world.zone("a", hosts=2))
        assert {"placed"} == set(goes_on(world, agent))
        world.amend(agent, CLOSED)
        performed = len(agent.performed("place"))
        assert {"denied"} == set(goes_on(world, agent, 5))
        assert performed == len(agent.performed("place"))
        assert agent.record.governance.version == 2
        assert not world.broken_promises()


def test_section_8_6_what_is_widened_is_permitted_when_the_old_policy_has_cooled() -> None:
    with simulate(seed=2) as world:
        agent = trades(world, world.zone("a"), CLOSED, cool_down=8.0)
        assert {"denied"} == set(goes_on(world, agent))
        at = world.now
        world.amend(agent, OPEN)
        while world.now < at + 5:
            assert {"denied"} == set(goes_on(world, agent))
        world.run(4)
        assert {"placed"} == set(goes_on(world, agent))
        assert not world.broken_promises()


def test_section_8_6_an_expired_policy_is_renewed() -> None:
    with simulate(seed=3) as world:
        agent = trades(world, world.zone("a"), holds=6.0)
        goes_on(world, agent)
        world.run(12)
        stands = len(said(agent))
        world.run(12)
        assert stands == len(said(agent)) < TURNS
        world.amend(agent, OPEN)
        assert {"placed"} == set(goes_on(world, agent))


def test_section_8_6_an_agent_in_flight_is_amended_when_it_has_arrived() -> None:
    with simulate(seed=5) as world:
        a, b = world.zone("a"), world.zone("b")
        plan = {"route": ["b", "a"]}
        agent = world.launch(Walker, a, memory={"plan": plan, "diary": []}, cool_down=5.0)
        world.run_until(lambda: agent.record.migration is not None, "it departs")
        world.amend(agent, OPEN + "// seen on the way", OPEN + "// and once more")
        assert agent.zone is b
        agent.result()
        assert ["b", "a"] == agent.memory("diary"), "it comes home under what rules it now"
        assert agent.zone is a and agent.record.governance.version == 2
        assert not world.broken_promises()


def test_section_8_6_with_one_anchor_dead_and_its_host_killed_a_policy_is_amended() -> None:
    with simulate(seed=6) as world:
        zone = world.zone("a", hosts=2)
        agent = trades(world, zone)
        goes_on(world, agent)
        zone.anchors[0].kill()
        assert agent.host is not None
        agent.host.kill()
        world.amend(agent, CLOSED)
        zone.anchors[0].start()
        assert {"denied"} == set(goes_on(world, agent))
        assert not world.broken_promises()
