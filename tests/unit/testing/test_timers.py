"""Timers on whole zones, in virtual time: hosts that die, agents that move, and clocks that are set meanwhile."""

import pytest

from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.testing import Faults, LaunchedAgent, Performed, World, Zone, simulate
from sojourn.testing.clocks import EPOCH_MS
from tests.unit.testing.test_sagas import kill_at
from tests.unit.testing.watchmen import Bargainer, Sleeper, Watchman

SHIFT_S = 22.0
DRIFT_MS = 100
"""What the clocks of these worlds are off without anybody's doing, in a minute or two."""


LATE_MS = 75_000
"""Clocks are looked at every minute."""


def early_by_ms(rung: Performed) -> float:
    """Return how long before its time it was rung, by the time that all agree on."""
    due_ms: int = rung.arguments[1]
    return due_ms - EPOCH_MS - rung.at_ms


def watches(world: World, zone: Zone, moves: dict[str, str] | None = None) -> LaunchedAgent:
    plan = {"shift_s": SHIFT_S, "moves": moves or {}}
    return world.launch(Watchman, zone, memory={"plan": plan, "said": None})


def check_rings(agent: LaunchedAgent, said: list[str], *, early_ms: int = DRIFT_MS) -> None:
    """Check that each time due was rung for once at most, none early, and all were said."""
    rings = agent.performed("ring")
    due = [each.arguments[1] for each in rings]
    assert sorted(set(due)) == due
    assert all(early_by_ms(each) <= early_ms for each in rings)
    rung = [each for each in said if each != "over"]
    assert [str(number) for number in range(len(rung))] == [each.split()[1] for each in rung]
    assert {f"rang {each.arguments[0]}" for each in rings} >= {e for e in rung if "rang" in e}


def test_a_shift_with_nothing_wrong() -> None:
    with simulate(seed=21) as world:
        agent = watches(world, world.zone("a"))
        said = agent.result()
        assert "over" == said[-1]
        assert len(said) - 1 in (4, 5)  # in 22 seconds
        check_rings(agent, said)


def check_through_a_kill(number: int, *, before: bool, moving: bool) -> None:
    with simulate(seed=22) as world:
        zones = [world.zone("a", hosts=2)]
        if moving:
            zones.append(world.zone("b", hosts=2))
        kill_at(world, zones, "ring", number, before=before)
        agent = watches(world, zones[0], {"1": "b"} if moving else None)
        said = agent.result()
        check_rings(agent, said)
        assert "over" == said[-1]
        if moving and len(said) > 2:
            assert "b" == agent.zone.name


POINTS = [(number, before) for number in range(4) for before in (True, False)]


@pytest.mark.parametrize(("number", "before"), POINTS[1::4])
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_during_a_shift(number: int, before: bool, moving: bool) -> None:
    check_through_a_kill(number, before=before, moving=moving)


@pytest.mark.soak
@pytest.mark.parametrize(("number", "before"), POINTS)
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_anywhere_in_a_shift(number: int, before: bool, moving: bool) -> None:
    check_through_a_kill(number, before=before, moving=moving)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200, 230))
def test_a_shift_in_many_storms(seed: int) -> None:
    with simulate(seed=seed, faults=Faults.storm()) as world:
        near, _ = world.zone("near", hosts=2), world.zone("far", anchors=1, hosts=2)
        agent = watches(world, near, {"1": "far", "2": "near"})
        world.run(seconds=15)
        world.calm()
        check_rings(agent, agent.result(within=300), early_ms=20_000)


def test_an_agent_at_rest_is_woken_by_the_news_of_a_cheap_place() -> None:
    with simulate(seed=23) as world:
        home, away = world.zone("home", price=1.0), world.zone("away", anchors=1, price=0.9)
        agent = world.launch(Bargainer, home, memory={})
        agent.rests()
        world.run(60)
        version = agent.version
        world.run(60)
        assert version == agent.version  # nothing wakes it meanwhile
        away.price = 0.3
        assert ["away", "moved"] == agent.result()


@pytest.mark.soak
def test_an_agent_whose_host_died_while_it_waited_for_a_place_looks_again_by_itself() -> None:
    with simulate(seed=24) as world:
        home, away = world.zone("home", hosts=2), world.zone("away", anchors=1)
        agent = world.launch(Bargainer, home, memory={})
        agent.rests()
        assert agent.host is not None
        agent.host.kill()
        away.price = 0.3
        assert ["away", "moved"] == agent.result(within=4000)


# --- clocks that are set -------------------------------------------------------------------------------


def check_clock(seconds: float, *, whose: str, back_after_s: float | None = None) -> None:
    """Set a clock while an agent sleeps: it wakes late at worst, but for what clocks may be off, and once."""
    with simulate(seed=25) as world:
        zone = world.zone("a", hosts=1)
        agent = world.launch(Sleeper, zone, memory={"plan": {"sleep_s": 100}})
        agent.rests()
        machine = zone.hosts[0] if whose == "host" else zone.anchors[0]
        machine.shift_wall_clock(seconds)
        if back_after_s is not None:
            world.run(back_after_s)
            machine.shift_wall_clock(-seconds)
        assert 2 == agent.result(within=1200)
        rings = agent.performed("ring")
        assert [0, 1] == [each.arguments[0] for each in rings]
        is_believed = (
            abs(seconds) * 1000 <= CLOCK_SKEW_MS
        )  # else anchors vote for nothing meanwhile
        early_ms = abs(seconds) * 1000 if is_believed else 0
        assert all(early_by_ms(each) <= early_ms + DRIFT_MS for each in rings)
        wrong_ms = (  # for so long after its time the clock was not right
            abs(seconds) if back_after_s is None else max(0.0, back_after_s - 100)
        ) * 1000
        assert early_by_ms(rings[0]) >= -(LATE_MS + wrong_ms)


@pytest.mark.parametrize(
    ("seconds", "whose", "back_after_s"),
    [(300.0, "host", 63.0), (-40.0, "host", 5.0)],
)
def test_section_10_27_a_sleeper_whose_clock_is_set_wakes_late_at_worst_and_once(
    seconds: float, whose: str, back_after_s: float | None
) -> None:
    check_clock(seconds, whose=whose, back_after_s=back_after_s)


@pytest.mark.soak
@pytest.mark.parametrize("seconds", [-86_400.0, -60.0, -5.0, 5.0, 60.0, 86_400.0])
@pytest.mark.parametrize("whose", ["host", "anchor"])
@pytest.mark.parametrize("back_after_s", [1.0, 63.0, 99.0, 150.0])
def test_section_10_27_and_so_wherever_clocks_are_set(
    seconds: float, whose: str, back_after_s: float
) -> None:
    check_clock(seconds, whose=whose, back_after_s=back_after_s)
