"""The durable calls of a run of the code: made, under way, answered by the host's side, or given up."""

from collections import deque
from collections.abc import Callable
from typing import Any

from sojourn.runtime.operations import Operation, WaitForMessage, WaitForTime
from sojourn.runtime.questions import Rest

__all__ = ["Calls"]


class Calls:
    """Those that are open, by number; which of them are still to be begun; and what has come for them."""

    def __init__(self) -> None:
        self._open: dict[int, Operation] = {}
        self._made: list[Operation] = []
        self._answers: deque[tuple[Operation, bytes]] = deque()

    def __bool__(self) -> bool:
        return bool(self._open)

    async def perform(self, operation: Operation) -> Any:
        """Have an operation begun with the next ones, and wait for its result."""
        self._open[operation.call] = operation
        self._made.append(operation)
        try:
            return await operation.future
        finally:
            if self.has(operation):  # the code has cancelled the call
                self.close(operation)
                operation.abandon()

    def has(self, operation: Operation) -> bool:
        """Tell whether the code still waits for this one."""
        return self._open.get(operation.call) is operation

    def has_any(self, form: type[Operation]) -> bool:
        """Tell whether the code waits for one of this form."""
        return any(isinstance(operation, form) for operation in self._open.values())

    def of(self, call: int) -> Operation | None:
        """Return the open operation of this number."""
        return self._open.get(call)

    def close(self, operation: Operation) -> None:
        """Take one from those that are open: it is answered, or given up."""
        del self._open[operation.call]

    # --- what is to be begun ---------------------------------------------------------------------------

    @property
    def has_made(self) -> bool:
        """Whether the code has made calls that have not begun."""
        return bool(self._made)

    def take_made(self, may_begin: Callable[[Operation], bool]) -> list[Operation]:
        """Return the calls made, but those given up since, and those that may not begin: they stay open."""
        made, self._made = self._made, []
        return [operation for operation in made if self.has(operation) and may_begin(operation)]

    def make_again(self) -> None:
        """Have all that are open begun: a replay has not answered them."""
        self._made = list(self._open.values())

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
        return (operation, record) if self.has(operation) else None

    # --- all of them -----------------------------------------------------------------------------------

    @property
    def are_waits(self) -> bool:
        """Whether nothing is left to do for any but wait."""
        return all(operation.is_wait for operation in self._open.values())

    @property
    def is_one_under_way(self) -> bool:
        """Whether one has begun that has an end by itself."""
        return any(operation.is_under_way for operation in self._open.values())

    def rest(self, now_ms: int) -> Rest:
        """Return until when an agent may rest that waits for these alone: what cannot wait goes on at once."""
        waits = [op for op in self._open.values() if isinstance(op, WaitForTime | WaitForMessage)]
        times = [op.until_ms for op in waits]
        times += [now_ms for operation in self._open.values() if not operation.is_wait]
        return Rest(
            until_ms=min((at for at in times if at is not None), default=None),
            listening=self.has_any(WaitForMessage),
        )

    def doing(self) -> str:
        """Return for people what is open."""
        under_way = ", ".join(operation.describe() for operation in self._open.values())
        return f"{under_way} is under way" if under_way else "nothing is under way"

    def drop(self) -> None:
        """Give up all."""
        for operation in self._open.values():
            operation.abandon()
        self._open.clear()
        self._made.clear()
        self._answers.clear()
