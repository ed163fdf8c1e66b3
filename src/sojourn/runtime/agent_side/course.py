"""The course of `run`: how far it has come, and what a resume needs to get there again."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from msgspec import UNSET

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import RUN_RECORDS_WARN
from sojourn.runtime.agent_side.compartments import Snapshot
from sojourn.runtime.frames import Start
from sojourn.runtime.records import REPLAY_RECORDS_MAX, SEGMENTS_MAX, Resume, Segment
from sojourn.runtime.secrecy import Secrecy

__all__ = ["Arguments", "Course"]

_REMEDY: Final = "Put restart points into run: ctx.turns or ctx.restart"

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(slots=True)
class _Stretch:
    """A `Segment` whose memory may not be saved yet.

        `start_during` and `stop_during` are the writings that were under way when it began and ended: of each the
    host's record, if one comes of it, lies before. `origins` are those of the segment.
    """

    memory: Snapshot
    start: int
    stop: int | None = None
    turn: int | None = None
    start_during: set[int] = field(default_factory=set)
    stop_during: set[int] = field(default_factory=set)
    origins: tuple[bytes, ...] = ()


class Course:
    """Counts records and calls, draws entropy, and keeps the restart points."""

    def __init__(self, start: Start) -> None:
        resume = start.resume
        self.length = start.length
        self.arguments: Arguments = resume.arguments
        self._run = resume.run
        self._seed = resume.seed
        self._stretches = [
            _Stretch(dict(s.memory), s.start, s.stop, s.turn, origins=s.origins or ())
            for s in resume.segments
        ]
        self._at = 0
        self._calls = 0
        self._drawn = 0
        self._children: dict[int, list[Any]] = {}
        self._earlier = self._count_earlier()
        self._agent, self._forks = start.agent, 0
        self._has_warned = False
        self.secrecy = Secrecy()
        self._writings = 0
        self._writing: set[int] = set()

    @property
    def agent(self) -> bytes:
        """As whom the code acts: what a fork has of its origins is replayed as they were."""
        origins = self._stretches[self._at].origins
        return origins[self._forks] if self._forks < len(origins) else self._agent

    def go_on_as_fork(self) -> None:
        """Be the next one from here on: the records of an origin end, and its children are not this one's."""
        self._forks += 1
        self._children.clear()

    @property
    def children(self) -> list[Any]:
        """The children that the code has had since its restart point, and before the loop that it is in."""
        return [child for at in sorted(self._children) for child in self._children[at]]

    def note_child(self, child: Any) -> None:
        """Note a child that the code has now."""
        self._children.setdefault(self._at, []).append(child)

    @property
    def snapshots(self) -> list[Snapshot]:
        """The memory at each restart point that a resume needs."""
        return [stretch.memory for stretch in self._stretches]

    @property
    def records_to_replay(self) -> int:
        """How many records a resume would replay now."""
        return self._earlier + self.length - self._stretches[-1].start

    def check_recordable(self, record: bytes) -> None:
        """Raise `Misused` for a record with a secret in it, or too many since the last restart point."""
        self.secrecy.check(record, "what the code would have recorded")
        if self.records_to_replay >= REPLAY_RECORDS_MAX:
            problem = f"run has made {REPLAY_RECORDS_MAX} records since its last restart point"
            raise Misused(problem, remedy=_REMEDY)

    def count_record(self) -> str:
        """Count a record that the code has made; return what is to be warned of, once, or ""."""
        self.length += 1
        if self.records_to_replay <= RUN_RECORDS_WARN or self._has_warned:
            return ""
        self._has_warned = True
        return f"a resume would replay more than {RUN_RECORDS_WARN} records. {_REMEDY}"

    @property
    def is_unsettled(self) -> bool:
        """Whether a stretch began or ended while the host's side may write a record that lies before."""
        return any(each.start_during or each.stop_during for each in self._stretches)

    def begin_writing(self) -> int:
        """Note that the host's side may write a record now, and return what to end that with."""
        self._writings += 1
        self._writing.add(self._writings)
        return self._writings

    def end_writing(self, writing: int, *, is_written: bool) -> None:
        """Count the record that the host's side has written, if it has, where it stands."""
        self._writing.discard(writing)
        self.length += is_written
        for each in self._stretches:
            if writing in each.start_during:
                each.start_during.discard(writing)
                each.start += is_written
            if writing in each.stop_during and each.stop is not None:
                each.stop_during.discard(writing)
                each.stop += is_written
        self._earlier = self._count_earlier()

    def next_call(self) -> int:
        """Return the number of the call that the code makes."""
        self._calls += 1
        return self._calls - 1

    @property
    def upcoming_call(self) -> int:
        """The number that the next call will have."""
        return self._calls

    def draw(self) -> bytes:
        """Return 32 bytes of entropy: the same ones in every replay, and in no other place of any run."""
        self._drawn += 1
        turn = self._stretches[self._at].turn
        place = f"{self._run}|{self._at}|{turn}|{self._drawn}".encode()
        return digest(b"sojourn/entropy/1|" + self._seed + self.agent + place)

    def chance(self, *of: int) -> float:
        """Return a number from 0 up to 1 for what no code is shown, such as a pause: it draws on no entropy."""
        place = f"{self._run}|{self._at}|{self._stretches[self._at].turn}|{of}".encode()
        drawn = digest(b"sojourn/chance/1|" + self._seed + self.agent + place)
        return int.from_bytes(drawn[:6], "big") / 2**48

    def begin_run(self, arguments: Arguments, memory: Snapshot, *, anew: bool) -> None:
        """Put the restart point here: `run` begins with these arguments."""
        self.arguments = arguments
        self._run += anew
        self._stretches = [self._stretch(memory)]
        self._earlier = 0
        self.enter_segment(0)

    def begin_turn(self, segment: int, turn: int | None, memory: Snapshot) -> None:
        """Put the restart point here, behind the record that says so: a loop's turn, or its end (None).

        Raises `Misused` for one loop too many.
        """
        if segment == len(self._stretches):
            if segment == SEGMENTS_MAX:
                problem = f"run has more than {SEGMENTS_MAX - 1} durable loops one after another"
                raise Misused(problem, remedy="Go on with ctx.restart(...) between some of them")
            self._stretches[-1].stop = self.length - 1
            self._stretches[-1].stop_during = set(self._writing)
            self._stretches.append(self._stretch(memory, turn))
            self._earlier = self._count_earlier()
        else:
            self._stretches[segment] = self._stretch(memory, turn)
        self.enter_segment(segment)

    def _stretch(self, memory: Snapshot, turn: int | None = None) -> _Stretch:
        """Return the stretch that begins here."""
        return _Stretch(memory, self.length, turn=turn, start_during=set(self._writing))

    def turn_of(self, segment: int) -> int | None:
        """Return the turn at which a segment stands behind its loop; None behind the loop's end."""
        return self._stretches[segment].turn

    @property
    def segment(self) -> int:
        """The number of the current segment: how many durable loops the code has entered."""
        return self._at

    def resume(self, *, consumed: int, ended: Literal["returned", "raised"] | None) -> Resume:
        """Return what a resume needs. The snapshots have been saved."""
        return Resume(
            run=self._run,
            seed=self._seed,
            arguments=self.arguments,
            segments=tuple(map(_saved, self._stretches)),
            inbox=consumed,
            ended=ended,
        )

    def _count_earlier(self) -> int:
        """Return the number of records in all segments but the last."""
        return sum((stretch.stop or 0) - stretch.start for stretch in self._stretches[:-1])

    def enter_segment(self, segment: int) -> None:
        """Go on in another segment, where calls and draws are counted anew."""
        self._at = segment
        self._children = {at: had for at, had in self._children.items() if at < segment}
        self._forks = 0
        self._calls = 0
        self._drawn = 0


def _saved(stretch: _Stretch) -> Segment:
    memory: dict[str, bytes] = {}
    for name, root in stretch.memory.items():
        assert isinstance(root, bytes), "a snapshot is saved before it is sent"
        memory[name] = root
    return Segment(
        memory=memory,
        start=stretch.start,
        stop=stretch.stop,
        turn=stretch.turn,
        origins=stretch.origins or UNSET,
    )
