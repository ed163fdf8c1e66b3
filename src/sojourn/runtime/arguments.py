"""The arguments of `run`, given back as the types it declares."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sojourn.core.base.errors import Misused
from sojourn.runtime.typed import from_plain

__all__ = ["bind"]

_SERIES: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def bind(
    run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return plain arguments as the types that the method `run` declares, behind `self` and `ctx`.

    Raises `Misused` if they do not fit.
    """
    signature = inspect.signature(run)
    try:
        bound = signature.bind(None, None, *args, **kwargs)
    except TypeError as error:
        remedy = "Give run the arguments that it declares behind ctx"
        raise Misused(f"run cannot begin: {error}", remedy=remedy) from None
    forms = typing.get_type_hints(run)
    for name in list(bound.arguments)[2:]:
        if name in forms and signature.parameters[name].kind not in _SERIES:
            what = f"argument {name!r} of run"
            bound.arguments[name] = from_plain(bound.arguments[name], forms[name], what=what)
    return bound.args[2:], bound.kwargs
