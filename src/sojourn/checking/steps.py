"""Steps, as they are called and in themselves: awaited in `run`, and alone with their arguments."""

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from sojourn.checking.findings import Finding
from sojourn.checking.meaning import Frame, is_own_attribute, is_step
from sojourn.checking.referents import CONTEXT, Foreign, Method
from sojourn.checking.sources import ClassSource, FunctionSource

__all__ = ["held_in_steps", "never_awaited"]

_AWAITED: Final = frozenset(
    f"{CONTEXT}.{name}"
    for names in (
        ("ask", "broadcast", "consider", "map", "query", "race", "receive", "reply", "request"),
        ("restart", "result", "send", "signal", "sleep", "spawn", "until", "until_place", "update"),
    )
    for name in names
)
_AWAITED_TOO: Final = frozenset(
    ("asyncio.gather", "asyncio.sleep", "asyncio.wait", "asyncio.wait_for")
)


def never_awaited(frame: Frame) -> Iterator[Finding]:
    """Yield the calls of what is to be awaited that are dropped, or used as if they were their result."""
    for node in frame.body.nodes:
        if isinstance(node, ast.Call) and (name := _coroutine(frame, node)):
            parent = frame.body.parents.get(node)
            if isinstance(parent, ast.Expr):
                what = f"{name} is called and never awaited: nothing is done"
                yield frame.finding(node, "not-awaited", what, "Write await before it")
            elif _is_value_of(parent, node):
                what = f"{name} is not awaited: this is a coroutine, and not its result"
                yield frame.finding(
                    node, "not-awaited", what, "Write await before it, in parentheses"
                )


def _is_value_of(parent: ast.AST | None, node: ast.AST) -> bool:
    match parent:
        case ast.For(iter=used) | ast.Attribute(value=used) | ast.Subscript(value=used):
            return used is node
        case ast.If(test=used) | ast.While(test=used) | ast.IfExp(test=used):
            return used is node
    return isinstance(parent, ast.BinOp | ast.Compare | ast.FormattedValue | ast.UnaryOp)


def _coroutine(frame: Frame, call: ast.Call) -> str:
    """Return the name of what a call makes a coroutine of; "" if it makes none."""
    match frame.meaning(call.func):
        case Method(function=function) if is_step(function, frame.sources):
            return f"the step {function.node.name}"
        case Method(function=function):
            return function.name if function.is_coroutine else ""
        case FunctionSource() as function:
            return function.name if function.is_coroutine else ""
        case Foreign(path=path) if path in _AWAITED:
            return f"ctx.{path.rpartition('.')[2]}"
        case Foreign(path=path) if path in _AWAITED_TOO:
            return path
    return ""


# --- in steps ------------------------------------------------------------------------------------------

_ALONE: Final = "A step works on its arguments alone: give it values, and use its result in run"


def held_in_steps(replayed: Iterable[Frame], stepped: Iterable[Frame]) -> Iterator[Finding]:
    """Yield where code of steps uses ctx, memory or other steps, which the runtime would refuse there."""
    kept = _contexts_kept(replayed)
    for frame in stepped:
        for node in frame.body.nodes:
            used = _used_in_step(frame, node, kept)
            if used and isinstance(node, ast.expr):
                what = f"{used} is used in the step {frame.reached[0]}"
                yield frame.finding(node, "in-step", what, _ALONE)


def _used_in_step(frame: Frame, node: ast.AST, kept: set[tuple[ClassSource, str]]) -> str:
    match node:
        case ast.Call() if (step := frame.step(node)) is not None:
            return f"the step {step.node.name}"
        case ast.Attribute(value=ast.Name(id=name) as of) if frame.foreign(of) == CONTEXT:
            return name
        case ast.Attribute(attr=name, ctx=ast.Load()) if is_own_attribute(frame, node):
            return f"self.{name}" if frame.form and (frame.form, name) in kept else ""
    return ""


def _contexts_kept(replayed: Iterable[Frame]) -> set[tuple[ClassSource, str]]:
    """Return the attributes that ctx, or its memory, is put into."""
    kept = set()
    for frame in replayed:
        for node in frame.body.nodes:
            if isinstance(node, ast.Assign) and _is_of_context(frame, node.value):
                for target in node.targets:
                    if isinstance(target, ast.Attribute) and is_own_attribute(frame, target):
                        assert frame.form is not None
                        kept.add((frame.form, target.attr))
    return kept


def _is_of_context(frame: Frame, node: ast.expr) -> bool:
    """Tell whether it is ctx, `ctx.memory`, or a compartment of it."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        inner = node.func if isinstance(node, ast.Call) else node.value
        if frame.foreign(inner).startswith(f"{CONTEXT}.memory") and frame.foreign(node) != CONTEXT:
            return True
        if frame.foreign(node) in {CONTEXT, f"{CONTEXT}.memory"}:
            return True
        node = inner
    return frame.foreign(node) == CONTEXT
