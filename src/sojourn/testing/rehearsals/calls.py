"""Signals and updates in a rehearsal: the test calls methods of the agent, wherever that waits."""

from collections.abc import Callable
from typing import Any

from sojourn.core.protocol.calling import Call
from sojourn.runtime.agent_side.handling import line_of, result_of
from sojourn.runtime.records import Line, Record

__all__ = ["Calling"]


class Calling:
    """The part of a rehearsal that calls the agent's methods, as a person would with `sojourn agent call`."""

    _calls = 0

    def send(self, body: Any, *, sender: str = "tester", after: float = 0.0) -> None:
        """Put a message into the inbox."""
        raise NotImplementedError

    def journal(self) -> list[Record]:
        """Return the journal."""
        raise NotImplementedError

    def _until(self, is_so: Callable[[], bool], why: str) -> None:
        raise NotImplementedError

    def signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Have the agent's `@signal` method of that name called with these arguments, now."""
        self.send(Call(call="signal", name=name, arguments=(args, kwargs), id=self._next_id()))

    def update(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Have the agent's `@update` method called now, and let time pass until there is its result; return that.

        Raises `UpdateRefused` with why it refuses; `Unmet` if the agent ends, or waits for something else, before.
        """
        call = Call(call="update", name=name, arguments=(args, kwargs), id=self._next_id())
        self.send(call)
        self._until(lambda: self._told(call) is not None, f"answers {line_of(call)}")
        return result_of(self._told(call))

    def _next_id(self) -> str:
        self._calls += 1
        return f"rehearsed-{self._calls}"

    def _told(self, call: Call) -> dict[str, Any] | None:
        """Return what the journal says came of a call; None if nothing yet."""
        for record in reversed(self.journal()):
            if isinstance(record, Line) and record.text == line_of(call):
                fields = dict(record.fields)
                if fields.pop("id", None) == call.id:
                    fields.pop("sender", None)
                    return fields
        return None
