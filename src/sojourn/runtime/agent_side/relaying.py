"""Model calls of confined code: its host makes them, since that has the network, and the key (protocol §10.33).

    agent's side   arguments and settings ─► host: of this intent? ─► the provider
                                     reply ◄─ free of the key ◄───────────┘

The host believes nothing but the intent that it wrote: what is asked is what the intent's digest says, of the model
that it names, for no more tokens than it declares, with the secrets that it states. Those never leave the host.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode
from sojourn.core.base.errors import Denied, Misused, Rejected
from sojourn.runtime.errors import RetryableError, TerminalError
from sojourn.runtime.questions import TOLD_BYTES_MAX, Answer, CallModel, Problem, Replied
from sojourn.runtime.secrecy import Secrecy

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["MODEL_CALL", "Caller", "Relayed", "Relaying", "relay", "relay_of"]

MODEL_CALL: Final = "model.call"
"""The action whose effects a host makes itself for confined code."""
_PROBLEM_CHARS_MAX: Final = 4096

relay: ContextVar[Callable[[bytes], Awaitable[bytes]] | None] = ContextVar("relay", default=None)
"""Within a step whose call the host makes: how. It takes the settings of the call and returns the reply."""


class Relayed(NamedTuple):
    """A call to make: of which model ("provider/model"), with which arguments of the step, as builtins.

    `tokens` are all that it may use, `settings` what the agent's code says besides. `secrets` are for this call.
    """

    counterpart: str
    tokens: int
    key: str
    arguments: tuple[list[Any], dict[str, Any]]
    settings: bytes
    secrets: Mapping[str, str]


class Caller(Protocol):
    """Who makes model calls on a host."""

    async def call(self, wanted: Relayed) -> bytes:
        """Make a call once and return its reply.

        Raises `RetryableError`, `TerminalError`; and `Misused`, `Denied` or `Rejected` for what is not called.
        """


class Intended(Protocol):
    """What is known of an intent that is final and has no outcome."""

    @property
    def step(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def secrets(self) -> tuple[str, ...]: ...
    @property
    def arguments(self) -> bytes: ...
    @property
    def counterpart(self) -> str: ...
    @property
    def tokens(self) -> int: ...


# --- the agent's side --------------------------------------------------------------------------------------


def relay_of(
    session: "Session", key: str, spelled: Callable[[], bytes]
) -> Callable[[bytes], Awaitable[bytes]]:
    """Return what has the host make the call of the intent under `key`, with these arguments."""

    async def call(settings: bytes) -> bytes:
        told: asyncio.Future[Replied | Problem] = asyncio.get_running_loop().create_future()

        def hand_on(answer: Answer) -> None:
            if not told.done():
                assert isinstance(answer, Replied | Problem)
                told.set_result(answer)

        session.ask(CallModel, hand_on, key=key, spelled=spelled(), settings=settings)
        answer = await told
        if isinstance(answer, Problem):
            raise TerminalError(f"{answer.problem}. {answer.remedy}".removesuffix(". "))
        if answer.again_s is not None:
            raise RetryableError(answer.problem, after_s=answer.again_s)
        if answer.problem:
            raise TerminalError(answer.problem)
        return answer.reply

    return call


# --- the host's side ---------------------------------------------------------------------------------------


class Relaying:
    """The calls that a host makes for one execution: one at a time under each key."""

    def __init__(self, caller: Caller, secrecy: Secrecy) -> None:
        """Have `caller` make them. Replies are free of what `secrecy` knows."""
        self._caller, self._secrecy = caller, secrecy
        self._under_way: dict[str, asyncio.Task[Any]] = {}

    async def call(
        self,
        question: CallModel,
        intent: Intended | None,
        hand_out: Callable[[str, str, tuple[str, ...]], Awaitable[dict[str, str]]],
    ) -> Answer:
        """Make the call of an intent, once that of an earlier attempt has ended."""
        try:
            _check(question, intent)
            assert intent is not None
            arguments = _arguments(question.spelled)
            values = await hand_out(intent.step, intent.action, intent.secrets)
        except (Denied, Misused) as error:
            return Problem(cause="refused", problem=error.problem[:512], remedy=error.remedy)
        self._secrecy.add(values)
        wanted = Relayed(
            intent.counterpart,
            intent.tokens,
            question.key,
            arguments,
            question.settings,
            values,
        )
        await self._end(question.key)
        task: asyncio.Task[Replied] = asyncio.ensure_future(self._made(wanted))
        self._under_way[question.key] = task
        try:
            return await task
        finally:
            task.cancel()
            if self._under_way.get(question.key) is task:
                del self._under_way[question.key]

    async def _end(self, key: str) -> None:
        """End what an earlier attempt has left under way: attempts do not overlap."""
        before = self._under_way.pop(key, None)
        if before is not None:
            before.cancel()
            await asyncio.wait((before,))

    async def _made(self, wanted: Relayed) -> Replied:
        try:
            reply = await self._caller.call(wanted)
        except RetryableError as error:
            return Replied(problem=self._told(error), again_s=error.after_s)
        except (TerminalError, Misused, Denied) as error:
            return Replied(problem=self._told(error))
        name = self._secrecy.find(reply)
        if name is not None:
            return Replied(problem=f"the answer of {wanted.counterpart} contains secret {name!r}")
        return Replied(reply=reply)

    def _told(self, error: Exception) -> str:
        said = self._secrecy.redacted(str(error)).encode(errors="replace").decode()
        return said[:_PROBLEM_CHARS_MAX] or type(error).__name__


def _check(question: CallModel, intent: Intended | None) -> None:
    """Raise `Denied` unless this is the call that an intent permits."""
    if intent is None or intent.action != MODEL_CALL:
        problem = f"no intent {question.key!r} of a model call waits for its outcome"
        raise Denied(problem, remedy="Call a model by a step that sojourn.models declares")
    if digest(question.spelled) != intent.arguments:
        problem = f"what model call {intent.step!r} would say is not what was permitted"
        raise Denied(problem, remedy="Say what the step was called with")


def _arguments(spelled: bytes) -> tuple[list[Any], dict[str, Any]]:
    """Return a step's arguments from their bytes. Raises `Denied`."""
    try:
        plain = decode(spelled, Any, what="arguments", limit=TOLD_BYTES_MAX)
        arguments: tuple[list[Any], dict[str, Any]] = msgspec.convert(
            plain, tuple[list[Any], dict[str, Any]]
        )
    except (Rejected, msgspec.ValidationError) as error:
        raise Denied(f"a model cannot be told this: {error}") from None
    return arguments
