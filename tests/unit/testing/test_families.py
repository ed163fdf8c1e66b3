"""Families in whole worlds (protocol §8.13): children are born once, held by what holds their parent, anywhere."""

from typing import Any

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.base.digests import cid_text
from sojourn.core.base.limits import GOSSIP_ROUND_MS
from sojourn.runtime.records import Spawned, Turn
from sojourn.testing import LaunchedAgent, World, simulate
from sojourn.testing.world import Zone
from tests.unit.testing.families import Clerk, Head, Widow

ROUND_S = 1.2 * GOSSIP_ROUND_MS / 1000
LONG = list(range(1, 200))


def launched(world: World, zone: Zone, *wishes: dict[str, Any], **more: Any) -> LaunchedAgent:
    plan = {"plan": {"wishes": list(wishes)}, "told": None}
    return world.launch(Head, zone, memory=plan, actions=["ledger.enter"], **more)


def child_of(agent: LaunchedAgent, within: float = 30) -> LaunchedAgent:
    agent.wait(lambda _: bool(agent.children()), "has a child", within)
    (child,) = agent.children()
    return child


def test_an_agent_has_a_child_that_works_with_what_it_was_given() -> None:
    with simulate(seed=1) as world:
        (a,) = (world.zone("a"),)
        agent = launched(
            world, a, {"budgets": {"steps": 30}, "numbers": [7, 8]}, budgets={"steps": 50}
        )
        child = child_of(agent)
        child.wait(lambda _: child.has_ended, "has ended")
        assert {"7": 7, "8": 8} == child.memory("book"), child.journal()
        assert {"steps": 30} == {n: b.limit for n, b in child.record.eligibility.budgets.items()}
        assert agent.record.eligibility.budgets["steps"].spent >= 30
        agent.wait(lambda _: agent.memory("told") == [cid_text(child.id)], "knows its child")
        assert not world.broken_promises()


@pytest.mark.parametrize("seed", range(3))
def test_a_child_moves_and_what_is_ordered_of_its_parent_holds_it_there(seed: int) -> None:
    with simulate(seed=seed) as world:
        a, b = world.zone("a"), world.zone("b")
        agent = launched(world, a, {"numbers": LONG, "zone": "b"})
        child = child_of(agent)
        child.arrives(b, 20)
        child.wait(lambda _: child.memory("book"), "works there")
        world.publish(agent, "quarantine", a.anchors[0])
        child.wait(lambda _: child.record.eligibility.is_alone, "is held", ROUND_S)
        world.run(3)
        before = len(child.performed())
        world.run(5)
        assert before == len(child.performed()) and child.zone is b
        world.publish(agent, "lift", b.anchors[0])
        child.wait(lambda _: not child.record.eligibility.is_alone, "is free", ROUND_S)
        child.wait(lambda _: len(child.performed()) > before, "works again")
        assert not world.broken_promises()


def test_a_child_that_hears_of_its_parents_end_late_ends_then() -> None:
    """The parent has obeyed long before: what was ordered of it is told on."""
    with simulate(seed=5) as world:
        a, b = world.zone("a"), world.zone("b")
        agent = launched(world, a, {"numbers": LONG, "zone": "b"})
        child = child_of(agent)
        child.arrives(b)
        heal = world.partition(a, b)
        world.publish(agent, "retire", a.anchors[0])
        agent.wait(lambda _: agent.status is Status.RETIRED, "has retired", ROUND_S)
        world.run(5)
        assert child.status is not Status.RETIRED
        heal()
        child.wait(lambda _: child.status is Status.RETIRED, "has retired with it", 20)
        assert not world.broken_promises()


@pytest.mark.parametrize("act", ["suspend", "quarantine", "retire", "revoke"])
def test_section_8_13_what_officers_carry_to_a_parent_themselves_binds_its_children(
    act: str,
) -> None:
    """Nobody published it: the zone that decided it tells of it, also where its child has gone."""
    with simulate(seed=11) as world:
        a, b = world.zone("a"), world.zone("b")
        agent = launched(world, a, {"numbers": LONG}, {"numbers": LONG, "zone": "b"})
        agent.wait(lambda _: len(agent.children()) == 2, "has children")
        near, far = agent.children()
        world.run_until(
            lambda: b in (near.zone, far.zone), lambda: "one has gone", within=20, watched=far.id
        )
        world.run(2)
        heal = world.partition(a, b)
        world.order(agent, act)
        world.run(ROUND_S)
        heal()
        for child in (near, far):
            child.wait(lambda it: not may_work(it), f"is bound by {act}", 3 * ROUND_S)
        world.run(1)
        before = len(near.performed()) + len(far.performed())
        world.run(5)
        assert before == len(near.performed()) + len(far.performed())


