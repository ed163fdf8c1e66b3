"""Which code is replayed: from `run`, `rank`, and what messages call, through all of the agent's own that it names.

A function is followed when it is called and when it is handed on, on the class that it is called on; steps are not.
What is named only at run time, as by `getattr`, is not seen.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from sojourn.checking.meaning import Frame, is_called, is_step, lineage_of, meaning_in_module
from sojourn.checking.referents import Foreign, Instance, Meaning, Method
from sojourn.checking.sources import ClassSource, FunctionSource, ModuleSource, Sources
from sojourn.core.base.errors import Misused

__all__ = ["agents_in", "made_fields", "replayed", "stepped"]

_AGENT: Final = Foreign("sojourn.Agent")
_ENTRIES: Final = ("run", "rank", "on_unread")
_MADE_BY: Final = ("__new__", "__init__", "__post_init__")
_WAY_MAX: Final = 8

_Key: TypeAlias = tuple[FunctionSource, ClassSource | None]


def agents_in(sources: Sources, named: str = "") -> list[ClassSource]:
    """Return the classes of agents: those derived from `Agent`, and the one that is named as one.

    Of that one ("module:Class") the base may be an installed package's, of which nothing can be told. Raises
    `Misused` if there is no such class.
    """
    found = [form for form in sources.classes() if _AGENT in lineage_of(form, sources)]
    if named and (form := _class_named(sources, named)) not in found:
        found.append(form)
    return found


def _class_named(sources: Sources, named: str) -> ClassSource:
    module, _, name = named.partition(":")
    home = sources.modules.get(module)
    found = meaning_in_module(sources, home, ast.Name(name, ast.Load())) if home else None
    if not isinstance(found, ClassSource):
        raise Misused(
            f"module {module!r} has no class {name!r}",
            remedy="Write entry as module:Class, with a class derived from sojourn.Agent",
        )
    return found


def replayed(sources: Sources, agents: Iterable[ClassSource]) -> list[Frame]:
    """Return the functions that a replay of these agents executes, what `run` reaches before all else."""
    seen, forms = set[_Key](), list(agents)
    entries = [
        [each for form in forms for each in _entry(sources, form, name)] for name in _ENTRIES
    ]
    called = [each for form in forms for each in _called(sources, form)]
    return [frame for roots in (*entries, called) for frame in _reached(sources, roots, seen)]


def stepped(sources: Sources, agents: Iterable[ClassSource]) -> list[Frame]:
    """Return the functions that steps of these agents execute, the steps before all else."""
    steps = [
        Frame(sources, method, form, (f"{form.name}.{method.node.name}",))
        for form in agents
        for method in _methods(sources, form)
        if is_step(method, sources)
    ]
    return _reached(sources, steps, set())


def _methods(sources: Sources, form: ClassSource) -> Iterator[FunctionSource]:
    seen = set[str]()
    for each in lineage_of(form, sources):
        if isinstance(each, ClassSource):
            yield from (method for name, method in each.methods.items() if name not in seen)
            seen |= each.methods.keys()


def made_fields(
    sources: Sources, form: ClassSource
) -> Iterator[tuple[ModuleSource, str, ast.expr]]:
    """Yield what the fields of an instance begin with: module, name and expression."""
    for each in lineage_of(form, sources):
        if isinstance(each, ClassSource):
            for name, _, value in each.fields():
                if isinstance(value, ast.Call):
                    yield each.module, name, value


def _entry(sources: Sources, form: ClassSource, name: str) -> Iterator[Frame]:
    for method in _methods(sources, form):
        if method.node.name == name:
            yield Frame(sources, method, form, (f"{form.name}.{name}",))


def _called(sources: Sources, form: ClassSource) -> Iterator[Frame]:
    for method in _methods(sources, form):
        if is_called(method, sources):
            yield Frame(sources, method, form, (f"{form.name}.{method.node.name}",))


def _reached(sources: Sources, roots: list[Frame], seen: set[_Key]) -> list[Frame]:
    """Return these functions and all that they name, each once for each class that it is called on."""
    found, todo = list[Frame](), roots
    while todo:
        following: list[Frame] = []
        for frame in todo:
            if (frame.function, frame.form) not in seen:
                seen.add((frame.function, frame.form))
                found.append(frame)
                following += _named_in(sources, frame)
        todo = following
    return found


def _named_in(sources: Sources, frame: Frame) -> Iterator[Frame]:
    for node in frame.body.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            is_called = _is_called(frame, node)
            for function, form in _followed(sources, frame.meaning(node), is_called=is_called):
                yield Frame(sources, function, form, _way(frame.reached, function.name))
        if isinstance(node, ast.Call) and frame.foreign(node.func) == "builtins.getattr":
            for function, form in _got(sources, frame, node):
                yield Frame(sources, function, form, _way(frame.reached, function.name))


def _got(
    sources: Sources, frame: Frame, call: ast.Call
) -> Iterator[tuple[FunctionSource, ClassSource]]:
    """Yield the methods that `getattr(self, f"do_{name}")` may be: those whose names begin like that."""
    of = frame.meaning(call.args[0]) if len(call.args) > 1 else None
    if isinstance(of, Instance) and (beginning := _beginning(call.args[1])):
        for method in _methods(sources, of.form):
            if method.node.name.startswith(beginning) and not is_step(method, sources):
                yield method, of.form


def _beginning(name: ast.expr) -> str:
    """Return how a text begins, as far as it is written there."""
    match name:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=[ast.Constant(value=str() as text), *_]):
            return text
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Add()):
            return text
    return ""


def _way(reached: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the way to a function, by its beginning and its end if it is long."""
    way = (*reached, name)
    return way if len(way) <= _WAY_MAX else (way[0], "...", *way[3 - _WAY_MAX :])


def _is_called(frame: Frame, node: ast.expr) -> bool:
    parent = frame.body.parents.get(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _followed(
    sources: Sources, named: Meaning, *, is_called: bool
) -> Iterator[tuple[FunctionSource, ClassSource | None]]:
    match named:
        case FunctionSource():
            yield named, None
        case Method(function=function, form=form) if not is_step(function, sources):
            yield function, form
        case ClassSource() if is_called:
            for each in _methods(sources, named):
                if each.node.name in _MADE_BY:
                    yield each, named
        case Instance(form=form) if is_called:
            yield from (
                (each, form) for each in _methods(sources, form) if each.node.name == "__call__"
            )
