"""An independent judge of policies: Cedar's subset for our schema, and our rules that fail closed.

It shares no code with `src`. It reads text with `reading`, evaluates by the language's documented
meaning ("Operators and functions to use in Cedar", "How Cedar authorization works"), and decides:

1. What no rule permits is denied; a rule that forbids overrides every rule that permits.
2. A request that does not fit the schema is denied.
3. A rule that errors denies, whatever the others say.
4. An action that the documents do not declare is denied, or, by a policy that judges foreign
   actions, judged as the group of all applications' actions.
5. Every party must permit, and no party at all is a denial.
6. A rule with `@ask` permits only together with an approval, and nobody approved here: where no
   other rule permits, the answer is "ask", and that is no permission.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from tests.policy.reading import ANY, Rule, read

__all__ = ["Answer", "Judge", "PlainAnswer", "Question", "plain_answer", "verdict"]

Value = tuple[Any, ...]
Attributes = Mapping[str, Any]

STANDARD: Final = frozenset(
    [
        "amend",
        "declassify",
        "execute",
        "fork",
        "launch",
        "message",
        "recover",
        "relabel",
        "retire",
        "spawn",
        "travel",
    ]
)
_ZONE: Final = {
    **dict.fromkeys(("name", "provider", "region", "country"), str),
    **dict.fromkeys(("jurisdiction", "certifications", "accelerators"), list),
    **dict.fromkeys(("price_micros", "anchors", "operators"), int),
}
_SHAPES: Final = {
    "Agent": {**dict.fromkeys(("issuer", "code", "realm"), str), "depth": int},
    "Zone": _ZONE,
    "context": {
        **dict.fromkeys(
            ("labels", "labels_dropped", "residency", "residency_dropped", "secrets"), list
        ),
        **dict.fromkeys(("effect", "step", "counterpart"), str),
        "cost_micros": int,
        **dict.fromkeys(("own_process", "confined", "outlives"), bool),
    },
}
_OPTIONAL: Final = {"price_micros", "counterpart"}
_LONGS: Final = range(-(2**63), 2**63)


class Erred(Exception):
    """An expression has no value."""


@dataclass(frozen=True)
class Question:
    """A request in plain values: sets are lists, what is absent is left out."""

    agent: tuple[str, Attributes]
    action: str
    zone: tuple[str, Attributes]
    origin: tuple[str, Attributes] | None
    context: Attributes


@dataclass(frozen=True)
class Answer:
    """What one party says: `rules` are the positions of those that decided.

    `basis` is "permit", "ask", "forbid", "unmet", "no-permit", "error" (a rule erred), or "unfit" (the
    request or its action is nothing that the policy can judge).
    """

    basis: str
    rules: tuple[int, ...] = ()


class Judge:
    """One party: its texts, in the order in which their rules are counted."""

    def __init__(
        self, texts: list[str], declared: frozenset[str], *, judges_foreign: bool = False
    ) -> None:
        self.rules: list[Rule] = [rule for text in texts for rule in read(text)]
        self._declared, self._judges_foreign = declared, judges_foreign

    def answer(self, question: Question) -> Answer:
        """Return what this party says."""
        action = question.action
        if action not in STANDARD | self._declared:
            if not self._judges_foreign:
                return Answer("unfit")
            action = "application"
        world = _World.of(question, action, self._declared)
        if world is None:
            return Answer("unfit")
        return _decide(self.rules, world)


@dataclass(frozen=True)
class PlainAnswer:
    """What Cedar's own rules say, which leave a rule that errors out: positions of rules."""

    permitted: bool
    reasons: tuple[int, ...]
    errors: tuple[int, ...]


def plain_answer(
    rules: list[Rule],
    question: Question,
    declared: frozenset[str],
    others: Mapping[str, Attributes],
) -> PlainAnswer:
    """Return what Cedar alone says to a request that fits the schema, where `others` are zones too."""
    world = _World.of(question, question.action, declared, others)
    assert world is not None
    met, erred = _met(rules, world)
    permitted = bool(met[True]) and not met[False]
    reasons = met[True] if permitted else met[False]
    return PlainAnswer(permitted, tuple(reasons), tuple(erred))


