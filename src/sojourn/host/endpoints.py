"""Where a host speaks to models for confined code: `models.toml` in its folder.

    [local]                                   # the provider, as agents' code names it
    base_url = "http://127.0.0.1:8000/v1"

    [bedrock]
    protocol = "native"                       # by any-llm; base_url where that does not know it, or not rightly

Without the file, or for what it does not name, providers are called that everybody knows. It is read again for each
call, so that it can be changed while the host runs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from sojourn.core.base.encoding import Text, Value
from sojourn.core.base.errors import Misused
from sojourn.models.peculiar import check_base
from sojourn.models.relayed import Endpoint
from sojourn.models.settings import Protocol
from sojourn.runtime.processes.files import read_toml

__all__ = ["ENDPOINTS_NAME", "checked_endpoints", "endpoints_in"]

ENDPOINTS_NAME: Final = "models.toml"
_NAME_CHARS_MAX: Final = 64


class _Section(Value):
    """One section of the file."""

    base_url: Text = ""
    protocol: Protocol = "openai"


def endpoints_in(path: Path) -> Mapping[str, Endpoint]:
    """Return what a file of models says, by provider; nothing if there is none.

    Raises `Misused` with the first that is wrong.
    """
    endpoints, problems = checked_endpoints(path)
    if problems:
        raise problems[0]
    return endpoints


def checked_endpoints(path: Path) -> tuple[Mapping[str, Endpoint], list[Misused]]:
    """Return what is right in a file of models, and what is wrong, each with its provider and what to do."""
    endpoints: dict[str, Endpoint] = {}
    problems: list[Misused] = []
    try:
        plain = read_toml(path, dict[str, Any], what="file of models") if path.exists() else {}
    except Misused as error:
        return {}, [error]
    for provider, fields in plain.items():
        try:
            endpoints[provider] = _endpoint(provider, fields, path)
        except Misused as error:
            problems.append(error)
    return endpoints, problems


def _endpoint(provider: str, fields: Any, path: Path) -> Endpoint:
    where = f"{path}: provider {provider[:_NAME_CHARS_MAX]!r}"
    try:
        section = msgspec.convert(fields, _Section)
    except msgspec.ValidationError as error:
        raise Misused(f"{where}: {error}", remedy="Correct this file of models") from None
    if not provider or "/" in provider or len(provider) > _NAME_CHARS_MAX:
        problem = f"{where} has a name that no model call has"
        raise Misused(problem, remedy="Name the provider as agents do, without '/'")
    if not section.base_url and section.protocol != "native":
        remedy = 'Add base_url = "https://...", or protocol = "native"'
        raise Misused(f"{where} does not say where it is", remedy=remedy)
    if section.base_url and not _is_url(section.base_url):
        problem = f"{where} has base_url {section.base_url[:256]!r}, which is no address"
        raise Misused(problem, remedy='Write it like "https://models.example/v1"')
    if section.protocol == "native":
        check_base(provider, section.base_url)
    return Endpoint(section.base_url, section.protocol)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
