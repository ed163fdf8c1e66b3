"""Queues of hosts on whole zones, in virtual time: never more at once than they let in, through kills and moves."""

from collections.abc import Iterable
from itertools import pairwise

import pytest

from sojourn.runtime.host_side.turnstile import Limit
from sojourn.testing import LaunchedAgent, Performed, World, Zone, simulate
from tests.unit.testing.queuers import Leaver, Queuer

STEPS = ("look", "use", "hang")


class Watched:
    """Who is in the queue of each host at each moment, and the most that ever were."""

    def __init__(self, world: World, zones: Iterable[Zone], limit: Limit) -> None:
        self.inside: dict[str, list[Performed]] = {}
        self.most = 0
        self.began: list[Performed] = []
        for host in (host for zone in zones for host in zone.hosts):
            host.queues["gpu"] = limit
        for name in STEPS:
            world.at_step(name, self._enter, before=True)
            world.at_step(name, self._leave)

    def _enter(self, now: Performed) -> None:
        inside = self.inside.setdefault(now.process, [])
        inside.append(now)
        self.began.append(now)
        self.most = max(self.most, len(inside))

    def _leave(self, now: Performed) -> None:
        inside = self.inside[now.process]
        gone = next(e for e in inside if (e.agent, e.arguments) == (now.agent, now.arguments))
        inside.remove(gone)

    def forget(self, process: str) -> None:
        """A process is dead, and all that it did."""
        self.inside.pop(process, None)


def queues(world: World, zone: Zone, count: int, *, moves: str = "") -> LaunchedAgent:
    return world.launch(
        Queuer, zone, memory={"plan": {"count": count, "pace_s": 0.5, "moves": moves}}
    )


def check_said(agents: Iterable[LaunchedAgent], count: int) -> None:
    for agent in agents:
        assert [*range(count + 1), *range(count)] == agent.result()


def test_two_agents_take_turns_in_a_queue_of_one() -> None:
    with simulate(seed=41) as world:
        zone = world.zone("a", hosts=1)
        watched = Watched(world, [zone], Limit(at_once=1))
        agents = [queues(world, zone, 4), queues(world, zone, 4)]
        check_said(agents, 4)
        assert 1 == watched.most
        assert 16 == len(watched.began)
        names = [each.agent for each in watched.began if each.step == "look"]
        both = names[names.index(agents[1].record.agent_id) - 1 :][:6]
        assert all(one != other for one, other in pairwise(both))
        noted = [each.at_ms for each in world.performed if each.step == "note"]
        assert min(each.at_ms for each in watched.began) + 1000 > noted[0]  # it waited for nobody


def test_a_rate_is_held_over_agents() -> None:
    with simulate(seed=42) as world:
        zone = world.zone("a", hosts=1)
        watched = Watched(world, [zone], Limit(rate=3, per_s=2.0))
        check_said([queues(world, zone, 4), queues(world, zone, 4)], 4)
        times = [each.at_ms for each in watched.began]
        assert 16 == len(times)
        assert 1 < watched.most
        assert all(2000 <= later - at + 1 for at, later in zip(times, times[3:], strict=False))
        assert 2100 > max(later - at for at, later in pairwise(times))


def test_a_host_that_names_no_queue_lets_all_in() -> None:
    with simulate(seed=43) as world:
        zone = world.zone("a", hosts=1)
        watched = Watched(world, [zone], Limit())
        zone.hosts[0].queues.clear()
        check_said([queues(world, zone, 8)], 8)
        assert 8 == watched.most


def test_who_gives_up_gives_its_place_back() -> None:
    with simulate(seed=44) as world:
        zone = world.zone("a", hosts=1)
        Watched(world, [zone], Limit(at_once=1))
        agents = [world.launch(Leaver, zone), world.launch(Leaver, zone)]
        for agent in agents:
            assert [-1, 2, 2] == agent.result(within=60)


def check_through_a_kill(step: str, number: int, *, before: bool, moving: bool) -> None:
    with simulate(seed=45) as world:
        zones = [world.zone("a", hosts=1), *([world.zone("b", hosts=1)] if moving else [])]
        watched = Watched(world, zones, Limit(at_once=1))
        struck: list[str] = []

        def strike(now: Performed) -> None:
            if now.arguments[0] == number and not struck:
                struck.append(now.process)
                host = next(h for zone in zones for h in zone.hosts if h.name == now.process)
                host.kill()
                watched.forget(now.process)
                host.start()

        world.at_step(step, strike, before=before)
        agents = [queues(world, zones[0], 3, moves="b" if moving else "") for _ in range(2)]
        check_said(agents, 3)
        assert struck
        assert 1 == watched.most
        if moving:
            assert {"b"} == {agent.zone.name for agent in agents}
        for agent in agents:
            keys = {each.arguments[0]: each.key for each in agent.performed("use")}
            assert len(keys) == len(set(keys.values()))


POINTS = [
    (step, number, before)
    for step in ("look", "use")
    for number in range(3)
    for before in (True, False)
]


@pytest.mark.parametrize(
    ("step", "number", "before", "moving"), [("look", 1, True, True), ("use", 2, False, False)]
)
def test_a_host_dies_with_agents_in_its_queue(
    step: str, number: int, before: bool, moving: bool
) -> None:
    check_through_a_kill(step, number, before=before, moving=moving)


@pytest.mark.soak
@pytest.mark.parametrize(("step", "number", "before"), POINTS)
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_at_any_place_in_its_queue(
    step: str, number: int, before: bool, moving: bool
) -> None:
    check_through_a_kill(step, number, before=before, moving=moving)
