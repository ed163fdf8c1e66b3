"""Streams in whole worlds: each piece once and in order, whatever dies and wherever the agent goes."""

from typing import Any

import pytest

from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.writers import Breaker, Writer

LINES = [{"piece": f"line {number}\n"} for number in range(40)]


def writes(world: World, zone: Zone, sections: int = 2, route: tuple[str, ...] = ()) -> Any:
    plan = {"sections": sections, "route": list(route)}
    return world.launch(Writer, zone, memory={"plan": plan, "report": None})


def only_grows(world: World, agent: LaunchedAgent) -> list[int]:
    """Look at the stream whenever something of the agent is final: a reader never has to take anything back."""
    lengths: list[int] = []

    def look(agent: LaunchedAgent) -> bool:
        pieces = agent.memory("report")
        told = [each for each in pieces if "piece" in each]
        assert LINES[: len(told)] == told
        assert not lengths or len(pieces) >= lengths[-1]
        lengths.append(len(pieces))
        return agent.has_ended

    agent.wait(look, "ends")
    return lengths


@pytest.mark.parametrize("seed", range(3))
def test_a_piece_is_there_once_and_in_order_whatever_dies(seed: int) -> None:
    with simulate(seed=seed) as world:
        zone = world.zone("a", hosts=2)
        agent = writes(world, zone)
        for number in (3, 11, 17):
            agent.wait(lambda it, n=number: len(it.memory("report")) >= n, f"writes {number}")  # type: ignore[misc]
            host = agent.host
            if host is not None:
                host.kill()
                world.run(1)
                host.start()
        only_grows(world, agent)
        assert [*LINES[:20], {"end": ""}] == agent.memory("report")
        assert 21 == agent.result()
        assert not world.broken_promises()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("before", [True, False])
def test_a_piece_is_there_once_wherever_its_host_dies(seed: int, before: bool) -> None:
    with simulate(seed=100 + seed) as world:
        agent = writes(world, world.zone("a", hosts=2))
        left = [seed]

        def kill(_now: object) -> None:
            left[0] -= 1
            if left[0] == 0 and agent.host is not None:
                agent.host.kill()

        world.at_step("think", kill, before=before)
        only_grows(world, agent)
        assert [*LINES[:20], {"end": ""}] == agent.memory("report")


def test_a_stream_goes_on_where_the_agent_goes() -> None:
    with simulate(seed=5) as world:
        a, b, c = (world.zone(name, hosts=2) for name in "abc")
        agent = writes(world, a, sections=3, route=("b", "c", "a"))
        agent.arrives(b)
        assert agent.host is not None
        agent.host.kill()
        agent.arrives(c)
        lengths = only_grows(world, agent)
        assert [*LINES[:30], {"end": ""}] == agent.memory("report")
        assert lengths[-1] == 31
        assert not world.broken_promises()


def test_what_no_stream_takes_is_refused_and_an_error_ends_it() -> None:
    with simulate(seed=6) as world:
        agent = world.launch(Breaker, world.zone("a"), memory={"report": None})
        assert agent.failure().startswith("ValueError")
        first, *rest = agent.memory("report")
        assert {"piece": b"\x00\xff"} == first
        assert [{"piece": ""}, {"piece": {"a": [1, None]}}, {"end": ""}] == rest[:3]
        assert rest[3]["end"].startswith("ValueError: ")
