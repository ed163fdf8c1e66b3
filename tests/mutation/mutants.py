"""The mutants of a module: mutmut's operators, and three that leave a check or an effect out.

mutmut's own runner was tried first: it makes 268 mutants a minute here, but none of what has a decorator
(`Committee.quorum` is a property), none of class and module bodies, and none that skips a check.

Not made, because a survivor would say nothing: mutants of strings, of what is only said to people (an
error's first argument, `remedy`, `where`, `what`, `problem`; `describe`, `__repr__` and `__str__`), of
annotations, decorators, imports and type variables, of assertions, which hold what never fails; and those
without one of a call's positional arguments, which fail wherever they run.
"""

import ast
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple, cast

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_string

SAID_TO_PEOPLE = {"remedy", "where", "what", "problem"}
FOR_PEOPLE = {"describe", "__repr__", "__str__"}
NEVER_MUTATED_CALLS = {"len", "isinstance", "TypeVar", "cast"}
UNTOUCHED = cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.Assert


class Mutant(NamedTuple):
    """One changed place of one module."""

    file: str  # from src/sojourn, such as "core/quorum/votes.py"
    line: int
    function: (
        tuple[int, str] | None
    )  # first line and name of the outermost function, if the change is in its body
    scope: str
    was: str
    now: str
    source: str  # the whole module, mutated

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What the list of survivors knows it by: no line number, so that the list outlives an edit."""
        return self.file, self.scope, self.was, self.now


def held_condition(node: cst.If | cst.While) -> Iterable[cst.CSTNode]:
    """Take the branch always, or never."""
    values = ("False",) if isinstance(node, cst.While) else ("False", "True")
    for value in values:
        yield node.with_changes(test=cst.Name(value, lpar=(), rpar=()))


def filter_left_out(node: cst.CompFor) -> Iterable[cst.CSTNode]:
    """Let a comprehension keep everything."""
    if node.ifs:
        yield node.with_changes(ifs=())


def statement_left_out(node: cst.Expr) -> Iterable[cst.CSTNode]:
    """Leave out a call that is made for its effect."""
    if isinstance(node.value, cst.Call | cst.Await):
        yield cst.Pass()


def nothing_returned(node: cst.Return) -> Iterable[cst.CSTNode]:
    """Return None instead of a value; where that is False, True is tried, and None would be the same."""
    if node.value is not None and not m.matches(node.value, m.Name("None") | m.Name("False")):
        yield node.with_changes(value=cst.Name("None"))


def argument_changed(node: cst.Call) -> Iterable[cst.Call]:
    """Put None for each argument, and leave out each that has a name."""
    for changed in operator_arg_removal(node):
        kept = {id(arg) for arg in changed.args}
        gone = [arg for arg in node.args if id(arg) not in kept]
        if len(changed.args) == len(node.args) or gone[0].keyword is not None:
            yield changed


REPLACED = {operator_string, operator_arg_removal}
OPERATORS = [
    *((kind, operator) for kind, operator in mutation_operators if operator not in REPLACED),
    (cst.Call, argument_changed),
    (cst.If, held_condition),
    (cst.While, held_condition),
    (cst.CompFor, filter_left_out),
    (cst.Expr, statement_left_out),
    (cst.Return, nothing_returned),
]


def mutants_of(
    file: str, path: Path, only: Collection[tuple[str, str, str, str]] | None = None
) -> list[Mutant]:
    """Return every mutant of a module, or those with a key in `only`, that compiles and is another program.

    They come in order of place.
    """
    text = path.read_text()
    finder = _Finder(file, module := cst.parse_module(text))
    MetadataWrapper(module, unsafe_skip_copy=True).visit(finder)
    found: dict[str, Mutant] = {}
    same = ast.dump(ast.parse(text))
    for mutant in finder.found:
        if only is not None and mutant.key not in only:
            continue
        try:
            tree = ast.parse(mutant.source)
            compile(tree, file, "exec")
        except (SyntaxError, ValueError):
            continue
        if (dump := ast.dump(tree)) != same:
            found.setdefault(dump, mutant)
    return sorted(found.values(), key=lambda mutant: mutant.line)


class _Finder(cst.CSTVisitor):
    """Walks a module and cuts each mutation into its text."""

    METADATA_DEPENDENCIES = (PositionProvider, ByteSpanPositionProvider)

    def __init__(self, file: str, module: cst.Module) -> None:
        super().__init__()
        self.file, self.module, self.bytes = file, module, module.bytes
        self.lines = module.code.splitlines()
        self.found: list[Mutant] = []
        self.scope: list[cst.FunctionDef | cst.ClassDef] = []
        self.depth = 0
        self.messages: set[int] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if self._is_skipped(node):
            return False
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                for changed in operator(node):
                    if not self._is_text_only(node, changed):
                        self._add(node, changed)
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self.scope.append(node)
        self.depth += isinstance(node, cst.IndentedBlock)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        self.depth -= isinstance(original_node, cst.IndentedBlock)
        if self.scope and self.scope[-1] is original_node:
            self.scope.pop()

    def _is_skipped(self, node: cst.CSTNode) -> bool:
        match node:
            case cst.FunctionDef():
                overload = m.FunctionDef(decorators=[m.Decorator(m.Name("overload"))])
                return node.name.value in FOR_PEOPLE or m.matches(node, overload)
            case cst.Call(func=cst.Name(value=name)):
                return name in NEVER_MUTATED_CALLS
            case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]):
                return name == "__all__" or name in SAID_TO_PEOPLE or m.matches(node.value, TYPING)
            case cst.Arg(keyword=cst.Name(value=name)) | cst.Arg(value=cst.Name(value=name)):
                return name in SAID_TO_PEOPLE
            case cst.Raise(exc=cst.Call(args=[message, *_])):
                self.messages.add(id(message))
                return False
        return isinstance(node, UNTOUCHED) or id(node) in self.messages

    def _is_text_only(self, node: cst.CSTNode, changed: cst.CSTNode) -> bool:
        """Tell whether an argument that was put aside is only said to people."""
        if not (isinstance(node, cst.Call) and isinstance(changed, cst.Call)):
            return False
        kept = {id(arg) for arg in changed.args}
        gone = [arg for arg in node.args if id(arg) not in kept]
        return any(self._is_skipped(arg) for arg in gone)

    def _add(self, node: cst.CSTNode, changed: cst.CSTNode) -> None:
        source = self._spliced(node, changed)
        place = self.get_metadata(PositionProvider, node)
        first, last = place.start.line, place.end.line
        line = first
        if isinstance(node, cst.If | cst.While):
            test = self.get_metadata(PositionProvider, node.test)
            line, last = test.start.line, test.end.line  # an `if (` alone on its line never runs
        after = len(source.splitlines()) - len(self.lines)
        self.found.append(
            Mutant(
                file=self.file,
                line=line,
                function=self._function(node, first),
                scope=".".join(one.name.value for one in self.scope) or "module",
                was=_one_line(self.lines[first - 1 : last]),
                now=_one_line(source.splitlines()[first - 1 : last + after]),
                source=source,
            )
        )

    def _function(self, node: cst.CSTNode, line: int) -> tuple[int, str] | None:
        for one in self.scope:
            if isinstance(one, cst.FunctionDef):
                body = self.get_metadata(PositionProvider, one.body).start.line
                head = self.get_metadata(
                    PositionProvider, one.decorators[0] if one.decorators else one
                )
                return (head.start.line, one.name.value) if line >= body else None
        return None

    def _spliced(self, node: cst.CSTNode, changed: cst.CSTNode) -> str:
        """Return the module's text with one node changed."""
        if isinstance(node, cst.If | cst.While) and isinstance(changed, cst.If | cst.While):
            node, changed = node.test, changed.test
        span = self.get_metadata(ByteSpanPositionProvider, node)
        end = span.start + span.length
        old, new = self._code(node), self._code(changed)
        stands = self.bytes[span.start : end].decode()
        if stands.strip() != old.strip():
            return cast(cst.Module, self.module.deep_replace(node, changed)).code  # slow and rare
        if not stands[0].isspace():
            new = new.removeprefix(old[: len(old) - len(old.lstrip())])
        return (self.bytes[: span.start] + new.encode() + self.bytes[end:]).decode()

    def _code(self, node: cst.CSTNode) -> str:
        """Return a node's text as it stands in its block; its position does not count its parentheses."""
        if isinstance(node, cst.BaseExpression):
            node = node.with_changes(lpar=(), rpar=())
        return cst.Module(body=()).code_for_node(node).replace("\n", "\n" + "    " * self.depth)


TYPING = m.Call(func=m.Name("TypeVar"))


def _one_line(lines: Iterable[str]) -> str:
    return " ".join(" ".join(lines).split())
