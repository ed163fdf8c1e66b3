"""The flow of labelled data through an agent's code, as the host's side sees it (protocol §10.14).

Nobody can see what code does with what it reads. So all that an agent's side has been given binds it, from its
first use to the end of the execution:

    announce      it says which compartment with labels or a residency it is about to use, or what it opens that
                  somebody else told it
    read          a block is served only if it lies in a compartment that binds nobody, or is announced
    write         what may not hold all that was announced is locked: it stays as it was right before
    release       unless by the result of a step that declassifies, byte for byte, as the gate permitted
    restart       what a replay will be given says by what it is bound, and a restart point never goes back

Behind a restart point where less binds the code, it is executed anew: nothing else makes it forget. The agent's side
keeps the same rules, so that authors see an error where they break one; here they are enforced.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple, TypeAlias

import msgspec

from sojourn.core.agent.memory.blocks import BlockSource, NewBlocks
from sojourn.core.agent.memory.field import Compartment, Form, Labels
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping as MappingHandle
from sojourn.core.agent.memory.marks import (
    Mark,
    Marks,
    covers,
    declassified,
    described,
    home_of,
    labels_of,
    listed,
    mark_of,
    told_marks,
)
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Denied, Misused, Rejected
from sojourn.core.base.limits import LABELS_MAX
from sojourn.runtime.agent_side.compartments import written
from sojourn.runtime.apart import has_room, is_here, of_the_agent
from sojourn.runtime.frames import Open, Touch, digest_of_records
from sojourn.runtime.questions import AskRelease, Commit, Release
from sojourn.runtime.records import Outcome, Record, Resume, Segment

__all__ = ["Binding", "Course", "Flow"]

_Call: TypeAlias = tuple[int, str, bytes]
"""A call of a step: its number, the step, the digest of its arguments."""


class Flow:
    """What one execution's code is bound by. `announced` runs ahead of `marks` by what is still in the queue."""

    def __init__(self, record: AgentRecord, resume: Resume) -> None:
        self._compartments = of_the_agent(record.memory.compartments)
        self._away = {n for n, c in self._compartments.items() if not is_here(c, record)}
        self._roots = {name: c.root for name, c in self._compartments.items()}
        self._locked: dict[str, bytes] = {}
        self._past: dict[str, set[bytes]] = {}
        self._locked_at: dict[str, int] = {}
        self._releases: dict[_Call, str] = {}
        self._made: list[tuple[int, bytes, Marks]] = []
        self._held: list[Marks] = []
        self.marks: Marks = frozenset()
        self._restart_points = [segment.memory for segment in resume.segments]
        self.announced: Marks = resume.bound_by()
        self._bind(resume.bound_by(), {}, (), 0)

    # --- announce and read ---------------------------------------------------------------------------

    def announce(self, frame: Touch, record: AgentRecord) -> "Binding":
        """Note what the agent's side says it will use, and return what is to be bound in its turn.

        Raises `Rejected` for what it cannot use here.
        """
        name = frame.compartment
        if name not in self._compartments or name in self._away:
            raise _rejected(f"compartment {name!r} is not here", "bad-field")
        marks = self.announced | self._mark(name)
        if home_of(marks) is None:
            raise _rejected(f"{name!r} and what was used before may be in no place both")
        if home_of(marks) and not has_room(marks, record):
            raise _rejected(f"there is no room for the journal of what uses {name!r}", "too-many")
        self.announced = marks
        return Binding(self._mark(name), frame)

    def announce_told(self, frame: Open, labels: Labels) -> "Binding":
        """Note that it opens what somebody else told it, and return what is to be bound in its turn.

        Raises `Denied` if there would be more labels than a log of records may have: whoever writes to an agent
        chooses them.
        """
        marks = told_marks(labels)
        own = self.announced.union(*map(self._mark, self._compartments))
        if not set(labels).issubset(labels_of(own)) and len(labels_of(own | marks)) > LABELS_MAX:
            problem = f"with it the agent would have to do with more than {LABELS_MAX} labels"
            raise Denied(
                problem, remedy="Let it be sent with fewer labels, or receive it by itself"
            )
        self.announced |= marks
        return Binding(marks, frame)

    def bind(self, binding: "Binding") -> None:
        """Lock, as they were when it announced this, the compartments that it may not write any more."""
        marks, frame = binding
        if not marks <= self.marks:
            self._made.append((frame.records, frame.digest, self.marks))
        self._bind(marks, frame.roots, frame.snapshots, len(self._held) + frame.records)

    @property
    def is_anywhere(self) -> bool:
        """Whether all that the code can have used by now may be anywhere."""
        return home_of(self.announced) == ()

    def is_readable(self, holders: Set[str]) -> bool:
        """Tell whether a block may be served that lies in these compartments: one of them will do."""
        return any(self._mark(name) <= self.announced for name in holders)

    def _mark(self, name: str) -> Marks:
        compartment = self._compartments[name]
        return mark_of(compartment.labels, compartment.residency, compartment.key)

    def _bind(
        self,
        marks: Marks,
        roots: Mapping[str, bytes],
        snapshots: Iterable[Mapping[str, bytes]],
        made: int,
    ) -> None:
        """Bind the code by more, from record `made` of the batch on: what was released before is in `roots`."""
        if marks <= self.marks:
            return
        self.marks |= marks
        for name, compartment in self._compartments.items():
            if name in self._locked or covers(compartment, self.marks):
                continue
            root = roots.get(name, self._roots[name])
            self._locked[name], self._locked_at[name] = root, made
            known = (*self._restart_points, *snapshots)
            self._past[name] = {root, *(memory[name] for memory in known if name in memory)}

    # --- the gate ------------------------------------------------------------------------------------

    def check_release(self, frame: Release | AskRelease) -> Marks:
        """Return the marks that a step's result keeps.

        Raises `Denied` if with them it may not go where it is to go; `Rejected` if that is nowhere here.
        """
        target = self._compartments.get(frame.into)
        if target is None or frame.into in self._away:
            raise _rejected(
                f"a result is to go into {frame.into!r}, which is not here", "bad-field"
            )
        kept = declassified(self.marks, frame.labels)
        if not covers(target, kept):
            raise Denied(
                f"compartment {frame.into!r} may not hold the result of step {frame.step!r}: "
                f"it is still {described(kept)}"
            )
        return kept

    def permit(self, frame: Release) -> None:
        """Note that a step's result may go into a compartment: the gate permits it."""
        self._releases[frame.call, frame.step, frame.arguments] = frame.into

    # --- write and release ---------------------------------------------------------------------------

    def check_links(self, name: str, holders: Set[str]) -> None:
        """Raise `Rejected` if a compartment links to a block that only lies in these, and one may not do so."""
        target = self._compartments[name]
        if name not in holders and not any(covers(target, self._mark(h)) for h in holders):
            raise _rejected(
                f"compartment {name!r} links to what lies in {', '.join(sorted(holders))}"
            )

    def follow(self, frame: Commit, records: Iterable[Record], source: BlockSource) -> "Course":
        """Return what memory has come to with a batch: nothing of it counts until `settle`.

        Raises `Rejected` if a locked compartment has changed otherwise than by what was released into it. May
        raise `MissingBlock`.
        """
        course = Course(dict(self._locked), {n: set(past) for n, past in self._past.items()}, [])
        for at, record in enumerate(records):
            if not isinstance(record, Outcome):
                continue
            call = (record.call, record.step, record.arguments)
            name = self._releases.get(call)
            if name is None:
                continue
            course.answered.append(call)
            is_locked = name in course.locked and at >= self._locked_at.get(name, 0)
            if record.failure is None and is_locked:
                root = _after(self._compartments[name], course.locked[name], record.result, source)
                course.locked[name] = root
                course.past[name].add(root)
        for name, root in course.locked.items():
            if frame.roots.get(name, self._roots[name]) != root:
                raise _rejected(
                    f"compartment {name!r} may not hold what was used before it was written"
                )
            for segment in frame.resume.segments:
                if segment.memory.get(name, root) not in course.past[name]:
                    raise _rejected(f"compartment {name!r} was never like that at a restart point")
        return course

    def settle(self, frame: Commit, course: "Course") -> None:
        """Go on from a batch that is final."""
        self._locked, self._past = course.locked, course.past
        for call in course.answered:
            self._releases.pop(call, None)
        self._made.clear()
        self._held.clear()
        self._locked_at.clear()
        self._roots |= frame.roots
        self._restart_points = [segment.memory for segment in frame.resume.segments]

    def hold(self, records: Sequence[bytes]) -> None:
        """Go on from a batch that becomes final with a later one. Raises `Rejected` as `marks_of`."""
        self._held += self._marks_of(records)
        self._made.clear()

    def marks_of(self, records: Sequence[bytes]) -> list[Marks]:
        """Return what each record of a batch is bound by: what was announced when it was made.

        It begins with the records of all batches that were held. Raises `Rejected` if records have changed since.
        """
        return [*self._held, *self._marks_of(records[len(self._held) :])]

    def _marks_of(self, records: Sequence[bytes]) -> list[Marks]:
        marks = [self.marks] * len(records)
        for count, told, before in reversed(self._made):
            if count > len(records) or digest_of_records(records[:count]) != told:
                raise _rejected("records have changed since a compartment was announced")
            marks[:count] = [before] * count
        return marks

    # --- restart -------------------------------------------------------------------------------------

    def bound(self, old: Resume, new: Resume, before: int, marks: Sequence[Marks]) -> Resume:
        """Return what a resume needs, bound by what its records are.

        The journal had `before` records, and gets as many as there are `marks`. Raises `Rejected` if the resume
        takes up what an earlier restart point had left behind.
        """
        if new.seed != old.seed or new.run < old.run:
            raise _rejected("the run is another one", "bad-field")
        segments = [
            self._segment(old.segments[at] if at < len(old.segments) else None, each, before, marks)
            for at, each in enumerate(new.segments)
        ]
        given = self._argument_marks(old, new, before)
        return msgspec.structs.replace(new, segments=tuple(segments), marks=given)

    def _segment(
        self, known: Segment | None, new: Segment, before: int, marks: Sequence[Marks]
    ) -> Segment:
        after, bound = before + len(marks), frozenset[Mark]()
        stop = after if new.stop is None else new.stop
        if known is not None and known.start == new.start:
            bound = frozenset(known.marks)
            went_back = new.stop != known.stop and (known.stop is not None or stop < before)
        else:
            went_back = new.start < before
        if went_back:
            raise _rejected("a restart point goes back", "bad-field")
        added = marks[max(new.start - before, 0) : max(stop - before, 0)]
        return msgspec.structs.replace(new, marks=listed(bound.union(*added)))

    def _argument_marks(self, old: Resume, new: Resume, before: int) -> tuple[Mark, ...]:
        if new.run == old.run:
            if before and new.arguments != old.arguments:
                raise _rejected("the arguments of run have changed", "bad-field")
            return old.marks
        if new.arguments == ((), {}):
            return ()
        if home_of(self.marks):
            raise _rejected("arguments of run would travel with the journal")
        return listed(self.marks)


class Binding(NamedTuple):
    """By what the code is bound, from the moment on that a frame tells of."""

    marks: Marks
    frame: Touch | Open


class Course(msgspec.Struct, frozen=True):
    """What the locked compartments are after a batch, all that they were, and the calls it answered."""

    locked: dict[str, bytes]
    past: dict[str, set[bytes]]
    answered: list[_Call]


def _after(compartment: Compartment, root: bytes, result: object, source: BlockSource) -> bytes:
    """Return a compartment's root with a step's result in it; as it was if the result cannot be kept."""
    new = NewBlocks(source)
    load = MappingHandle.load if compartment.form is Form.MAPPING else Log.load
    try:
        return written(load(root, new), result).commit(new).root
    except Misused:
        return root


def _rejected(problem: str, reason: str = "label-flow") -> Rejected:
    return Rejected(problem, reason=reason, where="frame")
