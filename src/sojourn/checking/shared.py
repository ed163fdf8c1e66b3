"""State that is shared, or kept where no replay finds it: globals, classes' attributes, defaults, `self` in steps.

A process runs many agents, and the same agent several times; a replay calls no steps. So what is to last is in
`ctx.memory`, and what a step found out is what it returns.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from sojourn.checking.findings import Finding, Severity
from sojourn.checking.meaning import Frame, is_own_attribute, lineage_of, meaning_in_module
from sojourn.checking.referents import Foreign, Global, Instance, Meaning
from sojourn.checking.sources import ClassSource, ModuleSource

__all__ = ["MUTATING", "is_container", "shared_writes", "steps_leavings"]

_RULE: Final = "shared-state"
_INSTEAD: Final = "Keep it in ctx.memory, or in a variable of run"
_CONTAINERS: Final = frozenset(
    (
        *(f"builtins.{name}" for name in ("list", "dict", "set", "bytearray")),
        *(f"collections.{name}" for name in ("defaultdict", "deque", "Counter", "OrderedDict")),
    )
)
MUTATING: Final = frozenset(
    (
        *("append", "appendleft", "extend", "extendleft", "insert", "remove", "pop", "popleft"),
        *("popitem", "clear", "update", "setdefault", "add", "discard", "sort", "reverse"),
        *("rotate", "subtract", "difference_update", "intersection_update"),
    )
)
"""Methods that change what they are called on."""
_PLAIN: Final = frozenset(("builtins.object", "sojourn.Agent", "typing.Generic", "abc.ABC"))
"""Bases that do not make of a class's attributes what each instance begins with."""
_DISPLAYS: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


def shared_writes(frame: Frame) -> Iterator[Finding]:
    """Yield where a function writes what other runs see, and the defaults that it could write."""
    for node, owner in _writes(frame):
        what = f"{_said(owner)} is changed, for all that runs in the process and by every replay"
        yield frame.finding(node, _RULE, what, _INSTEAD)
    for default in [*frame.function.node.args.defaults, *frame.function.node.args.kw_defaults]:
        if default is not None and is_container(frame, frame.module, default):
            what = "the default of a parameter is one object for all calls"
            yield frame.finding(
                default, _RULE, what, "Write None, and make it inside", Severity.WARNING
            )


def steps_leavings(replayed: Iterable[Frame], stepped: Iterable[Frame]) -> Iterator[Finding]:
    """Yield what steps leave behind otherwise than by their results, and what is replayed reads."""
    changed: dict[Meaning, str] = {}
    kept: dict[tuple[ClassSource | None, str], tuple[Frame, ast.expr]] = {}
    for frame in stepped:
        for _, owner in _writes(frame):
            changed.setdefault(_identified(owner), frame.reached[0])
        for node in _own_attributes(frame, ast.Store):
            kept.setdefault((frame.form, node.attr), (frame, node))
    for frame in replayed:
        for each in frame.body.nodes:
            if isinstance(each, ast.Name | ast.Attribute) and isinstance(each.ctx, ast.Load):
                yield from _read(frame, each, changed)
        for node in _own_attributes(frame, ast.Load):
            writer = kept.pop((frame.form, node.attr), None)
            if writer is not None:
                yield _left(*writer, name=node.attr, reader=frame)


def _own_attributes(frame: Frame, how: type[ast.expr_context]) -> Iterator[ast.Attribute]:
    for node in frame.body.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, how):
            yield from [node] if is_own_attribute(frame, node) else []


def _read(frame: Frame, node: ast.expr, changed: dict[Meaning, str]) -> Iterator[Finding]:
    meant = frame.meaning(node)
    if isinstance(meant, Global) and (writer := changed.get(_identified(meant))):
        what = f"{meant.name} is changed by the step {writer}, which a replay does not call"
        yield frame.finding(node, _RULE, what, "Return it from the step")


def _left(frame: Frame, node: ast.expr, *, name: str, reader: Frame) -> Finding:
    what = f"self.{name} is set in a step and read by {reader.reached[0]}: a replay calls no step"
    return frame.finding(node, _RULE, what, "Return it from the step")


def _identified(owner: Meaning) -> Meaning:
    """Return a name of a module without its value, which does not make it another."""
    return Global(owner.module, owner.name, None) if isinstance(owner, Global) else owner


