"""The journal as the host's side keeps it: a log of records, and where a resume begins.

    block     {"kind": "journal/1", "log": link | null, "resume": {…}}

`Memory.journal` is the digest of that block. The memory that a resume needs is linked from it, so that it
stays stored as long as it is needed; but roots of compartments that may not be where the journal is are named
by plain digests, since whoever stores a block stores all it links to.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from sojourn.core.agent.memory.blocks import (
    MissingBlock,
    NewBlocks,
    load_block,
    named_by,
)
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, Link, link_to
from sojourn.core.base.encoding import bad_field, decode_block, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX
from sojourn.runtime.agent_side.course import Arguments
from sojourn.runtime.apart import of_the_agent, opened
from sojourn.runtime.ports import Custodian, Reader
from sojourn.runtime.records import (
    REPLAY_RECORDS_MAX,
    Barred,
    Parted,
    Record,
    Resume,
    Segment,
    Unshown,
    decode_record,
)
from sojourn.runtime.typed import to_plain

__all__ = [
    "Journal",
    "Saved",
    "at_hand",
    "check_resume",
    "first_resume",
    "is_unshown",
    "own_roots",
    "plain_record",
    "with_roots",
]

T = TypeVar("T")

KIND: Final = "journal/1"
_UNSHOWN: Final = {form.__struct_config__.tag for form in (Barred, Parted)}
READ_AT_ONCE: Final = 256
"""Records read between two chances to fetch a missing block."""


async def at_hand(custodian: Reader, read: Callable[[], T]) -> T:
    """Return what `read` returns, fetching every block that it misses on the way."""
    while True:
        try:
            return read()
        except MissingBlock as missing:
            await custodian.fetch((missing.digest,))


def own_roots(record: AgentRecord, resume: Resume) -> Iterator[tuple[str, bytes]]:
    """Yield an agent's own roots, each with its compartment: at the restart points and now."""
    for segment in resume.segments:
        yield from segment.memory.items()
    for name, compartment in of_the_agent(record.memory.compartments).items():
        yield name, compartment.root


class Journal:
    """A journal at one moment: immutable; appending returns another."""

    def __init__(self, log: Log, resume: Resume, new: NewBlocks) -> None:
        self._log = log
        self._new = new
        self.resume = resume

    @classmethod
    async def load(cls, custodian: Reader) -> "Journal | None":
        """Return the journal that the custodian's record names, or None if the agent has none yet.

        Raises `Rejected` if it names something else.
        """
        root = custodian.record.memory.journal
        if root == ZERO:
            return None
        new = NewBlocks(custodian.blocks)
        plain = await at_hand(custodian, lambda: load_block(new, root))
        log_root, resume = _parse(plain)
        log = await at_hand(custodian, lambda: Log.load(log_root, new))
        check_resume(resume, len(log))
        return cls(log, resume, new)

    @classmethod
    def begin(cls, custodian: Reader, resume: Resume) -> "Journal":
        """Return an empty journal."""
        new = NewBlocks(custodian.blocks)
        return cls(Log.load(ZERO, new), resume, new)

    def __len__(self) -> int:
        return len(self._log)

    @property
    def restart_points(self) -> tuple[int, ...]:
        """The records at which a resume would have to begin."""
        return tuple(segment.start for segment in self.resume.segments)

    def append(self, records: Sequence[Any], resume: Resume | None = None) -> "Journal":
        """Return the journal with plain records appended, and `resume` in place of its own.

        Raises `Rejected` if the resume does not fit.
        """
        check_resume(resume or self.resume, len(self._log) + len(records))
        return Journal(self._log.extend(records), resume or self.resume, self._new)

    def last(self, custodian: Reader) -> Record:
        """Return the last record. May raise `MissingBlock`: see `at_hand`; `Denied` if it stayed behind."""
        entry = self._log.get(len(self) - 1)
        return decode_record(encode_block(opened(entry, custodian.record, custodian.blocks)))

    def save(self, unlinked: Collection[str]) -> "Saved":
        """Return the journal with its blocks made. Roots of `unlinked` compartments are not linked."""
        log = self._log.commit(self._new)
        root = self._new.add(encode_block(_plain(log.root, self.resume, unlinked)))
        return Saved(Journal(log, self.resume, self._new), root, dict(self._new.made), self._new)

    async def history(self, custodian: Reader) -> AsyncIterator[tuple[int, list[bytes]]]:
        """Yield the bytes of the records that a replay needs, some at a time, each with its segment.

        Raises `Denied` if one of them stayed behind in another zone, `Erased` where that is so.
        """
        for number, segment in enumerate(self.resume.segments):
            stop = len(self) if segment.stop is None else segment.stop
            for start in range(segment.start, stop, READ_AT_ONCE):
                read = partial(self._read, start, min(start + READ_AT_ONCE, stop), custodian)
                yield number, await at_hand(custodian, read)

    def records(self, start: int, stop: int, reader: Reader) -> list[tuple[int, bytes]]:
        """Return those records from `start` up to `stop` that code is shown, each with its index.

        Raises as `history`; may raise `MissingBlock`.
        """
        entries = enumerate(self._log.slice(start, stop), start)
        shown = ((index, entry) for index, entry in entries if not is_unshown(entry))
        record, blocks = reader.record, reader.blocks
        return [(index, encode_block(opened(entry, record, blocks))) for index, entry in shown]

    async def is_at_restart_point(self, reader: Reader) -> bool:
        """Tell whether a replay would hand the code nothing behind the newest restart point, and it has not ended."""
        start = self.resume.segments[-1].start
        if self.resume.ended is not None or len(self) - start > READ_AT_ONCE:
            return False
        entries = await at_hand(reader, lambda: list(self._log.slice(start, len(self))))
        return all(map(is_unshown, entries))

    async def is_blank(self, reader: Reader) -> bool:
        """Tell whether the agent never ran: it has no records but of what kept it from running.

        One that ran and is at a restart point has nothing to replay, either, but has begun.
        """
        first, *others = self.resume.segments
        if first.start or others:
            return False
        for at in range(0, len(self), READ_AT_ONCE):
            upto = min(at + READ_AT_ONCE, len(self))
            read = partial(self._log.slice, at, upto)
            if not all(map(is_unshown, await at_hand(reader, lambda read=read: list(read())))):  # type: ignore[misc]
                return False
        return True

    def last_unshown(self) -> Unshown | None:
        """Return the last record if it says why the agent's code got nowhere. May raise `MissingBlock`."""
        entry = self._log.get(len(self) - 1) if len(self) else None
        if not is_unshown(entry):
            return None
        noted = decode_record(encode_block(entry))
        assert isinstance(noted, Unshown)
        return noted

    def _read(self, start: int, stop: int, custodian: Reader) -> list[bytes]:
        """Return the bytes of records, those left out that no code is shown."""
        return [data for _, data in self.records(start, stop, custodian)]


