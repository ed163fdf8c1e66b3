"""The fields that a module's structs let one leave out, and what is meant then."""

from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec.structs import FieldInfo

from sojourn.core.protocol.messages import Evidence

_NOTHING = (None, (), 0, False, "", Evidence())


def left_out(module: ModuleType) -> list[Any]:
    """Return each struct of a module with each field that has a default, to be parameters of a test."""
    return [
        pytest.param(struct, field, id=f"{struct.__name__}.{field.name}")
        for struct in vars(module).values()
        if isinstance(struct, type)
        if issubclass(struct, msgspec.Struct) and struct.__module__ == module.__name__
        for field in msgspec.structs.fields(struct)
        if not field.required
    ]


def says_nothing(field: FieldInfo) -> bool:
    """Tell whether a field's default claims nothing, and could have been said as well, unless nothing can be."""
    if field.default is msgspec.UNSET:
        return True
    told = msgspec.msgpack.encode(field.default)
    meant = msgspec.msgpack.decode(told, type=field.type)
    return field.default in _NOTHING and meant == field.default
