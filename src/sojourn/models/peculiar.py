"""What single providers' clients want otherwise than the library of protocols (`any-llm`) gives it to them.

Each stands for a fault that shows with the provider's real client: a key or an address that does not arrive, a client
that tries again by itself or holds up the host, a refusal whose status is not where the library looks for it.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from sojourn.core.base.errors import Misused

__all__ = ["asked_whole", "check_base", "close", "options_of", "readable", "refusal_in"]

_TAKES_BASE: Final = frozenset({"cerebras", "cohere", "groq"})
"""Their clients can be told where to go, and the library does not."""
_FIXED: Final = frozenset({"vertexaianthropic", "voyage", "xai"})
"""These go where they want, whatever they are told."""
_HOLDS_UP: Final = frozenset({"bedrock", "sagemaker"})
"""Between the pieces of an answer these hold up all that the host does."""


def check_base(provider: str, base_url: str) -> None:
    """Raise `Misused` if a provider would be spoken to, with its key, elsewhere than it is said to be."""
    if base_url and provider in _FIXED:
        problem = f"the client of provider {provider!r} cannot be sent to base_url {base_url!r}"
        remedy = 'Leave base_url away, or use protocol="openai" if what is there speaks it'
        raise Misused(problem, remedy=remedy)


def asked_whole(provider: str) -> bool:
    """Return whether answers of a provider come in one piece."""
    return provider in _HOLDS_UP


def options_of(provider: str, key: str, base_url: str) -> dict[str, Any]:
    """Return what the client of a provider is made with besides what all are.

    To be called in a thread. Raises `ImportError` if that client is not installed.
    """
    if provider in _TAKES_BASE and base_url:
        return {"base_url": base_url}
    if (
        provider == "ollama"
    ):  # the library drops the key, and the client sends one of the host's own
        return {"headers": {"Authorization": f"Bearer {key}"}}
    if provider in _HOLDS_UP:
        config = importlib.import_module("botocore.config")
        return {"config": config.Config(retries={"total_max_attempts": 1})}
    return {}


def readable(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message whose tool calls have objects in JSON for arguments: clients read them again.

    A model that gave other text reads it as the value of "unreadable", and then what the tool said to that.
    """
    said = dict(message)
    if isinstance(said.get("tool_calls"), list):
        said["tool_calls"] = [_readable_call(call) for call in said["tool_calls"]]
    return said


def _readable_call(call: Any) -> Any:
    try:
        arguments = call["function"]["arguments"]
    except (TypeError, LookupError):
        return call
    try:
        msgspec.json.decode(arguments, type=dict[str, Any])
    except (ValueError, TypeError, RecursionError):
        text = str(arguments).encode(errors="replace").decode()
        spelled = msgspec.json.encode({"unreadable": text}).decode()
        return {**call, "function": {**call["function"], "arguments": spelled}}
    return call


def refusal_in(error: BaseException) -> tuple[int, str]:
    """Return the status in a failure, and after how long to ask again: 0 and "" if nobody says."""
    status, after = getattr(error, "status_code", None) or 0, ""
    for each in _causes(error):
        response = getattr(each, "response", None)
        if isinstance(response, dict):  # of Amazon's client
            told = response.get("ResponseMetadata", {})
            status = status or int(told.get("HTTPStatusCode") or 0)
            headers: Any = told.get("HTTPHeaders")
        else:
            headers = getattr(response, "headers", None) or getattr(each, "headers", None)
        with suppress(AttributeError):
            after = after or str(headers.get("retry-after") or "")
    return status, after or str(getattr(error, "retry_after", None) or "")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it stands for, also where the client hides that."""
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        original: BaseException | None = getattr(following, "original_exception", None)
        following = original or following.__cause__ or following.__context__


async def close(client: Any) -> None:
    """Close what the library made, which is asked nothing more; not all of it can be closed."""
    with suppress(Exception):
        for part in (client.client, getattr(client.client, "aio", None)):
            await _closed(part)


async def _closed(part: Any) -> None:
    for name, given in (("aclose", ()), ("close", ()), ("__aexit__", (None, None, None))):
        closing = getattr(part, name, None)
        if closing is not None:
            done = closing(*given)
            if hasattr(done, "__await__"):
                await done
            return
