"""The attributes of a request, and what each can be, as the comparison of policies tries them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from sojourn.core.policy.request import AgentEntity, RequestContext, ZoneEntity

__all__ = ["FIELDS", "ORIGIN", "Field", "Uid", "Variable"]

Variable = tuple[str, str]
"""An attribute: ("principal" | "resource" | "origin" | "context", its name); ids are "id"."""

ORIGIN: Final = "origin"
_LONG_MAX: Final = 2**63 - 1


class Uid(NamedTuple):
    """An entity by its type and name."""

    kind: str
    id: str


class Field(NamedTuple):
    """What an attribute can be: `kind` is "string", "long", "bool", "set" or "choice"."""

    kind: str
    optional: bool = False
    least: int = 0
    most: int = _LONG_MAX
    choices: tuple[str, ...] = ()

    def admits(self, value: Any) -> bool:
        """Whether a value, or a member of a set, is one that a request can have."""
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "bool":
            return type(value) is bool
        if self.kind == "long":
            return type(value) is int and self.least <= value <= self.most
        return type(value) is str and self.least <= len(value) <= self.most


def _field(kind: Any, *, optional: bool = False) -> Field:
    match kind:
        case inspect.UnionType():
            (one,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
            return _field(one, optional=True)
        case inspect.BoolType():
            return Field("bool", optional)
        case inspect.IntType():
            return Field("long", optional, kind.ge or 0, _LONG_MAX if kind.le is None else kind.le)
        case inspect.LiteralType():
            return Field("choice", optional, choices=tuple(map(str, kind.values)))
        case inspect.VarTupleType():
            return _field(kind.item_type, optional=optional)._replace(kind="set")
    assert isinstance(kind, inspect.StrType), kind
    most = _LONG_MAX if kind.max_length is None else kind.max_length
    return Field("string", optional, kind.min_length or 0, most)


def _fields() -> Iterator[tuple[Variable, Field]]:
    parts: tuple[tuple[str, type[msgspec.Struct]], ...] = (
        ("principal", AgentEntity),
        ("resource", ZoneEntity),
        (ORIGIN, ZoneEntity),
        ("context", RequestContext),
    )
    for part, kind in parts:
        described = inspect.type_info(kind)
        assert isinstance(described, inspect.StructType)
        for each in described.fields:
            yield (part, each.name), _field(each.type)


FIELDS: Final[Mapping[Variable, Field]] = dict(_fields())
"""What every attribute of a request can be."""
