"""Structure for hypothesis: values of a type, values whose parts are exchanged, bytes that say a value wrongly."""

import enum
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import inspect as mi

from sojourn.core.base.digests import ZERO, Link, digest, link_to

__all__ = ["FAULTS", "example_of", "miswritten", "parts", "spliced", "strategy_of", "wild"]

INT_MAX: Final = 2**63 - 1
_ITEMS: Final = 2
_DEEP: Final = 2
"""Structs around a value: a capsule has chapters, with transitions, with records, and each of these much more."""
_WILD_LENGTHS: Final = (0, 1, 31, 32, 33, 63, 64, 65, 256)
LINK: Final = link_to(digest(b"somewhere"))

# --- values of a type ---------------------------------------------------------------------------------


@cache
def strategy_of(form: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for valid values of a type."""
    return _strategy(mi.type_info(form), 0)


def _strategy(info: mi.Type, depth: int) -> st.SearchStrategy[Any]:
    """Return a strategy for values that stand in as many structs: those deep within have fewer items."""
    items = _ITEMS if depth < _DEEP else 1
    match info:
        case mi.Metadata():
            return _strategy(info.type, depth)
        case mi.UnionType():
            return st.one_of([_strategy(each, depth) for each in info.types])
        case mi.StructType():
            return _struct(info, depth)
        case mi.VarTupleType() | mi.ListType():
            kind = tuple if isinstance(info, mi.VarTupleType) else list
            least, most = info.min_length or 0, min(info.max_length or items, items)
            item = _strategy(info.item_type, depth)
            return st.lists(item, min_size=least, max_size=max(least, most)).map(kind)
        case mi.TupleType():
            return st.tuples(*[_strategy(each, depth) for each in info.item_types])
        case mi.DictType():
            keys, values = _strategy(info.key_type, depth), _strategy(info.value_type, depth)
            return st.dictionaries(keys, values, max_size=items)
        case _:
            return _scalar(info)


def _struct(info: mi.StructType, depth: int) -> st.SearchStrategy[Any]:
    fields = {field.name: _strategy(field.type, depth + 1) for field in info.fields}
    return st.builds(info.cls, **fields)


def _scalar(info: mi.Type) -> st.SearchStrategy[Any]:
    match info:
        case mi.IntType():
            return st.integers(*_range(info))
        case mi.FloatType():
            least = info.ge if info.ge is not None else info.gt
            most = info.le if info.le is not None else info.lt
            open_below = info.gt is not None
            return st.floats(least, most, allow_nan=False, exclude_min=open_below)
        case mi.StrType() if info.pattern is not None:
            return st.from_regex(info.pattern, fullmatch=True)
        case mi.StrType():
            return st.text(
                st.characters(exclude_categories=["Cs"]),
                min_size=info.min_length or 0,
                max_size=min(info.max_length or 12, 12),
            )
        case mi.BytesType():
            least = info.min_length or 0
            return st.binary(min_size=least, max_size=max(least, min(info.max_length or 40, 40)))
        case mi.BoolType():
            return st.booleans()
        case mi.NoneType():
            return st.none()
        case mi.EnumType():
            return st.sampled_from(list(info.cls))
        case mi.LiteralType():
            return st.sampled_from(list(info.values))
        case mi.AnyType():
            return wild()
    raise TypeError(f"no strategy for {info}")


def _range(info: mi.IntType) -> tuple[int, int]:
    least = info.ge if info.ge is not None else -(2**63)
    most = info.le if info.le is not None else INT_MAX
    return int(least), int(most)


def example_of(form: Any, *, full: bool) -> Any:
    """Return one value of a type: the barest there is, or one with every optional field and an item in each list."""
    return _example(mi.type_info(form), full)


def _example(info: mi.Type, full: bool) -> Any:
    match info:
        case mi.Metadata():
            return _example(info.type, full)
        case mi.UnionType():
            plain = [each for each in info.types if not isinstance(each, mi.NoneType)]
            is_optional = len(plain) < len(info.types)
            return None if is_optional and not full else _example(plain[0], full)
        case mi.StructType():
            return info.cls(**{field.name: _example(field.type, full) for field in info.fields})
        case mi.VarTupleType() | mi.ListType():
            count = max(info.min_length or 0, int(full))
            return tuple(_example(info.item_type, full) for _ in range(count))
        case mi.TupleType():
            return tuple(_example(each, full) for each in info.item_types)
        case mi.DictType():
            return {"name": _example(info.value_type, full)} if full else {}
    return _example_scalar(info, full)


def _example_scalar(info: mi.Type, full: bool) -> Any:
    match info:
        case mi.IntType():
            return _range(info)[1] if full else max(_range(info)[0], 0)
        case mi.FloatType():
            return float(info.ge or 0) + 0.5
        case mi.StrType():
            return "x" * max(info.min_length or 0, int(full))
        case mi.BytesType():
            return bytes(range(info.min_length or 3 * full))
        case mi.EnumType():
            members: list[enum.Enum] = list(info.cls)
            return members[-full]
        case mi.LiteralType():
            return info.values[-full]
        case mi.DateType():
            return date(2027, 1, 31)
        case mi.BoolType():
            return full
    return None


# --- parts, exchanged ---------------------------------------------------------------------------------


def wild() -> st.SearchStrategy[Any]:
    """Return a strategy for builtins that DAG-CBOR can say and that stand at some edge."""
    edges = [
        edge + step for edge in (0, 24, 2**8, 2**16, 2**32, 2**63, 2**64 - 2) for step in (-1, 0, 1)
    ]
    scalars = st.one_of(
        st.sampled_from([None, True, False, "", "x", 0.0, -0.0, 1.5, ZERO, 1 - 2**64]),
        st.sampled_from(edges),
        st.sampled_from([bytes(length) for length in _WILD_LENGTHS]),
        st.sampled_from(["x" * length for length in (127, 128, 129)]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2)
        ),
        max_leaves=4,
    )


def parts(plain: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of builtins, the whole first."""
    yield path
    if isinstance(plain, (dict, list)):
        for name, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
            yield from parts(value, (*path, name))


def spliced(plain: Any, path: Sequence[Any], value: Any) -> Any:
    """Return builtins with one part replaced."""
    if not path:
        return value
    name, *rest = path
    if isinstance(plain, dict):
        return plain | {name: spliced(plain[name], rest, value)}
    return [spliced(v, rest, value) if i == name else v for i, v in enumerate(plain)]


# --- bytes that say a value wrongly -------------------------------------------------------------------

Fault = Callable[[int, int], bytes | None]
"""What is written in place of the header of (major type, argument); None where the fault has no place."""


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    width = next(width for width in (0, 1, 2, 3) if argument < 1 << (8 << width))
    return bytes([major << 5 | 24 + width]) + argument.to_bytes(1 << width, "big")


def _wider(major: int, argument: int) -> bytes | None:
    """One size too wide: RFC 8949 §4.2.1 says the shortest."""
    if major == 7 or argument >= 2**32:
        return None
    short = len(_head(major, argument)) - 1
    width = {0: 0, 1: 1, 2: 2, 4: 3}[short]
    return bytes([major << 5 | 24 + width]) + argument.to_bytes(1 << width, "big")


def _indefinite(major: int, _argument: int) -> bytes | None:
    return bytes([major << 5 | 31]) if major in (2, 3, 4, 5) else None


def _longer(major: int, argument: int) -> bytes | None:
    return _head(major, argument + 1) if major in (4, 5) else None


def _tagged(major: int, argument: int) -> bytes | None:
    return b"\xc1" + _head(major, argument) if major != 7 else None


FAULTS: Final[dict[str, Fault]] = {
    "a number or length one size too wide": _wider,
    "indefinite length": _indefinite,
    "one item more than there is": _longer,
    "an unknown tag": _tagged,
}


class _Writer:
    """Writes builtins as canonical DAG-CBOR, but for one header, the `at`-th that the fault can strike."""

    def __init__(self, fault: Fault, at: int) -> None:
        self._fault, self._at = fault, at
        self.struck = False

    def write(self, plain: Any) -> bytes:
        """Return the bytes."""
        match plain:
            case dict():
                ordered = sorted(
                    plain.items(), key=lambda item: (len(item[0].encode()), item[0].encode())
                )
                inner = b"".join(self.write(key) + self.write(value) for key, value in ordered)
                return self._header(5, len(plain)) + inner
            case list():
                return self._header(4, len(plain)) + b"".join(map(self.write, plain))
            case str():
                return self._header(3, len(plain.encode())) + plain.encode()
            case bytes():
                return self._header(2, len(plain)) + plain
            case Link():
                return b"\xd8\x2a" + self.write(b"\0" + bytes(plain))
            case bool() | None | float():
                return _simple(plain)
        return self._header(0, plain) if plain >= 0 else self._header(1, -1 - plain)

    def _header(self, major: int, argument: int) -> bytes:
        wrong = None if self.struck else self._fault(major, argument)
        if wrong is None:
            return _head(major, argument)
        self._at -= 1
        if self._at >= 0:
            return _head(major, argument)
        self.struck = True
        return wrong


def _simple(plain: bool | float | None) -> bytes:
    """Return what has no length: null, a bool, a float of 64 bits."""
    if isinstance(plain, float):
        return b"\xfb" + struct.pack(">d", plain)
    return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[plain]


def miswritten(plain: Any, fault: str, at: int) -> bytes | None:
    """Return builtins written with one fault at the `at`-th place that it can strike; None if there is none."""
    writer = _Writer(FAULTS[fault], at)
    data = writer.write(plain)
    return data if writer.struck else None
