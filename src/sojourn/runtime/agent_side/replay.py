"""Replaying: the journal's records of a session, handed to the code in their order.

The code calls, the journal answers; whichever says something that the other does not know parts from it, and
that is a `ReplayMismatch`: code that is not deterministic, or that is not the code that wrote the journal.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar

from sojourn.runtime.agent_side.run import Restarting, Run
from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.records import Forked, Record, Roots, decode_record, describe

__all__ = ["Replay"]

R = TypeVar("R", bound=Record)

Called: TypeAlias = tuple[str, bytes]
"""A step or child that code calls: its name, and the digest of its arguments."""

SHOWN_MAX: Final = 5
"""Records shown of what both agree on, and of how the journal goes on where the code does not."""


class Replay:
    """The records of each segment, and how far they have been handed out."""

    def __init__(self, segments: list[list[bytes]], on_fork: Callable[[], None]) -> None:
        """Begin with the first record; `on_fork` is called where those of a fork's origin end."""
        self._segments = segments
        self._on_fork = on_fork
        self._position = 0
        self._passed: deque[str] = deque(maxlen=SHOWN_MAX)
        self.passed = 0
        self.segment = 0
        self.is_over = False

    @property
    def is_last_segment(self) -> bool:
        """Whether no segment follows the current one."""
        return self.segment + 1 == len(self._segments)

    @property
    def is_at_end(self) -> bool:
        """Whether no record is left."""
        return self.is_last_segment and self.next_record() is None

    def next_record(self) -> Record | None:
        """Return the next record of the current segment, without passing it; None at its end.

        One that says where a fork begins is passed: no call of the code is answered by it.
        """
        record = self._peek()
        while isinstance(record, Forked):
            self.pass_record(record)
            self._on_fork()
            record = self._peek()
        return record

    def _peek(self) -> Record | None:
        records = self._segments[self.segment]
        return decode_record(records[self._position]) if self._position < len(records) else None

    def pass_record(self, record: Record) -> None:
        """Go on to the record after `record`, which was the next."""
        self._passed.append(describe(record))
        self._position += 1
        self.passed += 1

    def give_back(self, record: bytes) -> None:
        """Let a record follow after all: how the run ended, which the code was to come to by itself."""
        self._segments[-1].append(record)

    def take(self, form: type[R], call: int) -> R:
        """Pass the next record and return it: the one that answers, or opens, this call of the code.

        Raises `ReplayMismatch` if it is another.
        """
        record = self.next_record()
        if not isinstance(record, form) or getattr(record, "call", None) != call:
            raise self.mismatch(f"{form.__struct_config__.tag} of call {call}")
        self.pass_record(record)
        return record

    def enter_next_segment(self) -> None:
        """Go on to the records of the next segment: there is one, and this one is at its end."""
        assert not self.is_last_segment
        assert self.next_record() is None
        self._passed.append(f"loop {self.segment}")
        self.segment += 1
        self._position = 0

    def end(
        self,
        run: Run,
        doing: str,
        found: Roots,
        committed: Mapping[str, bytes],
        *,
        carries: bool = False,
    ) -> ReplayMismatch | None:
        """Return what is wrong unless the code is at rest where the journal is, with the same memory.

        Code that `carries` calls through, or has, may have left off: its end comes behind their outcomes.
        """
        error = run.error
        may_have_ended = isinstance(error, Restarting) or (carries and self.is_at_end)
        if run.has_left_off and not may_have_ended:
            what = "returned" if error is None else f"raised {type(error).__qualname__}: {error}"
            return self.mismatch(f"run {what}")
        if not self.is_at_end:
            return self.mismatch("ctx.restart" if error is not None else doing)
        differing = [name for name, root in committed.items() if found[name] != root]
        if differing:
            return self.mismatch(f"another content of memory: {', '.join(differing)}")
        return None

    def mismatch(self, code: str, called: Called | None = None) -> ReplayMismatch:
        """Return the error that shows both histories where they part.

        `code` is what the code does, `called` the step that it calls where the journal has another record.
        """
        journal, *then = self._going_on()
        lines = [f"  both     {text}" for text in self._passed]
        lines += [f"  journal  {journal}"]
        lines += [f"  then     {text}" for text in then]
        lines += [f"  code     {code}"]
        remedy = (
            "Keep run deterministic (time, chance and I/O belong into steps or ctx), "
            "and run it with the code and libraries that wrote the journal"
        )
        if difference := _difference(self.next_record(), called):
            lines += [f"  differs  {difference}"]
            remedy += "; try other code by `sojourn agent replay --code` first"
        problem = "the code does not repeat what the journal says it did:\n" + "\n".join(lines)
        return ReplayMismatch(problem, remedy=remedy)

    def _going_on(self) -> list[str]:
        """Return what the journal says from here on, as far as it is shown: at least one line."""
        coming = self._segments[self.segment][self._position :]
        told = [describe(decode_record(record)) for record in coming[: SHOWN_MAX + 1]]
        more = len(coming) - SHOWN_MAX
        if more > 0:
            told[SHOWN_MAX:] = [f"and {more} records more"] if more > 1 else told[SHOWN_MAX:]
        elif not self.is_last_segment:
            told.append(f"loop {self.segment}")
        return told or ["nothing more: here the code was at rest"]


def _difference(record: Record | None, called: Called | None) -> str:
    """Return in words how a call of a step differs from the record in its place; nothing if it is none of a step."""
    name, arguments = getattr(record, "step", None), getattr(record, "arguments", None)
    if called is None or not isinstance(name, str):
        return ""
    is_same = called[1] == arguments
    if called[0] == name:
        return f"the {'effect' if is_same else 'arguments'} of step {name!r}"
    also = "same" if is_same else "other"
    named = f"{name!r} in the journal, {called[0]!r} in the code"
    return f"the step's name: {named}, with the {also} arguments"
