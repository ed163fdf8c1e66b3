"""Expressions of Cedar's JSON policy format, as the comparison of policies reads them."""

from typing import Any, Final

from sojourn.core.policy import cedar

__all__ = ["ARITHMETIC", "COMPARISONS", "OF_SETS", "Expr", "Unsupported", "constant_of"]

Expr = dict[str, Any]
"""An expression: a dictionary of one key, its operator."""

_OF_THE_REQUEST: Final = frozenset(["Var", ".", "has", "in", "is"])
"""Operators whose value may depend on the request: a rule may name an entity that is in it."""

COMPARISONS: Final = frozenset(["==", "!=", "<", "<=", ">", ">=", "in"])
OF_SETS: Final = frozenset(["contains", "containsAll", "containsAny"])
ARITHMETIC: Final = frozenset(["+", "-", "*"])
_PLAIN: Final = (
    COMPARISONS
    | OF_SETS
    | ARITHMETIC
    | {"Value", "Var", "Set", "Record", ".", "has", "like", "is", "if-then-else"}
    | {"&&", "||", "!", "neg", "isEmpty"}
)
_TRUTHS: Final = (
    COMPARISONS
    | OF_SETS
    | {"isEmpty", "lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"}
    | {"isIpv4", "isIpv6", "isLoopback", "isMulticast", "isInRange"}
)


def constant_of(expr: Expr) -> bool | Expr | None:
    """Return what a condition is that names nothing of the request (None if it errors).

    Returns the expression itself if it names something. Raises `Unsupported` if it also calls
    functions of Cedar's extensions: the schema has no attributes of their types, so that happens
    only by numbers that they return.
    """
    (op,) = expr
    if op not in _TRUTHS:
        return expr
    used = _operators(expr)
    if not used & _OF_THE_REQUEST:
        return cedar.constant(expr)
    if not used <= _PLAIN:
        raise Unsupported("a function of Cedar's extensions beside attributes")
    return expr


def _operators(node: Any) -> set[str]:
    """Return the operators that occur in an expression, or in any of a list of them."""
    if isinstance(node, list):
        return {op for each in node for op in _operators(each)}
    ((op, body),) = node.items()
    if op in ("Value", "Var"):
        return {op}
    parts = body if isinstance(body, list) else body.values()
    # Beside expressions there are names of attributes and types, and patterns, which are lists.
    return {op} | _operators([each for each in parts if isinstance(each, dict)])


class Unsupported(Exception):
    """A rule says something that this analysis does not follow."""