# --- writes --------------------------------------------------------------------------------------------


def _writes(frame: Frame) -> Iterator[tuple[ast.expr, Meaning]]:
    """Yield where a function changes what is not its own, and what that is."""
    for node in frame.body.nodes:
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()) if not frame.is_local(node):
                yield node, Global(frame.module, node.id, None)
            case (
                ast.Attribute(ctx=ast.Store() | ast.Del())
                | ast.Subscript(ctx=ast.Store() | ast.Del())
            ):
                yield from _written(frame, node)
            case ast.Call(func=ast.Attribute(value=of, attr=name)) if name in MUTATING:
                if _is_shared_container(frame, of):
                    yield node, frame.meaning(of) or _class_attribute(frame, of)
            case ast.Call(func=ast.Attribute(value=of)):
                meant = frame.meaning(of)
                if isinstance(meant, Global) and _stands_for(frame, meant) == "random.Random()":
                    yield node, meant
            case ast.Call(func=func, args=[ast.Name() as of, *_]):
                meant = frame.meaning(of)
                if isinstance(meant, Global) and frame.foreign(func) == "builtins.next":
                    yield node, meant


def _written(
    frame: Frame, node: ast.Attribute | ast.Subscript
) -> Iterator[tuple[ast.expr, Meaning]]:
    """Yield what an assignment to an attribute or an item changes, if it is a module's or a class's."""
    of: ast.expr = node.value
    while True:
        meant = frame.meaning(of)
        if isinstance(meant, Global | ClassSource | ModuleSource):
            yield node, meant
            return
        if isinstance(meant, Foreign) and _is_module(frame, of):
            yield node, meant
            return
        if isinstance(of, ast.Attribute) and (shared := _class_attribute(frame, of)):
            if isinstance(node, ast.Subscript) or of is not node.value:
                yield node, shared
            return
        if not isinstance(of, ast.Attribute | ast.Subscript):
            return
        of = of.value


def _is_module(frame: Frame, node: ast.expr) -> bool:
    """Tell whether a name is one that an import binds: `os.environ["X"] = "y"` changes the process."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and not frame.foreign(node).endswith("()")


def _is_shared_container(frame: Frame, node: ast.expr) -> bool:
    meant = frame.meaning(node)
    if isinstance(meant, Global):
        return meant.value is not None and is_container(frame, meant.module, meant.value)
    return _class_attribute(frame, node) is not None


def _class_attribute(frame: Frame, node: ast.expr) -> Meaning:
    """Return the class whose body makes the container that `self.name` is, if no instance has its own."""
    if not isinstance(node, ast.Attribute):
        return None
    meant = frame.meaning(node.value)
    form = meant.form if isinstance(meant, Instance) else meant
    if not isinstance(form, ClassSource):
        return None
    lineage = lineage_of(form, frame.sources)
    if any(isinstance(each, Foreign) and each.path not in _PLAIN for each in lineage):
        return None
    for each in lineage:
        if isinstance(each, ClassSource):
            if node.attr in each.assigned:  # instances have their own
                return None
            for name, _, value in each.fields():
                if name == node.attr and value is not None:
                    is_plain = not each.node.decorator_list and is_container(
                        frame, each.module, value
                    )
                    return each if is_plain else None
    return None


def is_container(frame: Frame, module: ModuleSource, value: ast.expr) -> bool:
    """Tell whether a value is a list, dict or the like, made there."""
    if isinstance(value, ast.Call):
        made = meaning_in_module(frame.sources, module, value.func)
        return isinstance(made, Foreign) and made.path in _CONTAINERS
    return isinstance(value, _DISPLAYS)


def _stands_for(frame: Frame, meant: Global) -> str:
    if meant.value is None:
        return ""
    found = meaning_in_module(frame.sources, meant.module, meant.value)
    return found.path if isinstance(found, Foreign) else ""


def _said(owner: Meaning) -> str:
    match owner:
        case Global(module=module, name=name):
            return f"{name} of module {module.name}"
        case ClassSource():
            return f"the class {owner.name}"
        case ModuleSource():
            return f"the module {owner.name}"
        case Foreign(path=path):
            return path
    return "it"
