"""Typed values of agent authors, as builtins that DAG-CBOR can say, and back.

Structs, dataclasses, enums, dates, sets and the like go through `msgspec`; a reader gets its type back only
by naming it. Nothing is pickled: bytes from outside never become code (protocol §14, trap 49).
"""

import operator
from typing import Any, Final, TypeVar, overload

import msgspec

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused, Rejected

__all__ = ["digest_of_arguments", "from_plain", "spelled_arguments", "to_plain"]

T = TypeVar("T")


def to_plain(value: object, *, what: str) -> Any:
    """Return `value` as builtins. `what` names it in the error.

    Sets become lists in the order of their items, which is the same in every process: theirs is not. Raises
    `Misused` for a type that has no such form, and for a set whose items have no order. What DAG-CBOR cannot say of
    builtins (NaN, integers beyond 64 bits) is found when they are encoded.
    """
    try:
        plain = msgspec.to_builtins(
            value,
            builtin_types=(bytes,),
            str_keys=True,
            enc_hook=_unwrap_scalar,
            order="deterministic",
        )
        return msgspec.msgpack.decode(msgspec.msgpack.encode(plain))  # tuples are lists now
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        if _UNORDERED in str(error):
            problem = (
                f"{what} cannot be kept: a set in it has no order that every process would find"
            )
            raise Misused(problem, remedy="Give a list instead, sorted by what is in it") from None
        raise unkeepable(what, str(error)) from None


_UNORDERED: Final = "'<' not supported between instances"
"""What Python says of items that cannot be compared."""


def _unwrap_scalar(value: Any) -> Any:
    """Return the builtin of a subclass of float or of anything that is an integer, such as NumPy's."""
    if isinstance(value, float):
        return float(value)
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"a {type(value).__qualname__} has no plain form") from None


@overload
def from_plain(plain: Any, form: type[T], *, what: str) -> T: ...
@overload
def from_plain(plain: Any, form: Any, *, what: str) -> Any: ...
def from_plain(plain: Any, form: Any, *, what: str) -> Any:
    """Return the value of type `form` that `plain` stands for. Raises `Misused` if it stands for none."""
    try:
        return msgspec.convert(plain, form, builtin_types=(bytes,), str_keys=True)
    except (msgspec.ValidationError, TypeError, RecursionError) as error:
        name = getattr(form, "__qualname__", None) or str(form)
        remedy = "Read it as the type it was written as, or keep the type able to read old values"
        raise Misused(f"{what} is no {name}: {error}", remedy=remedy) from None


def encode_plain(plain: Any, *, what: str) -> bytes:
    """Return the DAG-CBOR of builtins. Raises `Misused` for what it cannot say."""
    try:
        return encode_block(plain)
    except Rejected as error:
        raise unkeepable(what, error.problem) from None


def digest_of_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], *, what: str) -> bytes:
    """Return the digest by which a replay knows a call's arguments again."""
    return digest(spelled_arguments(args, kwargs, what=what))


def spelled_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], *, what: str) -> bytes:
    """Return the bytes that a call's arguments are known by."""
    return encode_plain(to_plain((args, kwargs), what=what), what=what)


def unkeepable(what: str, problem: str) -> Misused:
    """Return the error for a value that cannot be journaled or kept."""
    return Misused(
        f"{what} cannot be kept: {problem}",
        remedy="Use msgspec structs, dataclasses, dates, enums, or builtins of these; finite numbers",
    )
