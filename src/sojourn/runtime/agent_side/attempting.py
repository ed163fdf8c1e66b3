"""The attempts at one call of a step, one after another, until one says what came of it.

    begun ─► returned ─► the result
        ├─► raised ────► after a pause, again; or failed
        └─► timed out ─► of an effect "once": nobody knows; else as if it had raised

A coroutine that has timed out is cancelled. A function goes on in its thread, which nobody can stop. Until either has
ended no further attempt begins, so that no two act side by side: the next one waits, for as long as it might take
itself, and is used up by that. What one that has timed out still returns is not used.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.relaying import relay, relay_of
from sojourn.runtime.agent_side.steps import Step, effect_key, pulse, used
from sojourn.runtime.errors import RetryableError, SecretWithheld, TerminalError
from sojourn.runtime.failures import failure_of
from sojourn.runtime.records import Failure
from sojourn.runtime.secrecy import handed
from sojourn.runtime.typed import kind_of, spelled_arguments, to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.operations import Operation
    from sojourn.runtime.agent_side.queueing import Place

__all__ = ["Attempts", "pause_s"]

DOUBLINGS_MAX: Final = 64


class _Attempt:
    """One attempt, from its beginning until its function or coroutine has ended: the pulse of its step."""

    def __init__(self, attempts: "Attempts", progress: Any, secrets: Mapping[str, str]) -> None:
        self._attempts = attempts
        self.progress = progress
        self.secrets = dict(secrets)
        self.task: asyncio.Task[None] | None = None
        self.has_timed_out = False
        self.heard_at = 0.0

    def beat(self, progress: Any) -> None:
        """Take note of a heartbeat, from any thread; what has timed out is not heard any more."""
        if not self.has_timed_out:
            self._attempts.note_progress(progress)
            self.heard_at = self._attempts.now_s()


class Attempts:
    """The attempts at a call of a step, in one life of the agent.

    `count` counts them, and `used` holds what the step told that it used, by budget. If it `is_relayed`, the host
    acts in its place: that is for the step's function to ask for. `again` begins the next one, once that is permitted
    and it has its `place`, which is left when it has ended. Of `on_result` and `on_failure` one is called, once.
    """

    def __init__(
        self,
        operation: "Operation",
        step: Step[..., Any],
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        *,
        place: "Place",
        again: Callable[[], None],
        on_result: Callable[[Any], None],
        on_failure: Callable[[Failure], None],
    ) -> None:
        self.count = 0
        self.used: dict[str, int] = {}
        self.is_relayed = False
        self._operation = operation
        self._session = operation.session
        self._step = step
        self._args, self._kwargs = arguments
        self._place = place
        self._again = again
        self._on_result = on_result
        self._on_failure = on_failure
        self._key: str | None = None
        self._secrets: Mapping[str, str] = {}
        self._current: _Attempt | None = None
        self._is_waiting = False
        self._deadline: asyncio.TimerHandle | None = None
        self._listening: asyncio.TimerHandle | None = None
        self._progress: Any = None

    def begin(self, key: str | None, secrets: Mapping[str, str]) -> None:
        """Begin the next attempt, under the key of its effect if it has one, with the secrets it is handed."""
        if self._is_dropped:
            return
        self._key, self._secrets = key, secrets
        self.count += 1
        if self._current is None:
            self._start()
        else:
            self._is_waiting = True
            self._watch(self._current)

    def withhold(self, error: SecretWithheld) -> None:
        """Let an attempt have failed before it began: it was not handed what it needs."""
        if not self._is_dropped:
            self.count += 1
            self._raised(error)

    def stop(self) -> None:
        """Let the code be rid of it: no attempt follows, and the one under way is cancelled if it can be."""
        self._unwatch()
        if self._current is None:
            self._place.leave()
        elif self._current.task is not None:
            self._current.task.cancel()

    def now_s(self) -> float:
        """Return the time on the clock that attempts are measured by."""
        return self._session.outer.time()

    def note_progress(self, progress: Any) -> None:
        """Keep what the step told for the next attempt. Raises `Misused` for what has no plain form."""
        if progress is not None:
            what = f"the progress of step {self._step.name!r} ({kind_of(progress)})"
            self._progress = to_plain(progress, what=what)

    @property
    def _is_dropped(self) -> bool:
        """Whether nobody wants to know: the session is over, or the code has cancelled what has no effect."""
        is_cancelled = self._operation.future.done() and self._step.effect == "none"
        return self._session.is_over or is_cancelled

    # --- one attempt ---------------------------------------------------------------------------------

    def _start(self) -> None:
        attempt = self._current = _Attempt(self, self._progress, self._secrets)
        if self._step.is_async:
            attempt.task = self._session.outer.create_task(self._run_coroutine(attempt))
            attempt.task.add_done_callback(self._has_been_cancelled)
            self._watch(attempt)
        else:
            self._session.functions.begin(partial(self._run_function, attempt))

    async def _run_coroutine(self, attempt: _Attempt) -> None:
        self._enter_step(attempt)
        try:
            result = await self._step.function(self._session.agent, *self._args, **self._kwargs)
        except asyncio.CancelledError:
            if self._is_dropped:
                raise
            self._ended(attempt, TerminalError("the step cancelled itself"))
        except BaseException as error:  # SystemExit, too, is the step's and not the host's
            self._ended(attempt, error)
        else:
            self._ended(attempt, None, result)

    def _has_been_cancelled(self, task: "asyncio.Task[None]") -> None:
        """Leave the place of one that nobody wants any more: its end is not looked at, but here."""
        if task.cancelled():
            self._place.leave()

    def _run_function(self, attempt: _Attempt) -> None:
        """Run in a thread, where its time begins: it may have waited for one."""
        self._enter_step(attempt)
        if self._is_timed:
            self._session.call_soon(self._watch, attempt)
        try:
            result = self._step.function(self._session.agent, *self._args, **self._kwargs)
        except BaseException as error:
            self._session.call_soon(self._ended, attempt, error)
        else:
            self._session.call_soon(self._ended, attempt, None, result)

    def _enter_step(self, attempt: _Attempt) -> None:
        """Let the step know its key and its secrets, and tell what it uses and that it is alive."""
        effect_key.set(self._key)
        used.set(self.used)
        pulse.set(attempt)
        handed.set(attempt.secrets)
        spelled = partial(spelled_arguments, self._args, self._kwargs, what="what a model is told")
        is_relayed = self.is_relayed and self._key is not None
        relay.set(relay_of(self._session, self._key or "", spelled) if is_relayed else None)

    def _ended(self, attempt: _Attempt, error: BaseException | None, result: object = None) -> None:
        self._current = None
        self._place.leave()
        attempt.secrets.clear()  # whatever still runs of it is handed nothing more
        self._unwatch()
        if not attempt.has_timed_out:
            if error is None:
                self._on_result(result)
            else:
                is_misfit = isinstance(error, TypeError)
                misfit = _misfit(self._step, self._args, self._kwargs) if is_misfit else None
                self._raised(misfit or error)
        elif self._is_waiting:  # the attempt that waited for this may begin now
            self._is_waiting = False
            self.count -= 1
            self._again()

    # --- and the next --------------------------------------------------------------------------------

    def _raised(self, error: BaseException) -> None:
        if self._is_left and self._helps(error):
            self._pause(error.after_s if isinstance(error, RetryableError) else 0.0)
        else:
            self._on_failure(failure_of(error))

    @property
    def _is_left(self) -> bool:
        """Whether the declaration leaves an attempt."""
        return self.count < self._step.attempts

    def _helps(self, error: BaseException) -> bool:
        """Tell whether trying again may help against what the step raised."""
        if isinstance(error, TerminalError | Misused):
            return False
        wanted = self._step.retry_on
        return not wanted or isinstance(error, (RetryableError, *wanted))

    def _pause(self, after_s: float = 0.0) -> None:
        chance = self._session.course.chance(self._operation.call, self.count)
        seconds = max(pause_s(self._step, self.count, chance), after_s)
        self._session.outer.call_later(seconds, self._again)

    # --- its time ------------------------------------------------------------------------------------

    @property
    def _is_timed(self) -> bool:
        return self._step.timeout_s is not None or self._step.heartbeat_s is not None

    def _watch(self, attempt: _Attempt) -> None:
        """Measure an attempt from now on, or what waits for it to end."""
        if attempt is not self._current:
            return
        attempt.heard_at = self.now_s()
        if self._step.timeout_s is not None:
            later = self._session.outer.call_later
            self._deadline = later(self._step.timeout_s, self._time_is_up)
        if self._step.heartbeat_s is not None:
            self._listen_after(self._step.heartbeat_s)

    def _listen_after(self, seconds: float) -> None:
        self._listening = self._session.outer.call_later(seconds, self._listen)

    def _unwatch(self) -> None:
        for timer in (self._deadline, self._listening):
            if timer is not None:
                timer.cancel()
        self._deadline = self._listening = None

    def _listen(self) -> None:
        """Look whether the attempt has told that it is alive."""
        assert self._current is not None, "nothing that has ended is watched"
        assert self._step.heartbeat_s is not None
        left_s = self._current.heard_at + self._step.heartbeat_s - self.now_s()
        if left_s > 0:
            self._listen_after(left_s)
        else:
            self._time_is_up()

    def _time_is_up(self) -> None:
        is_silent = self._is_silent
        self._unwatch()
        assert self._current is not None, "nothing that has ended is watched"
        if self._is_dropped:
            return
        self._is_waiting = False
        self._current.has_timed_out = True
        if self._current.task is not None:
            self._current.task.cancel()
        if self._step.effect == "once":  # protocol §10.4: it may have had its effect
            self._on_failure(_unknown(self._key or ""))
        elif self._is_left:
            self._pause()
        else:
            self._on_failure(_too_late(self._step, is_silent=is_silent))

    @property
    def _is_silent(self) -> bool:
        """Whether nothing has been heard for longer than is declared."""
        heartbeat_s = self._step.heartbeat_s
        if heartbeat_s is None or self._current is None:
            return False
        return self.now_s() - self._current.heard_at >= heartbeat_s


def pause_s(step: Step[..., Any], attempts: int, chance: float) -> float:
    """Return how many seconds to pause after so many attempts; `chance`, from 0 up to 1, spreads many agents."""
    doubled: float = step.backoff_s * 2 ** min(attempts - 1, DOUBLINGS_MAX)
    longest = min(doubled, step.backoff_s_max)
    return longest * (1 + chance) / 2


def _misfit(
    step: Step[..., Any], given: tuple[Any, ...], named: Mapping[str, Any]
) -> Misused | None:
    """Return the error for a step that was called with other arguments than it takes: no attempt will help it."""
    try:
        signature(step.function).bind(None, *given, **named)
    except (TypeError, ValueError) as error:
        problem = f"step {step.name!r} was called with other arguments than it takes: {error}"
        return Misused(problem, remedy="Call it as it is declared")
    return None


def _unknown(key: str) -> Failure:
    return Failure(cause="uncertain", kind="UncertainOutcome", message=key)


def _too_late(step: Step[..., Any], *, is_silent: bool) -> Failure:
    if is_silent:
        message = f"nothing was heard of it for {step.heartbeat_s:g} s"
        remedy = "Call self.heartbeat() in it more often, or declare a longer heartbeat_s"
    else:
        message = f"it had not ended after {step.timeout_s:g} s"
        remedy = "Give each attempt more time (timeout_s)"
    if not step.is_async:
        message += ", and as a function it cannot be stopped"
        remedy += ", or write a coroutine, which is cancelled"
    return Failure(cause="timeout", kind="Timeout", message=message, remedy=remedy)
