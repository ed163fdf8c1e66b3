"""What `run` gets as `ctx`: memory, restart points, places, time, chance, messages and the log."""

import uuid
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar, overload

from sojourn.core.base.errors import Misused
from sojourn.core.protocol.calling import Call
from sojourn.runtime.agent_side.code import relative_of
from sojourn.runtime.agent_side.durations import milliseconds_of
from sojourn.runtime.agent_side.enquiring import QUERY_S, query_agent
from sojourn.runtime.agent_side.fanning import FanOut
from sojourn.runtime.agent_side.handling import Handling, result_of
from sojourn.runtime.agent_side.inquiring import ask
from sojourn.runtime.agent_side.letters import read_body, told_unread
from sojourn.runtime.agent_side.memory import Compartments
from sojourn.runtime.agent_side.operations import Consider, Consideration, WaitForMessage
from sojourn.runtime.agent_side.progressing import tell_progress
from sojourn.runtime.agent_side.reporting import result_of_child
from sojourn.runtime.agent_side.run import Restarting
from sojourn.runtime.agent_side.sagas import Saga
from sojourn.runtime.agent_side.sending import REQUEST_S, SEND_S, Receiver, Sender
from sojourn.runtime.agent_side.spawning import Child, SpawnChild, Wish, first_values
from sojourn.runtime.agent_side.streams import Stream
from sojourn.runtime.agent_side.timers import Timers
from sojourn.runtime.agent_side.turns import Turns, endless
from sojourn.runtime.ports import Address, Message
from sojourn.runtime.records import Here, Line, Now, Waiting
from sojourn.runtime.typed import encode_plain, to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.agent import Agent
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Context"]

T = TypeVar("T")
Asked: TypeAlias = str | Sequence[str]
"""Groups of approvers by name, or public keys in hexadecimal."""


