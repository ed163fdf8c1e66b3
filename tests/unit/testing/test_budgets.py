"""Budgets in whole worlds: an agent runs into each of its limits, waits, and goes on when it is granted more."""

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.testing import Faults, LaunchedAgent, World, Zone, seeds, simulate
from tests.unit.testing.workers import Asker, Caller, Payer, Walker

TURNS = 6
PACE_S = 0.2


def asks(world: World, zone: Zone, **budgets: int) -> LaunchedAgent:
    plan = {"turns": TURNS, "pace_s": PACE_S}
    return world.launch(Asker, zone, memory={"plan": plan, "waits": None}, budgets=budgets)


def asked(agent: LaunchedAgent) -> list[int]:
    return [each.arguments[0] for each in agent.performed("ask")]


def spent(agent: LaunchedAgent) -> dict[str, int]:
    return {name: budget.spent for name, budget in agent.record.eligibility.budgets.items()}


@pytest.mark.parametrize(
    ("name", "limit", "granted", "total"),
    [
        ("calls", 2, 4, 6),
        ("cost_micros", 250, 350, 600),
        ("tokens", 130, 230, 360),  # 50 were declared of each, and 60 used
    ],
)
def test_section_2_an_act_beyond_a_budget_waits_for_the_officers(
    name: str, limit: int, granted: int, total: int
) -> None:
    with simulate(seed=1) as world:
        agent = asks(world, world.zone("a", hosts=2), **{name: limit})
        world.run(60)
        assert [0, 1] == asked(agent)
        assert spent(agent)[name] <= limit
        world.order(agent, "grant", grants={name: granted})
        waits = agent.result()
        assert list(range(TURNS)) == asked(agent)
        assert {name: total} == spent(agent)
        assert waits and all(f"of budget '{name}' needed" in wait for wait in waits)
        assert not world.broken_promises()


@pytest.mark.parametrize("name", ["steps", "wall_ms"])
def test_section_2_without_steps_or_time_an_agent_rests_and_no_host_wants_it(name: str) -> None:
    with simulate(seed=2) as world:
        zone = world.zone("a", hosts=2)
        agent = asks(world, zone, **{name: 5 if name == "steps" else 700})
        agent.wait(
            lambda it: it.record.eligibility.is_exhausted and it.status is Status.DORMANT, "rests"
        )
        before, version = asked(agent), agent.version
        assert 0 < len(before) < TURNS
        world.run(300)
        assert (before, version) == (asked(agent), agent.version), "nobody takes it up meanwhile"
        world.order(agent, "grant", grants={name: 1 if name == "steps" else 300})
        world.run(60)
        assert agent.record.eligibility.is_exhausted
        world.order(agent, "grant", grants={name: 1_000_000})
        assert [] == agent.result(), "its code never had to wait: it knows nothing of it"
        assert list(range(TURNS)) == asked(agent), "nothing is done twice, or lost"
        assert not world.broken_promises()


def test_section_2_with_its_host_killed_an_exhausted_agent_is_granted_more_all_the_same() -> None:
    with simulate(seed=3) as world:
        zone = world.zone("a", hosts=2)
        agent = asks(world, zone, steps=7)
        agent.wait(lambda it: it.record.eligibility.is_exhausted, "runs out of steps")
        assert agent.host is not None
        agent.host.kill()
        world.order(agent, "grant", grants={"steps": 1_000})
        assert [] == agent.result()
        assert list(range(TURNS)) == sorted(set(asked(agent)))
        assert not world.broken_promises()


@seeds(2)
def test_section_2_a_budget_of_the_applications_own_is_spent_with_the_intent(seed: int) -> None:
    with simulate(seed=seed) as world:
        zone = world.zone("a", hosts=2)
        plan = {"turns": TURNS, "pace_s": PACE_S}
        budgets = {"questions": 5, "wall_ms": 600}
        agent = world.launch(Caller, zone, memory={"plan": plan, "waits": None}, budgets=budgets)
        while not agent.has_ended:
            agent.wait(lambda it: it.has_ended or it.record.eligibility.is_exhausted, "runs out")
            assert 2 * len(asked(agent)) <= spent(agent)["questions"]
            if not agent.has_ended:
                world.order(agent, "grant", grants={"questions": 1, "wall_ms": 7_000})
        assert agent.result(), "it had to wait for the officers"
        assert (list(range(TURNS)), 2 * TURNS) == (asked(agent), spent(agent)["questions"])
        assert not world.broken_promises()


@seeds(2)
def test_section_2_in_a_storm_budgets_run_out_and_nothing_is_done_twice_or_lost(seed: int) -> None:
    with simulate(seed=seed, faults=Faults.storm()) as world:
        zone = world.zone("a", hosts=2)
        plan = {"turns": TURNS, "pace_s": PACE_S}
        memory = {"plan": plan, "unsure": None, "done": None}
        budgets = {"steps": 8, "wall_ms": 2_000, "calls": 100}
        agent = world.launch(Payer, zone, memory=memory, budgets=budgets)
        world.run(20)
        world.calm()
        while not agent.has_ended:
            agent.wait(lambda it: it.has_ended or not it.record.eligibility.is_acting, "runs out")
            if not agent.has_ended:
                world.order(agent, "grant", grants={"steps": 8, "wall_ms": 2_000})
        unsure = agent.result()
        paid = [each.arguments[0] for each in agent.performed("pay")]
        assert len(paid) == len(set(paid))
        assert set(range(TURNS)) == {*paid, *unsure}
        assert list(range(TURNS)) == agent.memory("done")
        assert not world.broken_promises()


def test_section_2_time_counts_wherever_the_agent_is_bound_and_not_while_it_sleeps() -> None:
    with simulate(seed=4) as world:
        agent = asks(world, world.zone("a"), wall_ms=10**9, calls=1)
        world.run(60)  # it sleeps 5 seconds at a time, and wakes to no avail
        used_ms = spent(agent)["wall_ms"]
        assert 1000 * PACE_S < used_ms < 50_000
        world.order(agent, "suspend")
        world.run(5)
        used_ms = spent(agent)["wall_ms"]
        world.run(600)
        world.order(agent, "resume")
        assert spent(agent)["wall_ms"] - used_ms < 1_000


def test_section_2_the_last_hop_is_made_and_the_next_waits_for_the_officers() -> None:
    with simulate(seed=5) as world:
        a, b = world.zone("a"), world.zone("b")
        plan = {"route": ["b", "a", "b"]}
        agent = world.launch(Walker, a, memory={"plan": plan, "diary": None}, budgets={"hops": 1})
        agent.arrives(b)
        world.run(5)
        assert b is agent.zone
        assert {"hops": 1} == spent(agent)
        world.order(agent, "grant", grants={"hops": 2})
        assert ["b", "a", "b"] == agent.result()
        assert {"hops": 3} == spent(agent)
        assert not world.broken_promises()
