"""What rules say of all requests at once: each condition as a decision diagram.

The choices are the attributes that rules name, with the values of `candidates`; a set is a choice
for each string that may be its member. An attribute of the zone that a travelling agent would leave
is the target's own where the two are one zone. A diagram's value may be `ERRED`.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, Final

from sojourn.core.policy import outcomes as on
from sojourn.core.policy.attributes import FIELDS, ORIGIN, Uid, Variable
from sojourn.core.policy.candidates import Survey
from sojourn.core.policy.diagrams import Diagram, Diagrams
from sojourn.core.policy.expressions import Expr, Unsupported, constant_of
from sojourn.core.policy.outcomes import ERRED

__all__ = ["ORIGIN_MODE", "Meaning"]

ORIGIN_MODE: Final[Variable] = (ORIGIN, "")
"""The choice whether there is an origin: None, "other", or "same" (it is the zone itself)."""


@dataclass(frozen=True)
class _Scalar:
    """A truth value, long or string; or no value, `ERRED`."""

    of: Diagram


@dataclass(frozen=True)
class _Refs:
    """An entity, or the context: one of several, each under a condition; none if it errs."""

    ways: tuple[tuple[Diagram, Any], ...]


@dataclass(frozen=True)
class _Members:
    """A set, by what is asked of it; `there` says when it does not err."""

    keys: tuple[Hashable, ...]
    has: Callable[[Hashable], Diagram]
    there: Diagram


@dataclass(frozen=True)
class _Fields:
    """A record that a rule writes down."""

    of: Mapping[str, tuple[Diagram, "_Symbol"]]
    there: Diagram


_Symbol = _Scalar | _Refs | _Members | _Fields


class Meaning:
    """Conditions as diagrams. `declared` are the applications' actions, which are in their group."""

    def __init__(
        self,
        diagrams: Diagrams,
        survey: Survey,
        fixed: Mapping[Variable, Any],
        declared: frozenset[str],
    ) -> None:
        self._diagrams, self._survey, self._fixed = diagrams, survey, fixed
        self._action, self._declared = "", declared
        self._true, self._false = diagrams.constant(True), diagrams.constant(False)
        self._erred = diagrams.constant(ERRED)
        self._choices: dict[Variable, Diagram] = {}
        self._members: dict[tuple[Variable, Hashable], Diagram] = {}
        self.named: list[
            tuple[Variable, Any]
        ] = []  # what each choice is of: alternatives, or a member

    def rule(self, conditions: Iterable[Expr], action: str) -> Diagram:
        """Return when a rule's scope and conditions hold: True, False or `ERRED`.

        `action` is what is asked, as the policy judges it.
        """
        self._action = action
        held = [self._truth(each) for each in conditions]
        return reduce(partial(self._diagrams.apply, on.both), held, self._true)

    def party(self, permits: Iterable[Diagram], forbids: Iterable[Diagram]) -> Diagram:
        """Return when a party's rules permit: True or False."""
        permitted = self._any(permits)
        forbidden = self._any(forbids)
        return self._diagrams.apply(on.ruled, permitted, forbidden)

    def idle(self, held: Diagram) -> Diagram:
        """Return a rule that never holds, and errs where this one does."""
        return self._diagrams.apply(on.both, held, self._false)

    def changed(self, after: Diagram, before: Diagram) -> Diagram:
        """Return when `after` permits and `before` does not, in a request that can be."""
        changed = self._diagrams.apply(on.but_not, after, before)
        if ORIGIN_MODE not in self._choices:
            return changed
        # Two zones of one name that differ in anything else are no request.
        ids = [self._choice((part, "id")) for part in ("resource", ORIGIN)]
        possible = self._diagrams.apply(on.is_possible, self._choice(ORIGIN_MODE), *ids)
        return self._diagrams.apply(on.both, possible, changed)

    def _any(self, truths: Iterable[Diagram]) -> Diagram:
        return reduce(partial(self._diagrams.apply, on.any_of), truths, self._false)

    # Expressions

    def _truth(self, expr: Expr) -> Diagram:
        return self._scalar(self._symbol(expr))

    def _scalar(self, symbol: _Symbol) -> Diagram:
        """Return a value as it is compared: entities by type and name."""
        match symbol:
            case _Scalar(of):
                return of
            case _Refs(ways):
                named = ((when, self._uid(root)) for when, root in ways)
                return self._first(named)
        raise Unsupported("a set or record where a single value is compared")

    def _first(self, ways: Iterable[tuple[Diagram, Diagram]]) -> Diagram:
        return reduce(
            lambda other, way: self._diagrams.apply(on.chosen, way[0], way[1], other),
            ways,
            self._erred,
        )

    def _symbol(self, expr: Expr) -> _Symbol:
        constant = constant_of(expr)
        if constant is not expr:
            assert not isinstance(constant, dict)
            return self._constant(ERRED if constant is None else constant)
        ((op, body),) = expr.items()
        if op in _SYMBOLS:
            return _SYMBOLS[op](self, body)
        if op in _TRUTHS:
            return _Scalar(_TRUTHS[op](self, body))
        return _Scalar(self._apply(op, *body.values()))

    def _var(self, name: str) -> _Symbol:
        return _Refs(((self._true, Uid("Action", self._action) if name == "action" else name),))

    def _written_set(self, items: list[Expr]) -> _Symbol:
        return self._set([self._scalar(self._symbol(item)) for item in items])

    def _record(self, body: Mapping[str, Expr]) -> _Symbol:
        fields = {name: (self._true, self._symbol(each)) for name, each in body.items()}
        return _Fields(fields, self._all(self._there(symbol) for _, symbol in fields.values()))

    def _access(self, body: Mapping[str, Any]) -> _Symbol:
        return self._attribute(self._symbol(body["left"]), body["attr"])[1]

    def _branching(self, body: Mapping[str, Expr]) -> _Symbol:
        return self._branch(*(body[part] for part in ("if", "then", "else")))

    def _presence(self, body: Mapping[str, Any]) -> Diagram:
        return self._has(self._symbol(body["left"]), body["attr"])

    def _both(self, body: Mapping[str, Expr]) -> Diagram:
        return self._diagrams.apply(on.both, self._truth(body["left"]), self._truth(body["right"]))

    def _either(self, body: Mapping[str, Expr]) -> Diagram:
        return self._diagrams.apply(
            on.either, self._truth(body["left"]), self._truth(body["right"])
        )

    def _like(self, body: Mapping[str, Any]) -> Diagram:
        pattern = tuple(None if p == "Wildcard" else p["Literal"] for p in body["pattern"])
        match = partial(on.matches, pattern)
        return self._diagrams.apply(match, self._truth(body["left"]), by=("like", pattern))

    def _is_empty(self, body: Mapping[str, Expr]) -> Diagram:
        members = self._symbol(body["arg"])
        assert isinstance(members, _Members)
        some = self._or(members.has(key) for key in members.keys)
        return self._where(members.there, self._not(some))

    def _on_sets(self, op: str, body: Mapping[str, Expr]) -> Diagram:
        return self._contains(op, self._symbol(body["left"]), self._symbol(body["right"]))

    def _equality(self, body: Mapping[str, Expr]) -> Diagram:
        return self._same(self._symbol(body["left"]), self._symbol(body["right"]))

    def _inside(self, body: Mapping[str, Expr]) -> Diagram:
        return self._in(self._symbol(body["left"]), self._symbol(body["right"]))

    def _apply(self, op: str, *operands: Expr) -> Diagram:
        return self._diagrams.apply(
            partial(on.computed, op), *map(self._truth, operands), by=("op", op)
        )

    def _constant(self, value: Hashable) -> _Scalar:
        return _Scalar(self._diagrams.constant(value))

    def _value(self, value: Any) -> _Symbol:
        if isinstance(value, dict):
            entity = value["__entity"]
            return _Refs(((self._true, Uid(entity["type"], entity["id"])),))
        return self._constant(value)

    # Truth

    def _not(self, truth: Diagram) -> Diagram:
        return self._diagrams.apply(partial(on.computed, "!"), truth, by=("op", "!"))

    def _or(self, truths: Iterable[Diagram]) -> Diagram:
        return reduce(partial(self._diagrams.apply, on.either), truths, self._false)

    def _all(self, truths: Iterable[Diagram]) -> Diagram:
        return reduce(partial(self._diagrams.apply, on.both), truths, self._true)

    def _where(self, there: Diagram, value: Diagram) -> Diagram:
        return self._diagrams.apply(on.chosen, there, value, self._erred)

    def _branch(self, test: Expr, then: Expr, other: Expr) -> _Symbol:
        truth = self._truth(test)
        is_true = self._diagrams.apply(on.is_true, truth)
        is_false = self._diagrams.apply(on.is_false, truth)
        return self._chosen([(is_true, self._symbol(then)), (is_false, self._symbol(other))])

    def _chosen(self, ways: list[tuple[Diagram, _Symbol]]) -> _Symbol:
        """Return the value of the way whose condition holds; it errs if none does."""
        kinds = {type(symbol) for _, symbol in ways}
        if not ways or kinds == {_Scalar}:
            return _Scalar(self._first((when, self._scalar(symbol)) for when, symbol in ways))
        if kinds == {_Refs}:
            return _Refs(self._refs(ways))
        if kinds == {_Members}:
            return self._chosen_set(ways)
        raise Unsupported("a choice of records")

    def _refs(self, ways: list[tuple[Diagram, _Symbol]]) -> tuple[tuple[Diagram, Any], ...]:
        merged: dict[Any, Diagram] = {}
        for when, symbol in ways:
            assert isinstance(symbol, _Refs)
            for further, root in symbol.ways:
                both = self._all((when, further))
                merged[root] = self._or((merged.get(root, self._false), both))
        return tuple((when, root) for root, when in merged.items())

    def _chosen_set(self, ways: list[tuple[Diagram, _Symbol]]) -> _Members:
        sets = [(when, each) for when, each in ways if isinstance(each, _Members)]
        return _Members(
            tuple(dict.fromkeys(key for _, each in sets for key in each.keys)),
            lambda key: self._or(self._all((when, each.has(key))) for when, each in sets),
            self._or(self._all((when, each.there)) for when, each in sets),
        )

    def _there(self, symbol: _Symbol) -> Diagram:
        match symbol:
            case _Scalar(of):
                return self._diagrams.apply(on.has_value, of)
            case _Refs(ways):
                return self._or(when for when, _ in ways)
        return symbol.there

    # Sets

    def _set(self, items: list[Diagram]) -> _Members:
        keys = [v for item in items for v in self._diagrams.values(item) if v is not ERRED]

        def has(key: Hashable) -> Diagram:
            by = ("is", type(key), key)
            return self._or(
                self._diagrams.apply(partial(on.is_value, key), i, by=by) for i in items
            )

        there = self._all(self._diagrams.apply(on.has_value, item) for item in items)
        return _Members(tuple(dict.fromkeys(keys)), has, there)

    def _contains(self, op: str, left: _Symbol, right: _Symbol) -> Diagram:
        assert isinstance(left, _Members)
        there = self._all((left.there, self._there(right)))
        if op == "contains":
            item = self._scalar(right)
            right = self._set([item])
            op = "containsAll"
        assert isinstance(right, _Members)
        if op == "containsAny":
            both = (self._all((left.has(k), right.has(k))) for k in right.keys)
            return self._where(there, self._or(both))
        return self._where(there, self._is_within(right, left))

    def _is_within(self, inner: _Members, outer: _Members) -> Diagram:
        return self._all(
            self._or((self._not(inner.has(key)), outer.has(key))) for key in inner.keys
        )

    def _same(self, left: _Symbol, right: _Symbol) -> Diagram:
        if isinstance(left, _Fields) and isinstance(right, _Fields):
            return self._same_fields(left, right)
        if isinstance(left, _Members) and isinstance(right, _Members):
            within = (self._is_within(left, right), self._is_within(right, left))
            return self._where(self._all((left.there, right.there)), self._all(within))
        if isinstance(left, _Members) or isinstance(right, _Members):
            there = self._all((self._there(left), self._there(right)))
            return self._where(there, self._false)
        return self._diagrams.apply(on.equal, self._scalar(left), self._scalar(right))

    def _same_fields(self, left: _Fields, right: _Fields) -> Diagram:
        there = self._all((left.there, right.there))
        if left.of.keys() != right.of.keys():
            return self._where(there, self._false)
        same = [self._same(left.of[name][1], right.of[name][1]) for name in left.of]
        return self._where(there, self._all(same))

    # Entities

    def _in(self, left: _Symbol, right: _Symbol) -> Diagram:
        one = self._scalar(left)
        if isinstance(right, _Refs):
            right = self._set([self._scalar(right)])
        assert isinstance(right, _Members)
        places = right.has
        found = (self._all((places(key), self._below(one, key))) for key in right.keys)
        there = self._all((self._there(left), right.there))
        return self._where(there, self._or(found))

    def _below(self, entity: Diagram, place: Hashable) -> Diagram:
        below = partial(on.is_below, self._declared, place)
        return self._diagrams.apply(below, entity, by=("below", place))

    def _is(self, body: Mapping[str, Any]) -> Diagram:
        subject = self._symbol(body["left"])
        assert isinstance(subject, _Refs)
        kind = body["entity_type"]
        of_kind = self._or(when for when, root in subject.ways if _kind_of(root) == kind)
        truth = self._where(self._there(subject), of_kind)
        if "in" not in body:
            return truth
        return self._diagrams.apply(on.both, truth, self._in(subject, self._symbol(body["in"])))

    def _uid(self, root: Any) -> Diagram:
        if isinstance(root, Uid):
            return self._diagrams.constant(root)
        if root == ORIGIN:
            same = self._diagrams.apply(on.is_same_zone, self._choice(ORIGIN_MODE))
            return self._diagrams.apply(
                on.chosen, same, self._uid("resource"), self._uid_of(ORIGIN)
            )
        if root == "context":
            raise Unsupported("a comparison of whole contexts")
        return self._uid_of(root)

    def _uid_of(self, root: str) -> Diagram:
        kind = _kind_of(root)
        return self._diagrams.apply(partial(on.named, kind), self._choice((root, "id")), by=kind)

    def _has(self, base: _Symbol, name: str) -> Diagram:
        present = self._attribute(base, name)[0]
        return self._where(self._there(base), present)

    def _attribute(self, base: _Symbol, name: str) -> tuple[Diagram, _Symbol]:
        """Return when an attribute is there, and its value."""
        if isinstance(base, _Fields):
            present, symbol = base.of.get(name, (self._false, self._constant(ERRED)))
            return present, self._chosen([(self._all((base.there, present)), symbol)])
        assert isinstance(base, _Refs)
        ways = [
            (self._all((when, present)), symbol)
            for when, root in base.ways
            for present, symbol in self._of_root(root, name)
        ]
        return self._or(when for when, _ in ways), self._chosen(ways)

    def _of_root(self, root: Any, name: str) -> list[tuple[Diagram, _Symbol]]:
        """Return the ways in which an entity, or the context, may have an attribute."""
        if root == "context" and name == ORIGIN:
            there = self._diagrams.apply(on.is_there, self._choice(ORIGIN_MODE))
            return [(there, _Refs(((self._true, ORIGIN),)))]
        if root == ORIGIN:
            same = self._diagrams.apply(on.is_same_zone, self._choice(ORIGIN_MODE))
            found = [(same, "resource"), (self._not(same), ORIGIN)]
            return [
                (self._all((when, present)), symbol)
                for when, part in found
                for present, symbol in self._variable((part, name))
            ]
        if isinstance(root, Uid):
            return self._of_named(root, name)
        return self._variable((root, name))

    def _of_named(self, entity: Uid, name: str) -> list[tuple[Diagram, _Symbol]]:
        """Return an attribute of an entity that a rule names: of the request's, if it is one."""
        roots = {"Agent": ("principal",), "Zone": ("resource", ORIGIN)}.get(entity.kind, ())
        found = []
        for root in roots:
            is_it = self._diagrams.apply(
                partial(on.is_value, entity), self._uid_of(root), by=("is", Uid, entity)
            )
            if root == ORIGIN:
                other = self._diagrams.apply(on.is_other_zone, self._choice(ORIGIN_MODE))
                is_it = self._all((other, is_it))
            found += [(self._all((is_it, p)), s) for p, s in self._variable((root, name))]
        return found

    # Attributes

    def _variable(self, variable: Variable) -> list[tuple[Diagram, _Symbol]]:
        if variable not in FIELDS or variable[1] == "id":
            return []
        if FIELDS[variable].kind == "set":
            keys = self._survey.values(variable)
            return [(self._true, _Members(keys, partial(self._member, variable), self._true))]
        choice = self._choice(variable)
        return [(self._diagrams.apply(on.is_there, choice), _Scalar(choice))]

    def _choice(self, variable: Variable) -> Diagram:
        if variable not in self._choices:
            self._choices[variable] = self._chosen_from(variable, self._alternatives(variable))
        return self._choices[variable]

    def _alternatives(self, variable: Variable) -> tuple[Any, ...]:
        if variable == ORIGIN_MODE:
            return (None, "other", "same")
        values = self._survey.values(variable)
        optional = FIELDS[variable].optional and variable not in self._fixed
        return (None, *values) if optional else values

    def _chosen_from(self, variable: Variable, alternatives: tuple[Any, ...]) -> Diagram:
        then = tuple(map(self._diagrams.constant, alternatives))
        if len(then) == 1:
            return then[0]
        self.named.append((variable, alternatives))
        return self._diagrams.of(self._diagrams.choice(len(then)), then)

    def _member(self, variable: Variable, key: Hashable) -> Diagram:
        if variable in self._fixed:
            return self._true if key in self._fixed[variable] else self._false
        if key not in self._survey.values(variable):
            return self._false
        if (variable, key) not in self._members:
            self.named.append((variable, key))
            place = self._diagrams.choice(2)
            self._members[variable, key] = self._diagrams.of(place, (self._false, self._true))
        return self._members[variable, key]


_SYMBOLS: Final[Mapping[str, Callable[[Meaning, Any], _Symbol]]] = {
    "Value": Meaning._value,
    "Var": Meaning._var,
    "Set": Meaning._written_set,
    "Record": Meaning._record,
    ".": Meaning._access,
    "if-then-else": Meaning._branching,
}
_TRUTHS: Final[Mapping[str, Callable[[Meaning, Any], Diagram]]] = {
    "&&": Meaning._both,
    "||": Meaning._either,
    "has": Meaning._presence,
    "like": Meaning._like,
    "is": Meaning._is,
    "in": Meaning._inside,
    "==": Meaning._equality,
    "!=": lambda self, body: self._not(self._equality(body)),
    "isEmpty": Meaning._is_empty,
    "contains": lambda self, body: self._on_sets("contains", body),
    "containsAll": lambda self, body: self._on_sets("containsAll", body),
    "containsAny": lambda self, body: self._on_sets("containsAny", body),
}


def _kind_of(root: Any) -> str:
    if isinstance(root, Uid):
        return root.kind
    return {"principal": "Agent", "resource": "Zone", ORIGIN: "Zone"}[root]
