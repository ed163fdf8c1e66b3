"""An anchor whose store is an older copy never votes from it: it notices, says so, and ends (protocol §13)."""

import asyncio
import shutil
from pathlib import Path

import pytest

from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.runtime.processes.pidfile import running
from sojourn.stores.sqlite import SqliteStore
from tests.system.ground import Ground, ground, until

ENDLESS = {"plan": {"turns": 10_000, "pace_ms": 10}, "sums": None}
RESTORED = 2
MANY = 50
"""So many votes are missing in the copy: more than peers let go by before they keep what they saw."""


def votes_in(store: Path) -> int:
    """Return how many votes a store says its anchor has cast."""
    opened = SqliteStore.open(store)
    try:
        return int.from_bytes(opened.get("meta", b"counter") or b"", "big")
    finally:
        opened.close()


async def restore_older_copy(g: Ground, folder: Path) -> int:
    """Put the store of an anchor back to what it was before many votes; return at how many votes that is."""
    follower = await g.launch("a", "counter:Counter", ENDLESS)
    await g.advance(follower, "sums", by=3)
    store = g.place("anchor", "a", RESTORED).folder / "store"
    with g.stopped("anchor", "a", RESTORED):  # what a snapshot of its disk would be
        shutil.copytree(store, folder / "copy")
    had = votes_in(folder / "copy")

    async def voted() -> bool:
        return (await g.standing("a")).anchors[RESTORED].votes >= had + MANY

    await until(voted, why="it has cast many votes since the copy")
    await g.advance(follower, "sums", by=3)
    g.kill("anchor", "a", RESTORED)
    cast = votes_in(store)
    shutil.rmtree(store)
    shutil.copytree(folder / "copy", store)
    assert had < cast
    return had


@pytest.mark.parametrize("others", ["run on", "start with it"])
def test_an_anchor_with_an_older_copy_of_its_store_casts_no_vote_and_ends(
    tmp_path: Path, others: str
) -> None:
    async def run() -> None:
        async with ground(tmp_path) as g:
            g.found("a")
            await g.up("a")
            before = await restore_older_copy(g, tmp_path)
            if others == "start with it":
                g.kill("anchor", "a", 0, 1, 3)
                g.start("anchor", "a", 0, 1, 3)
            place = g.place("anchor", "a", RESTORED)
            process = g.start("anchor", "a", RESTORED)[0].process

            async def ended() -> bool:
                return process.poll() is not None

            await until(ended, why="the anchor with the older store has ended")
            assert 74 == process.returncode
            assert running(place.folder) is None
            said = [line for line in g.log("anchor", "a", RESTORED) if line["level"] == "critical"]
            assert f"this store ends at vote {before}" in said[0]["problem"]
            assert before == votes_in(place.folder / "store")
            assert {0, 1, 3} == await signers_of_a_new_agent(g)

    asyncio.run(run())


async def signers_of_a_new_agent(g: Ground) -> set[int]:
    """Return who signs what is decided from now on, once the others are up."""

    async def others_answer() -> bool:
        return (await g.standing("a")).answering == 3

    await until(others_answer, why="the other three anchors answer")
    follower = await g.launch("a", "counter:Counter", ENDLESS)
    await g.advance(follower, "sums", by=3)
    ask = AskPast(agent=follower.agent, limit=1000)
    past = await g.reach.zone(g.manifests["a"]).ask_any(ask, Past)
    return {s for decided in past.history for s in decided.certificate.signers()}
