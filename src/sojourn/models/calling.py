"""A model call: a step with the effect "idempotent" and the action "model.call".

What it may cost at most is reserved by its intent: a token for each byte of what is said, and all tokens that the
answer may have. It is made once per attempt, by the `openai` client without retries of its own; the runtime tries
again what may help, under the same effect key, which goes along as `Idempotency-Key`.
"""

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from sojourn.core.agent.budgets import COST_MICROS, TOKENS
from sojourn.core.base.errors import Misused
from sojourn.models.prices import Prices, cost_micros
from sojourn.models.replies import Messages, Reply, ToolCall, spoken
from sojourn.runtime.errors import RetryableError, TerminalError
from sojourn.runtime.secrecy import secret as value_of
from sojourn.runtime.steps import Effect, Step, effect_key

__all__ = ["ACTION", "ENDPOINTS", "ModelStep", "model"]

ACTION: Final = "model.call"
ENDPOINTS: Final = {
    "anthropic": "https://api.anthropic.com/v1/",
    "deepseek": "https://api.deepseek.com/v1",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai/",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "ollama": "http://localhost:11434/v1",
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}
"""Where providers speak OpenAI's protocol. Any other takes `base_url`."""
OVERHEAD_TOKENS: Final = 64
"""What a provider's own frame around messages may take."""
_AGAIN: Final = frozenset({408, 409, 425, 429})