def _met(rules: list[Rule], world: "_World") -> tuple[dict[bool, list[int]], list[int]]:
    """Return the rules that hold, by whether they permit, and those that err."""
    met: dict[bool, list[int]] = {True: [], False: []}
    erred = []
    for index, rule in enumerate(rules):
        try:
            if world.is_met(rule):
                met[rule.permits].append(index)
        except Erred:
            erred.append(index)
    return met, erred


def _decide(rules: list[Rule], world: "_World") -> Answer:
    met, erred = _met(rules, world)
    if erred:
        return Answer("error", tuple(erred))
    if met[False]:
        return Answer("forbid", tuple(met[False]))
    if met[True]:
        plain = [index for index in met[True] if "ask" not in rules[index].annotations]
        return Answer("permit", tuple(plain)) if plain else Answer("ask", tuple(met[True]))
    permits = [index for index, rule in enumerate(rules) if rule.permits]
    about = [index for index in permits if world.is_about(rules[index])]
    return Answer("unmet", tuple(about)) if about else Answer("no-permit", tuple(permits))


def verdict(answers: list[Answer]) -> bool:
    """Return whether every party permits, and there is one."""
    return bool(answers) and all(answer.basis == "permit" for answer in answers)


def _typed(value: Any) -> Value:
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int):
        return ("long", value)
    if isinstance(value, str):
        return ("string", value)
    return ("set", frozenset(_typed(each) for each in value))


def _fits(attributes: Attributes, shape: Mapping[str, type]) -> bool:
    """Whether the attributes are those of a shape: each there and of its type, and no other."""
    missing = {*shape} - {*attributes}
    return missing <= _OPTIONAL and all(
        name in shape
        and type(value) is shape[name]
        and (shape[name] is not int or value in _LONGS)
        and (shape[name] is not list or all(type(each) is str for each in value))
        for name, value in attributes.items()
    )