def test_section_13_an_anchor_knows_what_binds_a_family_from_the_moment_it_applied_it() -> None:
    """It dies right then, and nobody else can tell it."""
    with simulate(seed=12) as world:
        a = world.zone("a", anchors=1)
        agent = launched(world, a, {"numbers": LONG})
        child = child_of(agent)
        anchor = a.anchors[0]
        world.order(agent, "quarantine")
        anchor.kill()
        world.run(0.2)
        anchor.start()
        child.wait(lambda it: not may_work(it), "is bound", 5 * ROUND_S)


def may_work(agent: LaunchedAgent) -> bool:
    eligibility = agent.record.eligibility
    return eligibility.is_acting and not eligibility.is_alone


def test_a_child_that_may_outlives_its_parent() -> None:
    with simulate(seed=6) as world:
        a = world.zone("a")
        agent = launched(world, a, {"numbers": LONG, "outlives": True})
        child = child_of(agent)
        world.publish(agent, "retire", a.anchors[0])
        agent.wait(lambda _: agent.status is Status.RETIRED, "has retired", ROUND_S)
        world.run(2 * ROUND_S)
        before = len(child.performed())
        child.wait(lambda _: len(child.performed()) > before, "goes on")


NO_ORPHANS = (
    "permit(principal, action, resource);\n"
    'forbid(principal, action == Action::"spawn", resource) when { context.outlives };'
)
NO_CLERKS = (
    "permit(principal, action, resource);\n"
    'forbid(principal, action == Action::"ledger.enter", resource) when { principal.depth > 0 };'
)


def test_what_the_policies_forbid_is_denied_and_journaled() -> None:
    with simulate(seed=7) as world:
        a = world.zone("a")
        wishes = [{"outlives": True}, {"budgets": {"steps": 1_000}}]
        agent = launched(world, a, *wishes, policy=NO_ORPHANS, budgets={"steps": 100})
        agent.wait(lambda _: len(agent.memory("told")) == 2, "was told")
        assert ["Denied", "BudgetExhausted"] == agent.memory("told")
        denied = [each for each in agent.journal() if getattr(each, "action", "") == "spawn"]
        assert ["denied", "exhausted"] == [each.cause for each in denied]  # type: ignore[union-attr]
        assert not agent.children()
        assert agent.record.eligibility.children == 0


def test_a_policy_may_forbid_children_what_their_parent_may() -> None:
    with simulate(seed=8) as world:
        agent = launched(world, world.zone("a"), {"numbers": [1]}, policy=NO_CLERKS)
        child = child_of(agent)
        child.wait(lambda _: child.has_ended, "has ended")
        assert not child.performed()


@pytest.mark.parametrize("moment_ms", range(0, 240, 20))
def test_a_host_that_is_killed_at_any_moment_of_a_spawn_leaves_one_child_of_each(
    moment_ms: int,
) -> None:
    with simulate(seed=moment_ms) as world:
        a = world.zone("a")
        agent = launched(world, a, {"numbers": [1]}, {"numbers": [2]})
        agent.wait(lambda _: agent.host, "is bound")
        world.run(moment_ms / 1000)
        host = agent.host
        assert host is not None
        host.kill()
        world.run(0.5)
        host.start()
        agent.wait(lambda _: len(agent.memory("told")) == 2, "was told of its children")
        children = [child.id for child in agent.children()]
        spawned = [each for each in agent.journal() if isinstance(each, Spawned)]
        assert sorted(children) == sorted(each.child for each in spawned)
        assert [cid_text(each.child) for each in spawned] == agent.memory("told")
        assert agent.record.eligibility.children == 2
        assert not world.broken_promises()


def test_section_10_what_came_before_a_spawn_is_final_before_it() -> None:
    with simulate(seed=10) as world:
        agent = launched(world, world.zone("a"), {"numbers": [1]}, {"numbers": [2]})
        agent.wait(lambda _: len(agent.memory("told")) == 2, "was told of its children")
        forms = [type(each) for each in agent.journal() if isinstance(each, Turn | Spawned)]
        assert [Turn, Spawned, Turn, Spawned] == forms[:4]


def test_section_0_what_came_before_a_child_is_final_before_it_and_a_replay_goes_on_behind_it() -> (
    None
):
    with simulate(seed=10) as world:
        agent = world.launch(Widow, world.zone("a"), actions=["ledger.enter"])
        child = child_of(agent)
        agent.rests()
        assert cid_text(child.id) == agent.result(within=4_000)
        kinds = [type(each).__name__ for each in agent.journal()]
        assert ["Began", "Outcome", "Spawned", "Outcome", "Sleeping"] == kinds[:5]


def test_a_child_is_the_same_class_of_code_and_has_its_own_journal() -> None:
    with simulate(seed=9) as world:
        agent = launched(world, world.zone("a"), {"numbers": [1]})
        child = child_of(agent)
        assert child.record.capabilities.code == agent.record.capabilities.code
        assert child.record.capabilities.entry.endswith(f":{Clerk.__qualname__}")
