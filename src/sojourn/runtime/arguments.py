"""The arguments of `run`, given back as the types it declares."""

import inspect
import typing
from collections.abc import Callable
from typing import Any

from sojourn.core.base.errors import Misused
from sojourn.runtime.typed import from_plain

__all__ = ["bind"]


def bind(
    run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return plain arguments as what the parameters of the method `run`, behind `self` and `ctx`, declare.

    Raises `Misused` if they do not fit.
    """
    signature = inspect.signature(run)
    try:
        bound = signature.bind(None, None, *args, **kwargs)
    except TypeError as error:
        remedy = "Give run the arguments it declares behind ctx"
        raise Misused(f"run cannot begin: {error}", remedy=remedy) from None
    forms = typing.get_type_hints(run)
    names = list(signature.parameters)[2:]
    positional = [_typed(forms, _name_at(signature, names, i), a) for i, a in enumerate(args)]
    del bound
    return positional, {name: _typed(forms, name, value) for name, value in kwargs.items()}
