"""Clocks, chance, the world outside and identity: what code uses by its name."""

import ast
from collections.abc import Iterator
from typing import Final

from sojourn.checking.findings import Finding
from sojourn.checking.hazards import Hazard, hazard_of
from sojourn.checking.meaning import Frame, meaning_in_module
from sojourn.checking.reach import made_fields
from sojourn.checking.referents import Foreign, Global
from sojourn.checking.sources import ClassSource, ModuleSource, Sources

__all__ = ["hazards_used"]

_BY_RANK: Final = "Decide by the places that rank is given, and by what run has put into self"


def hazards_used(frame: Frame) -> Iterator[Finding]:
    """Yield what a function uses that is not the same in every replay."""
    for node in frame.body.nodes:
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            meant = frame.meaning(node)
            if isinstance(meant, Foreign):
                yield from _used(frame, node, meant.path)
            elif isinstance(meant, Global) and meant.value is not None:
                yield from _made_at_import(frame, node, meant)
        if isinstance(node, ast.Call) and isinstance(form := frame.meaning(node.func), ClassSource):
            yield from _made_by_fields(frame, node, form)


def _used(frame: Frame, node: ast.Name | ast.Attribute, path: str) -> Iterator[Finding]:
    hazard = hazard_of(path)
    parent = frame.body.parents.get(node)
    if hazard is not None and _is_used(hazard, node, parent):
        called = "" if hazard.is_read else "()"
        yield _finding(frame, node, hazard, f"{_spelled(path)}{called} {hazard.what}")


def _finding(frame: Frame, node: ast.expr, hazard: Hazard, what: str) -> Finding:
    instead = _BY_RANK if frame.reached[0].endswith(".rank") else hazard.instead
    return frame.finding(node, hazard.rule, what, instead, hazard.severity)


def _is_used(hazard: Hazard, node: ast.AST, parent: ast.AST | None) -> bool:
    """Tell whether a hazard comes to be: it is read, called, or handed on to be called."""
    match parent:
        case _ if hazard.is_read:
            return True
        case ast.Call(func=func) if func is node:
            return hazard.applies is None or hazard.applies(parent)
        case ast.Call() | ast.keyword():
            return hazard.applies is None
    return False


def _spelled(path: str) -> str:
    """Return a dotted name as people write it: `pathlib.Path().read_text` is Path.read_text."""
    of, _, name = path.rpartition(".")
    if of.endswith("()"):
        return f"{of[:-2].rpartition('.')[2]}.{name}"
    return path.removeprefix("builtins.")


def _made_at_import(frame: Frame, node: ast.expr, used: Global) -> Iterator[Finding]:
    """Yield what a name of a module is made of, if that is made anew wherever the code is loaded."""
    assert used.value is not None
    for hazard, path in _hazards_within(frame.sources, used.module, used.value):
        made = f"{used.name} is made when the code is loaded: {_spelled(path)} {hazard.what}"
        yield _finding(frame, node, hazard, made)


def _made_by_fields(frame: Frame, node: ast.expr, form: ClassSource) -> Iterator[Finding]:
    """Yield what the fields of a class begin with, where one is made."""
    for module, name, value in made_fields(frame.sources, form):
        for hazard, path in _hazards_within(frame.sources, module, value):
            what = (
                f"{form.name}.{name} begins with what is made anew: {_spelled(path)} {hazard.what}"
            )
            yield _finding(frame, node, hazard, what)


def _hazards_within(
    sources: Sources, module: ModuleSource, value: ast.expr
) -> Iterator[tuple[Hazard, str]]:
    """Yield the hazards in an expression outside all functions, each with its name."""
    if value not in sources.hazards:
        sources.hazards[value] = list(_find_hazards(sources, module, value))
    yield from sources.hazards[value]


def _find_hazards(
    sources: Sources, module: ModuleSource, value: ast.expr
) -> Iterator[tuple[Hazard, str]]:
    parents = {inner: node for node in ast.walk(value) for inner in ast.iter_child_nodes(node)}
    for node in ast.walk(value):
        if isinstance(node, ast.Name | ast.Attribute):
            meant = meaning_in_module(sources, module, node)
            path = meant.path if isinstance(meant, Foreign) else ""
            hazard = hazard_of(path)
            if hazard is not None and _is_used(hazard, node, parents.get(node)):
                yield hazard, path
