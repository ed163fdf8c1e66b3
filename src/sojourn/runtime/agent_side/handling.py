"""Signals and updates: messages that call a method of the agent, wherever its `run` waits.

    signal    changes what the agent remembers; nobody waits for it
    update    the same, checked by the method, whose result, or why it refuses, its caller gets

A call is a message like any other: it waits in the inbox, is taken once, in order, and moves with the agent. The
method runs as part of `run`: in `ctx.receive`, or beside what `run` waits for (`listening`), one at a time. What came
of it is a line of the journal. What it refuses, and what is no call that the agent knows, leaves the agent as it was:
strangers may write.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from sojourn.core.base.errors import Denied, Misused, SojournError
from sojourn.core.protocol.calling import Call, call_in
from sojourn.runtime.agent_side.arguments import bind
from sojourn.runtime.agent_side.letters import told_unread
from sojourn.runtime.errors import Undeliverable, UpdateRefused
from sojourn.runtime.ports import Message
from sojourn.runtime.records import Line
from sojourn.runtime.typed import to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.context import Context
    from sojourn.runtime.agent_side.sending import Sender
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Handling", "line_of", "result_of", "signal", "update"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_MARK: Final = "_sojourn_handles"
_PROBLEM_CHARS_MAX: Final = 4096


def signal(function: F) -> F:
    """Let messages call this method of an agent, which nobody waits for: `def pause(self, ctx, why: str) -> None`.

    It may await steps and all that `run` may but restart points, and runs wherever `run` waits. Whatever came of an
    earlier call has ended by then.
    """
    return _declared(function, "signal")


def update(function: F) -> F:
    """Let messages call this method of an agent and get its result: `def limit(self, ctx, amount: int) -> int`.

    It runs as a `@signal` does. What it raises refuses the update, and the caller is told; raise before anything is
    changed.
    """
    return _declared(function, "update")


def _declared(function: F, kind: Literal["signal", "update"]) -> F:
    given: object = function
    if not inspect.isfunction(given):
        raise Misused(
            f"@{kind} was given {given!r:.80}, which is no function",
            remedy=f"Write @{kind} above a method of an agent, and no other decorator between",
        )
    setattr(function, _MARK, kind)
    return function


def _methods(form: type[Any], kind: str | None = None) -> list[str]:
    """Return the names of the methods that messages may call, sorted; of all kinds, or of one."""
    kinds = {name: getattr(getattr(form, name, None), _MARK, None) for name in dir(form)}
    return sorted(name for name, of in kinds.items() if of is not None and kind in (None, of))


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


class _Turn:
    """The time in which one message is handled, by the code that runs in it and whatever tasks that starts."""

    def __init__(self, caller: Message | None) -> None:
        self.caller, self.is_over = caller, False


_TURN: Final[ContextVar[_Turn | None]] = ContextVar("sojourn_turn", default=None)


class Handling:
    """The signals and updates of one run of the code."""

    def __init__(self, session: "Session", context: "Context", sender: "Sender") -> None:
        self._session, self._context, self._sender = session, context, sender
        self._has_methods = bool(_methods(type(session.agent)))
        self._door = asyncio.Lock()
        self._holding = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def caller(self) -> Message | None:
        """The message whose call is handled by the code that asks."""
        turn = _TURN.get()
        return None if turn is None else turn.caller

    @property
    def is_ready(self) -> bool:
        """Whether a call that comes now may begin: none is under way, and the code holds none up."""
        return self._has_methods and not self._holding and not self._door.locked()

    @property
    def _is_within(self) -> bool:
        """Whether the code that asks is that which handles a message now: it does not wait for its own end."""
        turn = _TURN.get()
        return turn is not None and not turn.is_over

    # --- beside what run waits for -------------------------------------------------------------------

    def begin(self, message: Message) -> None:
        """Handle a message that came while the code waits for something else, from the next drive on."""
        task = self._session.loop.create_task(self._handle(message))
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def _handle(self, message: Message) -> None:
        self._sender.note(message)
        call = call_in(message.body)
        if call is None or (message.mark is not None and message.mark.unread):
            await self._in_turn(None, lambda: self._tell_unread(message))
        else:
            told = await self._in_turn(message, lambda: self._called(call, message))
            await self._answer(message, call, told)

    async def _tell_unread(self, message: Message) -> None:
        """Tell the agent of a message of its own that was not read; where nobody awaits what that raises."""
        try:
            await told_unread(self._session.agent, self._context, message)
        except Exception as error:  # the author's code may raise anything
            self._context.log("on_unread raised", why=_why(error))

    async def still(self, what: str, *, within: bool = False) -> None:
        """Wait, before `what`, until all that has begun has ended, and let none begin meanwhile.

        Raises `Misused` in a method that a message has called, unless it may be done `within` one.
        """
        if self._is_within and not within:
            problem = f"{what} was reached in a method that a message has called"
            raise Misused(problem, remedy="Let the method say in memory what run is to do there")
        if self._is_within or not self._tasks:
            return
        self._holding += 1
        try:
            while self._tasks:
                await asyncio.wait(list(self._tasks))
        finally:
            self._holding -= 1

    @asynccontextmanager
    async def undisturbed(self) -> AsyncIterator[None]:
        """Let no call be handled meanwhile but in `ctx.receive`, once that under way has ended."""
        self._session.check_in_run()
        self._holding += 1
        try:
            if not self._is_within:
                async with self._door:
                    pass
            yield
        finally:
            self._holding -= 1

    # --- in its turn ---------------------------------------------------------------------------------

    async def take(self, message: Message) -> bool:
        """Call the method that a message calls; tell whether it is one. Of an agent that has none none is."""
        call = call_in(message.body)
        if call is None or not self._has_methods:
            return False
        told = await self._in_turn(message, lambda: self._called(call, message))
        await self._answer(message, call, told)
        return True

    async def _in_turn(self, caller: Message | None, handle: Callable[[], Awaitable[T]]) -> T:
        """Handle a message when what came before it has been; what is received in a turn is handled within it."""
        is_within, outer, turn = self._is_within, _TURN.get(), _Turn(caller)
        if not is_within:
            await self._door.acquire()
        _TURN.set(turn)
        try:
            return await handle()
        finally:
            turn.is_over = True
            _TURN.set(outer)  # no reset: code that is dropped is closed in another context
            if not is_within:
                self._door.release()

    async def _called(self, call: Call, message: Message) -> dict[str, Any]:
        """Call the method and journal what came of it; return what its caller is told."""
        try:
            told = {"result": await self._perform(self._session.agent, call)}
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if self._session.is_stopped or (task is not None and task.cancelling()):
                raise
            told = {"refused": _why(error)}  # it is the method's own, and no reason to end run
        except Exception as error:  # the author's code may raise anything
            told = {"refused": _why(error)}
        self._session.note(Line, lambda number: self._line(number, call, message, told))
        return told

    async def _perform(self, agent: Any, call: Call) -> Any:
        """Return what the method returns, as plain values. Raises what that raises, and `Misused`."""
        method = getattr(type(agent), call.name, None)
        if method is None or getattr(method, _MARK, None) != call.call:
            known = _methods(type(agent), call.call)
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
            try:
                await self._context.reply(message, told)
            except Misused as error:  # it is more than a message may have
                await self._context.reply(message, {"refused": _why(error)})
        except (Denied, Undeliverable) as error:
            self._context.log("an answer was not given", update=call.name, why=str(error))


def _why(error: BaseException) -> str:
    said = str(error) if isinstance(error, SojournError) else f"{type(error).__name__}: {error}"
    return said.encode(errors="replace").decode()[:_PROBLEM_CHARS_MAX]
