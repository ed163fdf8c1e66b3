"""Power cuts of an anchor: images of its disk from the changes of one run, each held against its answers."""

import asyncio
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from sojourn.anchor.folder import AnchorFolder
from sojourn.core.base.errors import SojournError
from tests.crash.answered import Answered
from tests.crash.disk import MANNERS, Disk
from tests.crash.errand import Errand
from tests.crash.judging import opened, store_checked
from tests.crash.killing import Enumerator, bury, end_well
from tests.crash.talk import Talk, go_on
from tests.crash.watching import Change
from tests.system.ground import quiet

__all__ = ["UNREAD", "Point", "Recording", "Verdicts", "lay_out", "read_at_start", "record"]

UNREAD: Final = {"pid", "store/store.lock", "store/store.sqlite-shm"}
"""What no start reads: the number of a process that is gone, in two files, and the log's index, made anew."""


class Point(NamedTuple):
    """A moment of a run: how many changes were made, the disk, what was answered by then, in how many answers."""

    number: int
    disk: Disk
    said: Answered
    answers: int


@dataclass
class Recording:
    """One run of the errand: the disk before it, each change, and what was answered when so many had begun."""

    before: Path
    folder: Path
    changes: list[Change]
    talk: Talk

    def points(self) -> Iterator[Point]:
        """Yield each point of the run; the disk and the answers are the same objects each time."""
        asked = self.talk.answered
        disk, said = Disk(self.before), Answered(going=asked.going, dealt=asked.dealt)
        disk.root = self.folder
        answers = 0
        for number in range(len(self.changes) + 1):
            if number:
                disk.do(self.changes[number - 1])
            while answers < len(self.talk.said) and self.talk.said[answers][0] <= number:
                said.note(*self.talk.said[answers][1:])
                answers += 1
            yield Point(number, disk, said, answers)


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
                await end_well(talk)
            finally:
                bury(talk)
    assert talk.life is not None and talk.life.watch is not None
    return Recording(before, scene.folder, talk.life.watch.changes, talk)


def lay_out(image: dict[str, bytes | None], folder: Path) -> None:
    """Write an image into a folder."""
    for name, data in sorted(image.items()):  # a folder comes before what is in it
        path = folder / name
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
            path.chmod(0o600)


@dataclass
class Verdicts:
    """What came of images, and the first of those that went wrong. No image is counted twice."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    """How many images more were made: what is read at a start was the same as in one that is counted."""
    _answers: dict[bytes, int] = field(default_factory=dict)
    """How many answers each image was held against."""
    _desk: "_Desk" = field(default_factory=lambda: _Desk())

    def take(self, recording: Recording, random: Random, images: int) -> None:
        """Make and judge so many different images, spread over all points of a run where something is not synced."""
        points, end = list(_open_points(recording)), len(self._answers) + images
        while (left := end - len(self._answers)) > 0:
            shares = Counter(random.choices(points, k=left))
            for point in recording.points():
                for manner in _manners(random, shares[point.number]):
                    self.judge(point.disk.image(random, manner), point, manner)

    def judge(self, image: dict[str, bytes | None], point: Point, manner: str) -> None:
        """Judge an image of a point. One that was there before is judged again if more has been answered since."""
        named = read_at_start(image)
        is_new = named not in self._answers
        self.repeated += not is_new
        if is_new or self._answers[named] < point.answers:
            verdict = self._desk.verdict(image, point.said)
            self.counts[verdict] += is_new or verdict != "held"
            self.first.setdefault(verdict, f"after change {point.number}, {manner}")
            self._answers[named] = point.answers


class _Desk:
    """A folder, in memory if there is such a file system, where one image after the other is opened as by a process.

    What is in it beside the store is written and read again only when it is not what it was before.
    """

    def __init__(self) -> None:
        quick = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self._place = Path(tempfile.mkdtemp(prefix="power-", dir=quick))
        weakref.finalize(self, shutil.rmtree, self._place)
        self._beside: dict[str, bytes | None] = {}
        self._folder: AnchorFolder | None = None

    def verdict(self, image: dict[str, bytes | None], said: Answered) -> str:
        """Open an image; return "held" if all is there that was answered, else what is wrong."""
        store = {name: data for name, data in image.items() if name.startswith("store")}
        beside = {name: image[name] for name in image.keys() - store.keys() - UNREAD}
        if beside != self._beside:
            self._begin_with(beside)
        try:
            if self._folder is None:
                self._folder = opened(AnchorFolder(self._place / "image"))
            lay_out(store, self._place / "image")
            store_checked(self._folder, said)
        except (AssertionError, SojournError) as error:
            return f"{type(error).__name__}: {error}".replace(str(self._place / "image"), "FOLDER")
        finally:
            shutil.rmtree(self._place / "image" / "store", ignore_errors=True)
        return "held"

    def _begin_with(self, beside: dict[str, bytes | None]) -> None:
        shutil.rmtree(self._place / "image", ignore_errors=True)
        (self._place / "image").mkdir()
        lay_out(beside, self._place / "image")
        self._beside, self._folder = beside, None


def _manners(random: Random, images: int) -> list[str]:
    """Return how the disk makes so many images: in each manner in turn, or in any of them if they are few.

    If all is lost, or all is kept, there is one image; so each of these is made once.
    """
    if images < len(MANNERS):
        return random.choices(MANNERS, k=images)
    others = [manner for manner in MANNERS if manner not in ("lost", "kept")]
    return ["lost", "kept", *(others[number % len(others)] for number in range(images - 2))]


def read_at_start(image: dict[str, bytes | None]) -> bytes:
    """Return the digest of what a start reads of an image."""
    hashed = sha256()
    for name in sorted(image.keys() - UNREAD):
        data = image[name]
        hashed.update(b"%s\0%d\0" % (name.encode(), -1 if data is None else len(data)))
        hashed.update(data or b"")
    return hashed.digest()


def _open_points(recording: Recording) -> Iterator[int]:
    for point in recording.points():
        if point.disk.unsynced:
            yield point.number
