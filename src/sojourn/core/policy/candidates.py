"""Which values of a request are worth trying: a few that stand for all.

Rules tell values apart only by what they ask of them. So for each attribute that rules name, the
values that they name, and a few that they do not, stand for every value there is:

1. Attributes and constants that are compared with each other, directly or by others, are a *group*.
2. Strings: every constant of the group, and one fresh string for each string attribute in it. Where
   patterns (`like`) are asked of the group: that many words for every combination of patterns that
   so many words match, found by walking the patterns together.
3. Sets of strings: which of the group's strings are members; and a further fresh string for each
   comparison of whole sets in it, to be what tells two sets apart or lies in both.
4. Longs: for a group of n attributes every constant and the n numbers after it, and 0 to n - 1.
5. Truth values, values out of a list, and whether an optional attribute is there: all of them.

Whatever some request does, a request of these values does too: replace each value by the one that
stands for it (for sets: keep the members that are constants, values of strings, or that tell sets
apart), and no comparison changes. That holds for every operator but arithmetic on attributes; where
there is some, or a search was cut short, `Survey.bounds` says so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sojourn.core.policy.attributes import FIELDS, ORIGIN, Field, Uid, Variable
from sojourn.core.policy.expressions import (
    ARITHMETIC,
    COMPARISONS,
    OF_SETS,
    Expr,
    Unsupported,
    constant_of,
)
from sojourn.core.policy.words import Pattern, fresh, words_of

__all__ = ["Survey"]

_LONG_MAX: Final = 2**63 - 1
_SUMS_MAX: Final = 64
"""Values of an attribute that is computed with."""
_MEMBERS_MAX: Final = 256


class _Flow(NamedTuple):
    """What an expression's value may come from: attributes, constants, entities, or records' fields.

    `tokens` are variables and ("=", type, value); `roots` are parts of the request and `Uid`s.
    """

    tokens: frozenset[Any] = frozenset()
    roots: frozenset[Any] = frozenset()
    fields: Mapping[str, "_Flow"] = {}
    sets: bool = False  # whether attributes that are sets are among them

    def all_tokens(self) -> frozenset[Any]:
        """Return the tokens, with entities by their ids."""
        if self.fields:
            raise Unsupported("a comparison of whole records")
        named = {root for root in self.roots if isinstance(root, Uid) or root != "action"}
        if "context" in named:
            raise Unsupported("a comparison of whole contexts")
        return self.tokens | {r if isinstance(r, Uid) else (r, "id") for r in named}

    def joined(self, other: "_Flow") -> "_Flow":
        """Return what may come from either."""
        fields = {
            name: self.fields.get(name, _Flow()).joined(other.fields.get(name, _Flow()))
            for name in {**self.fields, **other.fields}
        }
        return _Flow(
            self.tokens | other.tokens, self.roots | other.roots, fields, self.sets or other.sets
        )


@dataclass
class _Group:
    """What is known of values that are compared with each other."""

    members: set[Variable] = field(default_factory=set)
    named: set[Any] = field(default_factory=set)  # constants
    patterns: set[Pattern] = field(default_factory=set)
    comparisons: set[str] = field(default_factory=set)  # of whole sets
    arithmetic: bool = False

    def take(self, other: "_Group") -> None:
        self.members |= other.members
        self.named |= other.named
        self.patterns |= other.patterns
        self.comparisons |= other.comparisons
        self.arithmetic |= other.arithmetic

    def variables(self, *kinds: str) -> list[Variable]:
        """Return the group's attributes of some kinds, in order."""
        return sorted(each for each in self.members if FIELDS[each].kind in kinds)

    def constants(self, kind: type) -> list[Any]:
        """Return the group's constants of a type, in order; names of entities are strings."""
        found = {each[2] for each in self.named if each[0] == "=" and each[1] is kind}
        if kind is str:
            found |= {each.id for each in self.named if isinstance(each, Uid)}
        return sorted(found)


