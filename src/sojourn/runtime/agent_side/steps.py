"""Steps: the durable units of an agent's code, declared with `@step`.

A step's result is journaled, and a replay uses it instead of calling the step again. What a step does to the
world outside is declared by its effect (protocol §10):

    none          recomputable: may run ahead of finality, and be redone after a takeover
    idempotent    gated; repeated after a takeover, under the same effect key
    once          gated; never repeated: after a takeover the code gets `UncertainOutcome`
"""

import copy
import inspect
import math
import typing
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property, partial
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
)

from sojourn.core.agent.budgets import COUNTED
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import SECRETS_MAX
from sojourn.core.policy.schema import check_actions
from sojourn.runtime.secrecy import NAME

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.agent import Agent

__all__ = ["Effect", "Pulse", "Step", "effect_key", "own_step", "pulse", "step", "used"]

P = ParamSpec("P")
R = TypeVar("R")

Effect = Literal["none", "idempotent", "once"]
RetryOn: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]

BACKOFF_S_MAX: Final = 30.0

effect_key: ContextVar[str | None] = ContextVar("effect_key", default=None)
"""Within a step with an effect, its effect key."""
used: ContextVar[dict[str, int] | None] = ContextVar("used", default=None)
"""Within a step, what it told that it used, by budget."""


class Pulse(Protocol):
    """What a step tells of how it goes on."""

    @property
    def progress(self) -> Any:
        """The newest progress that an earlier attempt told, None if none did."""

    def beat(self, progress: Any) -> None:
        """Take note that the attempt is alive, and how far it has come, from any thread."""


pulse: ContextVar[Pulse | None] = ContextVar("pulse", default=None)
"""Within a step, whom it tells that it is alive."""


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
        backoff_s_max: float = BACKOFF_S_MAX,
        timeout_s: float | None = None,
        heartbeat_s: float | None = None,
        retry_on: RetryOn = (),
        spends: Mapping[str, int],
        declassifies: Sequence[str],
        into: str,
        secrets: Sequence[str] = (),
        queue: str = "",
    ) -> None:
        self.function = function
        self.name = function.__name__
        self.effect = effect
        self.action = action
        self.attempts = 1 if effect == "once" else attempts
        self.backoff_s = backoff_s
        self.backoff_s_max = backoff_s_max
        self.timeout_s = timeout_s
        self.heartbeat_s = heartbeat_s
        self.retry_on = retry_on if isinstance(retry_on, tuple) else (retry_on,)
        self.spends = dict(spends)
        self.declassifies = tuple(sorted(set(declassifies)))
        self.into = into
        self.secrets = tuple(sorted(set(secrets)))
        self.queue = queue
        self.counterpart = ""
        self.is_async = inspect.iscoroutinefunction(function)
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__wrapped__ = function

    def spends_of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, int]:
        """Return what a call with these arguments takes of budgets: at most, where a policy may judge it."""
        return self.spends

    @cached_property
    def result_form(self) -> Any:
        """The type that the method is declared to return; Any if it does not say.

        Raises `Misused` if it names one that its module does not have when it runs.
        """
        try:
            return typing.get_type_hints(self.function).get("return", Any)
        except (NameError, TypeError) as error:
            problem = f"what step {self.name!r} is declared to return cannot be read: {error}"
            remedy = "Name a type of its module, which is imported when the code runs"
            raise Misused(problem, remedy=remedy) from None

    def performed_by(self, function: Callable[..., Any]) -> "Step[P, R]":
        """Return the same step, performed by another function of the same kind and signature."""
        other = copy.copy(self)
        other.function = function
        return other

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

        call.__name__, call.__qualname__ = self.name, self.function.__qualname__
        return call

    async def _call(self, agent: "Agent", args: Any, kwargs: Any) -> R:
        session = agent._session
        if session is not None:
            performed: R = await session.perform_step(self, args, kwargs)
            return performed
        returned = self.function(agent, *args, **kwargs)
        result: R = await returned if self.is_async else returned
        return result


def own_step(
    name: str, function: Callable[..., Any], *, effect: Effect = "none", action: str = ""
) -> Step[..., Any]:
    """Return a step that the runtime declares, tried once by itself: what is durable of it is seen to elsewhere."""
    own: Step[..., Any] = Step(
        function,
        effect=effect,
        action=action,
        attempts=1,
        backoff_s=0.0,
        spends={},
        declassifies=(),
        into="",
    )
    own.name = name
    return own


