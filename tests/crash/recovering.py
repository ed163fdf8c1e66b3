"""Ends of an anchor while it recovers: from every disk that any number of kills can leave of one run of the errand.

A kill leaves what the system shows: `disk.py` has it from the changes, and here each folder that a killed process has
left is held against it. Kills that leave the same bytes are one. So each disk is started from once, a start that is
cut short leaves a disk from which the next one starts, and it goes on until no kill leaves one that is new.

What lies in the log behind its last commit is another after nearly each change, and is passed over by every start:
a process starts from one disk of each such kind, and the others, with all that their recoveries leave, are opened
here.
"""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from struct import iter_unpack, unpack
from typing import Final, NamedTuple, Self

from tests.crash.disk import MANNERS, Disk
from tests.crash.judging import check_answers
from tests.crash.killing import Enumerator, bury, end_well, kill_at, was_killed
from tests.crash.power import UNREAD, Point, Recording, Verdicts, lay_out, read_at_start
from tests.crash.talk import Ended, Talk, go_on
from tests.crash.watching import Change
from tests.system.ground import quiet

__all__ = ["Recoveries", "Start", "starts"]

LOG: Final = "store/store.sqlite-wal"
HEADER, FRAME = 32, 24 + 4096


class Start(NamedTuple):
    """A disk that an anchor starts from: as a kill left it, which was at change `kill` of its start from `before`."""

    point: Point
    before: "Start | None" = None
    kill: int = 0

    @property
    def image(self) -> dict[str, bytes | None]:
        """What the system shows, made durable or not: a process that is killed takes nothing with it."""
        return self.point.disk.live()

    @property
    def kind(self) -> bytes:
        """What it has in common with other disks: all that a start reads, up to the last commit in the log.

        Of those that one kill has left it is also whether there is something behind that.
        """
        image = self.image
        log = image.get(LOG) or b""
        end = _end_of_commits(log)
        more = b"more" if end < len(log) and self.before is None else b""
        there = {f"there: {name}": None for name in image.keys() & UNREAD}  # else it is made
        return read_at_start({**image, **there, LOG: log[:end] + more})

    def killed(self, changes: Sequence[Change]) -> Iterator[Self]:
        """Yield what a kill at each change of a start from here leaves, and last what is there after all of them.

        Those are passed over that leave the same for a start to read as the one before. The disk is one and the
        same, and goes on: `kept` is for whoever wants it as it is.
        """
        disk = deepcopy(self.point.disk)
        for number, change in enumerate(changes, 2):
            disk.do(change)
            if change.path.relative_to(disk.root).as_posix() not in UNREAD:
                yield type(self)(self.point._replace(disk=disk), self, number)

    def kept(self) -> Self:
        """Return it with its disk, and all that was answered, as they are now."""
        point = self.point._replace(disk=deepcopy(self.point.disk), said=self.point.said.copy())
        return self._replace(point=point)


def _end_of_commits(log: bytes) -> int:
    """Return where the last whole commit of the log's present round ends."""
    salts, end = log[16:24], min(HEADER, len(log))
    for start in range(HEADER, len(log) - FRAME + 1, FRAME):
        if log[start + 8 : start + 16] != salts:
            break
        if any(log[start + 4 : start + 8]) and _is_whole(log, start):
            end = start + FRAME
    return end


