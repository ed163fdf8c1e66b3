"""Blocks damaged on an anchor's disk are had again from the others; a damaged row is its end (protocol §13)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest
import structlog

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import StoreFailed
from sojourn.stores.sqlite import SqliteStore, audit
from sojourn.stores.sqlite.store import DATABASE_NAME
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


# Rows


def spoil_history(directory: Path) -> None:
    """Flip a bit in a record of history, which no vote leans on and nobody asks for."""
    database = apsw.Connection(str(directory / DATABASE_NAME))
    at = "place = (SELECT max(place) FROM rows WHERE tbl = 'history')"
    [(value,)] = database.execute(f"SELECT value FROM contents WHERE {at}").fetchall()
    assert isinstance(value, bytes)
    spoiled = value[:-1] + bytes([value[-1] ^ 1])
    database.execute(f"UPDATE contents SET value = ? WHERE {at}", (spoiled,))
    database.close()


def test_a_damaged_row_that_nobody_asks_for_ends_the_anchor_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its store is too large for all of it to be read when it is opened."""
    monkeypatch.setattr(audit, "WHOLE_PAGES_MAX", 0)
    said = (
        f"{tmp_path / DATABASE_NAME} is damaged: row .* of table 'history' is not what was written"
    )

    async def run() -> None:
        async with village() as v:
            house = v.found("a")
            house.stores[0] = SqliteStore.open(tmp_path, create=True)
            await v.open(house)
            v.introduce()
            await v.launch(house)
            await v.close(house, 0)
            house.stores[0].close()
            spoil_history(tmp_path)
            house.stores[0] = SqliteStore.open(tmp_path)
            await v.open(house, [0])
            failure = await house.anchors[0].failed
            await v.close(house, 0)
            house.stores[0].close()
            with pytest.raises(StoreFailed, match=said):
                raise failure

    asyncio.run(run())
    with pytest.raises(StoreFailed, match=said):
        SqliteStore.open(tmp_path)
