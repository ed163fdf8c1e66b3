"""Typed values of agent authors, as builtins that DAG-CBOR can say, and back.

Structs, dataclasses, enums, dates, sets and the like go through `msgspec`, and pydantic's models through pydantic
(`models`); a reader gets its type back only by naming it. Nothing is pickled: bytes from outside never become code
(protocol §14, trap 49).
"""

import inspect
import operator
from collections.abc import Iterator
from typing import Any, Final, TypeVar, overload

import msgspec

from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused, Rejected
from sojourn.runtime.models import dump_model, is_model, is_model_form, read_model

__all__ = ["from_plain", "kind_of", "spelled_arguments", "to_plain"]

T = TypeVar("T")

AS_WRITTEN: Final = (
    "Read it as the type it was written as, or keep the type able to read old values"
)
_UNORDERED: Final = "'<' not supported between instances"
"""What Python says of items that cannot be compared."""
_SIZED: Final = (str, bytes, bytearray, list, tuple, dict, set, frozenset)


def to_plain(value: object, *, what: str) -> Any:
    """Return `value` as builtins. `what` names it in the error.

    Sets become lists in the order of their items, which is the same in every process: theirs is not. Raises
    `Misused` for a type that has no such form, and for a set whose items have no order. What DAG-CBOR cannot say of
    builtins (NaN, integers beyond 64 bits) is found when they are encoded.
    """
    try:
        plain = _builtins(value)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(plain))  # tuples are lists now
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        if _UNORDERED in str(error):
            problem = (
                f"{what} cannot be kept: a set in it has no order that every process would find"
            )
            raise Misused(problem, remedy="Give a list instead, sorted by what is in it") from None
        raise unkeepable(what, str(error)) from None


def _builtins(value: object) -> Any:
    """Return builtins. Sets are sorted: their own order is another in each process, and a replay would part."""
    return msgspec.to_builtins(
        value,
        builtin_types=(bytes,),
        str_keys=True,
        enc_hook=_unwrap,
        order="deterministic",
    )


def _unwrap(value: Any) -> Any:
    """Return the builtins of a model, of a subclass of float or of anything that is an integer, such as NumPy's."""
    if is_model(value):
        return _of_model(value)
    if isinstance(value, float):
        return float(value)
    try:
        return operator.index(value)
    except TypeError:
        problem = f"an instance of {type(value).__qualname__} has no plain form"
        raise TypeError(f"{problem}{_hint(value)}") from None


def _hint(value: object) -> str:
    """Return what was probably forgotten, where a value tells it."""
    if inspect.isawaitable(value):
        return "; it was not awaited: write `await` in front of the call"
    if inspect.isasyncgen(value):
        return "; give a list of what it yields: [each async for each in ...]"
    if isinstance(value, Iterator):
        return "; give a list of what it yields: list(...)"
    return ""


def _of_model(model: Any) -> Any:
    """Return a model's builtins: bytes stay bytes, and what only pydantic knows, such as URLs, becomes text."""
    try:
        return _builtins(dump_model(model, is_json=False))
    except TypeError:
        return dump_model(model, is_json=True)


def kind_of(value: object) -> str:
    """Return a value's type for people, and of what has one, its size."""
    name = type(value).__qualname__
    if type(value) not in _SIZED:
        return name
    assert isinstance(value, _SIZED)
    unit = {"str": "characters", "bytes": "bytes", "bytearray": "bytes"}.get(name, "items")
    return f"{name} of {len(value)} {unit}"


@overload
def from_plain(plain: Any, form: type[T], *, what: str, remedy: str = ...) -> T: ...
@overload
def from_plain(plain: Any, form: Any, *, what: str, remedy: str = ...) -> Any: ...
def from_plain(plain: Any, form: Any, *, what: str, remedy: str = AS_WRITTEN) -> Any:
    """Return the value of type `form` that `plain` stands for. Raises `Misused`, with `remedy`, for none."""
    try:
        return msgspec.convert(
            plain, form, builtin_types=(bytes,), str_keys=True, dec_hook=_read_hooked
        )
    except (msgspec.ValidationError, TypeError, RecursionError) as error:
        name = getattr(form, "__qualname__", None) or str(form)
        raise Misused(f"{what} is no {name}: {error}", remedy=remedy) from None


def _read_hooked(form: Any, plain: Any) -> Any:
    """Return a model; anything else as it is, which `msgspec` then finds to be of that type or not."""
    return read_model(form, plain) if is_model_form(form) else plain


def encode_plain(plain: Any, *, what: str) -> bytes:
    """Return the DAG-CBOR of builtins. Raises `Misused` for what it cannot say."""
    try:
        return encode_block(plain)
    except Rejected as error:
        raise unkeepable(what, error.problem) from None


def spelled_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], *, what: str) -> bytes:
    """Return the bytes that a replay knows a call's arguments again by."""
    return encode_plain(to_plain((args, kwargs), what=what), what=what)


def unkeepable(what: str, problem: str) -> Misused:
    """Return the error for a value that cannot be journaled or kept."""
    return Misused(
        f"{what} cannot be kept: {problem}",
        remedy="Use msgspec structs, dataclasses, pydantic models, dates, enums, or builtins of these; "
        "finite numbers; sets of what can be sorted",
    )
