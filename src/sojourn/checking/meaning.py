"""What an expression stands for, as far as that is certain from what is written; how, `referents` says."""

import ast
import builtins
from collections import deque
from functools import cached_property
from typing import Final

from sojourn.checking.findings import Finding, Severity
from sojourn.checking.referents import (
    CONTEXT,
    UNORDERED,
    Foreign,
    Global,
    Instance,
    Meaning,
    Method,
    attribute_of,
    bound_to,
    foreign,
    instance_of,
    is_view,
    result_of,
)
from sojourn.checking.scopes import Body, Parameter, Scope, body_of
from sojourn.checking.sources import (
    Binding,
    ClassSource,
    FunctionSource,
    Imported,
    ModuleSource,
    Sources,
    Valued,
)

__all__ = [
    "Frame",
    "is_called",
    "is_own_attribute",
    "is_step",
    "lineage_of",
    "meaning_in_module",
]

_DEPTH_MAX: Final = 40
"""How far an expression is looked into: `a + b + ...` may be as deep as it is long."""


def is_step(function: FunctionSource, sources: Sources) -> bool:
    """Tell whether a method is declared as a step."""
    return _is_declared(function, sources, Foreign("sojourn.step"))


def is_called(function: FunctionSource, sources: Sources) -> bool:
    """Tell whether messages may call a method: it is a signal or an update."""
    kinds = (Foreign("sojourn.signal"), Foreign("sojourn.update"))
    return _is_declared(function, sources, *kinds)


def _is_declared(function: FunctionSource, sources: Sources, *kinds: Foreign) -> bool:
    return any(
        meaning_in_module(sources, function.module, each) in kinds for each in function.decorators
    )


def lineage_of(form: ClassSource, sources: Sources) -> tuple[ClassSource | Foreign, ...]:
    """Return a class, and those that it is derived from, each once, nearest first."""
    known = sources.lineages
    if form not in known:
        known[form] = (form,)  # what comes back to it goes round in a circle
        known[form] = _find_lineage(form, sources)
    return known[form]


def _find_lineage(form: ClassSource, sources: Sources) -> tuple[ClassSource | Foreign, ...]:
    seen, todo = dict[ClassSource | Foreign, None](), deque[ClassSource | Foreign]([form])
    while todo:
        here = todo.popleft()
        if here not in seen:
            seen[here] = None
            if isinstance(here, ClassSource):
                bases = (meaning_in_module(sources, here.module, each) for each in here.node.bases)
                todo += [each for each in bases if isinstance(each, ClassSource | Foreign)]
    return tuple(seen)


def meaning_in_module(sources: Sources, module: ModuleSource, node: ast.expr) -> Meaning:
    """Return what an expression at the top of a module stands for."""
    return _Reader(sources, module).meaning(node, None)


class Frame:
    """A function of the agent's as it is executed: on which class, and reached from where."""

    def __init__(
        self,
        sources: Sources,
        function: FunctionSource,
        form: ClassSource | None,
        reached: tuple[str, ...],
    ) -> None:
        self.sources = sources
        self.function = function
        self.form = form
        self.reached = reached

    @property
    def module(self) -> ModuleSource:
        """The module that it stands in."""
        return self.function.module

    @cached_property
    def body(self) -> Body:
        """Its nodes."""
        bodies = self.sources.bodies
        if self.function not in bodies:
            bodies[self.function] = body_of(self.function)
        return bodies[self.function]

    @cached_property
    def _reader(self) -> "_Reader":
        return _Reader(self.sources, self.module, self)

    def meaning(self, node: ast.expr) -> Meaning:
        """Return what an expression in it stands for."""
        return self._reader.meaning(node, self.body.scopes.get(node))

    def foreign(self, node: ast.expr) -> str:
        """Return the dotted name of what is not the agent's; "" for all else."""
        found = self.meaning(node)
        return found.path if isinstance(found, Foreign) else ""

    def is_local(self, name: ast.Name) -> bool:
        """Tell whether it is a name of the function, and not of its module."""
        return self.body.scopes[name].find(name.id) is not None

    def finding(
        self,
        node: ast.expr | ast.stmt | ast.excepthandler,
        rule: str,
        what: str,
        instead: str,
        severity: Severity = Severity.ERROR,
    ) -> Finding:
        """Return a finding in it. No replay executes `rank`: there it is but a warning."""
        in_rank = self.reached[0].endswith(".rank")
        return Finding(
            path=self.module.path,
            line=node.lineno,
            column=self.module.column_of(node),
            rule=rule,
            severity=Severity.WARNING if in_rank else severity,
            what=what,
            instead=instead,
            reached=self.reached,
        )

    def step(self, node: ast.AST) -> FunctionSource | None:
        """Return the step that a call calls, if it does."""
        if not isinstance(node, ast.Call):
            return None
        called = self.meaning(node.func)
        is_one = isinstance(called, Method) and is_step(called.function, self.sources)
        return called.function if is_one and isinstance(called, Method) else None


