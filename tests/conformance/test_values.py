"""Every value of the core says exactly what it holds, so that it has one encoding and one meaning."""

from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import msgspec
import pytest
from msgspec import inspect

import sojourn.core
from sojourn.core.base.encoding import Value


def _values(base: type[Value] = Value) -> list[type[Value]]:
    below = [found for each in base.__subclasses__() for found in _values(each)]
    return [
        each
        for each in (*base.__subclasses__(), *below)
        if each.__module__.startswith("sojourn.core.")
    ]


for _module in walk_packages(sojourn.core.__path__, "sojourn.core."):
    import_module(_module.name)
SHOWN_TO_PEOPLE = {"Call.arguments", "Decision.values", "Query.arguments", "Said.value"}
"""Fields that repeat what a policy saw, whose integers Cedar bounds to 64 bits; or what was sealed as bytes."""
VALUES = sorted(set(_values()), key=lambda value: f"{value.__module__}.{value.__qualname__}")


def _parts(kind: Any) -> list[Any]:
    """Return a type and the types inside it; other values are looked at by themselves."""
    inside: list[Any] = []
    for name in ("item_type", "item_types", "key_type", "value_type", "types"):
        found = getattr(kind, name, ())
        inside += list(found) if isinstance(found, tuple) else [found]
    if isinstance(kind, inspect.Metadata):
        inside.append(kind.type)
    return [kind, *(part for each in inside for part in _parts(each))]


def _is_unbounded(kind: Any) -> bool:
    """Tell whether a type lets in what is no canonical part of something signed (protocol §1)."""
    if isinstance(kind, inspect.IntType):
        low = kind.ge if kind.ge is not None else kind.gt
        high = kind.le if kind.le is not None else kind.lt
        return low is None or low < -(2**63) or high is None or high > 2**63
    return isinstance(kind, (inspect.AnyType, inspect.FloatType, inspect.RawType))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value.__module__}.{value.__name__}")
def test_values_hold_no_floats_nothing_of_any_type_and_no_integers_beyond_2_63(
    value: type[Value],
) -> None:
    described = inspect.type_info(value)
    assert isinstance(described, inspect.StructType)
    unbounded = {
        f"{value.__name__}.{field.name}"
        for field in described.fields
        if any(map(_is_unbounded, _parts(field.type)))
    }
    assert set() == unbounded - SHOWN_TO_PEOPLE


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value.__module__}.{value.__name__}")
def test_values_are_frozen_and_closed(value: type[Value]) -> None:
    config = value.__struct_config__
    assert (True, True, False) == (
        config.frozen,
        config.forbid_unknown_fields,
        config.omit_defaults,
    )


def test_no_two_values_share_a_kind() -> None:
    tags = [config.tag for value in VALUES if (config := value.__struct_config__).tag is not None]
    assert len(tags) == len(set(tags))


def test_the_inspection_finds_what_it_looks_for() -> None:
    class Loose(msgspec.Struct):
        a: dict[str, tuple[float, ...]]
        b: list[Any] | None
        c: int

    described = inspect.type_info(Loose)
    assert isinstance(described, inspect.StructType)
    assert all(any(map(_is_unbounded, _parts(field.type))) for field in described.fields)
