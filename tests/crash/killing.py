"""Ends of an anchor: the errand is run, the process is cut short at one change of a file, and judged."""

import asyncio
import errno
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sojourn.anchor.folder import AnchorFolder
from tests.crash.answered import Answered
from tests.crash.errand import Errand
from tests.crash.judging import check_answers, check_litter
from tests.crash.scene import Scene
from tests.crash.talk import Ended, Judge, Talk
from tests.crash.watching import KILL, Change, Verdict
from tests.crash.zygote import Zygote
from tests.system.ground import quiet

__all__ = [
    "Death",
    "Enumerator",
    "bury",
    "end_well",
    "fail_once",
    "full_from",
    "kill_at",
    "slice_of",
    "was_killed",
]

_GROWING = {"make", "mkdir", "write", "link"}


def kill_at(point: int) -> Judge:
    """Return the judge that kills at one change."""
    return lambda number, _: KILL if number == point else None


def fail_once(point: int) -> Judge:
    """Return the judge that lets one change fail, as on a disk with a bad spot or cable.

    SQLite does not mind if it cannot remove its log: it is empty by then, and does no harm.
    """

    def judge(number: int, change: Change) -> Verdict:
        return errno.EIO if number == point and change.kind != "unlink" else None

    return judge


def full_from(point: int) -> Judge:
    """Return the judge whose disk is full from one change on, for whatever needs room."""

    def judge(number: int, change: Change) -> Verdict:
        return errno.ENOSPC if number >= point and change.kind in _GROWING else None

    return judge


def slice_of(changes: Sequence[Change], every: int) -> list[int]:
    """Return points for a quick look: the first of each kind of change to each file, and every so many."""
    seen = dict[tuple[str, str], int]()
    for number, change in enumerate(changes, 1):
        seen.setdefault((change.kind, change.path.name), number)
    return sorted({*seen.values(), *range(every, len(changes) + 1, every), len(changes)})


@dataclass(frozen=True)
class Death:
    """How a process ended before its time: what lay in its folder then, and what it had answered."""

    scene: Scene
    how: Ended
    folder: Path
    said: Answered

    def bury(self) -> None:
        """Remove what is left of it."""
        shutil.rmtree(self.folder)
        shutil.rmtree(self.scene.folder)


class Enumerator:
    """Runs errands of one anchor after another in `folder`, each on a zone of its own."""

    def __init__(self, zygote: Zygote, folder: Path, *, plants: Sequence[str] = ()) -> None:
        self._zygote, self.folder = zygote, folder
        self._plants = ["calm", *plants]
        self._number = 0

    def scene(self) -> Scene:
        """Return a new anchor."""
        self._number += 1
        return Scene(self.folder / str(self._number))

    def talk(self, scene: Scene, judge: Judge | None) -> Talk:
        """Return what talks to it."""
        return Talk(self._zygote, scene, judge=judge, plants=self._plants)

    def cut_short(self, judge: Judge, check: Callable[[Ended], None]) -> Death | None:
        """Run the errand under a judge; when the process ends, check how, start it again, and go on to the end.

        Returns the death; None if there was none.
        """
        return asyncio.run(self._cut_short(judge, check))

    async def _cut_short(self, judge: Judge, check: Callable[[Ended], None]) -> Death | None:
        scene = self.scene()
        talk = self.talk(scene, judge)
        errand = Errand(talk)
        deaths: list[Death] = []

        def died(dying: Talk, ended: Ended) -> None:
            check(ended)
            copy = scene.folder.with_name(f"{scene.folder.name}.dead")
            shutil.copytree(scene.folder, copy)
            deaths.append(Death(scene, ended, copy, dying.answered.copy()))

        async def revived(dying: Talk) -> None:
            await check_answers(dying, errand.rival)
            await errand.remind()

        talk.died, talk.revived = died, revived
        with quiet():
            async with scene.peers():
                try:
                    await self._run_out(talk, errand)
                finally:
                    bury(talk)
        return deaths[0] if deaths else None

    async def _run_out(self, talk: Talk, errand: Errand) -> None:
        try:
            await talk.start()
        except Ended as ended:
            await talk.recover(ended)
        await errand.run()
        ended = await talk.end()
        if ended.code != 0:  # cut short while it stopped
            await talk.recover(ended)
            ended = await talk.end()
        assert ended.code == 0, ended
        check_litter(AnchorFolder(talk.scene.folder), talk.answered)

    def killed(self, point: int) -> Death | None:
        """Kill it at one change."""
        return self.cut_short(kill_at(point), was_killed)

    def killed_again(self, death: Death, every: int = 1) -> int:
        """Kill it at each point (or at every so many) of its recovery from a death; return at how many."""
        points = count(every, every)
        return next(n for n, point in enumerate(points) if not self._killed_at(death, point))

    def _killed_at(self, death: Death, point: int) -> bool:
        return asyncio.run(self._recovers(death, point))

    async def _recovers(self, death: Death, point: int) -> bool:
        """Kill it at one point of its recovery and start it once more; tell whether it came to that point."""
        shutil.rmtree(death.scene.folder)
        shutil.copytree(death.folder, death.scene.folder)
        talk = self.talk(death.scene, kill_at(point))
        talk.answered = death.said.copy()
        with quiet():
            async with death.scene.peers():
                try:
                    await talk.start()
                except Ended as ended:
                    was_killed(ended)
                    talk.judge = None
                    await talk.start()
                    await check_answers(talk)
                    await end_well(talk)
                    return True
                finally:
                    bury(talk)
        return False


def was_killed(ended: Ended) -> None:
    """See that a process ended by being killed."""
    assert ended.code == -signal.SIGKILL, ended


async def end_well(talk: Talk) -> None:
    """End a process in good order, and see that it leaves no litter."""
    ended = await talk.end()
    assert ended.code == 0, ended
    check_litter(AnchorFolder(talk.scene.folder), talk.answered)


def bury(talk: Talk) -> None:
    """Kill a process that a test has left."""
    if talk.life is not None:
        talk.life.child.end()
