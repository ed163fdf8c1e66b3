"""Signals and updates: messages that call a method of the agent, while its `run` waits for messages.

    signal    changes what the agent remembers; nobody waits for it
    update    the same, checked by the method, whose result, or why it refuses, its caller gets

A call is a message like any other: it waits in the inbox, is taken once, in order, and moves with the agent. The
method runs as part of `run`, in `ctx.receive`, and what came of it is a line of the journal. What it refuses, and
what is no call that the agent knows, leaves the agent as it was: strangers may write.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from sojourn.core.base.encoding import Name, Text, Value
from sojourn.core.base.errors import Denied, Misused, SojournError
from sojourn.runtime.agent_side.arguments import bind
from sojourn.runtime.errors import Undeliverable, UpdateRefused
from sojourn.runtime.ports import Message
from sojourn.runtime.records import Line
from sojourn.runtime.typed import to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.context import Context
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Call", "Handling", "call_in", "line_of", "result_of", "signal", "update"]

F = TypeVar("F", bound=Callable[..., Any])

Kind = Literal["signal", "update"]
_MARK: Final = "_sojourn_handles"
_PROBLEM_CHARS_MAX: Final = 4096


class Call(Value):
    """What a message says that calls a method. `id` is the caller's own, for whom the journal is the answer."""

    call: Kind
    name: Name
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    id: Text = ""


def signal(function: F) -> F:
    """Let messages call this method of an agent, which nobody waits for: `def pause(self, ctx, why: str) -> None`.

    It may await steps and all that `run` may.
    """
    return _declared(function, "signal")


def update(function: F) -> F:
    """Let messages call this method of an agent and get its result: `def limit(self, ctx, amount: int) -> int`.

    What it raises refuses the update, and the caller is told; raise before anything is changed.
    """
    return _declared(function, "update")


def _declared(function: F, kind: Kind) -> F:
    given: object = function
    if not inspect.isfunction(given):
        raise Misused(
            f"@{kind} was given {given!r:.80}, which is no function",
            remedy=f"Write @{kind} above a method of an agent, and no other decorator between",
        )
    setattr(function, _MARK, kind)
    return function


def call_in(body: Any) -> Call | None:
    """Return the call in the body of a message, None if it is another message."""
    if not isinstance(body, dict) or body.keys() != {"call", "name", "arguments", "id"}:
        return None
    try:
        return msgspec.convert(body, Call)
    except msgspec.ValidationError:
        return None


def line_of(call: Call) -> str:
    """Return what the line in the journal says that tells of a call."""
    return f"{call.call} {call.name}"


def result_of(answer: Any) -> Any:
    """Return the result in the answer to an update. Raises `UpdateRefused` if that is what it says."""
    match answer:
        case {"result": result}:
            return result
        case {"refused": str(why)}:
            raise UpdateRefused(why)
    raise UpdateRefused("the answer is none to an update", remedy="Ask an agent that has @update")


class Handling:
    """The signals and updates of one run of the code."""

    def __init__(self, session: "Session", context: "Context") -> None:
        self._session, self._context = session, context
        self.caller: Message | None = None

    async def take(self, message: Message) -> bool:
        """Call the method that a message calls; tell whether it is one. Of an agent that has none none is."""
        agent = self._session.agent
        call = call_in(message.body)
        if call is None or not any(
            hasattr(getattr(type(agent), name, None), _MARK) for name in dir(type(agent))
        ):
            return False
        self.caller = message
        try:
            told = {"result": await self._perform(agent, call)}
        except Exception as error:  # the author's code may raise anything
            told = {"refused": _why(error)}
        finally:
            self.caller = None
        self._session.note(Line, lambda number: self._line(number, call, message, told))
        await self._answer(message, call, told)
        return True

    async def _perform(self, agent: Any, call: Call) -> Any:
        """Return what the method returns, as plain values. Raises what that raises, and `Misused`."""
        method = getattr(type(agent), call.name, None)
        if method is None or getattr(method, _MARK, None) != call.call:
            known = sorted(
                name
                for name in dir(type(agent))
                if getattr(getattr(type(agent), name, None), _MARK, None) == call.call
            )
            has = f"It has {', '.join(known)}" if known else f"It has no {call.call}s"
            raise Misused(f"the agent has no {call.call} {call.name!r}", remedy=has)
        args, kwargs = bind(method, *call.arguments, name=line_of(call))
        result = method(agent, self._context, *args, **kwargs)
        if inspect.isawaitable(result):
            result = await result
        return to_plain(result, what=f"the result of {line_of(call)}")

    def _line(self, number: int, call: Call, message: Message, told: dict[str, Any]) -> Line:
        fields = {"id": call.id, "sender": message.sender, **told}
        at_ms = self._session.now_ms()
        return Line(call=number, at_ms=at_ms, text=line_of(call), fields=fields)

    async def _answer(self, message: Message, call: Call, told: dict[str, Any]) -> None:
        """Tell the agent that waits for an update; to be unable to is that one's misfortune."""
        if call.call == "signal" or message.mark is None or not message.mark.asks:
            return
        try:
            await self._context.reply(message, told)
        except (Denied, Undeliverable) as error:
            self._context.log("an answer was not given", update=call.name, why=str(error))


def _why(error: BaseException) -> str:
    said = str(error) if isinstance(error, SojournError) else f"{type(error).__name__}: {error}"
    return said.encode(errors="replace").decode()[:_PROBLEM_CHARS_MAX]
