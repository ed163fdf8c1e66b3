"""An agent that may not be executed carries that in its journal, once, and goes on where it was when it may."""

import pytest

from sojourn.core.base.encoding import digest_of
from sojourn.runtime.records import Barred, Began, Returned
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.workers import Payer

OPEN = "permit (principal, action, resource);"
BARRED = OPEN + 'forbid (principal, action == Action::"execute", resource);'
OTHERWISE = OPEN + '@id("no code") forbid (principal, action == Action::"execute", resource);'
TURNS = 12


def payer(world: World, zone: Zone, policy: str, steps: int = 1_000) -> LaunchedAgent:
    plan = {"turns": TURNS, "pace_s": 0.1}
    memory = {"plan": plan, "unsure": None, "done": None}
    return world.launch(Payer, zone, memory=memory, policy=policy, budgets={"steps": steps})


def barred(agent: LaunchedAgent) -> list[Barred]:
    return [each for each in agent.journal() if isinstance(each, Barred)]


def test_section_10_2_a_denial_to_execute_is_journaled_once_with_its_reason() -> None:
    with simulate(seed=1) as world:
        zone = world.zone("a")
        agent = payer(world, zone, BARRED)
        agent.wait(lambda it: bool(barred(it)), "is barred")
        version, before = agent.version, barred(agent)
        world.run(90)
        assert (version, before) == (agent.version, barred(agent)), "it is not said again"
        [told] = before
        assert zone.id == told.zone
        assert "The agent's policy forbids it" in told.reason
        assert told.version + 1 == version
        assert not world.broken_promises()


def test_section_10_2_it_runs_from_the_beginning_once_it_may() -> None:
    with simulate(seed=2) as world:
        agent = payer(world, world.zone("a"), BARRED)
        agent.wait(lambda it: bool(barred(it)), "is barred")
        world.amend(agent, OTHERWISE)
        agent.wait(lambda it: len(barred(it)) == 2, "is barred for another reason", 60)
        world.amend(agent, OPEN)
        assert [] == agent.result()
        assert list(range(TURNS)) == agent.memory("done")
        kinds = [type(each) for each in agent.journal()]
        assert [Barred, Barred, Began] == kinds[:3] and Returned is kinds[-1]
        assert not world.broken_promises()


def test_section_10_5_what_kept_it_from_running_is_no_part_of_what_is_replayed() -> None:
    with simulate(seed=3) as world:
        zone = world.zone("a", hosts=2)
        agent = payer(world, zone, OPEN)
        agent.advances(by=8)
        world.amend(agent, BARRED)
        first = agent.host
        assert first is not None
        first.kill()
        agent.wait(lambda it: bool(barred(it)), "is barred")
        done = agent.memory("done")
        world.run(5)
        assert done == agent.memory("done")
        world.amend(agent, OPEN)
        assert agent.host is not None
        agent.advances(by=3)
        first.start()
        agent.host.kill()
        agent.result()
        assert list(range(TURNS)) == agent.memory("done")
        assert 1 == len(barred(agent))
        assert not world.broken_promises()


def test_section_10_2_one_for_which_no_step_is_left_is_not_journaled_and_holds_nothing_up() -> None:
    with simulate(seed=4) as world:
        agent = payer(world, world.zone("a"), BARRED, steps=0)
        world.run(20)
        assert [] == barred(agent)
        world.amend(agent, OPEN)
        world.order(agent, "grant", grants={"steps": 100})
        assert [] == agent.result()


@pytest.mark.parametrize("seed", [5])
def test_p4_equal_runs_are_equal_with_it(seed: int) -> None:
    digests = set[bytes]()
    for _ in range(2):
        with simulate(seed=seed) as world:
            agent = payer(world, world.zone("a"), BARRED)
            agent.wait(lambda it: bool(barred(it)), "is barred")
            digests.add(digest_of(agent.record))
    assert 1 == len(digests)
