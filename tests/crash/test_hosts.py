"""A host killed at any message it sends and any change of a file: every effect once, and the agent goes on."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.killing import kill_at
from tests.crash.talk import Judge
from tests.crash.watching import Watch
from tests.crash.zygote import Child, Zygote
from tests.system.ground import Ground, ground
from tests.system.test_host_killed import check_books

TURNS = 2
POINTS_MAX = 1_000


class Host:
    """The zone's host as a watched process."""

    def __init__(self, zygote: Zygote, g: Ground) -> None:
        self._zygote, self._ground = zygote, g
        self._place = g.place("host", "a", 0).folder
        self.watch: Watch | None = None
        self.child: Child | None = None

    def start(self, judge: Judge | None) -> None:
        """Start it, watched if there is a judge."""
        command = ["host", "run", str(self._place)]
        log = self._place / "host.log"
        watched = judge is not None
        self.child = self._zygote.start(command, log, watched=watched, sends=watched)
        self.watch = None
        if judge is not None:
            assert self.child.listener is not None
            folder = self._ground.folder
            self.watch = Watch(self.child.listener, self.child.process, folder, judge)

    async def survived(self) -> None:
        """Wait until it has been killed, and start it again."""
        assert self.watch is not None and self.child is not None
        while self.watch.killed_at is None:
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(self.child.wait) == -9
        self.start(None)

    def end(self) -> None:
        """Kill it, whatever it does."""
        if self.child is not None:
            self.child.end()


async def books_kept(g: Ground, host: Host, point: int) -> bool:
    """Have an agent keep its books while its host is killed at a point; tell whether it came to that point."""
    entered, paid = g.folder / f"entered-{point}", g.folder / f"paid-{point}"
    plan = {"turns": TURNS, "entered": str(entered), "paid": str(paid)}
    host.start(kill_at(point))
    watch = host.watch
    assert watch is not None
    reviving = asyncio.create_task(host.survived())
    try:
        memory = {"plan": plan, "unsure": None, "done": None}
        follower = await g.launch("a", "bookkeeper:Bookkeeper", memory)
        unsure = await g.result(follower)
    finally:
        reviving.cancel()
        host.end()
    check_books(entered, paid, unsure, TURNS)
    return watch.killed_at is not None


async def killed_at(zygote: Zygote, folder: Path, points: range) -> int:
    """Kill a host at points until one is beyond the agent's end; return how many it was killed at."""
    async with ground(folder) as g:
        g.found("a", anchors=1, hosts=1, lease_ms=500)
        await g.up("a")
        g.kill("host", "a", 0)
        host = Host(zygote, g)
        for count, point in enumerate(points):
            if not await books_kept(g, host, point):
                return count
        return len(points)


def test_a_host_killed_at_a_point_has_every_effect_once(zygote: Zygote, tmp_path: Path) -> None:
    assert asyncio.run(killed_at(zygote, tmp_path, range(12, 48, 9))) >= 3


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_a_host_killed_at_every_point(
    zygote: Zygote, tmp_path: Path, tell: Callable[[str], None], part: int
) -> None:
    count = asyncio.run(killed_at(zygote, tmp_path, range(1 + part, POINTS_MAX, 4)))
    tell(f"{count} kill points of a host")
    assert 12 <= count < POINTS_MAX // 4 - 1, "there may be more"
