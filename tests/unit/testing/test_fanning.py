"""Fan-out on whole zones, in virtual time: hosts that die, and agents that move between two rounds."""

import pytest

from sojourn.testing import simulate
from tests.unit.testing.test_sagas import kill_at
from tests.unit.testing.watchmen import Ringers


def check_through_a_kill(number: int, *, before: bool, moving: bool) -> None:
    with simulate(seed=31) as world:
        zones = [world.zone("a", hosts=2), *([world.zone("b", hosts=2)] if moving else [])]
        kill_at(world, zones, "ring", number, before=before)
        agent = world.launch(Ringers, zones[0], memory={"plan": {"moves": "b" if moving else ""}})
        said = agent.result()
        assert [*range(12), 12] == said
        keys = {each.arguments[0]: set[str]() for each in agent.performed("ring")}
        for each in agent.performed("ring"):
            assert each.key is not None
            keys[each.arguments[0]].add(each.key)
        assert all(1 == len(under) for under in keys.values())
        assert list(range(13)) == sorted(keys)
        if moving:
            assert "b" == agent.zone.name


POINTS = [(number, before) for number in range(13) for before in (True, False)]


@pytest.mark.parametrize(("number", "before"), [(2, False), (8, True)])
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_while_many_bells_are_rung(number: int, before: bool, moving: bool) -> None:
    check_through_a_kill(number, before=before, moving=moving)


@pytest.mark.soak
@pytest.mark.parametrize(("number", "before"), POINTS)
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_at_any_bell(number: int, before: bool, moving: bool) -> None:
    check_through_a_kill(number, before=before, moving=moving)
