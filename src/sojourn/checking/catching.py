"""How `run` catches: hints about refusals and uncertain outcomes that nobody will hear of."""

import ast
from collections.abc import Iterator
from typing import Final

from sojourn.checking.findings import Finding, Severity
from sojourn.checking.meaning import Frame
from sojourn.checking.sources import FunctionNode, FunctionSource

__all__ = ["repeated_steps", "swallowed_errors"]

_ALL: Final = frozenset(("builtins.Exception", "builtins.BaseException", ""))
_OURS: Final = frozenset(f"sojourn.{name}" for name in ("Denied", "UncertainOutcome"))
_ROOT: Final = "sojourn.core.base.errors.SojournError"


def swallowed_errors(frame: Frame) -> Iterator[Finding]:
    """Yield the handlers that catch what a step with an effect raises, among all else, and pass over it.

    One that names what it has caught, or raises, has dealt with it; so has an earlier one by name.
    """
    for node in frame.body.nodes:
        if isinstance(node, ast.Try):
            named = set[str]()
            for handler in node.handlers:
                caught = _caught(frame, handler)
                if not named & {_ROOT, *_OURS} and _passes_over(handler):
                    yield from _swallowed(frame, node, handler, caught)
                named |= caught


def _swallowed(
    frame: Frame, node: ast.Try, handler: ast.ExceptHandler, caught: set[str]
) -> Iterator[Finding]:
    if caught & {"builtins.BaseException", ""} and _holds(node.body, ast.Await):
        what = "this catches what ends, moves and restarts run as well"
        instead = "Catch Exception at most, or raise it again"
        yield frame.finding(handler, "swallowed", what, instead, Severity.WARNING)
        return
    acting = [
        step for step in _steps_in(frame, node.body) if _effect(step) in {"idempotent", "once"}
    ]
    if caught & {"builtins.Exception", _ROOT} and acting:
        name = acting[0].node.name
        errors = "Denied and UncertainOutcome" if _effect(acting[0]) == "once" else "Denied"
        what = f"this passes over {errors} of the step {name}"
        instead = "Catch those by name first, and decide what follows"
        yield frame.finding(handler, "swallowed", what, instead, Severity.WARNING)


def repeated_steps(frame: Frame) -> Iterator[Finding]:
    """Yield loops that call a step with effect "once" until it succeeds, though it may have had its effect.

    That is: the loop is left behind the call, and a handler of the uncertain outcome does nothing about it.
    """
    for node in frame.body.nodes:
        if (
            isinstance(node, ast.Try)
            and _is_in_loop(frame, node)
            and _leaves([*node.body, *node.orelse])
        ):
            once = [step for step in _steps_in(frame, node.body) if _effect(step) == "once"]
            for handler in node.handlers if once else []:
                caught = _caught(frame, handler)
                if caught & {"sojourn.UncertainOutcome", _ROOT, *_ALL}:
                    if not (_leaves(handler.body) or _holds(handler.body, ast.Await, ast.Raise)):
                        what = (
                            f"the step {once[0].node.name} is repeated after an uncertain outcome"
                        )
                        instead = (
                            "Ask the receiver whether it was done, in a step, before doing it again"
                        )
                        yield frame.finding(handler, "repeated", what, instead, Severity.WARNING)
                    break


def _is_in_loop(frame: Frame, node: ast.AST) -> bool:
    """Tell whether a statement stands right in a loop, or in a block of one."""
    for above in frame.body.above(node):
        if isinstance(above, ast.While | ast.For | ast.AsyncFor):
            return True
        if isinstance(above, FunctionNode | ast.Lambda):
            return False
    return False


def _caught(frame: Frame, handler: ast.ExceptHandler) -> set[str]:
    """Return the names of what a handler catches: "" stands for all, as it does when nothing is written."""
    match handler.type:
        case None:
            return {""}
        case ast.Tuple(elts=elements):
            return {_error(frame, each) for each in elements}
        case form:
            return {_error(frame, form)}


def _error(frame: Frame, form: ast.expr) -> str:
    path = frame.foreign(form)
    name = path.rpartition(".")[2]
    if name == "SojournError":
        return _ROOT
    return f"sojourn.{name}" if f"sojourn.{name}" in _OURS else path or "?"


def _passes_over(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler neither raises nor uses what it caught."""
    inside = [inner for each in handler.body for inner in ast.walk(each)]
    uses = (isinstance(each, ast.Name) and each.id == handler.name for each in inside)
    return not any(uses) and not any(isinstance(each, ast.Raise) for each in inside)


def _holds(body: list[ast.stmt], *forms: type[ast.AST]) -> bool:
    return any(isinstance(inner, forms) for each in body for inner in ast.walk(each))


def _leaves(body: list[ast.stmt]) -> bool:
    return _holds(body, ast.Break, ast.Return)


def _steps_in(frame: Frame, body: list[ast.stmt]) -> list[FunctionSource]:
    nodes = (inner for each in body for inner in ast.walk(each))
    found = (frame.step(node) for node in nodes if node in frame.body.scopes)
    return [step for step in found if step is not None]


def _effect(step: FunctionSource) -> str:
    """Return the effect that a step declares; "" if that is not written there."""
    for decorator in step.node.decorator_list:
        for word in decorator.keywords if isinstance(decorator, ast.Call) else []:
            if word.arg == "effect" and isinstance(word.value, ast.Constant):
                return str(word.value.value)
    return ""
