"""Many agents in one zone: each takes its steps in time, and those at rest cost next to nothing."""

import asyncio
import faulthandler
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from sojourn.cli.showing.follow import Follower
from sojourn.core.agent.eligibility import Status
from sojourn.core.protocol.exchange import Agents, AgentSummary, AskAgents
from tests.system.ground import Ground, ground, until

_LAUNCHES_AT_ONCE = 16
QUIET_S = 10.0
WOKEN = 20


@dataclass(frozen=True)
class Crowd:
    """How a crowd fared. Times are seconds, and so is processor time."""

    agents: int
    launched_s: float
    worst_gap_s: float
    typical_gap_s: float
    idle_cpu_s: float
    woken_s: float

    def __str__(self) -> str:
        return (
            f"{self.agents} agents launched in {self.launched_s:.1f} s; between an agent's own steps "
            f"{self.typical_gap_s:.2f} s in the middle, {self.worst_gap_s:.2f} s at worst; at rest all "
            f"processes of the zone use {self.idle_cpu_s:.2f} s of processor time in {QUIET_S:g} s; "
            f"the last one returned {self.woken_s:.1f} s after the first of {WOKEN} was written to"
        )


async def launch_all(g: Ground, count: int, turns: int, pause_ms: int) -> list[Follower]:
    """Launch agents, several at a time."""
    room = asyncio.Semaphore(_LAUNCHES_AT_ONCE)
    plan = {"plan": {"turns": turns, "pause_ms": pause_ms}, "times": None}

    async def one() -> Follower:
        async with room:
            return await g.launch("a", "sleeper:Sleeper", plan)

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def summaries(g: Ground) -> list[AgentSummary]:
    """Return every agent that the zone holds, as one of its anchors knows it."""
    client = g.reach.zone(g.manifests["a"])
    found: list[AgentSummary] = []
    while True:
        after = found[-1].agent if found else None
        page = await client.ask_any(AskAgents(after=after), Agents, timeout_s=30)
        found += page.agents
        if len(page.agents) < AskAgents().limit:
            return found


async def gaps_of(g: Ground, followers: list[Follower], turns: int) -> list[float]:
    """Return the times between each agent's own steps, of all agents, in seconds."""
    gaps: list[float] = []
    for follower in followers:
        await follower.look()
        times = await g.values(follower, "times")
        assert turns == len(times)
        gaps += [(later - earlier) / 1000 for earlier, later in pairwise(times)]
    return sorted(gaps)


async def wake(g: Ground, followers: list[Follower]) -> float:
    """Write to agents at rest and wait until each has returned; return how long that took, in seconds."""
    began = time.monotonic()
    for follower in followers:
        await g.write(follower, "that will do")
    for follower in followers:
        assert await g.values(follower, "times") == await g.result(follower)
    return time.monotonic() - began


async def crowd(folder: Path, count: int, turns: int, pause_ms: int, timeout_s: float) -> Crowd:
    """Launch agents that step and sleep; wait until all of them rest; see what that costs."""
    async with ground(folder) as g:
        g.found("a", hosts=2, lease_ms=4_000)
        await g.up("a")
        began = time.monotonic()
        followers = await launch_all(g, count, turns, pause_ms)
        launched_s = time.monotonic() - began

        async def all_rest() -> bool:
            known = await summaries(g)
            assert count == len(known)
            return all(agent.status is Status.DORMANT for agent in known)

        left = list(followers)

        async def all_done() -> bool:
            while left and turns == await g.progress(left[-1], "times"):
                left.pop()
            return not left

        await until(all_done, why="all agents have taken their steps", timeout_s=timeout_s)
        await until(all_rest, why="all agents rest")
        before = g.cpu_s("a")
        await asyncio.sleep(QUIET_S)  # what is measured is that nothing happens
        idle_cpu_s = g.cpu_s("a") - before
        gaps = await gaps_of(g, followers, turns)
        woken_s = await wake(g, followers[:: count // WOKEN][:WOKEN])
        return Crowd(count, launched_s, gaps[-1], gaps[len(gaps) // 2], idle_cpu_s, woken_s)


def test_fifty_agents_are_all_served_and_cost_little_at_rest(tmp_path: Path) -> None:
    seen = asyncio.run(crowd(tmp_path, count=50, turns=3, pause_ms=200, timeout_s=60))
    assert seen.worst_gap_s < 10, seen
    assert seen.idle_cpu_s < 0.1 * QUIET_S, seen
    assert seen.woken_s < 20, seen


@pytest.mark.soak
def test_a_thousand_agents_are_all_served_and_cost_little_at_rest(
    tmp_path: Path,
) -> None:
    faulthandler.cancel_dump_traceback_later()  # on a busy machine this takes longer than most tests may
    seen = asyncio.run(crowd(tmp_path, count=1000, turns=5, pause_ms=2_000, timeout_s=600))
    assert seen.worst_gap_s < 30, seen
    assert seen.idle_cpu_s < 0.1 * QUIET_S, seen
    assert seen.woken_s < 20, seen
