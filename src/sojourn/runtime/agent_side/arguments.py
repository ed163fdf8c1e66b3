"""The arguments of `run`, and of what messages call, given back as the types it declares."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sojourn.core.base.errors import Misused
from sojourn.runtime.typed import AS_WRITTEN, from_plain

__all__ = ["bind"]

_SERIES: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def bind(
    run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, name: str = "run"
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return plain arguments as the types that the method `run` declares, behind `self` and `ctx`.

    `name` is what it is called in errors. Raises `Misused` if they do not fit.
    """
    signature = inspect.signature(run)
    remedy = AS_WRITTEN if name == "run" else f"Give {name} the arguments that it declares"
    try:
        bound = signature.bind(None, None, *args, **kwargs)
    except TypeError as error:
        fitting = f"Give {name} the arguments that it declares behind ctx"
        raise Misused(f"{name} cannot begin: {error}", remedy=fitting) from None
    forms = typing.get_type_hints(run)
    for each in list(bound.arguments)[2:]:
        if each in forms and signature.parameters[each].kind not in _SERIES:
            what = f"argument {each!r} of {name}"
            given = bound.arguments[each]
            bound.arguments[each] = from_plain(given, forms[each], what=what, remedy=remedy)
    return bound.args[2:], bound.kwargs
