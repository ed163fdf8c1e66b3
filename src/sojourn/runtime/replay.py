"""Replaying: the journal's records of a session, handed to the code in their order.

The code calls, the journal answers; whichever says something that the other does not know parts from it, and
that is a `ReplayMismatch`: code that is not deterministic, or that is not the code that wrote the journal.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, TypeVar

from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.records import Record, Roots, decode_record, describe
from sojourn.runtime.run import Restarting, Run

__all__ = ["Replay"]

R = TypeVar("R", bound=Record)

SHOWN_MAX: Final = 5
"""Records shown of what both agree on."""


class Replay:
    """The records of each segment, and how far they have been handed out."""

    def __init__(self, segments: list[list[bytes]]) -> None:
        self._segments = segments
        self._position = 0
        self._passed: deque[str] = deque(maxlen=SHOWN_MAX)
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
        """Return the next record of the current segment, without passing it; None at its end."""
        records = self._segments[self.segment]
        return decode_record(records[self._position]) if self._position < len(records) else None

    def pass_record(self, record: Record) -> None:
        """Go on to the record after `record`, which was the next."""
        self._passed.append(describe(record))
        self._position += 1

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
        self, run: Run, doing: str, found: Roots, committed: Mapping[str, bytes]
    ) -> ReplayMismatch | None:
        """Return what is wrong unless the code is at rest where the journal is, with the same memory."""
        error = run.error
        if run.has_left_off and not isinstance(error, Restarting):
            what = "returned" if error is None else f"raised {type(error).__qualname__}: {error}"
            return self.mismatch(f"run {what}")
        if not self.is_at_end:
            return self.mismatch("ctx.restart" if error is not None else doing)
        differing = [name for name, root in committed.items() if found[name] != root]
        if differing:
            return self.mismatch(f"another content of memory: {', '.join(differing)}")
        return None

    def mismatch(self, code: str) -> ReplayMismatch:
        """Return the error that shows both histories where they part; `code` is what the code does."""
        record = self.next_record()
        if record is not None:
            journal = describe(record)
        elif not self.is_last_segment:
            journal = f"loop {self.segment}"
        else:
            journal = "nothing more: here the code was at rest"
        lines = [f"  both     {text}" for text in self._passed]
        lines += [f"  journal  {journal}", f"  code     {code}"]
        return ReplayMismatch(
            "the code does not repeat what the journal says it did:\n" + "\n".join(lines),
            remedy="Keep run deterministic (time, chance and I/O belong into steps or ctx), "
            "and run it with the code and libraries that wrote the journal",
        )
