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
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_INSTEAD_BEHIND: Final = "Keep it in ctx.memory, or find it anew behind the loop"


def lost_in_turns(frame: Frame) -> Iterator[Finding]:
    """Yield what turns of `run` add to and no turn begins, and what is read behind them of what they assigned.

    A loop inside a turn of another is replayed with its turn; one in another function may be such a loop.
    """
    if len(frame.reached) > 1 or not frame.reached[0].endswith(".run"):
        return
    for node in frame.body.nodes:
        if not isinstance(node, ast.AsyncFor) or not _is_of_turns(frame, node):
            continue
        if not any(_is_of_turns(frame, above) for above in frame.body.above(node)):
            yield from _lost(frame, node)
            yield from _read_behind(frame, node)


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


def _read_behind(frame: Frame, loop: ast.AsyncFor) -> Iterator[Finding]:
    """Yield variables that turns assign and code behind the loop reads: a resume there has never run a turn.

    What leaves a loop by `break` is still in its turn, and replayed with that.
    """
    if any(isinstance(node, ast.Break) for node in ast.walk(loop)):
        return
    ends = loop.body[-1].end_lineno or loop.lineno
    turn = (node for part in (loop.target, *loop.body) for node in ast.walk(part))
    assigned = {_name(frame, node) for node in turn if _is_begun(frame, node)}
    anew: dict[str, ast.AST] = {}
    for node in frame.body.nodes:
        if not isinstance(node, ast.Name) or node.lineno <= ends or node.id not in assigned:
            continue
        statement = next(each for each in frame.body.above(node) if isinstance(each, ast.stmt))
        if isinstance(node.ctx, ast.Store):
            anew.setdefault(node.id, statement)
        elif anew.get(node.id, statement) is statement and not _is_of_a_comprehension(frame, node):
            assigned.discard(node.id)
            what = (
                f"{node.id} is assigned in turns and read behind them, where a resume has run none"
            )
            yield frame.finding(node, "turns", what, _INSTEAD_BEHIND)


def _is_of_a_comprehension(frame: Frame, node: ast.Name) -> bool:
    """Tell whether a name is what a comprehension around it goes through."""
    around = (each for each in frame.body.above(node) if isinstance(each, _COMPREHENSIONS))
    targets = (part.target for each in around for part in each.generators)
    return node.id in {
        each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
    }


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
