"""AI agents that govern themselves across clouds: they carry their own policy, judge each place, and move.

This is the public surface: what the author of an agent writes against. What belongs here: names that authors
import, and nothing behind them. They are imported when first used, so that `import sojourn` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sojourn.core.base.errors import BudgetExhausted, Denied
    from sojourn.runtime.agent_side.adopting import upgrade
    from sojourn.runtime.agent_side.agent import Agent
    from sojourn.runtime.agent_side.context import Context
    from sojourn.runtime.agent_side.embedding import Embedder, HashingEmbedder, LocalEmbedder
    from sojourn.runtime.agent_side.handling import signal, update
    from sojourn.runtime.agent_side.querying import query
    from sojourn.runtime.agent_side.sagas import Saga
    from sojourn.runtime.agent_side.spawning import Child
    from sojourn.runtime.agent_side.steps import step
    from sojourn.runtime.errors import (
        ChildFailed,
        NoAnswer,
        OriginsChild,
        QueryRefused,
        RetryableError,
        StepFailed,
        TerminalError,
        Unanswered,
        UncertainOutcome,
        Undeliverable,
        UndoFailed,
        UpdateRefused,
        WrongMessage,
    )
    from sojourn.runtime.ports import Address, Assessment, Message
    from sojourn.runtime.secrecy import secret

    __version__: str

__all__ = [
    "Address",
    "Agent",
    "Assessment",
    "BudgetExhausted",
    "Child",
    "ChildFailed",
    "Context",
    "Denied",
    "Embedder",
    "HashingEmbedder",
    "LocalEmbedder",
    "Message",
    "NoAnswer",
    "OriginsChild",
    "QueryRefused",
    "RetryableError",
    "Saga",
    "StepFailed",
    "TerminalError",
    "Unanswered",
    "UncertainOutcome",
    "Undeliverable",
    "UndoFailed",
    "UpdateRefused",
    "WrongMessage",
    "__version__",
    "days",
    "hours",
    "minutes",
    "query",
    "seconds",
    "secret",
    "signal",
    "step",
    "update",
    "upgrade",
]

_HOMES: Final = {
    "Embedder": "sojourn.runtime.agent_side.embedding",
    "HashingEmbedder": "sojourn.runtime.agent_side.embedding",
    "LocalEmbedder": "sojourn.runtime.agent_side.embedding",
    "Address": "sojourn.runtime.ports",
    "Agent": "sojourn.runtime.agent_side.agent",
    "Assessment": "sojourn.runtime.ports",
    "Child": "sojourn.runtime.agent_side.spawning",
    "Context": "sojourn.runtime.agent_side.context",
    "BudgetExhausted": "sojourn.core.base.errors",
    "Denied": "sojourn.core.base.errors",
    "Message": "sojourn.runtime.ports",
    "RetryableError": "sojourn.runtime.errors",
    "StepFailed": "sojourn.runtime.errors",
    "TerminalError": "sojourn.runtime.errors",
    "Saga": "sojourn.runtime.agent_side.sagas",
    "ChildFailed": "sojourn.runtime.errors",
    "NoAnswer": "sojourn.runtime.errors",
    "OriginsChild": "sojourn.runtime.errors",
    "QueryRefused": "sojourn.runtime.errors",
    "query": "sojourn.runtime.agent_side.querying",
    "UpdateRefused": "sojourn.runtime.errors",
    "signal": "sojourn.runtime.agent_side.handling",
    "update": "sojourn.runtime.agent_side.handling",
    "Unanswered": "sojourn.runtime.errors",
    "UncertainOutcome": "sojourn.runtime.errors",
    "Undeliverable": "sojourn.runtime.errors",
    "UndoFailed": "sojourn.runtime.errors",
    "WrongMessage": "sojourn.runtime.errors",
    "secret": "sojourn.runtime.secrecy",
    "step": "sojourn.runtime.agent_side.steps",
    "upgrade": "sojourn.runtime.agent_side.adopting",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'sojourn' has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    """Return the installed package's version; of a source tree that is not installed, that it is unknown."""
    metadata = import_module("importlib.metadata")
    try:
        version: str = metadata.version("sojourn")
    except metadata.PackageNotFoundError:
        return "0+unknown"
    return version


def __dir__() -> list[str]:
    return __all__


def days(count: float) -> float:
    """Return so many days in seconds, as `ctx.sleep` and `ctx.receive` count time."""
    return count * 86_400


def hours(count: float) -> float:
    """Return so many hours in seconds."""
    return count * 3_600


def minutes(count: float) -> float:
    """Return so many minutes in seconds."""
    return count * 60


def seconds(count: float) -> float:
    """Return so many seconds, for the sake of a sentence that reads alike in every unit."""
    return count
