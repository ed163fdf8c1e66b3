"""Blocks that are damaged on an anchor's disk are had again from the other anchors (protocol §13)."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from sojourn.core.base.digests import digest
from tests.samples import CODE
from tests.system.ground import until
from tests.unit.anchor.broken_stores import DamagedStore
from tests.village import House, Village, village

NAMED = digest(CODE)


OTHERS = (1, 2, 3)


async def with_damage(v: Village) -> tuple[House, DamagedStore]:
    """Return a zone in which one block of anchor 0 was damaged, and its store; that anchor is down."""
    house = v.found("a")
    store = DamagedStore()
    house.stores[0] = store
    await v.open(house)
    v.introduce()
    await v.launch(house)
    await v.close(house, 0)
    store.damage(NAMED)
    return house, store


def whole(house: House, store: DamagedStore) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        held = store._blocks[NAMED].data == CODE
        return held and house.anchors[0].shelf.lacking([NAMED]) == []

    return look


def test_a_damaged_block_is_found_and_mended_though_nobody_asks_for_it() -> None:
    async def run() -> None:
        async with village() as v:
            house, store = await with_damage(v)
            await v.open(house, [0])
            await until(whole(house, store), why="the block is mended")
            assert house.anchors[0].shelf.block(NAMED) == CODE

    with structlog.testing.capture_logs() as said:
        asyncio.run(run())
    events = [line["event"] for line in said if line["event"].startswith("a block is")]
    assert events == ["a block is damaged", "a block is mended"]


def test_a_block_that_nobody_has_is_not_served_and_is_asked_for_until_somebody_does() -> None:
    async def run() -> None:
        async with village() as v:
            house, store = await with_damage(v)
            for index in OTHERS:
                await v.close(house, index)
            await v.open(house, [0])
            anchor = house.anchors[0]

            async def is_found() -> bool:
                return anchor.shelf.is_damaged(NAMED)

            await until(is_found, why="the damage is found")
            assert anchor.shelf.block(NAMED) is None
            assert anchor.shelf.lacking([NAMED]) == [NAMED]
            await v.open(house, OTHERS)
            await until(whole(house, store), why="the block is mended")

    asyncio.run(run())
