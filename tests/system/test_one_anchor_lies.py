"""Migration works with one anchor of each zone that answers garbage (n = 4)."""

import asyncio
from pathlib import Path

import pytest

from tests.system.ground import Ground
from tests.system.hamlet import hamlet
from tests.system.liars import LIES, Liar
from tests.village import key

ROUTE = ["b", "a"]
EXPECTED = ["0 in b", "1 in a"]


async def travel(folder: Path, lie: str, index: int) -> None:
    async with hamlet(folder, "a", "b") as v:
        liars = []
        for house in v.houses.values():
            liar = Liar(house.anchors[index], key(f"{house.name}/vote/{index}"), lie)
            await v.replace(house, index, liar.serve)
            liars.append(liar)
        plan = {"plan": {"route": ROUTE}, "diary": None}
        follower = await v.launch_file(v.houses["a"], "wanderer:Wanderer", plan)
        assert EXPECTED == await Ground.result(follower, timeout_s=30)
        print(lie, index, [x.told for x in liars])


@pytest.mark.parametrize("lie", LIES)
def test_an_agent_moves_and_returns_whatever_one_anchor_of_each_zone_says(
    tmp_path: Path, lie: str
) -> None:
    asyncio.run(asyncio.wait_for(travel(tmp_path, lie, 0), 60))
