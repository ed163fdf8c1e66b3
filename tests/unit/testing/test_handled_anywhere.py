"""Calls reach agents that sleep, move and die, on whole zones in virtual time (protocol §10.39)."""

from typing import Any

import pytest

from sojourn import Context, update
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.digests import cid_text
from sojourn.runtime.records import Line
from sojourn.testing import LaunchedAgent, ReplayMismatch, World, Zone, replay, simulate
from tests.unit.audit.scene import exported
from tests.unit.testing.handlers import Asks, Clerk, Greedy, Harsh, HarshReader, Peer

MEMORY: dict[str, Any] = {"state": {"sum": 0}}


def call(kind: str, name: str, *args: Any, named: str = "") -> dict[str, Any]:
    return {"call": kind, "name": name, "arguments": [list(args), {}], "id": named}


def answered(clerk: LaunchedAgent) -> list[Any]:
    """Return what came of updates, as the journal says."""
    lines = [record.fields for record in clerk.journal() if isinstance(record, Line)]
    return [fields.get("result", fields.get("refused")) for fields in lines]


def asleep(world: World, zone: Zone) -> LaunchedAgent:
    clerk = world.launch(Clerk, zone, memory=MEMORY)
    clerk.rests()
    return clerk


class Deaf(Clerk):
    """Lets nobody call it but where it receives, which it does nowhere."""

    async def run(self, ctx: Context) -> int:
        async with ctx.undisturbed():
            return await super().run(ctx)


class Other(Clerk):
    """Looks at no amount."""

    @update
    async def add(self, ctx: Context, amount: int) -> int:
        return amount


def test_a_replay_hands_calls_over_where_they_came_and_shows_where_other_code_parts() -> None:
    with simulate(seed=390) as world:
        clerk = asleep(world, world.zone("a"))
        clerk.send(call("update", "add", 3))
        clerk.wait(lambda it: answered(it) == [3], "was called")
        clerk.rests()
        capsule = exported(world, clerk, with_history=False)
    assert ["Sleeping", "Received", "Outcome", "Line"] == [
        type(record).__name__ for record in replay(capsule, Clerk).records
    ]
    with pytest.raises(ReplayMismatch, match="journal  received of call 1") as parted:
        replay(capsule, Deaf)
    assert "code     call 0: a time limit is under way" in str(parted.value)
    with pytest.raises(ReplayMismatch, match="journal  outcome of call 2: step check") as parted:
        replay(capsule, Other)
    assert "both     received of call 1" in str(parted.value)


def test_section_10_39_a_sleeper_is_woken_by_a_call_alone_and_lies_down_until_the_same_time() -> (
    None
):
    with simulate(seed=391) as world:
        clerk = asleep(world, world.zone("a"))
        (wake,) = clerk.record.eligibility.wake
        version = clerk.version
        clerk.send("hello")
        world.run(120)
        assert version == clerk.version, "it slept on: nothing wakes it that it would not take"
        clerk.send(call("update", "add", 3))
        clerk.wait(lambda it: answered(it) == [3], "was called")
        clerk.rests()
        assert (wake,) == clerk.record.eligibility.wake
        woken = clerk.version
        clerk.send(call("update", "add", -3))
        clerk.wait(lambda it: len(answered(it)) == 2, "was called again")
        assert "ValueError: no less than nothing" == answered(clerk)[1]
        clerk.rests()
        assert (wake,) == clerk.record.eligibility.wake
        version = clerk.version
        assert version < woken + 8
        world.run(120)
        assert (version, Status.DORMANT) == (clerk.version, clerk.status)
        clerk.send(call("signal", "close"))
        assert 3 == clerk.result()


@pytest.mark.parametrize(
    "seed", [392, *(pytest.param(n, marks=pytest.mark.soak) for n in range(20))]
)
def test_section_10_39_agents_call_one_that_sleeps_and_goes_from_zone_to_zone(seed: int) -> None:
    with simulate(seed=seed) as world:
        a, b = world.zone("a"), world.zone("b")
        world.run(5)
        clerk = asleep(world, a)
        plan = {"to": clerk.id, "zone": a.id, "moves": ["b", "a"]}
        asks = world.launch(Asks, b, memory={"plan": plan})
        assert [1, 11, 21] == asks.result(within=600)
        assert 21 == clerk.result(within=300)
        assert a is clerk.zone


@pytest.mark.parametrize(
    "number", [0, 3, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 2, 4))]
)
def test_section_10_39_a_host_that_dies_makes_no_call_come_twice(number: int) -> None:
    """At each transition from the first call on."""
    with simulate(seed=393) as world:
        a = world.zone("a", hosts=2)
        clerk = asleep(world, a)
        version = clerk.version
        for amount in (1, 10, 100):
            world.send(clerk, call("update", "add", amount))
        clerk.wait(lambda it: it.version > version + number, "went on", within=300)
        if clerk.host is not None:
            clerk.host.kill()
        clerk.wait(lambda it: len(answered(it)) == 3, "was called three times", within=300)
        clerk.send(call("signal", "close"))
        assert 111 == clerk.result(within=300)
        assert sorted(answered(clerk)[:3])[-1] == 111


@pytest.mark.parametrize("agent", [Harsh, HarshReader])
def test_an_update_whose_result_no_message_can_say_is_refused_and_its_agent_goes_on(
    agent: type[Harsh],
) -> None:
    with simulate(seed=394) as world:
        a = world.zone("a")
        harsh = world.launch(agent, a)
        greedy = world.launch(Greedy, a, memory={"plan": {"to": cid_text(harsh.id)}})
        assert "cannot be sent" in greedy.result(within=120)
        assert "slept" == harsh.result(within=300)


def test_who_waits_for_an_update_answers_the_calls_that_it_brings_about() -> None:
    """It would be a cycle of waits, if calls were handled where it receives alone."""
    with simulate(seed=395) as world:
        a, b = world.zone("a"), world.zone("b")
        world.run(5)
        asked = world.launch(Peer, b, memory={"plan": {"name": "Ben", "to": ""}})
        to = f"{cid_text(asked.id)}@{cid_text(b.id)}"
        asks = world.launch(Peer, a, memory={"plan": {"name": "Ann", "to": to}})
        assert "it is Ann" == asks.result(within=90)
        assert "greeted" == asked.result(within=90)
