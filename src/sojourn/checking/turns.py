"""Local variables that are to last from turn to turn of `ctx.turns`, and do not.

After a resume the code before the loop runs again, and the loop goes on at its turn: what earlier turns added up is
gone. No replay differs by that, so nothing else tells of it: the result is merely wrong.
"""

import ast
from collections.abc import Iterator
from typing import Final

from sojourn.checking.findings import Finding, Severity
from sojourn.checking.meaning import Frame, is_own_attribute
from sojourn.checking.referents import CONTEXT
from sojourn.checking.shared import MUTATING, is_container
from sojourn.checking.sources import Valued

__all__ = ["lost_in_turns"]

_INSTEAD: Final = "Keep it in ctx.memory"


def lost_in_turns(frame: Frame) -> Iterator[Finding]:
    """Yield what turns of `run` add to and no turn begins.

    A loop inside a turn of another is replayed with its turn; one in another function may be such a loop.
    """
    if len(frame.reached) > 1 or not frame.reached[0].endswith(".run"):
        return
    for node in frame.body.nodes:
        if _is_of_turns(frame, node) and not any(
            _is_of_turns(frame, above) for above in frame.body.above(node)
        ):
            yield from _lost(frame, node)


def _is_of_turns(frame: Frame, node: ast.AST) -> bool:
    match node:
        case ast.AsyncFor(iter=ast.Call(func=func)):
            return frame.foreign(func) == f"{CONTEXT}.turns"
    return False


def _lost(frame: Frame, loop: ast.AST) -> Iterator[Finding]:
    inside = [node for node in ast.walk(loop) if node in frame.body.scopes]
    begun = {_name(frame, node) for node in inside if _is_begun(frame, node)}
    for node in inside:
        match node:
            case ast.AugAssign(target=target) if name := _name(frame, target):
                if name not in begun:
                    what = f"{name} is added up over turns, and begins anew after a resume"
                    yield frame.finding(target, "turns", what, _INSTEAD)
            case ast.Call(func=ast.Attribute(value=ast.Name() as of, attr=attr)) if (
                attr in MUTATING
            ):
                yield from _collected(frame, of, begun)
            case ast.Subscript(value=ast.Name() as of, ctx=ast.Store()):
                yield from _collected(frame, of, begun)


def _collected(frame: Frame, node: ast.Name, begun: set[str]) -> Iterator[Finding]:
    """Yield a collection of this function that turns put something into. It may be a mere cache: a warning."""
    found = frame.body.scopes[node].find(node.id)
    bound = found[1] if found is not None and node.id not in begun else []
    values = [each.value for each in bound if isinstance(each, Valued) and not each.is_item]
    containers = [v for v in values if v is not None and is_container(frame, frame.module, v)]
    if bound and len(containers) == len(bound):
        what = f"{node.id} collects over turns, and begins anew after a resume"
        yield frame.finding(node, "turns", what, _INSTEAD, Severity.WARNING)


def _is_begun(frame: Frame, node: ast.AST) -> bool:
    """Tell whether a node gives a name a new value, and does not only add to it."""
    is_stored = isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store)
    return is_stored and not isinstance(frame.body.parents.get(node), ast.AugAssign)


def _name(frame: Frame, node: ast.AST) -> str:
    """Return a local name, or an attribute of the agent's own as it is written; "" for all else."""
    if isinstance(node, ast.Name):
        return node.id if frame.is_local(node) else ""
    return (
        f"self.{node.attr}"
        if isinstance(node, ast.Attribute) and is_own_attribute(frame, node)
        else ""
    )
