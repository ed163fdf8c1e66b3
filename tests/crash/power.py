"""Power cuts of an anchor: images of its disk from the changes of one run, each held against its answers."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sojourn.anchor.folder import AnchorFolder
from sojourn.core.base.errors import SojournError
from tests.crash.answered import Answered
from tests.crash.disk import MANNERS, Disk
from tests.crash.errand import Errand
from tests.crash.judging import opened_and_checked
from tests.crash.killing import Enumerator
from tests.crash.talk import Talk, go_on
from tests.crash.watching import Change
from tests.system.ground import quiet

__all__ = ["Recording", "Verdicts", "lay_out", "record"]


@dataclass
class Recording:
    """One run of the errand: the disk before it, each change, and what was answered when so many had begun."""

    before: Path
    folder: Path
    changes: list[Change]
    talk: Talk

    def points(self) -> Iterator[tuple[int, Disk, Answered]]:
        """Yield each point of the run: how many changes were made, the disk, and all that was answered by then."""
        disk, said = Disk(self.before), Answered(going=self.talk.answered.going)
        disk.root = self.folder
        answers = iter(self.talk.said)
        next_answer = next(answers, None)
        for number in range(len(self.changes) + 1):
            if number:
                disk.do(self.changes[number - 1])
            while next_answer is not None and next_answer[0] <= number:
                said.note(*next_answer[1:])
                next_answer = next(answers, None)
            yield number, disk, said


def record(enumerator: Enumerator) -> Recording:
    """Run the errand once, undisturbed and watched."""
    return asyncio.run(_record(enumerator))


async def _record(enumerator: Enumerator) -> Recording:
    scene = enumerator.scene()
    before = scene.folder.with_name(f"{scene.folder.name}.before")
    shutil.copytree(scene.folder, before)
    talk = enumerator.talk(scene, go_on)
    with quiet():
        async with scene.peers():
            try:
                await talk.start()
                await Errand(talk).run()
                ended = await talk.end()
                assert ended.code == 0, ended
            finally:
                assert talk.life is not None
                talk.life.child.end()
    assert talk.life.watch is not None
    return Recording(before, scene.folder, talk.life.watch.changes, talk)


def lay_out(image: dict[str, bytes | None], folder: Path) -> None:
    """Write an image into a new folder."""
    folder.mkdir()
    for name, data in image.items():
        path = folder / name
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
            path.chmod(0o600)


@dataclass
class Verdicts:
    """What came of images, and the first of those that went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def take(self, recording: Recording, random: Random, images: int) -> None:
        """Make and judge so many images, spread over all points of a run where something is not synced."""
        points = list(_open_points(recording))
        shares = Counter(random.choices(points, k=images))
        with tempfile.TemporaryDirectory(prefix="power-", dir=_quick()) as folder:
            for number, disk, said in recording.points():
                for trial in range(shares[number]):
                    manner = (
                        MANNERS[trial % len(MANNERS)]
                        if shares[number] >= len(MANNERS)
                        else random.choice(MANNERS)
                    )
                    where = f"after change {number}, {manner}"
                    self._judge(disk.image(random, manner), said, Path(folder) / "image", where)

    def _judge(
        self, image: dict[str, bytes | None], said: Answered, folder: Path, where: str
    ) -> None:
        lay_out(image, folder)
        try:
            opened_and_checked(AnchorFolder(folder), said)
            verdict = "held"
        except (AssertionError, SojournError) as error:
            verdict = f"{type(error).__name__}: {error}".replace(str(folder), "FOLDER")
        self.counts[verdict] += 1
        self.first.setdefault(verdict, where)
        shutil.rmtree(folder)


def _open_points(recording: Recording) -> Iterator[int]:
    for number, disk, _ in recording.points():
        if disk.unsynced:
            yield number


def _quick() -> str | None:
    """Return a file system in memory, if there is one: an image need not be durable."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
