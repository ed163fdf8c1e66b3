"""What one policy permits and another does not, with a request that shows it.

For each action, the rules about it become decision diagrams over a few values of each attribute
that they name (`candidates` says why a few are enough); where one policy's diagram permits and the
other's does not, a way through the two is a request. The real engine then decides that request: no
difference is told that it does not confirm.

A rule with `@ask` permits less than one without: with an approval of the group that it asks. So
policies are compared as if nobody had approved, and as if one group had, for each that either asks.
A group is what it is called: who is in it stands in the document, beside its rules.

The answer is exact, but for what `Comparison.bounds` names: arithmetic on attributes, sets of sets,
comparisons of whole contexts, functions of Cedar's extensions beside attributes, and policies too
large for the diagrams. There the answer is bounded: every difference told is one, and there may be
others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from sojourn.core.base.encoding import Value
from sojourn.core.policy import cedar
from sojourn.core.policy.attributes import FIELDS, ORIGIN, Variable
from sojourn.core.policy.candidates import Survey
from sojourn.core.policy.decision import Decision
from sojourn.core.policy.diagrams import Diagrams, TooLarge
from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.engine import PreparedPolicy, evaluate, judged_as, prepare
from sojourn.core.policy.expressions import Expr, Unsupported
from sojourn.core.policy.request import AgentEntity, PolicyRequest, RequestContext, ZoneEntity
from sojourn.core.policy.schema import STANDARD_ACTIONS
from sojourn.core.policy.symbolic import ORIGIN_MODE, Meaning

__all__ = ["Change", "Comparison", "compare"]

_STEPS_MAX: Final = 100_000
"""Steps on diagrams for one action, and twice as many for all: about two seconds."""
_TRIED_MAX: Final = 256
"""Requests tried where diagrams do not help."""
_FOREIGN: Final = "other.action"
"""An action that no document declares."""
_VARIABLE: Final = "{'Var': 'action'}"
"""How the text of a rule shows that its conditions ask which action it is."""
_PLAIN: Final[Mapping[str, Any]] = {"string": "other", "long": 0, "bool": False, "set": ()}


class Change(Value):
    """An action that one policy permits and the other does not, where `example` is asked.

    `approved_by` is the group with whose approval that is so; "" if it is so without any.
    """

    action: str
    example: PolicyRequest
    before: Decision
    after: Decision
    approved_by: str = ""


class Comparison(Value):
    """How two policies differ: one change for each action, and for each zone if any are given.

    `widened` is what the new policy permits and the old one did not, `narrowed` the reverse. Where
    `bounds` is empty, there is nothing else; otherwise it says for what there may be, and how much
    was tried.
    """

    widened: tuple[Change, ...]
    narrowed: tuple[Change, ...]
    bounds: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether every action that differs is told."""
        return not self.bounds


def compare(
    old: Iterable[PolicyDocument],
    new: Iterable[PolicyDocument],
    *,
    judges_foreign: bool = False,
    zones: Sequence[ZoneEntity] = (),
) -> Comparison:
    """Return what a party's documents `new` permit that `old` did not, and what they no longer do.

    With `zones`, only requests in one of them count, or to travel to one of them. Raises `Misused`
    as `prepare` does.
    """
    sides = _Side.of(old, judges_foreign), _Side.of(new, judges_foreign)
    found: list[_Found] = []
    for zone in zones or (None,):
        fixed = _fixed(zone) if zone else {}
        known: dict[Any, _Found] = {}
        room = 2 * _STEPS_MAX
        for action in _actions(sides):
            asked = tuple(_Asked.of(side, action) for side in sides)
            if asked not in known:
                diagrams = Diagrams(min(room, _STEPS_MAX))
                known[asked] = _differ(diagrams, sides, asked, action, fixed)
                room -= diagrams.steps
            found.append(known[asked].under(action, sides))
    return Comparison(
        widened=tuple(change for each in found for change in each.widened),
        narrowed=tuple(change for each in found for change in each.narrowed),
        bounds=tuple(dict.fromkeys(bound for each in found for bound in each.bounds)),
    )


class _Rule(NamedTuple):
    """A rule: its effect, its scope (but for the action) and conditions, as one text, and whom it asks."""

    permits: bool
    text: str
    group: str = ""


@dataclass(frozen=True)
class _Side:
    """One policy, its rules as trees."""

    policy: PreparedPolicy
    rules: tuple[tuple[_Rule, tuple[Expr, ...]], ...]

    @classmethod
    def of(cls, documents: Iterable[PolicyDocument], judges_foreign: bool) -> "_Side":
        """Return a party's documents as trees, in the order of the policy's rules."""
        ordered = sorted(documents, key=attrgetter("name"))
        policy = prepare(ordered, judges_foreign=judges_foreign)
        found = []
        for tree in (tree for document in ordered for tree in cedar.trees(document.text)):
            conditions = tuple(_conditions(tree))
            group = tree.get("annotations", {}).get("ask", "")
            found.append((_Rule(tree["effect"] == "permit", repr(conditions), group), conditions))
        return cls(policy, tuple(found))

    def about(self, action: str) -> frozenset[_Rule]:
        """Return the rules whose scope covers an action."""
        return frozenset(
            rule
            for (rule, _), read in zip(self.rules, self.policy.rules, strict=True)
            if read.is_about(action)
        )


