"""The agent's modules, parsed: what each binds by name, its classes and functions.

A module is looked up by the name that the agent's own code imports it by, as `runtime.agent_side.code` loads it:
before any module of that name that is installed.
"""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from sojourn.core.base.errors import Misused

if TYPE_CHECKING:
    from sojourn.checking.hazards import Hazard
    from sojourn.checking.meaning import Frame
    from sojourn.checking.referents import Foreign, Meaning
    from sojourn.checking.scopes import Body, Scope

__all__ = [
    "Binding",
    "ClassSource",
    "FunctionNode",
    "FunctionSource",
    "Imported",
    "ModuleSource",
    "Sources",
    "Valued",
    "assigned_names",
    "imported_names",
    "parse_sources",
]

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Imported:
    """A name that an import binds: to a module, or to a name in one."""

    target: str


@dataclass(frozen=True)
class Valued:
    """A name that is assigned: to a value, or (None) to something that is not written there.

    `item` is set where the value is unpacked, and this is one of its items.
    """

    value: ast.expr | None
    is_item: bool = False


@dataclass(eq=False)
class ModuleSource:
    """One file: its name as a module, its tree, and what its statements bind."""

    name: str
    path: str
    tree: ast.Module
    text: str
    is_package: bool
    bindings: "dict[str, list[Binding]]" = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file, as the parser counts them."""
        return self.text.split("\n")

    def column_of(self, node: ast.expr | ast.stmt | ast.excepthandler) -> int:
        """Return the column of a node in characters, from 1; the parser counts bytes."""
        line = self.lines[node.lineno - 1] if node.lineno <= len(self.lines) else ""
        return len(line.encode()[: node.col_offset].decode(errors="ignore")) + 1


@dataclass(eq=False)
class FunctionSource:
    """A function or method that stands in a module or a class of the agent's."""

    module: ModuleSource
    node: FunctionNode
    owner: "ClassSource | None" = None

    @property
    def name(self) -> str:
        """Its name, with its class's."""
        return f"{self.owner.name}.{self.node.name}" if self.owner else self.node.name

    @cached_property
    def is_coroutine(self) -> bool:
        """Whether it is `async`, no generator, and not decorated with who knows what."""
        if self.decorators or not isinstance(self.node, ast.AsyncFunctionDef):
            return False
        return not any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(self.node))

    @property
    def decorators(self) -> list[ast.expr]:
        """Its decorators, without what they are called with."""
        return [d.func if isinstance(d, ast.Call) else d for d in self.node.decorator_list]


@dataclass(eq=False)
class ClassSource:
    """A class of the agent's."""

    module: ModuleSource
    node: ast.ClassDef
    methods: dict[str, FunctionSource] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.node.name

    @cached_property
    def assigned(self) -> frozenset[str]:
        """The attributes that its methods assign, of whatever."""
        nodes = (node for method in self.methods.values() for node in ast.walk(method.node))
        return frozenset(
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        )

    def fields(self) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
        """Yield what its body assigns: the name, the annotation and the value."""
        for statement in self.node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                yield statement.target.id, statement.annotation, statement.value
            elif isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        yield target.id, None, statement.value


Binding: TypeAlias = Imported | Valued | ClassSource | FunctionSource


@dataclass(eq=False)
class Sources:
    """All modules of an agent, by name; and what was found out about them already."""

    modules: Mapping[str, ModuleSource]
    bodies: "dict[FunctionSource, Body]" = field(default_factory=dict)
    meanings: "dict[tuple[ast.expr, ClassSource | None], Meaning]" = field(default_factory=dict)
    attributes: "dict[tuple[ClassSource, ClassSource, str], list[Meaning]]" = field(
        default_factory=dict
    )
    assigned: "dict[tuple[ClassSource, ClassSource], dict[str, list[tuple[Frame, ast.expr]]]]" = (
        field(default_factory=dict)
    )
    lineages: "dict[ClassSource, tuple[ClassSource | Foreign, ...]]" = field(default_factory=dict)
    names: "dict[tuple[Scope, str, ClassSource | None], Meaning]" = field(default_factory=dict)
    hazards: "dict[ast.expr, list[tuple[Hazard, str]]]" = field(default_factory=dict)
    ahead: set[object] = field(default_factory=set)
    """What is being found out: whoever comes to it again goes round in a circle."""

    def classes(self) -> Iterator[ClassSource]:
        """Yield the classes that stand in modules, in the order of files and lines."""
        for module in self.modules.values():
            for bound in module.bindings.values():
                yield from (each for each in bound if isinstance(each, ClassSource))

    def is_own(self, target: str) -> bool:
        """Tell whether a dotted name begins with a module of the agent's."""
        top = target.partition(".")[0]
        return top in self.modules or any(name.startswith(f"{top}.") for name in self.modules)


