"""Policies spread by themselves, in whole worlds: published at any anchor, they come to all that they rule."""

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.governance import Document
from sojourn.core.base.encoding import decode
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX, GOSSIP_ROUND_MS
from sojourn.testing import LaunchedAgent, simulate
from sojourn.testing.founding import PERMIT_ALL
from tests.unit.testing.test_edicts import LEASE_S, ROUND_S, three
from tests.unit.testing.test_orders import begun, paid
from tests.unit.testing.workers import Listener, Walker

NO_PAYING = PERMIT_ALL + ' forbid (principal, action == Action::"ledger.pay", resource);'


def is_amended(agent: LaunchedAgent, version: int = 2) -> bool:
    return agent.record.governance.version >= version


def amends(agent: LaunchedAgent, within: float = ROUND_S, version: int = 2) -> None:
    agent.wait(lambda _: is_amended(agent, version), "meets the amendment", within)


def text_of(agent: LaunchedAgent) -> str:
    data = agent.get(agent.record.governance.documents[0])
    return decode(data, Document, what="document", limit=DOCUMENT_BYTES_MAX).cedar


def test_section_8_9_a_policy_published_in_another_zone_rules_every_agent_within_a_round() -> None:
    with simulate(seed=1) as world:
        a, b, c = three(world)
        agents = [begun(world, zone) for zone in (b, c, c)]
        world.publish_policy(agents[0], NO_PAYING, a.anchors[0])
        world.run(ROUND_S)
        assert all(map(is_amended, agents))
        world.run(LEASE_S)
        before = [paid(agent) for agent in agents]
        world.run(4)
        assert before == [paid(agent) for agent in agents]
        assert not world.broken_promises()


def test_section_8_9_agents_go_on_under_a_policy_that_lets_them() -> None:
    with simulate(seed=2) as world:
        a, _, c = three(world)
        agent = begun(world, c)
        for round in range(3):
            world.publish_policy(agent, PERMIT_ALL + f" // {round}", a.anchors[round])
        agent.wait(lambda _: text_of(agent).endswith("// 2"), "meets the newest", ROUND_S)
        agent.advances(3)
        assert not world.broken_promises()


def test_section_8_9_a_zone_that_was_cut_off_amends_its_agents_when_it_is_healed() -> None:
    with simulate(seed=3) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        heal = world.partition(c, [a, b])
        for text in (PERMIT_ALL, NO_PAYING):
            world.publish_policy(agent, text, a.anchors[0])
            world.run(1)
        assert not is_amended(agent)
        heal()
        amends(agent, 10)
        agent.wait(lambda _: NO_PAYING == text_of(agent), "meets the newest", ROUND_S)
        assert agent.record.governance.version <= 3


@pytest.mark.parametrize("slept_s", [LEASE_S, 15.0], ids=["by time", "by a message"])
def test_section_8_9_a_sleeper_meets_it_when_it_wakes_and_not_before(slept_s: float) -> None:
    with simulate(seed=4) as world:
        a, _, c = three(world)
        agent = world.launch(Listener, c)
        agent.rests()
        world.run(slept_s)
        version = agent.version
        world.publish_policy(agent, PERMIT_ALL + " // 2", a.anchors[0])
        world.run(3)
        assert (version, Status.DORMANT) == (agent.version, agent.status), (
            "nothing is written for it"
        )
        world.send(agent, "wake up")
        amends(agent, 20)
        world.run(30)
        assert "wake up" == agent.result()
        assert not world.broken_promises()


def test_section_8_9_an_agent_in_flight_meets_it_where_it_arrives() -> None:
    with simulate(seed=5) as world:
        a, b, c = three(world)
        agent = world.launch(Walker, a, memory={"plan": {"route": ["b", "a"]}, "diary": None})
        b.hosts[0].pause()
        agent.wait(lambda _: agent.status is Status.DEPARTED, "departs")
        world.publish_policy(agent, PERMIT_ALL + " // 2", c.anchors[2])
        world.run(2)
        assert not is_amended(agent)
        b.hosts[0].resume()
        amends(agent, 40)
        assert ["b", "a"] == agent.result()
        assert not world.broken_promises()


def test_section_13_a_policy_that_was_acknowledged_survives_every_anchor_of_its_zone() -> None:
    with simulate(seed=6) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        world.partition(a, [b, c])
        world.publish_policy(agent, NO_PAYING, a.anchors[0])
        for anchor in a.anchors:
            anchor.kill()
        world.heal()
        world.run(3)
        assert not is_amended(agent)
        a.anchors[0].start()
        amends(agent, 20)


def test_a_policy_that_cannot_be_evaluated_holds_nobody_up() -> None:
    """Officers should not have signed it, and no anchor would vote for it: it is as if it were not there."""
    with simulate(seed=7) as world:
        a, _, c = three(world)
        agent = begun(world, c)
        world.publish_policy(agent, "permit nothing at all", a.anchors[0])
        world.run(GOSSIP_ROUND_MS / 500)
        agent.advances(3)
        assert not is_amended(agent)


def test_an_order_and_a_policy_that_come_together_are_both_carried_out() -> None:
    with simulate(seed=8) as world:
        a, b, c = three(world)
        agent = begun(world, c)
        heal = world.partition(c, [a, b])
        world.publish_policy(agent, PERMIT_ALL + " // 2", a.anchors[0])
        world.publish(agent, "suspend", a.anchors[0])
        heal()
        amends(agent, 10)
        assert agent.record.eligibility.is_suspended
        world.publish(agent, "resume", b.anchors[0])
        agent.advances(3)
        assert not world.broken_promises()