class Survey:
    """The attributes that conditions name, in groups, and the values to try of each.

    `fixed` gives attributes that have one value. Raises `Unsupported`.
    """

    def __init__(self, conditions: Iterable[Expr], fixed: Mapping[Variable, Any]) -> None:
        self._groups: dict[Variable, _Group] = {}
        self._fixed = fixed
        self._values: dict[Variable, tuple[Any, ...]] = {}
        self.bounds: set[str] = set()
        for condition in conditions:
            self._follow(condition)
        if (ORIGIN, "id") in self._groups:
            self._merge([("resource", "id"), (ORIGIN, "id")])

    def variables(self) -> list[Variable]:
        """Return all attributes that were met, in order."""
        return sorted(self._groups)

    def values(self, variable: Variable) -> tuple[Any, ...]:
        """Return the values to try of an attribute; of a set the members to try."""
        if variable not in self._values:
            group = self._group(variable)
            self._values[variable] = tuple(self._choose(variable, FIELDS[variable], group))
        return self._values[variable]

    def _choose(self, variable: Variable, kind: Field, group: _Group) -> Iterable[Any]:
        if variable in self._fixed and kind.kind != "set":
            return [self._fixed[variable]]
        match kind.kind:
            case "bool":
                return [False, True]
            case "choice":
                return sorted(kind.choices)
            case "long":
                return filter(kind.admits, self._longs(group))
        return self._members_bounded(list(filter(kind.admits, self._strings(group, kind))))

    def _members_bounded(self, strings: list[str]) -> list[str]:
        if len(strings) > _MEMBERS_MAX:
            self.bounds.add(f"sets have at most {_MEMBERS_MAX} members, and more strings occur")
        return strings

    def _longs(self, group: _Group) -> list[int]:
        constants, count = group.constants(int), len(group.variables("long"))
        found = {*range(count)} | {c + i for c in constants for i in range(count + 1)}
        if group.arithmetic:
            found |= {*_sums(constants)[:_SUMS_MAX]}
            names = ", ".join(".".join(each) for each in group.variables("long"))
            self.bounds.add(f"arithmetic on {names}: {len(found)} values were tried")
        return sorted(found)

    def _strings(self, group: _Group, kind: Field) -> list[str]:
        named = group.variables("string")
        choices = {c for each in group.variables("choice") for c in FIELDS[each].choices}
        constants = sorted({*group.constants(str), *choices})
        words = self._words(group, constants, named, kind) if group.patterns else []
        count = (0 if group.patterns else len(named)) + len(group.comparisons)
        return [*constants, *words, *fresh({*constants, *words}, count)]

    def _words(
        self, group: _Group, constants: list[str], named: list[Variable], kind: Field
    ) -> list[str]:
        patterns = sorted(group.patterns, key=str)
        words, is_all = words_of(patterns, constants, kind, len(named))
        if not is_all:
            names = ", ".join(".".join(each) for each in named)
            self.bounds.add(f"patterns of {names}: {len(words)} words were tried")
        return words

    # Following what flows where

    def _group(self, variable: Variable) -> _Group:
        if variable not in self._groups:
            fixed = self._fixed.get(variable)
            values = fixed if isinstance(fixed, tuple) else () if fixed is None else (fixed,)
            named = {("=", type(value), value) for value in values}
            self._groups[variable] = _Group({variable}, named)
        return self._groups[variable]

    def _merge(self, tokens: Iterable[Any]) -> _Group:
        """Return the one group of all these attributes. Constants are in it, but join nothing."""
        merged = _Group()
        for token in tokens:
            if token not in FIELDS:
                merged.named.add(token)
            elif (group := self._group(token)) is not merged:
                merged.take(group)
                self._groups |= dict.fromkeys(group.members, merged)
        return merged

    def _follow(self, expr: Expr) -> _Flow:
        if constant_of(expr) is not expr:
            return _Flow()
        ((op, body),) = expr.items()
        if op in COMPARISONS | OF_SETS:
            return self._compare(op, body)
        if op in ARITHMETIC or op == "neg":
            return self._compute(op, [self._follow(each) for each in body.values()])
        if op not in _FOLLOWED:
            raise Unsupported(f"the operator {op}")
        return _FOLLOWED[op](self, body)

    def _of_truths(self, body: Mapping[str, Expr]) -> _Flow:
        for each in body.values():
            self._follow(each)
        return _Flow()

    def _of_record(self, body: Mapping[str, Expr]) -> _Flow:
        return _Flow(fields={name: self._follow(each) for name, each in body.items()})

    def _of_access(self, body: Mapping[str, Any]) -> _Flow:
        return self._attribute(self._follow(body["left"]), body["attr"])

    def _of_presence(self, body: Mapping[str, Any]) -> _Flow:
        self._of_access(body)
        return _Flow()

    def _of_branch(self, body: Mapping[str, Expr]) -> _Flow:
        self._follow(body["if"])
        return self._follow(body["then"]).joined(self._follow(body["else"]))

    def _of_pattern(self, body: Mapping[str, Any]) -> _Flow:
        pattern = tuple(None if p == "Wildcard" else p["Literal"] for p in body["pattern"])
        self._merge(self._follow(body["left"]).all_tokens()).patterns.add(pattern)
        return _Flow()

    def _of_kind(self, body: Mapping[str, Any]) -> _Flow:
        of = body.get("in", body["left"])
        return self._compare("in", {"left": body["left"], "right": of})

    def _of_emptiness(self, body: Mapping[str, Expr]) -> _Flow:
        return self._compare_sets(body, self._follow(body["arg"]), needs=True)

    def _of_set(self, items: list[Expr]) -> _Flow:
        flows = [self._follow(item) for item in items]
        if any(flow.sets or "Set" in item for flow, item in zip(flows, items, strict=True)):
            raise Unsupported("a set of sets")
        return _Flow(frozenset(token for flow in flows for token in flow.all_tokens()))

    def _compare(self, op: str, body: Mapping[str, Expr]) -> _Flow:
        left, right = self._follow(body["left"]), self._follow(body["right"])
        needs = {
            "containsAll": right.sets,
            "containsAny": left.sets and right.sets,
            "contains": False,
        }.get(op, left.sets or right.sets)
        if left.fields and right.fields:
            return self._compare_fields(op, body, left, right)
        both = _Flow(left.all_tokens() | right.all_tokens())
        return self._compare_sets({op: body}, both, needs=needs)

    def _compare_fields(
        self, op: str, body: Mapping[str, Expr], left: _Flow, right: _Flow
    ) -> _Flow:
        for name in left.fields.keys() & right.fields.keys():
            one, two = left.fields[name], right.fields[name]
            both = _Flow(one.all_tokens() | two.all_tokens())
            self._compare_sets([name, {op: body}], both, needs=one.sets or two.sets)
        return _Flow()

    def _compare_sets(self, expr: Any, flow: _Flow, *, needs: bool) -> _Flow:
        if tokens := flow.all_tokens():
            group = self._merge(tokens)
            if needs:
                group.comparisons.add(repr(expr))
        return _Flow()

    def _attribute(self, base: _Flow, name: str) -> _Flow:
        found = base.fields.get(name, _Flow())
        for root in base.roots:
            found = found.joined(self._of_root(root, name))
        return found

    def _of_root(self, root: Any, name: str) -> _Flow:
        if root == "context" and name == ORIGIN:
            self._group((ORIGIN, "id"))
            return _Flow(roots=frozenset([ORIGIN]))
        if isinstance(root, Uid):
            return self._of_named(root, name)
        flow = _Flow()
        # The origin may be the zone itself, and then has its values.
        for part in ("resource", ORIGIN) if root == ORIGIN else (root,):
            if (part, name) in FIELDS:
                self._group((part, name))
                sets = FIELDS[part, name].kind == "set"
                flow = flow.joined(_Flow(frozenset([(part, name)]), sets=sets))
        return flow

    def _of_named(self, entity: Uid, name: str) -> _Flow:
        """Follow an attribute of an entity that a rule names: it may be one of the request's."""
        flow = _Flow()
        for root in {"Agent": ("principal",), "Zone": ("resource", ORIGIN)}.get(entity.kind, ()):
            self._merge([entity, (root, "id")])
            flow = flow.joined(self._of_root(root, name))
        return flow

    def _compute(self, op: str, flows: list[_Flow]) -> _Flow:
        constants = [_number(flow) for flow in flows]
        if all(each is not None for each in constants):
            value = _computed(op, [each for each in constants if each is not None])
            return _Flow(frozenset([("=", int, value)]))
        tokens = frozenset(token for flow in flows for token in flow.all_tokens())
        self._merge(tokens).arithmetic = True
        return _Flow(tokens)


