"""Retracing: an agent's code replayed on its journal, with no host: nothing is performed and nothing is recorded.

    journal ─► the code, from its newest restart point on ─► it repeats it, or where the two part

It is the session that a host would begin, whose end of the line is this module: it gives blocks, and takes note of
what the code says. What the journal does not answer is not begun.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks
from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Misused, Unreachable
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.functions import Functions
from sojourn.runtime.agent_side.link import Link
from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.agent_side.replay import Replay
from sojourn.runtime.agent_side.session import Session
from sojourn.runtime.failures import failure_of, last_record
from sojourn.runtime.frames import (
    Broke,
    FromAgent,
    Remark,
    Reply,
    Start,
    decode_from_agent,
    encode_frame,
)
from sojourn.runtime.host_side.journal import Journal, at_hand
from sojourn.runtime.ports import Reader
from sojourn.runtime.processes.clock import wall_ms
from sojourn.runtime.processes.spool import Spool
from sojourn.runtime.questions import Answer, Block, Done, Fetch, Recall
from sojourn.runtime.records import (
    Here,
    Line,
    Now,
    Raised,
    Record,
    Returned,
    Sleeping,
    Waiting,
    decode_record,
)
from sojourn.runtime.starting import start_of

__all__ = ["Retraced", "retrace"]

_AT_ONCE: Final = (Now, Here, Line, Sleeping, Waiting)
"""What answers or opens a call without the code coming to rest."""
_READ_AT_ONCE: Final = 256
_SHOWN_CHARS_MAX: Final = 400
"""What is shown of what the code returned."""

Halt = Callable[[], None]
"""Is called where a debugger is to take over: the agent's code is what runs next."""


class Retraced(Value):
    """What came of it: of the records from index `start` to before `stop`, `replayed` were handed to the code.

    The others say how the run ended, or why it was not executed. `doing` says what the code does where the replay
    ends. `is_whole` says that the journal was replayed to its end, and memory came out as the record says. `parted`
    shows both histories where they part, and is empty if they do not.
    """

    start: int
    stop: int
    replayed: int
    doing: str
    is_whole: bool
    parted: str = ""
    remarks: tuple[str, ...] = ()


async def retrace(
    reader: Reader,
    form: type[Agent],
    *,
    until: int | None = None,
    halt: Halt | None = None,
    release: Halt | None = None,
    handed: int | None = None,
) -> Retraced:
    """Replay an agent's code from its newest restart point, up to before the record with the index `until`.

    `halt` is called right before the last of these records is handed to the code; without any, before `run` begins.
    With `handed` that is the last of so many: those that the code takes before it parts from the journal. `release`
    is called when the replay is over.
    Raises `Misused` if there is nothing to replay, or not to there; `Denied` if some of it stayed behind in
    another zone; `Unreachable` for a block that is nowhere.
    """
    journal = await Journal.load(reader)
    if journal is None:
        raise Misused("the agent has no journal yet", remedy="Replay it once it has run")
    first = journal.resume.segments[0].start
    if until is not None and not first <= until <= len(journal):
        problem = f"a replay goes from record {first} to {len(journal)}, not to {until}"
        raise Misused(problem, remedy="What came before is memory: `sojourn agent logs` shows it")
    stop = len(journal) if until is None else until
    start, history = await _history(reader, journal, stop)
    ended = None
    if journal.resume.ended is not None and stop == len(journal) and history[-1]:
        ended = history[-1].pop()  # the code is not handed its own end: it comes to it
    halt_at = _last_awaited(history, handed)
    lacking: set[bytes] = set()
    while True:
        with ThreadPoolExecutor(1) as pool:
            line = _Line(reader)
            parts = [list(records) for records in history]
            session = _Retracing(form, start, parts, line.link, Functions(pool), wall_ms)
            session.prepare(halt, halt_at, ended, whole=stop == len(journal))
            session.begin()
            found = session.retraced(first, stop, line)
            if release is not None:
                release()  # before what is left of the code is unwound
            session.stop()
        if line.lacks is None:
            return found
        if line.lacks in lacking:
            problem = f"block {line.lacks.hex()[:16]}… of its memory is not kept at hand"
            raise Unreachable(problem, remedy="The replay takes more memory than there is room for")
        lacking.add(line.lacks)
        await reader.fetch([line.lacks])  # then the same again: nothing was done


async def _history(reader: Reader, journal: Journal, stop: int) -> tuple[Start, list[list[bytes]]]:
    """Return the records of each segment up to `stop`, and what the code is told first."""
    history: list[list[bytes]] = []
    for segment in journal.resume.segments:
        if history and segment.start > stop:
            break
        end = min(stop, len(journal) if segment.stop is None else segment.stop)
        history.append([])
        for at in range(segment.start, end, _READ_AT_ONCE):
            upto = min(at + _READ_AT_ONCE, end)
            read = await at_hand(reader, lambda at=at, upto=upto: journal.records(at, upto, reader))  # type: ignore[misc]
            history[-1] += [data for _, data in read]
    start = start_of(reader.record, journal.resume, len(journal), fresh=False)
    return start, history


