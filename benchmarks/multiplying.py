"""Copies of a sleeping agent in the stores of a zone that stands still: what launching as many would take hours for.

Of each copy an anchor has what it has of the agent itself, under another identifier: dossier, slip, chapters and
history. Its certificates are of the original, so it can do nothing when it wakes; before that nobody looks at them.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from benchmarks.zones import LocalZone
from sojourn.anchor.shelf import Shelf
from sojourn.anchor.slips import Slip
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.runtime.store import Put, Store, row_mark
from sojourn.stores.sqlite import SqliteStore

__all__ = ["multiply"]

_NUMBERED: Final = ("chapter", "history")
_ROWS_MAX: Final = 100
"""Of one table and the agent that is copied, which has lain down once."""
_AT_ONCE: Final = 500
"""Copies in one commit."""


def multiply(zone: LocalZone, count: int) -> None:
    """Copy, in each anchor's store, the first agent that sleeps until some time, `count` times."""
    stores = [folder / "store" for folder in zone.anchor_folders()]
    with ProcessPoolExecutor() as processes:
        list(processes.map(_multiply_in, stores, [count] * len(stores)))


def _multiply_in(directory: Path, count: int) -> None:
    asyncio.run(_copy(directory, count))


async def _copy(directory: Path, count: int) -> None:
    store = SqliteStore.open(directory)
    agent, slip = _model(store)
    dossier = store.get("dossier", agent)
    assert dossier is not None, "a slip is of a dossier"
    rows = [
        (table, key, value)
        for table in _NUMBERED
        for key, value in store.scan(table, prefix=agent, limit=_ROWS_MAX)
    ]
    for start in range(0, count, _AT_ONCE):
        changes: list[Put] = []
        for number in range(start, min(start + _AT_ONCE, count)):
            copy = digest(b"copy %d" % number)
            row = dossier.replace(agent, copy)
            own = replace(slip, dossier=row_mark("dossier", copy, row))
            changes += [Put("dossier", copy, row), Put("slip", copy, encode(own))]
            changes += _copied(rows, agent, copy)
        await store.commit(changes)
    store.close()


def _copied(rows: Sequence[tuple[str, bytes, bytes]], agent: bytes, copy: bytes) -> list[Put]:
    return [Put(table, key.replace(agent, copy), v.replace(agent, copy)) for table, key, v in rows]


def _model(store: Store) -> tuple[bytes, Slip]:
    for agent, slip in Shelf(store).agents_with_slips():
        if slip is not None and slip.wakes_ms is not None:
            return agent, slip
    raise LookupError("nobody sleeps here")