@dataclass(frozen=True)
class _World:
    """One request as expressions see it."""

    variables: Mapping[str, Value]
    entities: Mapping[Value, Mapping[str, Value]]
    declared: frozenset[str]

    @classmethod
    def of(
        cls,
        question: Question,
        action: str,
        declared: frozenset[str],
        others: Mapping[str, Attributes] = MappingProxyType({}),
    ) -> "_World | None":
        """Return the world of a question, or None if it does not fit the schema."""
        placed = [("Agent", question.agent), ("Zone", question.zone)]
        placed += [("Zone", other) for other in others.items()]
        if question.origin is not None:
            placed.append(("Zone", question.origin))
        entities: dict[Value, Mapping[str, Value]] = {}
        for kind, (name, attributes) in placed:
            typed = {key: _typed(value) for key, value in attributes.items()}
            entity = ("entity", kind, name)
            if not _fits(attributes, _SHAPES[kind]) or entities.get(entity, typed) != typed:
                return None
            entities[entity] = typed
        if not _fits(question.context, _SHAPES["context"]):
            return None
        context = {key: _typed(value) for key, value in question.context.items()}
        if question.origin is not None:
            context["origin"] = ("entity", "Zone", question.origin[0])
        variables = {
            "principal": ("entity", "Agent", question.agent[0]),
            "action": ("entity", "Action", action),
            "resource": ("entity", "Zone", question.zone[0]),
            "context": ("record", frozenset(context.items())),
        }
        return cls(variables, entities, declared)

    def is_about(self, rule: Rule) -> bool:
        """Whether the rule's scope covers the action."""
        return rule.action is None or self._truth(rule.action)

    def is_met(self, rule: Rule) -> bool:
        """Whether scope and conditions hold, each looked at only if all before it hold."""
        scopes = [each for each in (rule.principal, rule.action, rule.resource) if each]
        return all(self._truth(each) for each in (*scopes, *rule.conditions))

    def _truth(self, expr: tuple[Any, ...]) -> bool:
        return bool(_of("bool", self.value(expr)))

    def value(self, expr: tuple[Any, ...]) -> Value:  # noqa: PLR0911, PLR0912 - one for each kind
        """Return the value of an expression; raises `Erred`."""
        match expr:
            case ("value", value):
                return value
            case ("var", name):
                return self.variables[name]
            case ("and", left, right):
                return ("bool", self._truth(left) and self._truth(right))
            case ("or", left, right):
                return ("bool", self._truth(left) or self._truth(right))
            case ("if", test, then, other):
                return self.value(then if self._truth(test) else other)
            case ("not", inner):
                return ("bool", not self._truth(inner))
            case ("neg", inner):
                return _long(-_of("long", self.value(inner)))
            case ("set", items):
                return ("set", frozenset(self.value(item) for item in items))
            case ("record", fields):
                return ("record", frozenset((k, self.value(v)) for k, v in fields.items()))
            case ("get", inner, name):
                return self._attribute(self.value(inner), name)
            case ("has", inner, names):
                return ("bool", self._has(self.value(inner), names))
            case ("like", inner, pattern):
                return ("bool", _like(_of("string", self.value(inner)), pattern))
            case ("is", inner, kind, of):
                return ("bool", self._is(self.value(inner), kind, of))
            case ("call", method, inner, arguments):
                return _call(method, self.value(inner), [self.value(each) for each in arguments])
            case ("function", name, arguments):
                return _function(name, [_of("string", self.value(each)) for each in arguments])
            case (sign, left, right):
                return self._binary(sign, self.value(left), self.value(right))
        raise AssertionError(expr)

    def _binary(self, sign: str, left: Value, right: Value) -> Value:
        match sign:
            case "==" | "!=":
                return ("bool", (left == right) is (sign == "=="))
            case "in":
                return ("bool", self._in(left, right))
            case "<" | "<=" | ">" | ">=":
                return ("bool", _compared(sign, *_ordered(left, right)))
        one, two = _of("long", left), _of("long", right)
        return _long(one + two if sign == "+" else one - two if sign == "-" else one * two)

    def _attributes(self, value: Value) -> Mapping[str, Value] | None:
        if value[0] == "record":
            return dict(value[1])
        _of("entity", value)
        return {} if value[1] == "Action" else self.entities.get(value)

    def _attribute(self, value: Value, name: str) -> Value:
        attributes = self._attributes(value)
        if attributes is None or name not in attributes:
            raise Erred(name)
        return attributes[name]

    def _has(self, value: Value, names: list[str]) -> bool:
        for name in names:
            attributes = self._attributes(value)
            if attributes is None or name not in attributes:
                return False
            value = attributes[name]
        return True

    def _is(self, value: Value, kind: str, of: tuple[Any, ...] | None) -> bool:
        if _of("entity", value) != kind:
            return False
        return of is None or self._in(value, self.value(of))

    def _in(self, left: Value, right: Value) -> bool:
        _of("entity", left)
        places = right[1] if right[0] == "set" else [right]
        for place in places:
            _of("entity", place)
        return any(left == place or self._is_below(left, place) for place in places)

    def _is_below(self, entity: Value, group: Value) -> bool:
        """Whether an application's action is asked about their group: all the hierarchy there is."""
        return (
            group == ("entity", "Action", "application")
            and entity[1] == "Action"
            and entity[2] in self.declared
        )


def _of(kind: str, value: Value) -> Any:
    if value[0] != kind:
        raise Erred(f"{kind} is due, not {value[0]}")
    return value[1]


def _long(number: int) -> Value:
    if number not in _LONGS:
        raise Erred("overflow")
    return ("long", number)


def _ordered(left: Value, right: Value) -> tuple[int, int]:
    if left[0] != right[0] or left[0] not in ("long", "datetime", "duration"):
        raise Erred("no order")
    return left[1], right[1]


def _compared(sign: str, left: Any, right: Any) -> bool:
    if sign in ("<", "<="):
        return bool(left < right or (sign == "<=" and left == right))
    return bool(left > right or (sign == ">=" and left == right))


def _like(text: str, pattern: list[str | None]) -> bool:
    """Whether a text matches: row by row, which prefixes of it the pattern so far can spell."""
    reached = [True] + [False] * len(text)
    for each in pattern:
        if each is ANY:
            for at in range(len(text)):
                reached[at + 1] = reached[at + 1] or reached[at]
        else:
            reached = [False] + [was and c == each for was, c in zip(reached, text, strict=False)]
    return reached[-1]


