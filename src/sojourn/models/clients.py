"""One call of a model, over the network: by the client of OpenAI's protocol, or by `any-llm` in the provider's own.

Both answer in the same form, whole or chunk by chunk. Neither tries again by itself: that is the runtime's, under the
same effect key. What is raised says whether to try again: `RetryableError`, or `TerminalError`.
"""

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from sojourn.core.base.encoding import shown
from sojourn.core.base.errors import Misused
from sojourn.models.answers import Gathering, reply_of
from sojourn.models.peculiar import (
    asked_whole,
    check_base,
    close,
    options_of,
    readable,
    refusal_in,
)
from sojourn.models.replies import Reply
from sojourn.models.settings import Settings
from sojourn.runtime.errors import RetryableError, TerminalError

__all__ = ["ask"]

_AGAIN: Final = frozenset({408, 409, 425, 429})
_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError)
"""What client libraries raise when an answer has another form than they think."""
_KEYED: Final = ("BaseOpenAIProvider", "BaseAnthropicProvider")
"""Of the library's clients, those that send what headers they are given."""


async def ask(
    settings: Settings,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    *,
    key: str,
    effect_key: str,
    hear: Callable[[str], None] | None = None,
) -> Reply:
    """Call a model once and return what it answered, without its cost.

    `key` is the provider's, `effect_key` goes along as `Idempotency-Key` where a client can send one. `hear` is told
    each piece of the text as it comes. Raises `RetryableError` and `TerminalError`.
    """
    wanted: dict[str, Any] = {
        "model": settings.model,
        "messages": [dict(each) for each in messages],
        "max_tokens": settings.output_tokens,
    }
    if tools:
        wanted["tools"] = [dict(each) for each in tools]
    if settings.temperature is not None:
        wanted["temperature"] = settings.temperature
    if hear is not None:
        wanted["stream"] = True
    headers = {"Idempotency-Key": effect_key}
    if settings.protocol == "openai":
        return await _by_openai(settings, wanted, headers, key, hear)
    return await _by_library(settings, wanted, headers, key, hear)


async def _read(answer: Any, settings: Settings, hear: Callable[[str], None] | None) -> Reply:
    """Return an answer that comes whole, or piece by piece."""
    if hear is None:
        return reply_of(answer, settings.model)
    gathering = Gathering(settings.model)
    try:
        async for chunk in answer:
            piece = gathering.add(chunk)
            if piece:
                hear(piece)
    finally:  # else what is left of it is closed while it is read
        with suppress(Exception):
            await (getattr(answer, "aclose", None) or answer.close)()
    return gathering.reply()


# --- OpenAI's protocol -------------------------------------------------------------------------------------


async def _by_openai(
    settings: Settings,
    wanted: dict[str, Any],
    headers: dict[str, str],
    key: str,
    hear: Callable[[str], None] | None,
) -> Reply:
    openai = await _imported("openai", "models")
    if hear is not None:
        wanted["stream_options"] = {"include_usage": True}
    client = openai.AsyncOpenAI(
        api_key=key, base_url=settings.base_url, max_retries=0, timeout=settings.timeout_s
    )
    async with client:
        try:
            answer = await client.chat.completions.create(extra_headers=headers, **wanted)
            return await _read(answer, settings, hear)
        except openai.APIStatusError as error:
            said = f"{error.status_code} from {error.request.url}: {error.message}"
            after = error.response.headers.get("retry-after", "")
            raise _failure(said, error.status_code, after) from None
        except openai.APIConnectionError as error:
            raise RetryableError(f"{settings.base_url} does not answer: {error}") from None
        except openai.APIError as error:  # an error amid a stream
            raise RetryableError(f"{settings.base_url} broke off: {error.message}") from None
        except _UNREADABLE as error:
            said = f"{settings.base_url} gave an answer that nobody can read: {shown(str(error))}"
            raise RetryableError(said) from None


# --- the provider's own ------------------------------------------------------------------------------------


async def _by_library(
    settings: Settings,
    wanted: dict[str, Any],
    headers: dict[str, str],
    key: str,
    hear: Callable[[str], None] | None,
) -> Reply:
    library = await _imported("any_llm", "providers")
    failures = library.exceptions
    if hear is not None and asked_whole(settings.provider):
        del wanted["stream"]
        reply = await _by_library(settings, wanted, headers, key, None)
        hear(reply.text)
        return reply
    wanted["messages"] = [readable(each) for each in wanted["messages"]]
    try:
        check_base(settings.provider, settings.base_url)
        client = await asyncio.to_thread(_client, library, settings, key)
        if _has_base(client, _KEYED):
            wanted["extra_headers"] = headers
        if client.TIMEOUT_SUPPORT != "unsupported":
            wanted["timeout"] = settings.timeout_s
    except ImportError as error:
        problem = f"the client of provider {settings.provider!r} is not installed here: {error}"
        remedy = f"pip install 'any-llm-sdk[{settings.provider}]' on the host"
        raise TerminalError(f"{problem}. {remedy}") from None
    except (failures.AnyLLMError, Misused) as error:
        raise TerminalError(f"provider {settings.provider!r}: {error}") from None
    again = (
        failures.ProviderError,
        failures.RateLimitError,
        failures.UpstreamProviderError,
        failures.GatewayTimeoutError,
    )
    try:
        return await _read(await client.acompletion(**wanted), settings, hear)
    except failures.AnyLLMError as error:
        status, after = refusal_in(error)
        said = f"{status or 'no answer'} from {settings.provider}: {error.message}"
        if status < 400 and isinstance(error, again):  # the status is of no answer, or of a stream
            raise RetryableError(said) from None
        raise _failure(said, status, after) from None
    except _UNREADABLE as error:  # what a client is told wrongly looks the same
        said = (
            f"the client of {settings.provider} cannot make or read this call: {shown(str(error))}"
        )
        raise RetryableError(said) from None
    except NotImplementedError as error:
        raise TerminalError(f"the client of {settings.provider} cannot do this: {error}") from None
    finally:
        await close(client)


def _client(library: Any, settings: Settings, key: str) -> Any:
    """Return the library's client of a provider. To be called in a thread: it imports that provider's own."""
    form = library.AnyLLM.get_provider_class(settings.provider)
    more: dict[str, Any] = {}
    if form.MISSING_PACKAGES_ERROR is None:  # else the next call says so
        more = options_of(settings.provider, key, settings.base_url)
    if form.MAX_RETRIES_SUPPORT != "unsupported":
        more["max_retries"] = 0
    return library.AnyLLM.create(
        settings.provider,
        api_key=key,
        api_base=settings.base_url or None,
        unified_exceptions=True,
        **more,
    )


def _has_base(client: Any, names: Sequence[str]) -> bool:
    return any(form.__name__ in names for form in type(client).__mro__)


# --- both --------------------------------------------------------------------------------------------------


async def _imported(name: str, extra: str) -> Any:
    """Return a client library, imported in a thread: that takes seconds."""
    try:
        return await asyncio.to_thread(importlib.import_module, name)
    except ImportError:
        problem = f"the client library of model calls, {name}, is not installed here"
        raise TerminalError(f"{problem}. pip install 'sojourn[{extra}]' on the host") from None


def _failure(said: str, status: int, after: str) -> Exception:
    """Return what is raised for an answer that is none: try again, or not."""
    if status in _AGAIN or status >= 500:
        return RetryableError(said, after_s=float(after) if after.isdigit() else 0.0)
    return TerminalError(said)