class ModelStep(Step[..., Reply]):
    """A declared model call. Its name is that of the attribute it is assigned to."""

    def __init__(self, *, settings: "_Settings", **declared: Any) -> None:
        super().__init__(_call_of(settings), **declared)
        self.settings = settings
        self.counterpart = f"{settings.provider}/{settings.model}"

    def __set_name__(self, owner: type, name: str) -> None:
        """Be called what the author calls it."""
        self.name = self.__name__ = name

    def spends_of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, int]:
        """Return the most that a call with these arguments may take of budgets."""
        settings = self.settings
        said = msgspec.json.encode(msgspec.to_builtins([args, kwargs]))
        tokens_in = len(said) + OVERHEAD_TOKENS
        spends = {**self.spends, TOKENS: tokens_in + settings.output_tokens}
        try:
            cost = settings.cost_micros(tokens_in, settings.output_tokens)
        except Misused:  # the call says so, before it is made
            return spends
        return {**spends, COST_MICROS: cost}


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How calls of one declaration are made."""

    model: str
    provider: str
    base_url: str
    secret: str
    output_tokens: int
    temperature: float | None
    prices: Prices | None
    timeout_s: float

    def cost_micros(self, tokens_in: int, tokens_out: int) -> int:
        return cost_micros(self.model, self.provider, self.prices, tokens_in, tokens_out)


def model(
    name: str,
    *,
    provider: str = "openai",
    base_url: str = "",
    secret: str = "",
    output_tokens: int = 1024,
    temperature: float | None = None,
    prices: tuple[int, int] | None = None,
    effect: Effect = "idempotent",
    attempts: int = 3,
    backoff_s: float = 1.0,
    timeout_s: float = 120.0,
) -> ModelStep:
    """Declare a model call, as an attribute of an agent: `reply = await self.think(messages)`, a `Reply`.

    `provider` is one of those whose endpoint is known, or any name with a `base_url`; policies see "provider/name" as
    `context.counterpart`, and the action "model.call". `secret` names its key, handed by the host. An answer has at
    most `output_tokens`. `prices` are millionths of the currency unit for a million tokens in and out, by default
    those of `genai-prices`. The rest is as for `@step`; with the effect "once" a call that may have been made is
    never repeated. Calls take text or messages, and `tools` as OpenAI's protocol has them (see `converse`).

    Raises `Misused` for a declaration that makes no sense.
    """
    endpoint = base_url or ENDPOINTS.get(provider, "")
    if not endpoint:
        problem = f"nobody says where provider {provider!r} of model {name!r} is"
        remedy = f"Give base_url, or one of {', '.join(ENDPOINTS)}"
        raise Misused(problem, remedy=remedy)
    if effect == "none" or not name or output_tokens < 1:
        problem = (
            f"model {name!r} is declared with effect {effect!r}, output_tokens={output_tokens}"
        )
        remedy = 'Name a model, with effect "idempotent" or "once", and at least one token'
        raise Misused(problem, remedy=remedy)
    settings = _Settings(
        model=name,
        provider=provider,
        base_url=endpoint,
        secret=secret,
        output_tokens=output_tokens,
        temperature=temperature,
        prices=None if prices is None else Prices(*prices),
        timeout_s=timeout_s,
    )
    return ModelStep(
        settings=settings,
        effect=effect,
        action=ACTION,
        attempts=attempts,
        backoff_s=backoff_s,
        timeout_s=timeout_s,
        spends={},
        declassifies=(),
        into="",
        secrets=(secret,) if secret else (),
    )


def _call_of(settings: _Settings) -> Any:
    """Return the coroutine function that makes a call."""

    async def call(
        agent: Any, messages: Messages, tools: Sequence[Mapping[str, Any]] = ()
    ) -> Reply:
        openai = await _library()
        more: dict[str, Any] = {"tools": list(tools)} if tools else {}
        if settings.temperature is not None:
            more["temperature"] = settings.temperature
        try:
            settings.cost_micros(1, 1)
        except Misused as error:
            raise TerminalError(str(error)) from None
        key = value_of(settings.secret) if settings.secret else "none"
        client = openai.AsyncOpenAI(
            api_key=key, base_url=settings.base_url, max_retries=0, timeout=settings.timeout_s
        )
        async with client:
            try:
                answer = await client.chat.completions.create(
                    model=settings.model,
                    messages=spoken(messages),
                    max_tokens=settings.output_tokens,
                    extra_headers={"Idempotency-Key": effect_key.get() or ""},
                    **more,
                )
            except openai.APIStatusError as error:
                raise _failure(error) from None
            except openai.APIConnectionError as error:
                raise RetryableError(f"{settings.base_url} does not answer: {error}") from None
        reply = _reply(answer, settings)
        agent.used(tokens=reply.input_tokens + reply.output_tokens, cost_micros=reply.cost_micros)
        return reply

    return call


async def _library() -> Any:
    """Return the client library, imported in a thread: that takes a second."""
    try:
        return await asyncio.to_thread(importlib.import_module, "openai")
    except ImportError:
        problem = "the client library of model calls, openai, is not installed here"
        raise TerminalError(f"{problem}. pip install 'sojourn[models]' on the host") from None


def _failure(error: Any) -> Exception:
    """Return what is raised for an answer that is none: try again, or not."""
    said = f"{error.status_code} from {error.request.url}: {error.message}"
    if error.status_code in _AGAIN or error.status_code >= 500:
        after = error.response.headers.get("retry-after", "")
        return RetryableError(said, after_s=float(after) if after.isdigit() else 0.0)
    return TerminalError(said)


def _reply(answer: Any, settings: _Settings) -> Reply:
    """Return an answer as a value. Raises `RetryableError` for one that says nothing."""
    if not answer.choices:
        raise RetryableError(f"{settings.model} answered with no choice")
    said, usage = answer.choices[0].message, answer.usage
    tokens_in = usage.prompt_tokens if usage else 0
    tokens_out = usage.completion_tokens if usage else 0
    return Reply(
        text=_sound(said.content),
        tool_calls=tuple(
            ToolCall(
                id=_sound(call.id),
                name=_sound(call.function.name),
                arguments=_sound(call.function.arguments),
            )
            for call in said.tool_calls or ()
        ),
        model=_sound(answer.model) or settings.model,
        finish=answer.choices[0].finish_reason or "",
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost_micros=settings.cost_micros(tokens_in, tokens_out),
    )


def _sound(text: str | None) -> str:
    """Return text without the lone surrogates that JSON may hold and no record takes."""
    return (text or "").encode(errors="replace").decode()