_SETS: Final = {
    "containsAll": lambda one, two: two <= one,
    "containsAny": lambda one, two: bool(one & two),
}
_DECIMALS: Final = {
    "lessThan": "<",
    "lessThanOrEqual": "<=",
    "greaterThan": ">",
    "greaterThanOrEqual": ">=",
}
_ADDRESSES: Final = {
    "isIpv4": lambda net: net.version == 4,
    "isIpv6": lambda net: net.version == 6,
    "isLoopback": lambda net: net.network_address.is_loopback and net.broadcast_address.is_loopback,
    "isMulticast": lambda net: net.is_multicast,
}


def _call(  # noqa: PLR0911 - one for each method
    method: str, subject: Value, arguments: list[Value]
) -> Value:
    match method:
        case "isEmpty":
            return ("bool", not _of("set", subject))
        case "contains":
            return ("bool", arguments[0] in _of("set", subject))
        case "containsAll" | "containsAny":
            return ("bool", _SETS[method](_of("set", subject), _of("set", arguments[0])))
        case "isInRange":
            one, two = _of("ip", subject), _of("ip", arguments[0])
            return ("bool", one.version == two.version and one.subnet_of(two))
    if method in _DECIMALS:
        one, two = _of("decimal", subject), _of("decimal", arguments[0])
        return ("bool", _compared(_DECIMALS[method], one, two))
    if method in _ADDRESSES:
        return ("bool", bool(_ADDRESSES[method](_of("ip", subject))))
    return _of_time(method, subject, arguments)


def _of_time(method: str, subject: Value, arguments: list[Value]) -> Value:
    match method:
        case "offset":
            moment = _of("datetime", subject) + _of("duration", arguments[0])
            return ("datetime", _long(moment)[1])
        case "durationSince":
            length = _of("datetime", subject) - _of("datetime", arguments[0])
            return ("duration", _long(length)[1])
        case "toDate":
            return ("datetime", _long(_of("datetime", subject) // _DAY_MS * _DAY_MS)[1])
        case "toTime":
            return ("duration", _of("datetime", subject) % _DAY_MS)
    unit, length = _UNITS[method], _of("duration", subject)
    return ("long", abs(length) // unit * (1 if length >= 0 else -1))


_DAY_MS: Final = 86_400_000
_UNITS: Final = {
    "toMilliseconds": 1,
    "toSeconds": 1000,
    "toMinutes": 60_000,
    "toHours": 3_600_000,
    "toDays": _DAY_MS,
}
_DURATION: Final = re.compile(r"(-?)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d{3}))?(?:Z|([+-])(\d\d)(\d\d)))?"
)


def _function(name: str, arguments: list[str]) -> Value:
    makers = {"ip": _address, "decimal": _decimal, "datetime": _moment, "duration": _length}
    return (name, makers[name](arguments[0]))


def _address(text: str) -> Any:
    return ipaddress.ip_network(text, strict=False)


def _decimal(text: str) -> int:
    parts = re.fullmatch(r"(-?)(\d+)\.(\d{1,4})", text)
    if parts is None:
        raise Erred(f"{text} is no decimal")
    return int(_long(int(parts[1] + parts[2] + parts[3].ljust(4, "0")))[1])


def _length(text: str) -> int:
    parts = _DURATION.fullmatch(text)
    if parts is None or not any(parts.groups()[1:]):
        raise Erred(f"{text} is no duration")
    units = (_DAY_MS, 3_600_000, 60_000, 1000, 1)
    total = sum(
        int(count or 0) * unit for count, unit in zip(parts.groups()[1:], units, strict=True)
    )
    return int(_long(-total if parts[1] else total)[1])


def _moment(text: str) -> int:
    parts = _MOMENT.fullmatch(text)
    if parts is None:
        raise Erred(f"{text} is no moment")
    day, time, ms, sign, hours, minutes = parts.groups()
    moment = datetime.fromisoformat(f"{day}T{time or '00:00:00'}+00:00")
    away = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    moment -= -away if sign == "-" else away
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int(ms or 0)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