def _last_awaited(history: list[list[bytes]], handed: int | None) -> int:
    """Return how many records there are up to the last for which the code waits: it goes on where it waited.

    Of the first `handed`, unless that is None.
    """
    records = [record for segment in history for record in segment][:handed]
    while records and isinstance(decode_record(records[-1]), _AT_ONCE):
        records.pop()
    return len(records)


class _Line:
    """The host's end: blocks from the reader, and a note of what else the code's side says."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.link = Link(self._take, lambda _frame: None)
        self.lacks: bytes | None = None
        self.broke = ""
        self.remarks: list[str] = []

    def _take(self, data: bytes) -> None:
        frame: FromAgent = decode_from_agent(data)
        match frame:
            case Fetch():
                self._give(frame)
            case Recall():
                self._reply(frame.ask, Done())
            case Broke():
                self.broke = f"{frame.failure.kind}: {frame.failure.message}"
            case Remark():
                self.remarks.append(frame.text)
            case _:
                pass  # what would change something, and so changes nothing

    def _give(self, frame: Fetch) -> None:
        try:
            self._reply(frame.ask, Block(data=self._reader.blocks.get(frame.digest)))
        except MissingBlock as missing:
            self.lacks = missing.digest
            self.link.feed(None)

    def _reply(self, ask: int, answer: Answer) -> None:
        self.link.feed(encode_frame(Reply(ask=ask, answer=answer)))


class _Reached(BaseException):
    """Unwinds code that goes on behind the record at which a replay is to end."""


class _Retracing(Session):
    """A session that begins nothing: it ends where its journal does, or before."""

    def prepare(self, halt: Halt | None, halt_at: int, ended: bytes | None, *, whole: bool) -> None:
        """Say at which record a debugger takes over, how the run ended, and whether all of it is replayed."""
        self._halt, self._halt_at, self._ended_by, self._whole = halt, halt_at, ended, whole
        self._trail = self._replay
        # What is made anew may be more than fits into memory, and nobody takes it from here.
        self.memory.new = NewBlocks(self._source, Spool())
        self._beyond = ""
        if not whole:
            self._committed = {}  # memory is not yet what the record says

    def go_on(self) -> None:
        """Begin nothing."""

    def _make_run(self) -> None:
        if self._halt is not None and not self._halt_at:
            self._halt()
        super()._make_run()

    def _hand(self, operation: Operation, record: Record) -> bool:
        if self._halt and self._trail is not None and self._trail.passed == self._halt_at:
            self._halt()
        return super()._hand(operation, record)

    def note(self, form: type[Any], make: Callable[[int], Any]) -> Any:
        """Let the journal answer a call at once; one behind the end of what is replayed is not answered."""
        if not self._whole and self._replay is not None and self._replay.is_at_end:
            self._beyond = f"call {self.next_call()}: {form.__struct_config__.tag}"
            raise _Reached
        return super().note(form, make)

    def _replay_all(self, replay: Replay) -> None:
        super()._replay_all(replay)
        has_left_off = self._run.has_left_off and replay.is_at_end
        if has_left_off and (self._beyond or self._is_as_it_ended()):
            self._parted = None
        elif self._ended_by is not None and replay.is_at_end:
            replay.give_back(self._ended_by)
            differing = ", ".join(self._differing())
            also = f", with another content of memory: {differing}" if differing else ""
            self._parted = replay.mismatch(f"{self._doing()}{also}")

    def _is_as_it_ended(self) -> bool:
        """Tell whether the code has left off as the journal says, with the same memory."""
        record = decode_record(self._ended_by) if self._ended_by is not None else None
        error = self._run.error
        if self._differing():
            return False
        if isinstance(record, Raised) and error is not None:
            own, told = failure_of(error), record.failure
            return (own.kind, own.message) == (told.kind, told.message)
        return (
            isinstance(record, Returned)
            and error is None
            and last_record(self._run.result) == record
        )

    def _differing(self) -> list[str]:
        """Return the compartments that are not as the journal ended with them."""
        found = self.memory.save()
        return [name for name, root in self._committed.items() if found[name] != root]

    def _doing(self) -> str:
        if self._beyond:
            return self._beyond
        if self._run.has_left_off:
            error = self._run.error
            if error is not None:
                return f"run raised {type(error).__qualname__}: {error}"
            return f"run returned {self._run.result!r}"[:_SHOWN_CHARS_MAX]
        return self._calls.doing()

    def retraced(self, start: int, stop: int, line: _Line) -> Retraced:
        """Return what came of it."""
        parted = str(self._parted) if self._parted is not None else line.broke
        return Retraced(
            start=start,
            stop=stop,
            replayed=self._trail.passed if self._trail is not None else 0,
            doing=self._doing(),
            is_whole=self._whole and not parted,
            parted=parted,
            remarks=tuple(line.remarks),
        )
