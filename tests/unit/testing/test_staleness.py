"""Bounds on staleness, in whole worlds: an agent stands where no head of its policy came of late."""

from sojourn.testing import LaunchedAgent, World, Zone, simulate
from sojourn.testing.founding import PERMIT_ALL
from tests.unit.testing.test_edicts import LEASE_S, ROUND_S, three
from tests.unit.testing.test_orders import paid
from tests.unit.testing.test_published import is_amended
from tests.unit.testing.workers import Listener, Payer, Walker

BOUND_S = 10.0


def vouched(world: World, zone: Zone) -> LaunchedAgent:
    """Launch an agent that acts as long as a head of its policy is no older than `BOUND_S`, and vouch for it."""
    agent = waiting(world, zone)
    world.vouch(agent, zone.anchors[0])
    agent.advances(3)
    return agent


def waiting(world: World, zone: Zone, staleness: float = BOUND_S) -> LaunchedAgent:
    plan = {"turns": 1000, "pace_s": 0.2}
    memory = {"plan": plan, "unsure": None, "done": None}
    return world.launch(Payer, zone, memory=memory, staleness=staleness)


def stands(world: World, agent: LaunchedAgent, seconds: float = 4.0) -> bool:
    before = (paid(agent), agent.version)
    world.run(seconds)
    return before == (paid(agent), agent.version)


def test_section_8_11_an_agent_stands_until_an_officer_vouches_for_its_policy() -> None:
    with simulate(seed=1) as world:
        a, _, c = three(world)
        agent = waiting(world, c)
        world.run(LEASE_S)
        assert stands(world, agent) and not paid(agent)
        world.vouch(agent, a.anchors[1])
        agent.wait(lambda _: bool(paid(agent)), "goes on", ROUND_S + 2)
        assert not world.broken_promises()


def test_section_8_11_a_zone_that_is_cut_off_stops_its_agents_when_the_bound_is_over() -> None:
    with simulate(seed=2) as world:
        a, b, c = three(world)
        agent = vouched(world, c)
        heal = world.partition(c, [a, b])
        forbids = PERMIT_ALL + ' forbid (principal, action == Action::"ledger.pay", resource);'
        world.publish_policy(agent, forbids, a.anchors[0])
        world.vouch(agent, a.anchors[0])
        agent.advances(3)
        assert not is_amended(agent), "it cannot know better yet"
        world.run(BOUND_S)
        assert stands(world, agent, 2 * BOUND_S), "and does nothing any more under the old text"
        before = paid(agent)
        heal()
        agent.wait(is_amended, "meets the amendment", 10)
        world.vouch(agent, a.anchors[0])
        world.run(5)
        assert before == paid(agent), "and pays nothing under the new one"
        assert not world.broken_promises()


def test_trap_43_a_zone_that_is_cut_off_honours_the_revoked_no_longer_than_the_bound() -> None:
    with simulate(seed=7) as world:
        a, b, c = three(world)
        agent = vouched(world, c)
        heal = world.partition(c, [a, b])
        world.revoke(agent, "code", a.anchors[0])
        agent.advances(2)
        world.run(BOUND_S)
        assert stands(world, agent)
        heal()
        world.vouch(agent, a.anchors[0])
        world.run(3)
        assert stands(world, agent), "and by now it has heard why"
        world.revoke(agent, "code", a.anchors[0], lifts=True)
        world.vouch(agent, a.anchors[0])
        agent.advances(3, 20)
        assert not world.broken_promises()


def test_section_8_11_heads_that_follow_each_other_hold_nobody_up() -> None:
    with simulate(seed=3) as world:
        a, _, c = three(world)
        agent = vouched(world, c)
        for round in range(4):
            world.run(BOUND_S / 2)
            world.vouch(agent, a.anchors[round])
            agent.advances(2)
        world.publish_policy(agent, PERMIT_ALL + " // 2", a.anchors[0])
        agent.wait(is_amended, "meets the amendment", ROUND_S)
        agent.advances(3)
        assert not world.broken_promises()


def test_section_8_11_an_agent_travels_where_heads_have_come_as_well() -> None:
    with simulate(seed=4) as world:
        a, b, c = three(world)
        agent = world.launch(
            Walker, a, memory={"plan": {"route": ["b", "a"]}, "diary": None}, staleness=600.0
        )
        world.run(LEASE_S)
        assert agent.zone is a
        world.vouch(agent, c.anchors[0])
        assert ["b", "a"] == agent.result()
        assert not world.broken_promises()


def test_section_13_a_head_that_was_acknowledged_survives_every_anchor_of_its_zone() -> None:
    with simulate(seed=5) as world:
        a, b, c = three(world)
        agent = waiting(world, c, staleness=600.0)
        world.partition(a, [b, c])
        world.vouch(agent, a.anchors[0])
        for anchor in a.anchors:
            anchor.kill()
        world.heal()
        assert stands(world, agent)
        a.anchors[0].start()
        agent.wait(lambda _: bool(paid(agent)), "goes on", 20)


def test_section_8_11_a_sleeper_that_may_not_act_when_it_is_woken_waits_and_goes_on_with_a_head() -> (
    None
):
    with simulate(seed=6) as world:
        a, _, c = three(world)
        agent = world.launch(Listener, c, staleness=BOUND_S)
        world.vouch(agent, a.anchors[0])
        agent.rests()
        world.run(2 * BOUND_S)
        world.send(agent, "wake up")
        version = agent.version
        world.run(BOUND_S)
        assert version == agent.version
        world.vouch(agent, a.anchors[0])
        assert "wake up" == agent.result()
        assert not world.broken_promises()