@lru_cache(maxsize=4096)
def _sums(first: int, second: int, data: bytes, order: str) -> tuple[int, int]:
    """Go on with the log's checksum, as SQLite's file format has it."""
    for one, two in iter_unpack(f"{order}II", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second


def _is_whole(log: bytes, start: int) -> bool:
    """Tell whether a frame's checksum, which goes on from that before it, is right."""
    order = ">" if log[3] & 1 else "<"
    before = log[start - FRAME + 16 : start - FRAME + 24] if start > HEADER else log[24:32]
    sums = _sums(
        *unpack(">II", before), log[start : start + 8] + log[start + 24 : start + FRAME], order
    )
    return sums == unpack(">II", log[start + 16 : start + 24])


def starts(recording: Recording) -> Iterator[Start]:
    """Yield each disk that one kill of a run can leave, once, with the most that was answered while it was so."""
    seen = set[bytes]()
    for point in recording.points():
        following = recording.changes[point.number : point.number + 1]
        if following and following[0].kind == "sync":
            continue  # the next one is the same, and more may have been answered
        named = read_at_start(point.disk.live())
        if named not in seen:
            seen.add(named)
            yield Start(point).kept()


@dataclass
class Recoveries:
    """The starts of one anchor from disks of one run of the errand."""

    enumerator: Enumerator
    recording: Recording
    cuts: int = 1
    """How often the power fails at each change of a recovery."""
    random: Random = field(default_factory=lambda: Random(5))
    changes: dict[bytes, list[Change]] = field(default_factory=dict)
    """What a start has changed, up to its first answer, by the kind of its disk: each is a process that recovered."""
    kills: int = 0
    """How many processes were killed while they started."""
    opened: Verdicts = field(default_factory=Verdicts)
    """Disks that kills have left, opened here."""
    cut_off: Verdicts = field(default_factory=Verdicts)
    """What such a disk may be if the power goes during the recovery."""

    def follow(self, chosen: Sequence[Start], every: int = 1) -> None:
        """Recover from disks, and from all, or every so many, that kills during the recovery leave."""
        asyncio.run(self._follow(chosen, every))

    async def _follow(self, chosen: Sequence[Start], every: int) -> None:
        with quiet():
            async with self.recording.talk.scene.peers():
                for start in chosen:
                    if (kind := start.kind) in self.changes:
                        self._open(start, self.changes[kind])
                    else:
                        await self._recover_from(start, every)

    def _open(self, start: Start, changes: Sequence[Change]) -> None:
        """Open what is on a disk here, and what its recovery would leave wherever it is cut short."""
        self.opened.judge(start.image, start.point, "killed")
        for each in start.killed(changes):
            self.opened.judge(
                each.image, each.point, f"killed at change {each.kill} of its recovery"
            )

    async def _recover_from(self, first: Start, every: int) -> None:
        left = [first]
        while left:
            start = left.pop()
            if (kind := start.kind) not in self.changes:
                self.changes[kind] = changes = await self._recover(start)
                self._open(start, changes)
                left.extend(
                    each.kept()
                    for each in self._cut_short(start, changes)
                    if each.kill % every == 0 and each.kind not in self.changes
                )

    def _cut_short(self, start: Start, changes: Sequence[Change]) -> Iterator[Start]:
        """Yield where a process can be killed while it recovers; and have the power fail at each change."""
        for each in start.killed(changes):
            for _ in range(self.cuts):
                manner = self.random.choice(MANNERS)
                image = each.point.disk.image(self.random, manner)
                self.cut_off.judge(image, each.point, f"recovery, change {each.kill - 1}, {manner}")
            if each.kill <= len(changes):
                yield each

    async def _recover(self, start: Start) -> list[Change]:
        """Have a process start from a disk, and judge it; return what it changed up to its first answer."""
        scene = self.recording.talk.scene
        shutil.rmtree(scene.folder)
        scene.folder.mkdir()
        lay_out((start.before or start).image, scene.folder)
        talk = self.enumerator.talk(scene, go_on)
        talk.answered = start.point.said.copy()
        try:
            if start.before is not None:
                await self._kill(talk, start)
            await talk.start()
            count = talk.changes
            await check_answers(talk)
            await end_well(talk)
        finally:
            bury(talk)
        assert talk.life is not None and talk.life.watch is not None
        return talk.life.watch.changes[:count]

    async def _kill(self, talk: Talk, start: Start) -> None:
        """Kill a process while it starts, and see that it leaves what it should."""
        talk.judge = kill_at(start.kill)
        try:
            await talk.start()
        except Ended as ended:
            was_killed(ended)
        else:
            raise AssertionError("it makes fewer changes than before")
        self.kills += 1
        left = Disk(talk.scene.folder).live()
        assert read_at_start(left) == read_at_start(start.image), "a kill left something else"
        talk.judge = go_on
