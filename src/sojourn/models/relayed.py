"""Model calls that a host makes for code without a network: which it makes, where, and what of them comes back.

The agent's code says which model and what to say; where that is spoken to is the host's to say. By OpenAI's protocol
a host calls the providers that everybody knows, and by any other way, or anywhere else, what its file names.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from sojourn.core.base.encoding import shown
from sojourn.core.base.errors import Denied, Misused
from sojourn.models.clients import ask
from sojourn.models.replies import Messages, Reply, spoken
from sojourn.models.settings import ENDPOINTS, NO_KEY, OVERHEAD_TOKENS, Protocol, Settings
from sojourn.runtime.agent_side.relaying import Relayed
from sojourn.runtime.errors import TerminalError

__all__ = ["LOCAL", "Endpoint", "ModelCaller", "reply_in", "wish_of"]

LOCAL: Final = "ollama"
"""Of the known ones, the provider that is no service of the internet: a host is not to find it by chance."""
_TIMEOUT_S_MAX: Final = 3600.0


class Endpoint(NamedTuple):
    """Where a host speaks to a provider; `base_url` is "" where the library knows."""

    base_url: str
    protocol: Protocol = "openai"


class _Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an agent's code says of a call besides the model and what it is told."""

    protocol: Protocol
    output_tokens: Annotated[int, Meta(ge=1, le=2**31)]
    temperature: Annotated[float, Meta(ge=0, le=10)] | None
    timeout_s: Annotated[float, Meta(gt=0)]


def wish_of(settings: Settings) -> bytes:
    """Return what a host is told of a declaration."""
    return msgspec.json.encode(
        _Wish(
            protocol=settings.protocol,
            output_tokens=settings.output_tokens,
            temperature=settings.temperature,
            timeout_s=settings.timeout_s,
        )
    )


def reply_in(data: bytes) -> Reply:
    """Return the reply that a host gave. Raises `TerminalError` for what is none."""
    try:
        return msgspec.json.decode(data, type=Reply)
    except (ValueError, OverflowError, RecursionError) as error:  # of msgspec, and of its UTF-8
        raise TerminalError(f"the host gave no reply of a model: {shown(str(error))}") from None


class ModelCaller:
    """The model calls of one host: a `runtime.agent_side.relaying.Caller`."""

    def __init__(self, endpoints: Callable[[], Mapping[str, Endpoint]] = dict) -> None:
        """Speak to the providers that `endpoints` names, asked for each call, and to those everybody knows."""
        self._endpoints = endpoints

    async def call(self, wanted: Relayed) -> bytes:
        """Make a call once and return its reply.

        Raises `RetryableError`, `TerminalError`; `Denied` for what goes beyond the intent or is nowhere to be asked;
        `Misused` for what says nothing.
        """
        wish, messages, tools = _wish(wanted.settings), *_said(wanted)
        provider, _, model = wanted.counterpart.partition("/")
        endpoint = self._endpoint(provider, wish.protocol)
        said = msgspec.json.encode([messages, tools])
        most = len(said) + wish.output_tokens
        if most > wanted.tokens + OVERHEAD_TOKENS:
            problem = f"the call may use {most} tokens, and its intent declares {wanted.tokens}"
            raise Denied(problem, remedy="Declare model calls by sojourn.models alone")
        if len(wanted.secrets) > 1:
            problem = f"a model call declares {len(wanted.secrets)} secrets"
            raise Denied(problem, remedy="Declare its key alone")
        settings = Settings(
            model=model,
            provider=provider,
            protocol=endpoint.protocol,
            base_url=endpoint.base_url,
            secret="",
            output_tokens=wish.output_tokens,
            temperature=wish.temperature,
            prices=None,
            timeout_s=min(wish.timeout_s, _TIMEOUT_S_MAX),
        )
        key = next(iter(wanted.secrets.values()), NO_KEY)
        reply = await ask(settings, messages, tools, key=key, effect_key=wanted.key)
        return msgspec.json.encode(reply)

    def _endpoint(self, provider: str, protocol: Protocol) -> Endpoint:
        """Return where a provider is. Raises `Denied` for one that this host does not speak to so."""
        named = self._endpoints().get(provider)
        if named is not None:
            return named
        if protocol == "openai" and provider in ENDPOINTS and provider != LOCAL:
            return Endpoint(ENDPOINTS[provider])
        problem = f"this host speaks to no provider {provider!r} for confined code"
        if protocol == "native":
            problem += " in its own protocol"
        raise Denied(problem, remedy="Whoever runs the host may name it in models.toml")


def _wish(settings: bytes) -> _Wish:
    try:
        return msgspec.json.decode(settings, type=_Wish)
    except (ValueError, OverflowError, RecursionError) as error:  # of msgspec, and of its UTF-8
        raise TerminalError(f"a model call is declared wrongly: {shown(str(error))}") from None


def _called(messages: Messages, tools: Any = ()) -> None:
    """Have the signature of a model call."""


def _said(wanted: Relayed) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the messages and tools of a call. Raises `TerminalError` for what has another form."""
    args, named = wanted.arguments
    try:
        given = inspect.signature(_called).bind(*args, **named).arguments
        messages = msgspec.convert(given["messages"], str | list[dict[str, Any]])
        tools = msgspec.convert(given.get("tools", []), list[dict[str, Any]])
        return spoken(messages), tools
    except (TypeError, msgspec.ValidationError, Misused) as error:
        raise TerminalError(f"a model cannot be told this: {error}") from None
