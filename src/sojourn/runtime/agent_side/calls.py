"""The durable calls of a run of the code: made, under way, answered by the host's side, or given up.

    made ─► begun ─► answered
      └───────┴────► given up: dropped; or, once an effect may be had, carried through to its outcome

What is carried through is answered like any other, in the journal, and nobody is told (protocol §10.23). No restart
point, no move and no end comes before all of it is: a replay must know whose record each is.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from sojourn.runtime.agent_side.inquiring import AskPeople
from sojourn.runtime.agent_side.operations import (
    Operation,
    WaitForMail,
    WaitForMessage,
    WaitForTime,
)
from sojourn.runtime.agent_side.seeking import LOOK_AGAIN_MS, WaitForPlace
from sojourn.runtime.agent_side.timing import TimeLimit
from sojourn.runtime.questions import SOUGHT_MAX, Rest

__all__ = ["Calls"]

MOVING: Final = "ctx.consider"
_WAITS: Final = (WaitForTime, WaitForMail, WaitForPlace, AskPeople)


class Calls:
    """Those that are open, by number; which of them are still to be begun; and what has come for them."""

    def __init__(self) -> None:
        self._open: dict[int, Operation] = {}
        self._carried: dict[int, Operation] = {}
        self._made: list[Operation] = []
        self.has_carried = False
        self._answers: deque[tuple[Operation, bytes]] = deque()

    def __bool__(self) -> bool:
        return bool(self._open)

    async def perform(self, operation: Operation) -> Any:
        """Have an operation begun with the next ones, and wait for its result."""
        self.open(operation)
        try:
            return await operation.future
        finally:
            if self.has(operation):  # the code has cancelled the call
                self.let_go(operation)

    def open(self, operation: Operation) -> None:
        """Have an operation begun with the next ones."""
        self._open[operation.call] = operation
        self._made.append(operation)

    def enter(self, operation: Operation) -> None:
        """Have one open that has begun, and whose record is there."""
        self._open[operation.call] = operation

    def enter_first(self, operation: Operation, record: bytes) -> None:
        """Have one open whose record is handed over before all others."""
        self.enter(operation)
        self._answers.appendleft((operation, record))

    def let_go(self, operation: Operation) -> None:
        """Give up one that is open: it is not answered, but may have to be carried through."""
        self.close(operation)
        if operation.is_carried_through:
            self._carried[operation.call] = operation
            self.has_carried = True
        operation.abandon()

    def give_up(self) -> None:
        """Give up all that is open: the code has left off."""
        for operation in list(self._open.values()):
            operation.future.cancel()
            self.let_go(operation)

    def is_carried(self, operation: Operation) -> bool:
        """Tell whether the code has given this one up, and it is carried through."""
        return self._carried.get(operation.call) is operation

    @property
    def is_carrying(self) -> bool:
        """Whether any is carried through."""
        return bool(self._carried)

    def settle(self, operation: Operation) -> None:
        """Be done with one that was carried through: it has its outcome, or turned out to have no effect."""
        self._carried.pop(operation.call, None)

    def has(self, operation: Operation) -> bool:
        """Tell whether the code still waits for this one."""
        return self._open.get(operation.call) is operation

    def has_any(self, form: type[object]) -> bool:
        """Tell whether the code waits for one of this form."""
        return any(isinstance(operation, form) for operation in self._open.values())

    @property
    def admit_calls(self) -> bool:
        """Whether a message that calls a method may reach the code beside these: it gets none otherwise by itself."""
        return not any(
            operation.is_sole or isinstance(operation, WaitForMessage)
            for operation in self._open.values()
        )

    def are_all(self, form: type[object]) -> bool:
        """Tell whether the code waits for nothing but calls of this form, beside time limits."""
        return all(isinstance(operation, form | TimeLimit) for operation in self._open.values())

    def count(self, form: type[Operation]) -> int:
        """Return how many of this form the code waits for."""
        return sum(isinstance(operation, form) for operation in self._open.values())

    def of(self, call: int) -> Operation | None:
        """Return the operation of this number that is open, or carried through."""
        return self._open.get(call) or self._carried.get(call)

    def close(self, operation: Operation) -> None:
        """Take one from those that are open: it is answered, or given up."""
        del self._open[operation.call]

    # --- what is to be begun ---------------------------------------------------------------------------

    @property
    def has_made(self) -> bool:
        """Whether the code has made calls that have not begun, and may."""
        return any(map(self._is_next, self._made))

    def _is_next(self, operation: Operation) -> bool:
        """Tell whether nothing carried through that was called before keeps one from beginning."""
        return not any(
            each.call < operation.call and operation.is_behind(each)
            for each in self._carried.values()
        )

    def _is_wanted(self, operation: Operation) -> bool:
        return self.has(operation) or self.is_carried(operation)

    def take_made(self, may_begin: Callable[[Operation], bool]) -> list[Operation]:
        """Return the calls made, but those given up since, and those that may not begin: they stay open."""
        made = [operation for operation in self._made if self._is_next(operation)]
        self._made = [operation for operation in self._made if not self._is_next(operation)]
        return [each for each in made if self._is_wanted(each) and may_begin(each)]

    def make_again(self) -> None:
        """Have all begun that a replay has not answered."""
        self._made = [*self._carried.values(), *self._open.values()]

    # --- what has come for them ------------------------------------------------------------------------

    def note_answer(self, operation: Operation, record: bytes) -> None:
        """Keep a record that opens or answers an operation, for its turn."""
        self._answers.append((operation, record))

    @property
    def has_answers(self) -> bool:
        """Whether records wait for their turn."""
        return bool(self._answers)

    def next_answer(self) -> tuple[Operation, bytes] | None:
        """Take the next record and whom it is for; None if the code has given that one up."""
        operation, record = self._answers.popleft()
        return (operation, record) if self._is_wanted(operation) else None

    @property
    def _all(self) -> list[Operation]:
        return [*self._open.values(), *self._carried.values()]

    # --- all of them -----------------------------------------------------------------------------------

    @property
    def are_waits(self) -> bool:
        """Whether nothing is left to do for any but wait."""
        return not self._carried and all(each.is_wait for each in self._open.values())

    @property
    def is_one_under_way(self) -> bool:
        """Whether one has begun that has an end by itself."""
        return any(each.is_under_way for each in self._all)

    def rest(self, now_ms: int, *, calls: bool) -> Rest:
        """Return until when an agent may rest that waits for these alone: what cannot wait goes on at once.

        Or until somebody `calls` a method of it.
        """
        waits = [op for op in self._open.values() if isinstance(op, _WAITS)]
        times = [op.until_ms for op in waits]
        times += [now_ms for each in self._all if not each.is_wait]
        sought = {op.sought: None for op in waits if isinstance(op, WaitForPlace)}
        if sought:
            times.append(now_ms + LOOK_AGAIN_MS)
        return Rest(
            until_ms=min((at for at in times if at is not None), default=None),
            listening=self.has_any(WaitForMail),
            sought=tuple(sought)[:SOUGHT_MAX],
            inquiring=self.has_any(AskPeople),
            calls=calls,
        )

    def keep_from(self, what: str) -> bool:
        """Tell whether some are under way beside which the code may not do this.

        It may move under a time limit, and while people think.
        """
        if what != MOVING:
            return bool(self._open)
        return any(
            not isinstance(operation, TimeLimit | AskPeople) for operation in self._open.values()
        )

    def doing(self) -> str:
        """Return for people what is open."""
        under_way = ", ".join(operation.describe() for operation in self._all)
        return f"{under_way} is under way" if under_way else "nothing is under way"

    def drop(self) -> None:
        """Give up all."""
        for operation in self._all:
            operation.abandon()
        self._open.clear()
        self._carried.clear()
        self.has_carried = False
        self._made.clear()
        self._answers.clear()