class _Asked(NamedTuple):
    """What decides an action: the rules about it, and its name if a rule asks for that.

    Actions under the same rules are decided alike. `rules` is None where it is denied unseen.
    """

    rules: frozenset[_Rule] | None
    action: str

    @classmethod
    def of(cls, side: _Side, action: str) -> "_Asked":
        """Return what decides an action for one side."""
        judged = judged_as(side.policy, action)
        if judged is None:
            return cls(None, "")
        rules = side.about(judged)
        return cls(rules, judged if any(_VARIABLE in rule.text for rule in rules) else "")


class _Example(NamedTuple):
    """A request that two policies decide differently once a group has approved it ("": without that)."""

    request: PolicyRequest
    group: str


class _Found(NamedTuple):
    """What was found of one action: requests, and what bounds the search."""

    widening: _Example | None = None
    narrowing: _Example | None = None
    bounds: tuple[str, ...] = ()
    widened: tuple[Change, ...] = ()
    narrowed: tuple[Change, ...] = ()

    def under(self, action: str, sides: Sequence[_Side]) -> "_Found":
        """Return it for an action, as the engine decides it."""
        old, new = (side.policy for side in sides)
        told = partial(_change, action, old, new)
        return self._replace(
            widened=told(self.widening), narrowed=told(self.narrowing), bounds=self._named(action)
        )

    def _named(self, action: str) -> tuple[str, ...]:
        return tuple(f"{action}: {bound}" for bound in self.bounds)


def _change(
    action: str, old: PreparedPolicy, new: PreparedPolicy, example: _Example | None
) -> tuple[Change, ...]:
    if example is None:
        return ()
    asked, group = replace(example.request, action=action), example.group
    before, after = evaluate(old, asked), evaluate(new, asked)
    assert _permits(before, group) is not _permits(after, group), (before, after)
    return (Change(action=action, example=asked, before=before, after=after, approved_by=group),)


def _permits(decision: Decision, group: str) -> bool:
    """Whether a party permits once a group has approved, and nobody else."""
    return decision.permitted or any(ask.group == group for ask in decision.asks)


def _groups(asked: Sequence[_Asked]) -> list[str]:
    """Return the groups that rules about an action ask; "" first, for nobody."""
    return sorted({"", *(rule.group for each in asked for rule in each.rules or ())})


def _actions(sides: Sequence[_Side]) -> list[str]:
    declared = {action for side in sides for action in side.policy.actions}
    foreign = {_FOREIGN} if any(side.policy.judges_foreign for side in sides) else set()
    return sorted({*STANDARD_ACTIONS, *declared, *foreign})


def _conditions(tree: Mapping[str, Any]) -> Iterator[Expr]:
    """Yield a rule's conditions: of its scope, but for the action, then its own."""
    for part in ("principal", "resource"):
        scope = tree[part]
        subject = {"Var": part}
        if scope["op"] == "is":
            within = {"in": _entity(scope["in"]["entity"])} if "in" in scope else {}
            yield {"is": {"left": subject, "entity_type": scope["entity_type"], **within}}
        elif scope["op"] != "All":
            yield {scope["op"]: {"left": subject, "right": _entity(scope["entity"])}}
    for clause in tree["conditions"]:
        body = clause["body"]
        yield body if clause["kind"] == "when" else {"!": {"arg": body}}


def _entity(entity: Mapping[str, str]) -> Expr:
    return {"Value": {"__entity": entity}}


def _fixed(zone: ZoneEntity) -> dict[Variable, Any]:
    return {("resource", name): getattr(zone, name) for part, name in FIELDS if part == "resource"}


def _differ(
    diagrams: Diagrams,
    sides: Sequence[_Side],
    asked: Sequence[_Asked],
    action: str,
    fixed: Mapping[Variable, Any],
) -> _Found:
    if asked[0] == asked[1]:
        return _Found()
    conditions = {rule: each for side in sides for rule, each in side.rules}
    named = sorted({rule for each in asked for rule in each.rules or ()})
    try:
        survey = Survey((each for rule in named for each in conditions[rule]), fixed)
    except Unsupported as unsupported:
        return _tried(sides, asked, None, action, fixed, str(unsupported))
    try:
        return _drawn(diagrams, sides, asked, conditions, survey, action, fixed)
    except (Unsupported, TooLarge) as limit:
        return _tried(sides, asked, survey, action, fixed, str(limit))


def _drawn(
    diagrams: Diagrams,
    sides: Sequence[_Side],
    asked: Sequence[_Asked],
    conditions: Mapping[_Rule, Sequence[Expr]],
    survey: Survey,
    action: str,
    fixed: Mapping[Variable, Any],
) -> _Found:
    """Return requests that two policies decide differently, by diagrams; raises `TooLarge`."""
    declared = frozenset[str]().union(*(side.policy.actions for side in sides))
    meaning = Meaning(diagrams, survey, fixed, declared)
    found = _Found()

    def example(after: int, before: int) -> _Example | None:
        way = diagrams.way(meaning.changed(after, before), True)
        if way is None:
            return None
        return _Example(_request(_choices(meaning, way), action, fixed), group)

    for group in _groups(asked):
        old, new = (_party(meaning, each, conditions, group) for each in asked)
        found = found._replace(
            widening=found.widening or example(new, old),
            narrowing=found.narrowing or example(old, new),
        )
    return found._replace(bounds=tuple(sorted(survey.bounds)))