class _Reader:
    """Reads expressions of one module, and of one function if there is one."""

    def __init__(self, sources: Sources, module: ModuleSource, frame: Frame | None = None) -> None:
        self._sources = sources
        self._module = module
        self._frame = frame
        self._form = frame.form if frame is not None else None

    def meaning(self, node: ast.expr, scope: Scope | None) -> Meaning:
        """Return what an expression stands for; None if that is not certain, or goes round in a circle."""
        known, ahead = self._sources.meanings, self._sources.ahead
        key = (node, self._form)
        if key not in known:
            if key in ahead or len(ahead) > _DEPTH_MAX:
                return None
            ahead.add(key)
            try:
                known[key] = self._meaning(node, scope)
            finally:
                ahead.discard(key)
        return known[key]

    def _meaning(self, node: ast.expr, scope: Scope | None) -> Meaning:  # noqa: PLR0911 (a table)
        match node:
            case ast.Name(id=name):
                return self._name(name, scope)
            case ast.Attribute(value=value, attr=name):
                return self._attribute(self.meaning(value, scope), name)
            case ast.Call():
                return self._result(node, scope)
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self.meaning(value, scope)
            case ast.Set() | ast.SetComp():
                return Foreign(UNORDERED)
            case ast.BinOp(left=left, op=op, right=right):
                return self._operated(left, op, right, scope)
            case ast.IfExp(body=body, orelse=orelse):
                one, other = self.meaning(body, scope), self.meaning(orelse, scope)
                return one if one == other else None
        return None

    # --- names ---------------------------------------------------------------------------------------

    def _name(self, name: str, scope: Scope | None) -> Meaning:
        found = scope.find(name) if scope is not None else None
        if found is None:
            return self._global(self._module, name)
        where, bound = found
        known, key = self._sources.names, (where, name, self._form)
        if key not in known:
            known[key] = None  # what comes back to it goes round in a circle
            meant = [self._local(each, where) for each in bound]
            known[key] = meant[0] if all(each == meant[0] for each in meant) else None
        return known[key]

    def _local(self, bound: Binding | Parameter, scope: Scope) -> Meaning:
        match bound:
            case Imported(target=target):
                return self._imported(target)
            case Parameter():
                return self._parameter(bound, scope)
            case Valued(value=ast.expr() as value, is_item=is_item):
                return self._item(value, scope) if is_item else self.meaning(value, scope)
        return None

    def _item(self, value: ast.expr, scope: Scope) -> Meaning:
        """Return what is unpacked from a value: `done, pending = await asyncio.wait(...)` are two sets."""
        call = value.value if isinstance(value, ast.Await) else value
        if not isinstance(call, ast.Call):
            return None
        is_wait = self.meaning(call.func, scope) == Foreign("asyncio.wait")
        return Foreign(UNORDERED) if is_wait else None

    def _parameter(self, parameter: Parameter, scope: Scope) -> Meaning:
        frame = self._frame
        is_outermost = scope.outer is None
        if frame is not None and frame.form is not None and is_outermost and parameter.place == 0:
            marks = {each.id for each in frame.function.decorators if isinstance(each, ast.Name)}
            if "staticmethod" not in marks:
                return frame.form if "classmethod" in marks else Instance(frame.form)
        if parameter.annotation is not None:
            return self._annotated(parameter.annotation)
        return Foreign(CONTEXT) if parameter.name == "ctx" else None

    def _annotated(self, annotation: ast.expr) -> Meaning:
        """Return an instance of what a parameter or a field is declared to be."""
        form = annotation
        if isinstance(form, ast.BinOp) and isinstance(form.right, ast.Constant):  # X | None
            form = form.left
        form = form.value if isinstance(form, ast.Subscript) else form
        if isinstance(form, ast.Constant) and isinstance(form.value, str):
            form = ast.Name(form.value) if form.value.isidentifier() else form
        return instance_of(self.meaning(form, None))

    def _global(self, module: ModuleSource, name: str) -> Meaning:
        bound = module.bindings.get(name, [])
        imports = [each for each in bound if isinstance(each, Imported)]
        if imports:  # what stands beside it in a `try` takes its place where it is lacking
            return self._from_elsewhere(module, name, imports[0].target)
        if bound:
            return self._alias(bound_to(module, name, bound))
        return self._starred(module, name)

    def _alias(self, found: Meaning) -> Meaning:
        """Return what a name of a module is another name for, or else the name."""
        if not isinstance(found, Global) or not isinstance(found.value, ast.Name | ast.Attribute):
            return found
        meant = meaning_in_module(self._sources, found.module, found.value)
        is_instance = isinstance(meant, Foreign) and meant.path.endswith("()")
        return found if meant is None or is_instance else meant

    def _from_elsewhere(self, module: ModuleSource, name: str, target: str) -> Meaning:
        ahead, key = self._sources.ahead, (module, name)
        if key in ahead:
            return None
        ahead.add(key)
        try:
            return self._imported(target)
        finally:
            ahead.discard(key)

    def _starred(self, module: ModuleSource, name: str) -> Meaning:
        for star in module.stars:
            own = self._sources.modules.get(star)
            if own is not None and name in own.bindings:
                return self._global(own, name)
        if name in module.stars or not hasattr(builtins, name):
            return None
        return Foreign(f"builtins.{name}")

    def _imported(self, target: str) -> Meaning:
        """Return what a dotted name stands for: the agent's own modules are found before all others."""
        if not self._sources.is_own(target):
            return foreign(target)
        parts = target.split(".")
        for length in range(len(parts), 0, -1):
            module = self._sources.modules.get(".".join(parts[:length]))
            if module is not None:
                found: Meaning = module
                for name in parts[length:]:
                    found = self._attribute(found, name)
                return found
        return None

    # --- attributes and calls ------------------------------------------------------------------------

    def _attribute(self, of: Meaning, name: str) -> Meaning:
        match of:
            case Foreign():
                return attribute_of(of, name)
            case ModuleSource():
                inner = self._sources.modules.get(f"{of.name}.{name}")
                return inner if inner and name not in of.bindings else self._global(of, name)
            case Global(module=module, value=ast.expr() as value):
                meant = meaning_in_module(self._sources, module, value)
                return None if isinstance(meant, Global) else self._attribute(meant, name)
            case ClassSource():
                return self._of_class(of, name)
            case Instance(form=form):
                return form if name == "__class__" else self._of_instance(form, name)
        return None

    def _of_class(self, form: ClassSource, name: str) -> Meaning:
        for each in lineage_of(form, self._sources):
            if isinstance(each, ClassSource) and name in each.methods:
                return Method(each.methods[name], form)
        return None

    def _of_instance(self, form: ClassSource, name: str) -> Meaning:
        method = self._of_class(form, name)
        if method is not None:
            return method
        for each in lineage_of(form, self._sources):
            if isinstance(each, ClassSource):
                meant = self._fields(each, form, name)
                if meant:
                    return meant[0] if all(other == meant[0] for other in meant) else None
        return None

    def _fields(self, form: ClassSource, of: ClassSource, name: str) -> list[Meaning]:
        """Return what a class declares an attribute to be, or else what its methods assign to it."""
        known, key = self._sources.attributes, (form, of, name)
        if key not in known:
            known[key] = []  # what comes back to it goes round in a circle
            known[key] = self._find_fields(form, of, name)
        return known[key]

    def _find_fields(self, form: ClassSource, of: ClassSource, name: str) -> list[Meaning]:
        reader = _Reader(self._sources, form.module)
        declared = [
            reader._annotated(annotation)
            for field, annotation, _ in form.fields()
            if field == name and annotation is not None
        ]
        if declared:
            return declared
        assigned = self._sources.assigned
        if (form, of) not in assigned:
            assigned[form, of] = _assigned_in(self._sources, form, of)
        return [frame.meaning(value) for frame, value in assigned[form, of].get(name, [])]

    def _result(self, call: ast.Call, scope: Scope | None) -> Meaning:
        match call.func:
            case ast.Name(id="super"):
                return self._super()
            case ast.Name(id="type") if len(call.args) == 1:
                of = self.meaning(call.args[0], scope)
                return of.form if isinstance(of, Instance) else None
        called = self.meaning(call.func, scope)
        match called:
            case ClassSource():
                return Instance(called)
            case Foreign():
                return result_of(called)
            case FunctionSource() | Method():
                function = called.function if isinstance(called, Method) else called
                returns = function.node.returns
                if returns is not None:
                    return _Reader(self._sources, function.module)._annotated(returns)
        return None

    def _super(self) -> Meaning:
        frame = self._frame
        if frame is None or frame.form is None or frame.function.owner is None:
            return None
        bases = lineage_of(frame.function.owner, self._sources)[1:]
        return next((Instance(each) for each in bases if isinstance(each, ClassSource)), None)

    def _operated(
        self, left: ast.expr, op: ast.operator, right: ast.expr, scope: Scope | None
    ) -> Meaning:
        sides = (self.meaning(left, scope), self.meaning(right, scope))
        if isinstance(op, ast.Div) and sides[0] == Foreign("pathlib.Path()"):
            return sides[0]
        is_of_sets = isinstance(op, ast.BitAnd | ast.BitOr | ast.BitXor | ast.Sub)
        has_set = Foreign(UNORDERED) in sides or is_view(left) or is_view(right)
        return Foreign(UNORDERED) if is_of_sets and has_set else None


def _assigned_in(
    sources: Sources, form: ClassSource, of: ClassSource
) -> dict[str, list[tuple[Frame, ast.expr]]]:
    """Return what the methods of a class assign to attributes of their own instance, of class `of`."""
    found: dict[str, list[tuple[Frame, ast.expr]]] = {}
    for frame in (Frame(sources, each, of, ()) for each in form.methods.values()):
        for node in frame.body.nodes:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Attribute) and is_own_attribute(frame, target):
                        found.setdefault(target.attr, []).append((frame, node.value))
    return found


def is_own_attribute(frame: Frame, node: ast.AST) -> bool:
    """Tell whether it is an attribute of `self`."""
    if not isinstance(node, ast.Attribute) or frame.form is None:
        return False
    return frame.meaning(node.value) == Instance(frame.form)