def parse_sources(source: Mapping[str, bytes]) -> Sources:
    """Return the modules of these files, by relative path. Raises `Misused` for one that is no Python."""
    modules = [_parse(path, data) for path, data in sorted(source.items())]
    return Sources({module.name: module for module in modules})


def _parse(path: str, data: bytes) -> ModuleSource:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's advice is not what is asked for
            tree = ast.parse(data, filename=path)
            text = _text_of(data)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        # The last two: its parser has no room for what is nested too deeply.
        problem = f"{path} is no Python: {str(error) or 'it is nested too deeply'}"
        raise Misused(problem, remedy="Mend it, then check again") from None
    parts = PurePosixPath(path).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    module = ModuleSource(name, path, tree, text, is_package)
    for statement in _statements(tree.body):
        _bind(module, statement)
    return module


def _text_of(data: bytes) -> str:
    """Return a file's text, in the encoding that it names, with the ends of lines that the parser sees."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return io.TextIOWrapper(io.BytesIO(data), encoding).read()


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, also those that stand in an `if`, `try` or the like."""
    todo: list[ast.AST] = list(reversed(body))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, FunctionNode | ast.ClassDef):
            inner = [each for each in ast.iter_child_nodes(node) if _holds_statements(each)]
            todo += reversed(inner)


def _holds_statements(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt | ast.excepthandler | ast.match_case)


def _bind(module: ModuleSource, statement: ast.stmt) -> None:
    match statement:
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            module.stars.append(_origin(module, statement))
        case ast.Import() | ast.ImportFrom():
            for name, target in imported_names(module, statement):
                module.bindings.setdefault(name, []).append(Imported(target))
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            function = FunctionSource(module, statement)
            module.bindings.setdefault(statement.name, []).append(function)
        case ast.ClassDef():
            module.bindings.setdefault(statement.name, []).append(_class(module, statement))
        case _:
            for name, value in assigned_names(statement):
                module.bindings.setdefault(name, []).append(value)


def _class(module: ModuleSource, node: ast.ClassDef) -> ClassSource:
    made = ClassSource(module, node)
    for statement in node.body:
        if isinstance(statement, FunctionNode):
            made.methods[statement.name] = FunctionSource(module, statement, made)
    return made


def imported_names(
    module: ModuleSource, statement: ast.Import | ast.ImportFrom
) -> Iterator[tuple[str, str]]:
    """Yield the names that an import binds, each with the dotted name of what it is bound to."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield (
                (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
            )
    else:
        origin = _origin(module, statement)
        for alias in statement.names:
            yield alias.asname or alias.name, f"{origin}.{alias.name}"


def _origin(module: ModuleSource, statement: ast.ImportFrom) -> str:
    """Return the full name of the module that is imported from."""
    if not statement.level:
        return statement.module or ""
    here = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
    above = here[: len(here) - statement.level + 1]
    return ".".join([*above, *([statement.module] if statement.module else [])])


def assigned_names(statement: ast.AST) -> Iterator[tuple[str, Valued]]:
    """Yield the names that a node itself assigns, each with its value as far as it is written there."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _unpacked(target, value)
        case ast.AnnAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
            yield from _unpacked(target, value)
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for item in items:
                if item.optional_vars is not None:
                    yield from _unpacked(item.optional_vars, item.context_expr)
        case (
            ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target)
        ):
            yield from _unpacked(target, None)
        case ast.MatchMapping(rest=str() as name):
            yield name, Valued(None)
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if statement.name:
            yield statement.name, Valued(None)


def _unpacked(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, Valued]]:
    if isinstance(target, ast.Name):
        yield target.id, Valued(value)
        return
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, Valued(value, is_item=True)