_STEP: Final[Any] = Step


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
    backoff_s_max: float = BACKOFF_S_MAX,
    timeout_s: float | None = None,
    heartbeat_s: float | None = None,
    retry_on: RetryOn = (),
    spends: Mapping[str, int] | None = None,
    declassifies: Sequence[str] = (),
    into: str = "",
    secrets: Sequence[str] = (),
    queue: str = "",
) -> _Declare: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: Effect = "none",
    action: str = "",
    attempts: int = 3,
    backoff_s: float = 0.5,
    backoff_s_max: float = BACKOFF_S_MAX,
    timeout_s: float | None = None,
    heartbeat_s: float | None = None,
    retry_on: RetryOn = (),
    spends: Mapping[str, int] | None = None,
    declassifies: Sequence[str] = (),
    into: str = "",
    secrets: Sequence[str] = (),
    queue: str = "",
) -> Any:
    """Declare a method of an agent as a step. The method may be a function or a coroutine function.

    A function runs in a worker thread, a coroutine function on an event loop with I/O. Arguments and result
    are what `msgspec` can turn into builtins; `run` gets the result as the method's declared return type.

    `effect` says what the step does to the world outside (see this module), and `action` names it to the
    policies that permit or deny it, as in "order.place"; the two come together.

    `attempts` counts how often the step is tried in all, when it raises anything but `TerminalError`, or of what it
    raises only `retry_on` (and `RetryableError`, always); a step with effect "once" is tried once. `backoff_s` is the
    longest pause before the second attempt, doubled before each one after, at most `backoff_s_max`; each pause is
    between half of that and all of it. `timeout_s` is how long each attempt has: a coroutine is then cancelled. A
    function goes on in its thread, and the next attempt waits for that, for as long as an attempt may take. A step
    with effect "once" that has timed out is an `UncertainOutcome`. Any other is tried again, one with an effect under
    the same key, and in the end `StepFailed`. An attempt that tells nothing by `self.heartbeat` for `heartbeat_s` has
    timed out as well.

    `spends` is taken from the agent's budgets, by name, each time the step is begun; where the gate is asked, with
    its permission, and not without. `cost_micros` and `tokens` are the most that it is to cost, which a policy may
    judge; a step tells what more it did by `self.used`. What is counted anyway (`steps`, `calls`, `wall_ms`,
    `hops`) is not to be named.

    `into` names a compartment that the result is written to, besides being returned: appended to a log, or, a dict,
    entered into a mapping. It must cover all that `run` has used by then, but for the labels that the step
    `declassifies`: those its result no longer deserves. That has to be permitted, as "declassify".

    `secrets` are names of what the host hands to it once that is permitted, an effect: `sojourn.secret(name)`.

    `queue` names a queue of the host's, `[queues.gpu]` in its `offer.toml`: each attempt begins when that lets it,
    and its time with it. A queue that the host does not name has no limit.

    Raises `Misused` for a declaration that makes no sense.
    """
    declare = partial(
        _STEP,
        effect=effect,
        action=action,
        attempts=attempts,
        backoff_s=backoff_s,
        backoff_s_max=backoff_s_max,
        timeout_s=timeout_s,
        heartbeat_s=heartbeat_s,
        retry_on=retry_on,
        spends=spends or {},
        declassifies=declassifies,
        into=into,
        secrets=secrets,
        queue=queue,
    )
    _check(**declare.keywords)
    return declare if function is None else declare(function)


def _check(
    *,
    effect: Effect,
    action: str,
    attempts: int,
    retry_on: RetryOn,
    spends: Mapping[str, int],
    declassifies: Sequence[str],
    into: str,
    secrets: Sequence[str],
    queue: str,
    **seconds: Any,
) -> None:
    _check_declaration(effect, action, attempts)
    _check_retrying(retry_on)
    _check_pauses(backoff_s=seconds["backoff_s"], backoff_s_max=seconds["backoff_s_max"])
    _check_times(timeout_s=seconds["timeout_s"], heartbeat_s=seconds["heartbeat_s"])
    _check_declassifying(effect, declassifies, into)
    _check_spends(spends)
    _check_secrets(effect, secrets)
    _check_queue(queue)


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
    check_actions([action] if action else [])
    if attempts < 1:
        raise Misused(f"a step is declared with {attempts} attempts", remedy="Try it at least once")


def _check_retrying(retry_on: RetryOn) -> None:
    named: tuple[Any, ...] = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for each in named:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            problem = f"a step is declared with retry_on={each!r}, which is no class of exceptions"
            raise Misused(problem, remedy="Write retry_on=OSError, or retry_on=(OSError, ...)")


def _check_pauses(**pauses: float) -> None:
    for name, value in pauses.items():
        if not (value >= 0 and math.isfinite(value)):
            problem = f"a step is declared with {name}={value!r}"
            raise Misused(problem, remedy="Say how many seconds, 0 or more")


def _check_times(**times: float | None) -> None:
    for name, value in times.items():
        if value is not None and not (value > 0 and math.isfinite(value)):
            problem = f"a step is declared with {name}={value!r}"
            raise Misused(problem, remedy="Say how many seconds an attempt has, or leave it out")


def _check_secrets(effect: Effect, secrets: Sequence[str]) -> None:
    if isinstance(secrets, str):
        problem = (
            f"a step is declared with secrets={secrets!r}, which is one text and no list of names"
        )
        raise Misused(problem, remedy=f"Write secrets=({secrets!r},)")
    for name in secrets:
        if not NAME.fullmatch(str(name)):
            problem = f"a step is declared with secret {name!r}"
            raise Misused(problem, remedy="Use lower case letters, digits, '-' and '_', at most 64")
    if len(secrets) > SECRETS_MAX:
        problem = f"a step is declared with {len(secrets)} secrets, more than {SECRETS_MAX}"
        raise Misused(problem, remedy="Part the step")
    if secrets and effect == "none":
        raise Misused(
            f"a step without effect is declared with secrets {', '.join(secrets)}",
            remedy='Say what it does with them outside: effect="idempotent", action="bank.read"',
        )


def _check_queue(queue: Any) -> None:
    if queue != "" and not (isinstance(queue, str) and NAME.fullmatch(queue)):
        problem = f"a step is declared with queue={queue!r}"
        raise Misused(problem, remedy="Use lower case letters, digits, '-' and '_', at most 64")


def _check_declassifying(effect: Effect, declassifies: Sequence[str], into: str) -> None:
    if isinstance(declassifies, str):
        problem = f"a step declassifies {declassifies!r}, which is one text and no list of labels"
        raise Misused(problem, remedy=f"Write declassifies=({declassifies!r},)")
    if declassifies and (effect != "none" or not into):
        raise Misused(
            f"a step declassifies {', '.join(declassifies)}, with effect {effect!r}, into {into!r}",
            remedy="Give it no effect, and name the compartment that its result goes into",
        )
