"""What has no order, where an order comes of it.

A set of texts, or of objects, has another order in each process. What is done with it is harmless as long as it
comes out alike in any order: `sorted`, `len`, `min`, another set.
"""

import ast
from collections.abc import Iterator
from typing import Final

from sojourn.checking.findings import Finding
from sojourn.checking.meaning import Frame
from sojourn.checking.referents import CONTEXT, UNORDERED

__all__ = ["unordered_uses"]

_INSTEAD: Final = "Write sorted(...) around it, or go through a list and ask what is in the set"
_ORDERING: Final = frozenset(
    f"builtins.{name}"
    for name in ("list", "tuple", "enumerate", "iter", "zip", "map", "filter", "reversed", "next")
)
_ORDERING_TOO: Final = frozenset(
    (
        *("builtins.dict", "builtins.dict.fromkeys", "builtins.repr", "builtins.str"),
        *("collections.Counter", "collections.OrderedDict", "collections.deque"),
        *("functools.reduce", "itertools.accumulate", "itertools.chain", "itertools.islice"),
    )
)
"""The same, where no `sorted` around it would help."""
_ALIKE: Final = frozenset(
    f"builtins.{name}"
    for name in ("all", "any", "frozenset", "len", "max", "min", "set", "sorted", "sum")
)
"""What comes out alike in any order, if the items do. (A sum of floats may not, in its last digits.)"""

_CHOOSING: Final = frozenset(("builtins.max", "builtins.min"))
"""What takes the first of those that are equal by a key."""


def unordered_uses(frame: Frame) -> Iterator[Finding]:
    """Yield where a function puts what has no order into one."""
    for node in frame.body.nodes:
        for used, how in _uses(frame, node):
            if frame.foreign(used) == UNORDERED:
                what = f"{how} a set goes in an order that another process does not have"
                yield frame.finding(used, "order", what, _INSTEAD)


def _uses(frame: Frame, node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Yield what a node takes in order, and how that is said."""
    match node:
        case ast.For(iter=used) | ast.AsyncFor(iter=used):
            yield used, "a loop over"
        case ast.ListComp() | ast.DictComp() | ast.GeneratorExp() | ast.SetComp():
            if not _is_alike(frame, node):
                yield from ((each.iter, "a comprehension over") for each in node.generators)
        case ast.Starred(value=used, ctx=ast.Load()):
            if not _is_alike(frame, node):
                yield used, "unpacking"
        case ast.FormattedValue(value=used):
            yield used, "the text of"
        case ast.Assign(targets=[ast.Tuple() | ast.List()], value=used):
            yield used, "unpacking"
        case ast.Call():
            yield from _called(frame, node)


def _called(frame: Frame, call: ast.Call) -> Iterator[tuple[ast.expr, str]]:
    path = frame.foreign(call.func)
    name = path.rpartition(".")[2]
    if path in _ORDERING_TOO or (path in _ORDERING and not _is_alike(frame, call)):
        yield from ((each, f"{name} of") for each in call.args)
    if path in _CHOOSING and any(keyword.arg == "key" for keyword in call.keywords):
        yield from ((each, f"{name} by a key of") for each in call.args)
    if path == f"{CONTEXT}.turns":
        yield from ((each, "turns over") for each in call.args)
    if path == f"{CONTEXT}.map":
        named = [each.value for each in call.keywords if each.arg == "items"]
        yield from ((each, "ctx.map over") for each in (*call.args[1:], *named))
    match call.func:
        case ast.Attribute(value=of, attr="pop") if not call.args:
            yield of, "pop of"
        case ast.Attribute(attr="join" | "extend"):
            yield from ((each, f"{call.func.attr} of") for each in call.args)


def _is_alike(frame: Frame, node: ast.AST) -> bool:
    """Tell whether what comes of it is the same in any order, and nothing is done on the way."""
    if any(isinstance(inner, ast.Await) for inner in ast.walk(node)):
        return False
    if isinstance(node, ast.SetComp):
        return True
    parent = frame.body.parents.get(node)
    while isinstance(parent, ast.List | ast.Tuple):  # a list that is made only to be sorted
        node, parent = parent, frame.body.parents.get(parent)
    if isinstance(parent, ast.Set):
        return True
    is_argument = isinstance(parent, ast.Call) and node in parent.args
    return is_argument and isinstance(parent, ast.Call) and frame.foreign(parent.func) in _ALIKE
