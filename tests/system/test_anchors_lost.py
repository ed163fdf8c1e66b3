"""Anchors die (n = 4): with one dead in each zone agents move; with two they wait, and nothing is lost."""

import asyncio
from itertools import accumulate, product
from pathlib import Path

import pytest

from tests.system.ground import Ground, ground, until
from tests.system.hamlet import hamlet

TURNS = 100
COUNTING = {"plan": {"turns": TURNS, "pace_ms": 20}, "sums": None}
SUMS = list(accumulate(number * number for number in range(TURNS)))
"""What an undisturbed run remembers. It returns the last one."""
THERE_AND_BACK = {"plan": {"route": ["b", "a"], "rest_ms": 0}, "diary": None}
DIARY = ["0 in b", "1 in a"]


@pytest.mark.parametrize(("dead_a", "dead_b"), [*product(range(4), range(4))])
def test_an_agent_moves_with_any_one_anchor_of_each_zone_dead(
    tmp_path: Path, dead_a: int, dead_b: int
) -> None:
    async def run() -> None:
        async with hamlet(tmp_path, "a", "b") as v:
            await v.close(v.houses["a"], dead_a)
            await v.close(v.houses["b"], dead_b)
            follower = await v.launch_file(v.houses["a"], "wanderer:Wanderer", THERE_AND_BACK)
            assert DIARY == await Ground.result(follower)

    asyncio.run(run())


def test_an_agent_moves_between_processes_of_which_one_of_each_zone_is_dead(tmp_path: Path) -> None:
    async def run() -> None:
        async with ground(tmp_path) as g:
            for name in ("a", "b"):
                g.found(name)
            await g.up("a", "b")
            for index in range(4):
                g.kill("anchor", "a", index)
                g.kill("anchor", "b", 3 - index)
                follower = await g.launch("a", "wanderer:Wanderer", THERE_AND_BACK)
                assert DIARY == await g.result(follower)
                g.start("anchor", "a", index)
                g.start("anchor", "b", 3 - index)
                await g.all_answer("a", "b")

    asyncio.run(run())


def test_with_two_dead_an_agent_waits_and_goes_on_when_one_is_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with ground(tmp_path) as g:
            g.found("a", hosts=2)
            await g.up("a")
            follower = await g.launch("a", "counter:Counter", COUNTING)
            await g.advance(follower, "sums", by=5)
            g.kill("anchor", "a", 1, 3)

            async def told() -> list[str]:
                lines = [line for host in (0, 1) for line in g.log("host", "a", host)]
                return [line["problem"] for line in lines if line["event"] == "no quorum"]

            problems = await until(told, why="a host says why nothing goes on")
            assert "3 needed" in problems[0]
            assert "anchor 1 does not answer; anchor 3 does not answer" in problems[0]
            standing = await g.standing("a")
            stalled = "stalled: 2 of 4 anchors answer, 3 are needed; 1 more must come back"
            assert stalled == standing.sentence()
            before = await follower.look()
            await asyncio.sleep(g.manifests["a"].lease_ms / 1000)  # whoever acts would have acted
            assert before == await follower.look()

            g.start("anchor", "a", 3)
            assert SUMS[-1] == await g.result(follower)
            assert SUMS == await g.values(follower, "sums")

    asyncio.run(run())


def test_each_anchor_in_turn_is_lost_and_comes_back(tmp_path: Path) -> None:
    """Whoever comes back catches up: it may be needed at once, in the place of the next one that is lost."""

    async def run() -> None:
        async with ground(tmp_path) as g:
            g.found("a")
            await g.up("a")
            plan = {"plan": {"turns": 10_000, "pace_ms": 10}, "sums": None}
            follower = await g.launch("a", "counter:Counter", plan)
            for index in (0, 1, 2, 3, 0):
                g.kill("anchor", "a", index)
                await g.advance(follower, "sums", by=3)
                g.start("anchor", "a", index)
                await g.all_answer("a")

    asyncio.run(run())


def test_a_whole_zone_is_killed_and_started_again(tmp_path: Path) -> None:
    """An agent is launched before each kill: one that ran on while `up` waited may have ended by then."""

    async def run() -> None:
        async with ground(tmp_path) as g:
            g.found("a", hosts=2)
            await g.up("a")
            followers = []
            for _ in range(2):
                followers.append(follower := await g.launch("a", "counter:Counter", COUNTING))
                before = await g.advance(follower, "sums", by=5)
                assert before < TURNS
                g.kill("anchor", "a", 0, 1, 2, 3)
                g.kill("host", "a", 0, 1)
                await g.up("a")
                assert before <= await g.progress(follower, "sums")
            for follower in followers:
                assert SUMS[-1] == await g.result(follower)
                assert SUMS == await g.values(follower, "sums")

    asyncio.run(run())
