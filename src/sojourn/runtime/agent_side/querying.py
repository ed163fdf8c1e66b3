"""Queries: methods that tell what the agent remembers, at any time, to whoever may ask (protocol §10.36).

    @query
    def standing(self, ctx: Context, desk: str) -> int:
        return len(ctx.memory["orders"].get(desk, []))

A query runs beside `run`, in a session of its own, on the agent's last final memory, while the agent runs, sleeps or
moves. It reads, and returns: it has nothing by which it could change memory, wait, or have an effect, and whatever it
tries of that refuses it. It is no step, and the agent's journal does not know of it.
"""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar

from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Denied, Misused, Rejected, SojournError
from sojourn.core.base.limits import BODY_BYTES_MAX
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.arguments import bind
from sojourn.runtime.agent_side.compartments import Handle, WorkingMemory
from sojourn.runtime.agent_side.link import FetchedBlocks, Link
from sojourn.runtime.agent_side.memory import Compartments
from sojourn.runtime.agent_side.run import Run
from sojourn.runtime.frames import Consult, Consulted
from sojourn.runtime.ports import Address, Message
from sojourn.runtime.typed import to_plain

__all__ = ["answered", "queries_of", "query"]

F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "_sojourn_is_query"
_PROBLEM_CHARS_MAX: Final = 4096
_REMEDY: Final = "A query reads ctx.memory and returns; what changes anything is an @update"


def query(function: F) -> F:
    """Let people and agents ask this method of an agent: `def standing(self, ctx, desk: str) -> int`.

    It gets what the agent remembers, as of its last final step, in `ctx.memory`, and who asks in `ctx.caller`;
    `ctx.now()`, `ctx.agent_id` and `ctx.address` are there as well. Whatever else it tries refuses the query, as does
    what it raises. The agent's policies say who may ask, and about which labels: the action "disclose".
    """
    given: object = function
    if not inspect.isfunction(given):
        raise Misused(
            f"@query was given {given!r:.80}, which is no function",
            remedy="Write @query above a method of an agent, and no other decorator between",
        )
    setattr(function, _MARK, True)
    return function


def queries_of(form: type[Agent]) -> list[str]:
    """Return the names of an agent's queries, sorted."""
    return sorted(name for name in dir(form) if getattr(getattr(form, name, None), _MARK, False))


def answered(form: type[Agent], asked: Consult, link: Link) -> Consulted:
    """Run a query, and return what it told, or why it told nothing. Raises `Unreachable` if the line is closed."""
    trial = _Trial(asked.name)
    try:
        result = _perform(form, asked, link, trial)
        if trial.tried is not None:  # the code may have caught it
            raise trial.tried
        plain = to_plain(result, what=f"the result of query {asked.name!r}")
        _check_size(plain, asked.name)
    except SojournError as error:
        return Consulted(refused=_cut(error.problem), remedy=_cut(error.remedy))
    except Exception as error:  # the author's code may raise anything
        return Consulted(refused=_cut(f"{type(error).__name__}: {error}"))
    return Consulted(result=plain)


def _perform(form: type[Agent], asked: Consult, link: Link, trial: "_Trial") -> Any:
    method = getattr(form, asked.name, None)
    if not getattr(method, _MARK, False):
        known = queries_of(form)
        has = f"It has {', '.join(known)}" if known else "It has no queries"
        raise Misused(f"the agent has no query {asked.name!r}", remedy=has)
    assert method is not None
    args, kwargs = bind(method, *asked.arguments, name=f"query {asked.name!r}")
    agent = form()
    memory = _FinalMemory(asked, link, trial)
    agent._session = _NoSession(memory, trial)  # type: ignore[assignment] # it stands for one, and refuses

    async def code() -> Any:
        result = method(agent, QueryContext(asked, memory, trial), *args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    run = Run(code)
    run.drive()
    if not run.has_left_off:
        run.unwind()
        trial.refuse("to wait")
    if run.error is not None:
        raise run.error
    return run.result


def _check_size(plain: Any, name: str) -> None:
    """Raise `Misused` for a result that no message could carry."""
    try:
        size = len(encode_block([plain]))
    except Rejected as error:
        raise Misused(f"the result of query {name!r} cannot be told: {error.problem}") from None
    if size > BODY_BYTES_MAX:
        problem = f"the result of query {name!r} has {size} bytes, more than {BODY_BYTES_MAX}"
        raise Misused(problem, remedy="Return a page of it: queries take arguments")


def _cut(text: str) -> str:
    return text.encode(errors="replace").decode()[:_PROBLEM_CHARS_MAX]


class _Trial:
    """Refuses what a query tries and may not, and remembers the first: its code may catch the error."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.tried: Misused | None = None

    def refuse(self, what: str) -> NoReturn:
        error = Misused(f"query {self._name!r} tried {what}", remedy=_REMEDY)
        self.tried = self.tried or error
        raise error


class _FinalMemory(WorkingMemory):
    """Memory that is read alone."""

    def __init__(self, asked: Consult, link: Link, trial: _Trial) -> None:
        super().__init__(asked.shelves, FetchedBlocks(link), lambda: None)
        self._trial = trial

    def open(self, name: str, form: Any) -> Handle:
        """Return the handle of a compartment. Raises `Denied` for one that its host alone reads."""
        shelf = self._shelves.get(name)
        if shelf is not None and shelf.key is not None and not shelf.is_erased:
            problem = f"compartment {name!r} is encrypted: nobody is told of it by a query"
            raise Denied(problem, remedy="Let run put what may be told into another compartment")
        return super().open(name, form)

    def check_writable(self, name: str) -> None:
        """Refuse: nothing is written by a query."""
        self._trial.refuse(f"to write compartment {name!r}")

    def replace(self, name: str, handle: Handle) -> None:
        """Refuse."""
        self.check_writable(name)


class QueryContext:
    """What a query gets as `ctx`: memory to read, who asks, and when."""

    def __init__(self, asked: Consult, memory: WorkingMemory, trial: _Trial) -> None:
        """Read this memory; whatever else is tried goes to `trial`."""
        self.memory = Compartments(_NoSession(memory, trial))  # type: ignore[arg-type]
        self.agent_id = asked.agent
        self.address = Address(agent=asked.agent, zone=asked.zone)
        self.caller: Message = asked.caller
        self._trial = trial

    def now(self) -> datetime:
        """Return the time at which it was asked (UTC, to the millisecond)."""
        return datetime.fromtimestamp(self.caller.sent_ms / 1000, UTC)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._trial.refuse(f"ctx.{name}")


class _NoSession:
    """Stands where an agent that runs has its session: steps and all that is durable refuse the query."""

    def __init__(self, memory: WorkingMemory, trial: _Trial) -> None:
        self.memory = memory
        self._trial = trial

    async def perform_step(self, step: Any, args: Any, kwargs: Any) -> NoReturn:
        """Refuse a step."""
        self._trial.refuse(f"step {step.name}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._trial.refuse(f"what only run may ({name})")
