"""What an expression can stand for.

    Foreign     something that is not the agent's: "time.time"; "pathlib.Path()" is an instance of a class
    ClassSource, FunctionSource, ModuleSource     the agent's own
    Instance    an instance of a class of the agent's
    Method      a function of such a class, on an instance
    Global      a name of a module that is assigned, with its value

Whatever is bound in more than one way is nothing, and so passed over.
"""

import ast
from dataclasses import dataclass
from typing import Final, TypeAlias

from sojourn.checking.sources import (
    Binding,
    ClassSource,
    FunctionSource,
    ModuleSource,
    Valued,
)

__all__ = [
    "CONTEXT",
    "UNORDERED",
    "Foreign",
    "Global",
    "Instance",
    "Meaning",
    "Method",
    "attribute_of",
    "bound_to",
    "foreign",
    "instance_of",
    "is_view",
    "result_of",
]

UNORDERED: Final = "set()"
CONTEXT: Final = "sojourn.Context()"
_SETS: Final = {
    "builtins.set",
    "builtins.frozenset",
    "typing.Set",
    "typing.FrozenSet",
    "typing.AbstractSet",
}
_SETS_TOO: Final = {"collections.abc.Set", "collections.abc.MutableSet", "typing.MutableSet"}
_RESULTS: Final = {
    **dict.fromkeys(_SETS, UNORDERED),
    **dict.fromkeys(
        (
            f"{UNORDERED}.{name}"
            for name in ("copy", "difference", "intersection", "symmetric_difference", "union")
        ),
        UNORDERED,
    ),
    **dict.fromkeys(
        (
            f"pathlib.Path().{name}"
            for name in ("joinpath", "with_name", "with_stem", "with_suffix")
        ),
        "pathlib.Path()",
    ),
    "asyncio.get_event_loop": "asyncio.AbstractEventLoop()",
    "asyncio.get_running_loop": "asyncio.AbstractEventLoop()",
    "logging.getLogger": "logging.Logger()",
    "structlog.get_logger": "logging.Logger()",
    "structlog.stdlib.get_logger": "logging.Logger()",
    "sojourn.Context().now": "datetime.datetime()",
}
"""What functions return, where a class would say it by itself."""
_ATTRIBUTES: Final = {
    "pathlib.Path().parent": "pathlib.Path()",
    "loguru.logger": "logging.Logger()",
}
_RENAMED: Final = {
    "sojourn.runtime.agent_side.agent.Agent": "sojourn.Agent",
    "sojourn.runtime.agent_side.context.Context": "sojourn.Context",
    "sojourn.runtime.agent_side.steps.step": "sojourn.step",
}
"""The homes of what authors import from `sojourn`."""


@dataclass(frozen=True)
class Foreign:
    """Something of the language or of an installed package, by its dotted name."""

    path: str


@dataclass(frozen=True)
class Instance:
    """An instance of a class of the agent's."""

    form: ClassSource


@dataclass(frozen=True)
class Method:
    """A function of a class, on an instance of `form`, which is that class or one derived from it."""

    function: FunctionSource
    form: ClassSource


@dataclass(frozen=True)
class Global:
    """A name that a module assigns, and its value if that is certain."""

    module: ModuleSource
    name: str
    value: ast.expr | None


Meaning: TypeAlias = (
    Foreign | Instance | Method | Global | ClassSource | FunctionSource | ModuleSource | None
)


def result_of(called: Foreign) -> Meaning:
    """Return what a call gives: an instance, if it is a class that is called."""
    found = _RESULTS.get(called.path)
    return Foreign(found) if found is not None else instance_of(called)


def attribute_of(of: Foreign, name: str) -> Foreign:
    """Return an attribute of something that is not the agent's."""
    path = f"{of.path}.{name}"
    return foreign(_ATTRIBUTES.get(path, path))


def bound_to(module: ModuleSource, name: str, bound: list[Binding]) -> Meaning:
    """Return what a module binds a name to, otherwise than by an import."""
    last = bound[-1]
    if isinstance(last, ClassSource | FunctionSource):
        return last
    assert isinstance(last, Valued)
    is_certain = len(bound) == 1 and not last.is_item
    return Global(module, name, last.value if is_certain else None)


def foreign(path: str) -> Foreign:
    """Return what a dotted name stands for, under the name that authors import it by."""
    return Foreign(_RENAMED.get(path, path))


def instance_of(form: Meaning) -> Meaning:
    """Return an instance of a class, None for what is none: other people's classes begin with a capital."""
    match form:
        case ClassSource():
            return Instance(form)
        case Foreign(path=path) if path in _SETS or path in _SETS_TOO:
            return Foreign(UNORDERED)
        case Foreign(path=path) if path == "datetime.datetime" or _is_class(path):
            return Foreign(f"{path}()")
    return None


def _is_class(path: str) -> bool:
    return path.rpartition(".")[2][:1].isupper()


def is_view(node: ast.expr) -> bool:
    """Tell whether it is `mapping.keys()` or `.items()`, of which an operator makes a set."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"items", "keys"}
        and not node.args
    )
