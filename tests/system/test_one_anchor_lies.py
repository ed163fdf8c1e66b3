"""Agents move, rest and return whatever one anchor of each zone answers (n = 4)."""

import asyncio
from pathlib import Path

import pytest

from sojourn.cli.showing.follow import Follower
from sojourn.core.base.limits import CALL_TIMEOUT_S
from sojourn.core.protocol.messages import AskHead, Head
from tests.system.ground import Ground, ground, until
from tests.system.hamlet import Hamlet, hamlet
from tests.system.impostors import MANNERS, impostor
from tests.system.liars import LIES, Liar
from tests.village import key

PLAN = {"plan": {"route": ["b", "a"], "rest_ms": 0}, "diary": None}
NOTICES = {"false_work", "old_arrivals"}
"""Lies that are told by themselves, not as answers."""


async def corrupt(v: Hamlet, lie: str, index: int) -> list[Liar]:
    """Let the anchor with this index lie, in every zone."""
    liars = []
    for house in v.houses.values():
        liar = Liar(house.anchors[index], key(f"{house.name}/vote/{index}"), lie)
        await v.replace(house, index, liar.serve)
        liars.append(liar)
    return liars


async def is_known_to_be_gone(v: Hamlet, follower: Follower, index: int) -> None:
    """Wait until the honest anchors of zone b know where the agent that left it was admitted."""
    b = v.houses["b"]
    honest = [anchor for anchor in range(4) if anchor != index]

    async def known() -> bool:
        client = v.reach.zone(b.manifest)
        heads = [await client.call(anchor, AskHead(agent=follower.agent)) for anchor in honest]
        return all(isinstance(head, Head) and head.onward for head in heads)

    await until(known, why="zone b knows where the agent went", timeout_s=20)


async def travel(folder: Path, lie: str, index: int, rest_ms: int = 0) -> None:
    async with hamlet(folder, "a", "b") as v:
        liars = await corrupt(v, lie, index)
        plan = {"plan": {"route": ["b", "a"], "rest_ms": rest_ms}, "diary": None}
        neighbour = await v.launch_file(v.houses["a"], "wanderer:Wanderer", plan)
        follower = await v.launch_file(v.houses["a"], "wanderer:Wanderer", plan)
        for each in (neighbour, follower):
            assert ["0 in b", "1 in a"] == await Ground.result(each, timeout_s=30)
        await is_known_to_be_gone(v, follower, index)
        is_asked = lie not in NOTICES and (lie, index > 0) != ("other_blocks", True)
        assert not is_asked or all(
            liar.told for liar in liars
        )  # blocks are read of the first that has them


@pytest.mark.parametrize("lie", LIES)
def test_agents_move_and_return_whatever_one_anchor_of_each_zone_says(
    tmp_path: Path, lie: str
) -> None:
    asyncio.run(travel(tmp_path, lie, index=0))


def test_a_launch_does_not_wait_for_an_anchor_that_hangs(tmp_path: Path) -> None:
    async def run() -> None:
        async with hamlet(tmp_path, "a") as v:
            await corrupt(v, "never", index=0)
            async with asyncio.timeout(0.8 * CALL_TIMEOUT_S):
                await v.launch_file(v.houses["a"], "wanderer:Wanderer", PLAN)

    asyncio.run(run())


@pytest.mark.parametrize("lie", sorted(NOTICES))
def test_agents_rest_and_wake_whatever_hosts_are_told_by_one_anchor(
    tmp_path: Path, lie: str
) -> None:
    asyncio.run(travel(tmp_path, lie, index=0, rest_ms=1_200))


@pytest.mark.soak
@pytest.mark.parametrize("index", range(1, 4))
@pytest.mark.parametrize("lie", LIES)
def test_agents_move_and_return_whichever_anchor_it_is(
    tmp_path: Path, lie: str, index: int
) -> None:
    asyncio.run(travel(tmp_path, lie, index))


async def called(*callers: list[int]) -> bool:
    return all(callers)


def test_agents_move_between_processes_whatever_a_listener_with_a_stolen_key_does(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with ground(tmp_path) as g:
            for name in ("a", "b"):
                g.found(name)
            await g.up("a", "b")
            folders = [g.place("anchor", name, 0).folder for name in ("a", "b")]
            for name in ("a", "b"):
                g.kill("anchor", name, 0)
            for manner, talk in MANNERS.items():
                async with impostor(folders[0], talk) as of_a, impostor(folders[1], talk) as of_b:
                    await until(lambda: called(of_a, of_b), why="both are called")
                    follower = await g.launch("a", "wanderer:Wanderer", PLAN)
                    assert ["0 in b", "1 in a"] == await g.result(follower), manner

    asyncio.run(run())
