"""The code of one function: its nodes in order, and what its names are bound to.

Functions and lambdas inside it belong to it: they are executed by it, or by what it hands them to. Annotations
do not.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from sojourn.checking.sources import (
    Binding,
    FunctionNode,
    FunctionSource,
    Imported,
    ModuleSource,
    Valued,
    assigned_names,
    imported_names,
)

__all__ = ["Body", "Parameter", "Scope", "body_of"]


@dataclass(frozen=True)
class Parameter:
    """A parameter: its place among those by position, or None, and its annotation."""

    name: str
    place: int | None
    annotation: ast.expr | None


Local: TypeAlias = Binding | Parameter


@dataclass(eq=False)
class Scope:
    """The names of a function, or of one inside it."""

    outer: "Scope | None" = None
    names: dict[str, list[Local]] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)
    """Names that it declares `global`."""

    def find(self, name: str) -> "tuple[Scope, list[Local]] | None":
        """Return the scope that binds a name here, and to what; None if the function does not."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.outside:
                return None
            if name in scope.names:
                return scope, scope.names[name]
            scope = scope.outer
        return None


@dataclass(eq=False)
class Body:
    """A function's nodes, in the order of the text, each with its parent and its scope."""

    nodes: list[ast.AST] = field(default_factory=list)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    scopes: dict[ast.AST, Scope] = field(default_factory=dict)

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what a node stands in, from the inside out."""
        found = self.parents.get(node)
        while found is not None:
            yield found
            found = self.parents.get(found)


def body_of(function: FunctionSource) -> Body:
    """Return the body of a function, with the defaults of its parameters."""
    body, module, node = Body(), function.module, function.node
    scope = _scope_of(node, None)
    todo: list[tuple[ast.AST, ast.AST | None, Scope]] = [
        (each, node, scope) for each in [*_defaults(node), *node.body]
    ]
    body.scopes[node] = scope
    todo.reverse()
    while todo:
        here, parent, scope = todo.pop()
        body.nodes.append(here)
        body.scopes[here] = scope
        if parent is not None:
            body.parents[here] = parent
        _take(module, here, scope)
        inner = scope
        if isinstance(here, FunctionNode | ast.Lambda):
            inner = _scope_of(here, scope)
        todo += reversed([(each, here, inner) for each in _children(here)])
    return body


def _children(node: ast.AST) -> list[ast.AST]:
    """Return what stands in a node and is executed."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, *_defaults(node), *node.body]
        case ast.Lambda():
            return [*_defaults(node), node.body]
        case ast.AnnAssign():
            return [node.target, *([node.value] if node.value else [])]
    return list(ast.iter_child_nodes(node))


def _defaults(node: FunctionNode | ast.Lambda) -> list[ast.expr]:
    return [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]


def _scope_of(node: FunctionNode | ast.Lambda, outer: Scope | None) -> Scope:
    scope, args = Scope(outer), node.args
    for place, each in enumerate([*args.posonlyargs, *args.args]):
        scope.names[each.arg] = [Parameter(each.arg, place, each.annotation)]
    for each in args.kwonlyargs:
        scope.names[each.arg] = [Parameter(each.arg, None, each.annotation)]
    for series in (args.vararg, args.kwarg):
        if series is not None:
            scope.names[series.arg] = [Parameter(series.arg, None, None)]
    return scope


def _take(module: ModuleSource, node: ast.AST, scope: Scope) -> None:
    """Note what a node binds."""
    match node:
        case ast.Global(names=names):
            scope.outside.update(names)
        case ast.Import() | ast.ImportFrom():
            for name, target in imported_names(module, node):
                scope.names.setdefault(name, []).append(Imported(target))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            scope.names.setdefault(name, []).append(Valued(None))
        case _:
            for name, value in assigned_names(node):
                scope.names.setdefault(name, []).append(value)