_FOLLOWED: Final[Mapping[str, Callable[[Survey, Any], _Flow]]] = {
    "Value": lambda _, body: _of_value(body),
    "Var": lambda _, body: _Flow(roots=frozenset([body])),
    "Set": Survey._of_set,
    "Record": Survey._of_record,
    ".": Survey._of_access,
    "has": Survey._of_presence,
    "if-then-else": Survey._of_branch,
    "like": Survey._of_pattern,
    "is": Survey._of_kind,
    "isEmpty": Survey._of_emptiness,
    "&&": Survey._of_truths,
    "||": Survey._of_truths,
    "!": Survey._of_truths,
}


def _of_value(value: Any) -> _Flow:
    if isinstance(value, dict):
        entity = value["__entity"]
        return _Flow(roots=frozenset([Uid(entity["type"], entity["id"])]))
    return _Flow(frozenset([("=", type(value), value)]))


def _number(flow: _Flow) -> int | None:
    """Return the one number that a value can be, or None."""
    match [*flow.tokens]:
        case [("=", _, int(number))]:
            return number
    return None


def _computed(op: str, numbers: list[int]) -> int:
    match op, numbers:
        case "neg", [number]:
            return -number
        case "+", [one, two]:
            return one + two
        case "-", [one, two]:
            return one - two
        case "*", [one, two]:
            return one * two
    raise AssertionError(op)


def _sums(constants: list[int]) -> list[int]:
    """Return numbers about which arithmetic with these constants is likely to change its answer."""
    few = list(dict.fromkeys([_LONG_MAX, 0, 1, 2, *constants]))
    found = [value for one in few for value in (-one, _LONG_MAX - one, _LONG_MAX // (one or 2))]
    found += [value for one in few for two in few for value in (one + two, one - two)]
    found += [two // one for one in few for two in few if one]
    return list(dict.fromkeys(n + i for n in found for i in (0, 1, -1) if 0 <= n + i <= _LONG_MAX))