class Saved(msgspec.Struct, frozen=True):
    """A journal whose blocks are made: itself, its root, and all blocks that are not stored yet."""

    journal: Journal
    root: bytes
    blocks: dict[bytes, bytes]
    new: NewBlocks

    def forget(self) -> None:
        """Let go of the blocks: they are stored."""
        self.new.forget(list(self.blocks))


def check_resume(resume: Resume, length: int) -> None:
    """Raise `Rejected` unless a resume names records of a journal of this length, in order and not too many."""
    at = 0
    for segment in resume.segments:
        stop = length if segment.stop is None else segment.stop
        if not at <= segment.start <= stop <= length:
            problem = f"records {segment.start} to {stop} of a journal of {length}"
            raise Rejected(problem, reason="bad-field", where="resume.segments")
        at = stop
    total = sum((s.stop or length) - s.start for s in resume.segments)
    if total > REPLAY_RECORDS_MAX:
        problem = f"a resume would replay {total} records, more than {REPLAY_RECORDS_MAX}"
        raise Rejected(problem, reason="too-large", where="resume.segments")


def with_roots(block: bytes, root_of: Callable[[str, bytes], bytes]) -> bytes:
    """Return the block of a journal with other roots of compartments: `root_of` gives each, by name and root.

    A root that is linked to stays linked, one that is only named stays so. Raises `Rejected` for another block.
    """
    plain = decode_block(block, what="journal", limit=BLOCK_BYTES_MAX)
    _parse(decode_block(block, what="journal", limit=BLOCK_BYTES_MAX))
    for memory in _memories(plain["resume"]):
        for name, root in memory.items():
            is_link = isinstance(root, Link)
            other = root_of(name, named_by(root) if is_link else root)
            memory[name] = link_to(other) if is_link else other
    return encode_block(plain)


def is_unshown(plain: Any) -> bool:
    """Tell whether an entry of the journal is a note of the host's that no code is shown."""
    return isinstance(plain, dict) and plain.get("kind") in _UNSHOWN


def first_resume(custodian: Custodian, arguments: Arguments = ((), {})) -> Resume:
    """Return what an agent begins with that has no journal yet; `arguments` are those of `run`, plain values."""
    compartments = of_the_agent(custodian.record.memory.compartments)
    roots = {name: compartment.root for name, compartment in compartments.items()}
    return Resume(
        run=0,
        seed=custodian.entropy(32),
        arguments=arguments,
        segments=(Segment(memory=roots, start=0),),
    )


def plain_record(record: Record) -> Any:
    """Return a record of the host's own as it stands in the log."""
    return to_plain(record, what="a journal record")


def _plain(log_root: bytes, resume: Resume, unlinked: Collection[str]) -> dict[str, Any]:
    plain = to_plain(resume, what="resume information")
    for segment in plain["segments"]:
        memory = segment["memory"]
        for name, root in memory.items():
            if root != ZERO and name not in unlinked:
                memory[name] = link_to(root)
    return {"kind": KIND, "log": None if log_root == ZERO else link_to(log_root), "resume": plain}


def _parse(plain: Any) -> tuple[bytes, Resume]:
    """Return the root of the log and the resume information. Raises `Rejected`."""
    match plain:
        case {"kind": str(kind)} if kind != KIND and kind.startswith("journal/"):
            problem = f"the journal has format {kind[:40]!a}; this version reads {KIND!r}"
            raise Rejected(problem, reason="unknown-version", where="journal")
        case {"kind": "journal/1", "log": (None | Link()) as log, "resume": dict(resume)}:
            pass
        case _:
            raise Rejected("the root of the journal is none", reason="wrong-kind", where="journal")
    for memory in _memories(resume):
        for name, root in memory.items():
            if isinstance(root, Link):
                memory[name] = named_by(root)
    try:
        return ZERO if log is None else named_by(log), msgspec.convert(resume, Resume)
    except msgspec.ValidationError as error:
        raise bad_field(str(error), "journal") from None


def _memories(resume: dict[str, Any]) -> Iterator[dict[str, Any]]:
    segments = resume.get("segments")
    for segment in segments if isinstance(segments, list) else ():
        memory = segment.get("memory") if isinstance(segment, dict) else None
        if isinstance(memory, dict):
            yield memory