def _party(
    meaning: Meaning, asked: _Asked, conditions: Mapping[_Rule, Sequence[Expr]], group: str
) -> int:
    """Draw where a party permits once a group has approved. A rule that asks others errs as any other."""
    # Rules in one order for both policies: what they share is drawn once.
    drawn = [
        (rule, meaning.rule(conditions[rule], asked.action)) for rule in sorted(asked.rules or ())
    ]
    return meaning.party(
        [each for rule, each in drawn if rule.permits and rule.group in ("", group)],
        [each for rule, each in drawn if not rule.permits]
        + [meaning.idle(each) for rule, each in drawn if rule.group not in ("", group)],
    )


def _choices(meaning: Meaning, way: Mapping[int, int]) -> dict[Variable, Any]:
    """Return the values that a way chose; for a set, the members that it has."""
    chosen: dict[Variable, Any] = {}
    for place, alternative in way.items():
        variable, of = meaning.named[place]
        if variable in FIELDS and FIELDS[variable].kind == "set":
            chosen[variable] = (*chosen.get(variable, ()), *([of] if alternative else []))
        else:
            chosen[variable] = of[alternative]
    return chosen


def _request(
    chosen: Mapping[Variable, Any], action: str, fixed: Mapping[Variable, Any]
) -> PolicyRequest:
    """Return the request of these values, with plain ones for all others."""
    zone = ZoneEntity(**_part("resource", chosen, fixed))
    mode = chosen.get(ORIGIN_MODE)
    origin = None
    if mode == "same":
        origin = zone
    elif mode == "other":
        origin = ZoneEntity(**_part(ORIGIN, {(ORIGIN, "id"): f"not-{zone.id}"[:128], **chosen}, {}))
    return PolicyRequest(
        agent=AgentEntity(**_part("principal", chosen, fixed)),
        action=action,
        zone=zone,
        origin=origin,
        context=RequestContext(**_part("context", chosen, fixed)),
    )


def _part(
    part: str, chosen: Mapping[Variable, Any], fixed: Mapping[Variable, Any]
) -> dict[str, Any]:
    values = {}
    for variable, kind in FIELDS.items():
        if variable[0] == part:
            plain = "none" if kind.kind == "choice" else _PLAIN[kind.kind]
            default = None if kind.optional else plain
            values[variable[1]] = fixed.get(variable, chosen.get(variable, default))
    return values


def _tried(
    sides: Sequence[_Side],
    asked: Sequence[_Asked],
    survey: Survey | None,
    action: str,
    fixed: Mapping[Variable, Any],
    limit: str,
) -> _Found:
    """Return requests that two policies decide differently, among a bounded number of them."""
    widening, narrowing = None, None
    for number in range(_TRIED_MAX):
        request = _request(_sample(survey, number), action, fixed)
        old, new = (evaluate(side.policy, request) for side in sides)
        for group in _groups(asked):
            before, after = _permits(old, group), _permits(new, group)
            if after and not before:
                widening = widening or _Example(request, group)
            if before and not after:
                narrowing = narrowing or _Example(request, group)
    bounds = {f"{limit}: {_TRIED_MAX} requests were tried"} | (survey.bounds if survey else set())
    return _Found(widening, narrowing, tuple(sorted(bounds)))


def _sample(survey: Survey | None, number: int) -> dict[Variable, Any]:
    """Return the values of one of many requests, spread over all that there are to try."""
    draw = _Draw(number)
    chosen: dict[Variable, Any] = {ORIGIN_MODE: draw.of((None, "other", "same"))}
    for variable in survey.variables() if survey else FIELDS:
        kind = FIELDS[variable]
        values = survey.values(variable) if survey else _values_of(kind.kind, kind.choices)
        if kind.kind == "set":
            chosen[variable] = tuple(value for value in values if draw.of((True, False)))
        else:
            chosen[variable] = draw.of((None, *values) if kind.optional else values)
    if chosen.get((ORIGIN, "id")) == chosen.get(("resource", "id")):
        chosen.pop((ORIGIN, "id"), None)
    return chosen


def _values_of(kind: str, choices: tuple[str, ...]) -> tuple[Any, ...]:
    return {"choice": choices, "bool": (False, True), "long": (0, 1), "set": ("other",)}.get(
        kind, ("other", "another")
    )


class _Draw:
    """Numbers that look random and are the same every time."""

    def __init__(self, seed: int) -> None:
        self._state = seed * 2_654_435_761 + 1

    def of(self, values: Sequence[Any]) -> Any:
        """Return one of some values."""
        self._state = (self._state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return values[(self._state >> 33) % len(values)]
