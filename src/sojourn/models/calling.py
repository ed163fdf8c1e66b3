"""A model call: a step with the effect "idempotent" and the action "model.call".

What it may cost at most is reserved by its intent: a token for each byte of what is said, and all tokens that the
answer may have. It is made once per attempt, by a client without retries of its own; the runtime tries again what may
help, under the same effect key.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sojourn.core.agent.budgets import COST_MICROS, TOKENS
from sojourn.core.base.errors import Misused
from sojourn.models.clients import ask
from sojourn.models.peculiar import check_base
from sojourn.models.prices import Prices
from sojourn.models.relayed import reply_in, wish_of
from sojourn.models.replies import Messages, Reply, spoken
from sojourn.models.settings import ENDPOINTS, NO_KEY, OVERHEAD_TOKENS, Protocol, Settings
from sojourn.models.writing import heard_by
from sojourn.runtime.agent_side.relaying import MODEL_CALL, relay
from sojourn.runtime.agent_side.steps import Effect, Step, effect_key
from sojourn.runtime.errors import TerminalError
from sojourn.runtime.secrecy import secret as value_of

__all__ = ["ModelStep", "model"]


class ModelStep(Step[..., Reply]):
    """A declared model call. Its name is that of the attribute it is assigned to."""

    def __init__(self, *, settings: Settings, **declared: Any) -> None:
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


def model(
    name: str,
    *,
    provider: str = "openai",
    protocol: Protocol = "openai",
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

    By `protocol` "openai", `provider` is one of those whose endpoint is known, or any name with a `base_url`. With
    "native" it is spoken to in its own, by `any-llm`, which knows "anthropic", "gemini", "bedrock", "mistral" and
    many more. Policies see "provider/name" as `context.counterpart`, and the action "model.call". `secret` names its
    key, handed by the host. An answer has at most `output_tokens`. `prices` are millionths of the currency unit for a
    million tokens in and out, by default those of `genai-prices`. The rest is as for `@step`; with the effect "once"
    a call that may have been made is never repeated. Calls take text or messages, and `tools` as OpenAI's protocol
    has them (see `converse`).

    Raises `Misused` for a declaration that makes no sense.
    """
    endpoint = _endpoint(name, provider, protocol, base_url)
    if effect == "none" or not name or output_tokens < 1:
        problem = (
            f"model {name!r} is declared with effect {effect!r}, output_tokens={output_tokens}"
        )
        remedy = 'Name a model, with effect "idempotent" or "once", and at least one token'
        raise Misused(problem, remedy=remedy)
    settings = Settings(
        model=name,
        provider=provider,
        protocol=protocol,
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
        action=MODEL_CALL,
        attempts=attempts,
        backoff_s=backoff_s,
        timeout_s=timeout_s,
        spends={},
        declassifies=(),
        into="",
        secrets=(secret,) if secret else (),
    )


def _endpoint(name: str, provider: str, protocol: Protocol, base_url: str) -> str:
    """Return where a provider is, "" where the library knows. Raises `Misused` if nobody does."""
    if protocol not in ("openai", "native"):
        problem = f"model {name!r} is declared with protocol {protocol!r}"
        raise Misused(problem, remedy='Use "openai", or "native" for the provider\'s own')
    endpoint = base_url or ("" if protocol == "native" else ENDPOINTS.get(provider, ""))
    if not provider or (protocol == "openai" and not endpoint):
        problem = f"nobody says where provider {provider!r} of model {name!r} is"
        known = ", ".join(ENDPOINTS)
        raise Misused(problem, remedy=f'Give base_url, protocol="native", or one of {known}')
    if protocol == "native":
        check_base(provider, base_url)
    return endpoint


def _call_of(settings: Settings) -> Any:
    """Return the coroutine function that makes a call."""

    async def call(
        agent: Any, messages: Messages, tools: Sequence[Mapping[str, Any]] = ()
    ) -> Reply:
        try:
            settings.cost_micros(1, 1)
        except Misused as error:
            raise TerminalError(str(error)) from None
        by_host = relay.get()
        if by_host is not None:
            return _paid(agent, settings, reply_in(await by_host(wish_of(settings))))
        hearing = heard_by(agent, messages, tools)
        if hearing is not None:
            hearing.begin()
        said = await ask(
            settings,
            spoken(messages),
            tools,
            key=value_of(settings.secret) if settings.secret else NO_KEY,
            effect_key=effect_key.get() or "",
            hear=None if hearing is None else hearing.hear,
        )
        return _paid(agent, settings, said)

    return call


def _paid(agent: Any, settings: Settings, said: Reply) -> Reply:
    """Return a reply with its cost, once the step has told what it used."""
    cost = settings.cost_micros(said.input_tokens, said.output_tokens)
    agent.used(tokens=said.input_tokens + said.output_tokens, cost_micros=cost)
    return msgspec.structs.replace(said, cost_micros=cost)
