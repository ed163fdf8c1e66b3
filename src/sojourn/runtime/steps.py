"""Steps: the durable units of an agent's code, declared with `@step`.

A step's result is journaled, and a replay uses it instead of calling the step again. What a step does to the
world outside is declared by its effect (protocol §10):

    none          recomputable: may run ahead of finality, and be redone after a takeover
    idempotent    gated; repeated after a takeover, under the same effect key
    once          gated; never repeated: after a takeover the code gets `UncertainOutcome`
"""

import inspect
import typing
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar

from sojourn.core.agent.budgets import COUNTED
from sojourn.core.base.errors import Misused

if TYPE_CHECKING:
    from sojourn.runtime.agent import Agent

__all__ = ["Effect", "Step", "effect_key", "step", "used"]

P = ParamSpec("P")
R = TypeVar("R")

Effect = Literal["none", "idempotent", "once"]

effect_key: ContextVar[str | None] = ContextVar("effect_key", default=None)
"""Within a step with an effect, its effect key."""
used: ContextVar[dict[str, int] | None] = ContextVar("used", default=None)
"""Within a step, what it told that it used, by budget."""


class Step(Generic[P, R]):
    """A declared step: a method whose calls are durable.

    Called on an agent that runs, it is performed and journaled; on one that does not (as in a unit test of
    the agent's class), the method is simply called. Either way the call is awaited.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        effect: Effect,
        action: str,
        attempts: int,
        backoff_s: float,
        spends: Mapping[str, int],
        declassifies: Sequence[str],
        into: str,
    ) -> None:
        self.function = function
        self.name = function.__name__
        self.effect = effect
        self.action = action
        self.attempts = 1 if effect == "once" else attempts
        self.backoff_s = backoff_s
        self.spends = dict(spends)
        self.declassifies = tuple(sorted(set(declassifies)))
        self.into = into
        self.is_async = inspect.iscoroutinefunction(function)
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__wrapped__ = function

    @cached_property
    def result_form(self) -> Any:
        """The type that the method is declared to return; Any if it does not say."""
        return typing.get_type_hints(self.function).get("return", Any)

    @typing.overload
    def __get__(self, agent: None, owner: type) -> "Step[P, R]": ...
    @typing.overload
    def __get__(self, agent: "Agent", owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, agent: "Agent | None", owner: type) -> Any:
        """Return the step itself from the class, and the durable call from an agent."""
        if agent is None:
            return self

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return await self._call(agent, args, kwargs)

        return call

    async def _call(self, agent: "Agent", args: Any, kwargs: Any) -> R:
        session = agent._session
        if session is not None:
            performed: R = await session.perform_step(self, args, kwargs)
            return performed
        returned = self.function(agent, *args, **kwargs)
        result: R = await returned if self.is_async else returned
        return result


class _Declare(Protocol):
    """What `@step(...)` returns: a decorator for a method of either kind."""

    @typing.overload
    def __call__(
        self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /
    ) -> Step[P, R]: ...
    @typing.overload
    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Step[P, R]: ...


@typing.overload
def step(function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@typing.overload
def step(function: Callable[Concatenate[Any, P], R], /) -> Step[P, R]: ...
@typing.overload
def step(
    *,
    effect: Effect = "none",
    action: str = "",
    attempts: int = 3,
    backoff_s: float = 0.5,
    spends: Mapping[str, int] | None = None,
    declassifies: Sequence[str] = (),
    into: str = "",
) -> _Declare: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: Effect = "none",
    action: str = "",
    attempts: int = 3,
    backoff_s: float = 0.5,
    spends: Mapping[str, int] | None = None,
    declassifies: Sequence[str] = (),
    into: str = "",
) -> Any:
    """Declare a method of an agent as a step. The method may be a function or a coroutine function.

    A function runs in a worker thread, a coroutine function on an event loop with I/O. Arguments and result
    are what `msgspec` can turn into builtins; `run` gets the result as the method's declared return type.

    `effect` says what the step does to the world outside (see this module), and `action` names it to the
    policies that permit or deny it, as in "order.place"; the two come together. `attempts` counts how often
    the step is tried in all, when it raises anything but `TerminalError`; a step with effect "once" is tried
    once. `backoff_s` is the pause before the second attempt, doubled before each one after, at most 30 s.
    `spends` is taken from the agent's budgets, by name, each time the step is begun; where the gate is asked, with
    its permission, and not without. `cost_micros` and `tokens` are the most that it is to cost, which a policy may
    judge; a step tells what more it did by `self.used`. What is counted anyway (`steps`, `calls`, `wall_ms`,
    `hops`) is not to be named.

    `into` names a compartment that the result is written to, besides being returned: appended to a log, or, a dict,
    entered into a mapping. It must cover all that `run` has used by then, but for the labels that the step
    `declassifies`: those its result no longer deserves. That has to be permitted, as "declassify".

    Raises `Misused` for a declaration that makes no sense.
    """

    def declare(function: Callable[..., Any]) -> Step[..., Any]:
        return Step(
            function,
            effect=effect,
            action=action,
            attempts=attempts,
            backoff_s=backoff_s,
            spends=spends or {},
            declassifies=declassifies,
            into=into,
        )

    _check_declaration(effect, action, attempts)
    _check_declassifying(effect, declassifies, into)
    _check_spends(spends or {})
    return declare if function is None else declare(function)


def _check_spends(spends: Mapping[str, int]) -> None:
    counted = sorted(spends.keys() & COUNTED)
    if counted:
        raise Misused(
            f"a step is declared to spend {', '.join(counted)}",
            remedy="Leave it out: that is counted whenever it happens",
        )


def _check_declaration(effect: Effect, action: str, attempts: int) -> None:
    if effect not in typing.get_args(Effect):
        raise Misused(
            f"a step is declared with effect {effect!r}",
            remedy=f"Use one of {', '.join(typing.get_args(Effect))}",
        )
    if (effect == "none") != (not action):
        raise Misused(
            f"a step is declared with effect {effect!r} and action {action!r}",
            remedy='Name an action for what has an effect outside, and only for that: "order.place"',
        )
    if attempts < 1:
        raise Misused(f"a step is declared with {attempts} attempts", remedy="Try it at least once")


def _check_declassifying(effect: Effect, declassifies: Sequence[str], into: str) -> None:
    if isinstance(declassifies, str):
        problem = f"a step declassifies {declassifies!r}, which is one text and no list of labels"
        raise Misused(problem, remedy=f"Write declassifies=({declassifies!r},)")
    if declassifies and (effect != "none" or not into):
        raise Misused(
            f"a step declassifies {', '.join(declassifies)}, with effect {effect!r}, into {into!r}",
            remedy="Give it no effect, and name the compartment that its result goes into",
        )
