"""What operators make of values, one of which may be that there is none: `ERRED`.

These are the functions that `symbolic` applies to decision diagrams.
"""

import operator
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from sojourn.core.policy.attributes import Uid
from sojourn.core.policy.schema import APPLICATION
from sojourn.core.policy.words import Pattern

__all__ = [
    "ERRED",
    "any_of",
    "both",
    "but_not",
    "chosen",
    "computed",
    "either",
    "equal",
    "has_value",
    "is_below",
    "is_false",
    "is_other_zone",
    "is_possible",
    "is_same_zone",
    "is_there",
    "is_true",
    "is_value",
    "matches",
    "named",
    "ruled",
]

_LONGS: Final = range(-(2**63), 2**63)


class _Erred(Enum):
    ERRED = "erred"

    def __repr__(self) -> str:
        return "ERRED"


ERRED: Final = _Erred.ERRED
"""The value of a condition whose evaluation errors."""


def both(left: Any, right: Any) -> Any:
    """Return what `&&` makes of two truth values: the second counts only if the first holds."""
    return right if left is True else left


def either(left: Any, right: Any) -> Any:
    """Return what `||` makes of two truth values: the second counts only if the first fails."""
    return right if left is False else left


def any_of(left: Any, right: Any) -> Any:
    """Whether one of two rules holds; an error in either stays."""
    return ERRED if ERRED in (left, right) else left or right


def ruled(permitted: Any, forbidden: Any) -> bool:
    """Whether a party permits: some permit rule holds, no forbid rule does, and none erred."""
    return permitted is True and forbidden is False


def but_not(after: Any, before: Any) -> bool:
    """Whether one party permits and the other does not."""
    return after is True and before is False


def chosen(test: Any, then: Any, other: Any) -> Any:
    """Return what `if` makes of a truth value and two values."""
    return then if test is True else other if test is False else ERRED


def is_true(value: Any) -> bool:
    """Whether a condition holds."""
    return value is True


def is_false(value: Any) -> bool:
    """Whether a condition is evaluated, and fails."""
    return value is False


def has_value(value: Any) -> bool:
    """Whether there is a value."""
    return value is not ERRED


def is_there(value: Any) -> bool:
    """Whether an attribute is there."""
    return value is not None


def is_same_zone(mode: Any) -> bool:
    """Whether the origin is the zone itself."""
    return bool(mode == "same")


def is_other_zone(mode: Any) -> bool:
    """Whether the origin is another zone."""
    return bool(mode == "other")


def is_possible(mode: Any, zone: Any, origin: Any) -> Any:
    """Whether a request can have these names of its zone and origin: two zones have two."""
    return mode != "other" or zone != origin


def is_value(value: Any, found: Any) -> Any:
    """Whether a value is this one, and of its type."""
    return type(value) is type(found) and value == found


def equal(left: Any, right: Any) -> Any:
    """Return what `==` makes of two values."""
    return ERRED if ERRED in (left, right) else is_value(left, right)


def is_below(declared: frozenset[str], place: Any, entity: Any) -> Any:
    """Whether an entity is a place or below it: applications' actions are below their group."""
    if entity is ERRED:
        return False
    inside = entity.kind == "Action" and entity.id in declared
    return entity == place or (inside and place == Uid("Action", APPLICATION))


def named(kind: str, name: Any) -> Uid:
    """Return an entity of a type by its name."""
    return Uid(kind, name)


def matches(pattern: Pattern, text: Any) -> Any:
    """Return what `like` makes of a text."""
    if text is ERRED:
        return ERRED
    reached = {0}
    for each in pattern:
        if each is None:
            reached = set(range(min(reached), len(text) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if text[at : at + 1] == each}
    return len(text) in reached


def computed(op: str, *values: Any) -> Any:
    """Return the value of an operator on truth values or longs."""
    return ERRED if ERRED in values else _OPERATORS[op](*values)


def _long(number: int) -> Any:
    return number if number in _LONGS else ERRED


_OPERATORS: Final[Mapping[str, Callable[..., Any]]] = {
    "!": operator.not_,
    "neg": lambda number: _long(-number),
    "+": lambda one, two: _long(one + two),
    "-": lambda one, two: _long(one - two),
    "*": lambda one, two: _long(one * two),
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
