"""The wall clock of a host that holds a lease is set: another host goes on, and nothing is done twice (§6.11)."""

import pytest

from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.test_world import pays

HOUR_S = 3600.0
YEAR_S = 365 * 86_400.0


def jumps(seconds: float, *, hosts: int, back_after_s: float | None = None, seed: int = 5) -> None:
    """Set the clock of the bound host while it acts; see the agent to its end, all paid at most once."""
    with simulate(seed=seed) as world:
        zone = world.zone("a", hosts=hosts)
        agent = pays(world, zone, turns=12)
        agent.advances(by=3)
        holder = agent.host
        assert holder is not None
        holder.shift_wall_clock(seconds)
        if back_after_s is not None:
            world.run(back_after_s)
            holder.shift_wall_clock(-seconds)
        unsure = agent.result()
        check(world, zone, agent, unsure)
        if hosts > 1:
            assert agent.host is not holder, "who may act is another by now"


def check(world: World, zone: Zone, agent: LaunchedAgent, unsure: list[int]) -> None:
    paid = [each.arguments[0] for each in agent.performed("pay")]
    assert sorted(set(paid)) == sorted(paid), "nothing is paid twice"
    assert set(range(12)) - set(unsure) <= set(paid)
    assert not world.broken_promises()


@pytest.mark.parametrize("seconds", [HOUR_S])
def test_section_6_11_a_holder_whose_clock_is_set_lets_another_host_go_on(seconds: float) -> None:
    jumps(seconds, hosts=2)


def test_section_6_11_alone_it_goes_on_once_its_clock_is_right() -> None:
    jumps(-HOUR_S, hosts=1, back_after_s=15)


@pytest.mark.soak
@pytest.mark.parametrize("seconds", [-YEAR_S, -HOUR_S, -20.0, 20.0, HOUR_S, YEAR_S])
@pytest.mark.parametrize("back_after_s", [0.2, 3.0, 30.0])
@pytest.mark.parametrize("seed", [6, 7])
def test_section_6_11_and_so_whenever_it_is_set(
    seconds: float, back_after_s: float, seed: int
) -> None:
    jumps(seconds, hosts=1, back_after_s=back_after_s, seed=seed)


def test_section_6_11_one_anchor_whose_clock_is_set_holds_nobody_up() -> None:
    with simulate(seed=5) as world:
        zone = world.zone("a", hosts=1)
        agent = pays(world, zone, turns=12)
        agent.advances(by=3)
        zone.anchors[1].shift_wall_clock(HOUR_S)
        holder = agent.host
        check(world, zone, agent, agent.result())
        assert agent.host is holder
