"""Steps and sagas on whole zones, in virtual time: hosts that die and agents that move in their midst."""

import itertools
from collections import Counter
from collections.abc import Iterable

import pytest

from sojourn.testing import Faults, LaunchedAgent, Performed, World, Zone, simulate
from tests.unit.testing.tourists import Digger, Patient, Tourist

BOOKINGS = 3


def tours(
    world: World,
    zone: Zone,
    *,
    hangs: tuple[str, int] = ("", 0),
    moves: dict[str, str] | None = None,
) -> LaunchedAgent:
    plan = {"bookings": BOOKINGS, "hangs": list(hangs), "moves": moves or {}}
    return world.launch(Tourist, zone, memory={"plan": plan, "said": None})


def counted(agent: LaunchedAgent, name: str) -> list[int]:
    """Return what came to a receiver of a step with an effect, in order: what is under one key once."""
    seen: dict[str, int] = {}
    for each in agent.performed(name):
        assert each.key is not None
        seen.setdefault(each.key, each.arguments[0])
    return list(seen.values())


def check_books(agent: LaunchedAgent, said: list[str]) -> None:
    """Check that what was taken was given back, and what is not known is said."""
    booked, cancelled = counted(agent, "book"), counted(agent, "cancel")
    assert sorted(set(booked)) == sorted(booked)
    assert sorted(cancelled, reverse=True) == cancelled
    assert sorted(booked, reverse=True) == [number for number in cancelled if number in booked]
    for once in ("pay", "refund"):
        performed = Counter(each.arguments[0] for each in agent.performed(once))
        assert all(times == 1 for times in performed.values()), once
    took = [int(each.partition(" ")[2]) for each in said if each.startswith("took")]
    refunded = counted(agent, "refund")
    assert len(took) - len(refunded) <= said.count("refund is open")


def test_what_takes_too_long_is_tried_again_and_what_it_may_have_done_is_undone() -> None:
    with simulate(seed=11) as world:
        agent = tours(world, world.zone("a"), hangs=("book", 2))
        assert ["took 0", "took 1", "book timed out"] == agent.result()
        hung = [each for each in agent.performed("book") if each.arguments[0] == 2]
        assert 3 == len(hung) and 1 == len({each.key for each in hung})
        gaps = [later.at_ms - at.at_ms for at, later in itertools.pairwise(hung)]
        assert (
            2050 <= gaps[0] <= 2150 and 2100 <= gaps[1] <= 2250
        )  # 2 s, and half to all of a pause
        assert [2, 1, 0] == counted(agent, "cancel")
        assert [1, 0] == counted(agent, "refund")


def test_section_10_4_what_is_had_once_and_takes_too_long_is_uncertain_and_not_repeated() -> None:
    with simulate(seed=12) as world:
        agent = tours(world, world.zone("a"), hangs=("pay", 1))
        assert ["took 0", "UncertainOutcome"] == agent.result()
        assert [0, 1] == [each.arguments[0] for each in agent.performed("pay")]
        assert [1, 0] == counted(agent, "cancel")
        assert [0] == counted(agent, "refund")


def test_pauses_are_as_long_as_was_said() -> None:
    with simulate(seed=13) as world:
        agent = world.launch(Patient, world.zone("a"), memory={})
        said = agent.result(within=300)
        assert said.startswith("['RetryableError 4', 'OSError 4']")
        asked, knocked = (
            [
                (later.at_ms - at.at_ms) / 1000
                for at, later in itertools.pairwise(agent.performed(name))
            ]
            for name in ("ask", "knock")
        )
        assert all(40 <= pause <= 40.1 for pause in asked)
        for pause, longest in zip(knocked, (8, 16, 16), strict=True):
            assert longest / 2 <= pause <= longest + 0.1
        assert 1 < len(
            {round(pause / longest, 3) for pause, longest in zip(knocked, (8, 16, 16), strict=True)}
        )


@pytest.mark.parametrize("falls_silent", [False, True])
def test_a_long_step_lives_as_long_as_it_is_heard_of(falls_silent: bool) -> None:
    with simulate(seed=15) as world:
        plan = {"falls_silent": falls_silent}
        agent = world.launch(Digger, world.zone("a"), memory={"plan": plan})
        dug, *slept = agent.result(within=100)
        assert [5 if falls_silent else 0, 10] == dug
        assert [True, 2, "nothing was heard of it for 2 s"] == slept
        assert (2 if falls_silent else 1) == len(agent.performed("dig"))


def test_a_long_step_begins_anew_where_its_host_has_died() -> None:
    """Its progress was that host's alone."""
    with simulate(seed=16) as world:
        zone = world.zone("a", hosts=2)
        agent = world.launch(Digger, zone, memory={"plan": {"falls_silent": False}})
        agent.wait(lambda it: bool(it.performed("dig")), "digs")
        world.run(5)
        assert agent.host is not None
        agent.host.kill()
        assert [0, 10] == agent.result(within=200)[0]
        assert 2 == len(agent.performed("dig"))


def kill_at(world: World, zones: Iterable[Zone], step: str, number: int, *, before: bool) -> None:
    """Have a host die when it first performs a step with this number."""
    killed: list[Performed] = []
    hosts = [host for zone in zones for host in zone.hosts]

    def strike(now: Performed) -> None:
        if now.arguments[0] == number and not killed:
            killed.append(now)
            next(host for host in hosts if host.name == now.process).kill()

    world.at_step(step, strike, before=before)


def check_through_a_kill(step: str, number: int, *, before: bool, moving: bool) -> None:
    with simulate(seed=14) as world:
        zones = [world.zone("a", hosts=2)]
        if moving:
            zones.append(world.zone("b", hosts=2))
        kill_at(world, zones, step, number, before=before)
        agent = tours(world, zones[0], moves={"1": "b"} if moving else None)
        said = agent.result()
        check_books(agent, said)
        if step in ("book", "cancel"):
            assert [*(f"took {each}" for each in range(BOOKINGS)), "TerminalError"] == said
            assert [2, 1, 0] == counted(agent, "refund")
        if moving and said[0] == "took 0":  # else it had failed before it came to that
            assert "b" == agent.zone.name
            cancelled = {each.zone for each in agent.performed("cancel")}
            assert {"b"} == cancelled


POINTS = [
    (step, number, before)
    for step in ("book", "pay", "refund", "cancel")
    for number in range(BOOKINGS)
    for before in (True, False)
]


@pytest.mark.parametrize(("step", "number", "before"), POINTS[::5])
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_in_a_saga(step: str, number: int, before: bool, moving: bool) -> None:
    check_through_a_kill(step, number, before=before, moving=moving)


@pytest.mark.soak
@pytest.mark.parametrize(("step", "number", "before"), POINTS)
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_anywhere_in_a_saga(step: str, number: int, before: bool, moving: bool) -> None:
    check_through_a_kill(step, number, before=before, moving=moving)


def storm(seed: int) -> None:
    """Let a tourist book and take back between two zones while much goes wrong."""
    with simulate(seed=seed, faults=Faults.storm()) as world:
        near, _ = world.zone("near", hosts=2), world.zone("far", anchors=1, hosts=2)
        agent = tours(world, near, moves={"1": "far", "2": "near"})
        world.run(seconds=5)
        world.calm()
        check_books(agent, agent.result())


def test_a_saga_in_a_storm() -> None:
    storm(3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 140))
def test_a_saga_in_many_storms(seed: int) -> None:
    storm(seed)