class Context(Timers, FanOut):
    """An agent's link to its journal, its memory and its host. To be used in `run` alone."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.memory = Compartments(session)
        self._sender = Sender(session)
        self._handling = Handling(session, self, self._sender)
        session.listening.begin(self._handling)

    @property
    def agent_id(self) -> bytes:
        """The agent's identifier, 32 bytes."""
        return self._session.agent_id

    @property
    def address(self) -> Address:
        """Where other agents can write to this one: its identifier, and the zone where it is now.

        That is journaled: a replay in another zone tells of the same one.
        """
        session = self._session
        here = session.note(Here, lambda call: Here(call=call, zone=session.zone))
        return Address(agent=session.agent_id, zone=here.zone)

    async def restart(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Let `run` begin anew with these arguments: a restart point, so that nothing before is replayed.

        Arguments travel with the journal. Raises `Denied` for any that were made of what may not be everywhere.
        """
        await self._session.listening.still("ctx.restart")
        self._session.sagas.check_restart(0, "ctx.restart")
        self._session.next_sole_call("ctx.restart")
        if args or kwargs:
            self._session.memory.check_may_travel("arguments of ctx.restart")
        plain: Any = to_plain((args, kwargs), what="an argument of ctx.restart")
        raise Restarting(*plain)

    @overload
    def turns(self) -> Turns[int]: ...
    @overload
    def turns(self, items: Iterable[T] | AsyncIterable[T]) -> Turns[T]: ...
    def turns(self, items: Any = None) -> Turns[Any]:
        """Iterate durably: `async for item in ctx.turns(items)`, with a restart point before every turn.

        `items` must be the same in every replay: iterating over them must not call steps or `ctx`. After a
        resume a sequence goes on by index, anything else item by item. Without `items` it counts from 0
        without end.

        After a resume the code before the loop runs again and the loop goes on at its turn; local variables
        that earlier turns assigned are gone. What must survive a turn belongs in memory.
        """
        return Turns(self._session, endless() if items is None else items)

    async def consider(self) -> Consideration:
        """Judge the places known, let the agent's `rank` choose, and move there if it chooses another.

        What was considered is journaled. Returns where the agent then is; if it moved, from there. No other
        call may be under way but time limits and questions to people.
        """
        session = self._session
        await session.listening.still("ctx.consider", within=True)
        call = session.next_sole_call("ctx.consider")
        considered: Consideration = await session.perform(Consider(session, call))
        return considered

    async def spawn(
        self,
        agent: "type[Agent] | str",
        *arguments: Any,
        budgets: Mapping[str, int] | None = None,
        memory: Mapping[str, Any] | None = None,
        outlives: bool = False,
        confined: bool = False,
    ) -> Child:
        """Have a child: an agent of another class in the same code, whose `run` gets these arguments.

        It runs by itself, from this zone on. `budgets` are what it gets of the agent's own, by name: the agent has
        spent that, and what is not named is none. `memory` is what its compartments begin with: a dict for a
        mapping, a list or None for a log. With `outlives` it goes on when this agent has retired, if the policies
        permit that; `confined` requires of each host that its code is.

        Like a step with an effect it happens once, however often the code is replayed. Raises `Denied`, with why,
        or `BudgetExhausted`; `StepFailed` if it was permitted and could not be born; `Misused` for what is no agent
        of this code.
        """
        session = self._session
        call = session.next_call()
        entry = relative_of(type(session.agent), agent)
        wish = Wish(
            entry=entry,
            arguments=arguments,
            memory=first_values(memory or {}),
            budgets=dict(budgets or {}),
            outlives=outlives,
            confined=confined,
        )
        what = "what ctx.spawn was given"
        spelled = encode_plain(to_plain(wish, what=what), what=what)
        child: Child = await session.perform(SpawnChild(session, call, entry, spelled))
        return child

    async def result(
        self,
        child: Receiver,
        form: Any = Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any:
        """Wait until a child has ended, and return what its `run` returned, as a value of type `form` if given.

        The child's class says that it `reports`. What it returned is kept until it is asked for, for a year; it goes
        into one call of this, and by the child's labels. Raises `ChildFailed` with what `run` raised; `Unanswered`
        when `timeout` seconds are over (`None`: as long as it takes), and at once if the child waits for this agent;
        `WrongMessage` for a result of another type, `Misused` for a child that does not report.
        """
        return await result_of_child(self._session, child, form, timeout)

    @property
    def children(self) -> list[Child]:
        """The children that `run` has had since its restart point, oldest first: `ctx.broadcast(ctx.children, ...)`.

        In a turn of `ctx.turns`: those of before the loop, and of this turn. Of others keep `str(child)` in memory.
        Those that have ended are among them.
        """
        self._session.check_in_run()
        return self._session.course.children

    def stream(self, name: str) -> Stream:
        """Return a stream: `async with ctx.stream("report") as out`, and in it `await out.write(text)`.

        `name` is a log of the agent's memory. A piece is final with the step beside which it was written, once and in
        order, through crashes and moves; people read it with `sojourn agent read`. The stream ends with its body.
        """
        return Stream(self._session, name)

    def progress(self, text: str, done: int | None = None, total: int | None = None) -> None:
        """Tell people who watch (`sojourn agent watch`, `agent show`) how far it is: so much `done` of a `total`.

        The newest word counts. It is journaled nowhere, survives nothing and proves nothing; a replay tells nothing.
        Raises `Misused` for text over 1,024 characters and for numbers that are no counts; `Denied` for code that has
        used what may not be everywhere.
        """
        tell_progress(self._session, text, done, total)

    def saga(self) -> Saga:
        """Return a saga: `async with ctx.saga() as saga`, and in it `saga.undo(call, ...)` after each act.

        If its body raises, for whatever reason, what was given to `saga.undo` is called, the newest first, each call
        once and as durably as the steps in it are; then the same is raised again. Where a call fails for good the
        others are made all the same, and `UndoFailed` says which were not done. Code that is stopped, since its host
        is, undoes nothing: the saga goes on with the agent. What a saga has to undo must not cross a restart point.
        """
        return Saga(self._session)

    async def send(
        self,
        to: Receiver,
        value: Any,
        *,
        key: str = "",
        timeout: float = SEND_S,  # noqa: ASYNC109 (durable: it is not asyncio's to keep)
    ) -> None:
        """Send a value to another agent, wherever it is; return once its zone keeps the message for it.

        `to` is a child, a message that an agent sent, an `Address`, or an identifier. What is sent under one `key` to
        one agent is sent once. Messages to one agent are taken in the order in which they were sent, each once.

        Like a step with an effect it is asked of the gate, as the action "message". Raises `Denied`; `Undeliverable`
        if the receiver has ended or nobody has ever held it, or after `timeout` seconds; `Misused` for a value that
        has no plain form or more than 64 KiB.
        """
        await self._sender.send(to, value, key, timeout)

    async def request(
        self,
        to: Receiver,
        value: Any,
        form: Any = Any,
        *,
        timeout: float = REQUEST_S,  # noqa: ASYNC109
    ) -> Any:
        """Send a value to another agent, wait for its answer, and return that, of type `form`.

        It is found and asked like `send`; the other one answers by `ctx.reply`. Raises `Unanswered` when `timeout`
        seconds are over, or at once where agents are known to wait for each other; `WrongMessage` for an answer of
        another type; and what `send` raises.
        """
        return await self._sender.request(to, value, form, timeout)

    async def reply(self, message: Message, value: Any) -> None:
        """Answer a message that another agent sent by `ctx.request`. Raises as `send`."""
        await self._sender.reply(message, value)

    async def broadcast(
        self,
        to: Iterable[Receiver],
        value: Any,
        *,
        timeout: float = SEND_S,  # noqa: ASYNC109
    ) -> list[Receiver]:
        """Send a value to many agents, such as `ctx.children`, side by side; return those whom it will not reach.

        Raises `Denied` if it may not be sent to one of them; the others get it all the same.
        """
        return await self._sender.broadcast(list(to), value, timeout)

    @overload
    async def ask(self, question: str, *, of: Asked, timeout: float | None = None) -> str: ...  # noqa: ASYNC109
    @overload
    async def ask(
        self,
        question: str,
        expects: type[T],
        *,
        of: Asked,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> T: ...
    @overload
    async def ask(
        self,
        question: str,
        *,
        choices: Sequence[T],
        of: Asked,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> T: ...
    @overload
    async def ask(
        self,
        question: str,
        expects: Any,
        *,
        of: Asked,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any: ...
    async def ask(
        self,
        question: str,
        expects: Any = str,
        *,
        of: Asked,
        choices: Sequence[Any] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (durable: it is not asyncio's to keep)
    ) -> Any:
        """Ask people, and wait for the answer, however long that takes: a value of type `expects`, or of `choices`.

        `of` names who may answer: groups of approvers that the agent's policies declare, with those that they
        escalate to, or public keys in hexadecimal. The first answer that fits is the answer, whoever of them gives
        it. People see the question with `sojourn agent asks` and answer with `sojourn agent answer`.

        Raises `NoAnswer` when nobody has answered within `timeout` seconds; without one a group's own time holds,
        and keys wait for ever. `Misused` for a group that there is not, and for what nobody can be asked for;
        `Denied` for code that has used what may not be everywhere: the question stands in the journal.
        """
        return await ask(self._session, question, expects, of, choices, timeout)

    async def signal(self, to: Receiver, name: str, *args: Any, **kwargs: Any) -> None:
        """Have another agent's `@signal` method called with these arguments. Raises as `send`."""
        call = Call(call="signal", name=name, arguments=(args, kwargs))
        await self._sender.send(to, call, "", SEND_S)

    async def update(
        self,
        to: Receiver,
        name: str,
        *args: Any,
        timeout: float = REQUEST_S,  # noqa: ASYNC109
        **kwargs: Any,
    ) -> Any:
        """Have another agent's `@update` method called with these arguments, and return its result as builtins.

        Raises `UpdateRefused` with what it raised, or if there is none; and as `request`.
        """
        call = Call(call="update", name=name, arguments=(args, kwargs))
        return result_of(await self._sender.request(to, call, Any, timeout))

    async def query(
        self,
        to: Receiver,
        name: str,
        *args: Any,
        timeout: float = QUERY_S,  # noqa: ASYNC109
        **kwargs: Any,
    ) -> Any:
        """Ask another agent's `@query` method, and return what it tells of its last final memory, as builtins.

        That agent need not receive or even be awake, and does not know that it was asked. Like a step with an effect
        it is asked of the gate, as the action "query", and what was told stands in the journal. Raises
        `QueryRefused` with why it tells nothing; `Undeliverable` if it has ended or nobody answers within `timeout`
        seconds; and as `send`.
        """
        return await query_agent(self._session, to, name, (args, kwargs), timeout)

    @property
    def caller(self) -> Message | None:
        """In a `@signal` or `@update` method, the message that calls it."""
        return self._handling.caller

    def undisturbed(self) -> AbstractAsyncContextManager[None]:
        """Hold calls up: in the body of `async with ctx.undisturbed():` none is handled but in `ctx.receive`.

        Messages that call a method (`@signal`, `@update`) are handled wherever `run` waits, one at a time; what is
        under way ends before the body begins, and what comes meanwhile waits in the inbox. Around all of `run` it
        leaves `ctx.receive` as the only place.
        """
        return self._handling.undisturbed()

    async def receive(
        self,
        form: Any = Any,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Message | None:
        """Wait for the next message in the inbox and consume it; None when `timeout` seconds are over.

        Its `body` is the value that was sent, as a value of type `form` if that is given; `sender` says who sent it.
        Messages that call a method (`@signal`, `@update`) are given to that meanwhile, in their turn, and word that a
        message of this agent was not read, since its receiver has ended, to `Agent.on_unread`. One message
        is consumed at a time. Raises `WrongMessage` for a body of another type, `Misused` while another `receive`
        is under way.
        """
        session = self._session
        if isinstance(form, int | float):
            problem = f"ctx.receive was given {form!r} as the type of the message"
            raise Misused(problem, remedy=f"Write ctx.receive(timeout={form!r})")
        WaitForMessage.check_sole(session)
        for_ms = None if timeout is None else milliseconds_of(timeout, what="ctx.receive")

        def opening(call: int) -> Waiting:
            until_ms = None if for_ms is None else session.now_ms() + for_ms
            return Waiting(call=call, until_ms=until_ms)

        until_ms: int | None = None
        while True:
            waiting = session.note(Waiting, opening)
            until_ms = waiting.until_ms if until_ms is None else until_ms
            operation = WaitForMessage(session, waiting.call, until_ms)
            message: Message | None = await session.perform(operation)
            self._sender.note(message)
            if message is not None and await told_unread(session.agent, self, message):
                continue
            if message is None or not await self._handling.take(message):
                return message and read_body(message, form)

    def now(self) -> datetime:
        """Return the time (UTC, to the millisecond): the same in every replay."""
        session = self._session
        now = session.note(Now, lambda call: Now(call=call, at_ms=session.now_ms()))
        return datetime.fromtimestamp(now.at_ms / 1000, UTC)

    def random(self) -> float:
        """Return a random number from 0 up to 1: the same in every replay. Not for secrets."""
        return int.from_bytes(self._draw()[:7], "big") / 2**56

    def uuid(self) -> uuid.UUID:
        """Return a random UUID (version 4): the same in every replay."""
        return uuid.UUID(bytes=self._draw()[:16], version=4)

    def log(self, text: str, **fields: Any) -> None:
        """Journal a line of the agent's log, with fields that `msgspec` can turn into builtins."""
        session = self._session
        plain = to_plain(fields, what="a field of ctx.log")
        session.note(
            Line, lambda call: Line(call=call, at_ms=session.now_ms(), text=text, fields=plain)
        )

    def _draw(self) -> bytes:
        self._session.next_call()
        return self._session.course.draw()
