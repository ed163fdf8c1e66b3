"""Policies and requests at random, in every shape that our scanner and Cedar's validator admit.

Text is made with the brackets that it needs and, at random, some that it does not, so that what is
tried includes how operators bind. What is made is valid by the schema, but where `spoil` is asked.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.policy.oracle import Question

__all__ = [
    "ACTIONS",
    "DECLARED",
    "GROUPS",
    "ZONES",
    "Case",
    "Party",
    "cases",
    "made_party",
    "made_question",
    "spoil",
]

DECLARED: Final = ("order.place", "order.cancel")
GROUPS: Final = ("desk-heads", "officers")
ACTIONS: Final = ("travel", "execute", "launch", "message", "spawn", "order.place", "order.cancel")
ZONES: Final = ("zone-1", "zone-2", "zone-3")
AGENTS: Final = ("agent-1", "agent-2")
STRINGS: Final = {
    "principal.issuer": ("acme", "umbrella"),
    "principal.code": ("code-1", "code-2"),
    "principal.realm": ("production", "test"),
    "resource.name": ("aws-eu-west-1", "onprem", "aws-*", 'a"b\\c', "snö\n"),
    "resource.provider": ("aws", "azure", "onprem"),
    "resource.region": ("eu-west-1", "eu-north-1", "us-east-1", ""),
    "resource.country": ("IE", "SE", "US", ""),
    "context.effect": ("none", "idempotent", "once"),
    "context.step": ("", "price", "book"),
    "context.counterpart": ("agent-1", "bank", ""),
}
SETS: Final = {
    "resource.jurisdiction": ("EU", "IE", "US"),
    "resource.certifications": ("iso27001", "soc2"),
    "resource.accelerators": ("nvidia-a100",),
    "context.labels": ("pii", "client-confidential", "EU"),
    "context.labels_dropped": ("pii",),
    "context.residency": ("EU", "US"),
    "context.residency_dropped": ("EU",),
    "context.secrets": ("openai", "bank"),
}
LONGS: Final = {
    "principal.depth": (0, 1, 3),
    "resource.anchors": (1, 4, 7),
    "resource.operators": (1, 3, 4),
    "resource.price_micros": (0, 384_000, 2**63 - 1),
    "context.cost_micros": (0, 1, 5_000_000, 2**62, 2**63 - 1),
}
BOOLS: Final = ("context.own_process", "context.confined", "context.outlives")
_OPTIONAL: Final = {"resource.price_micros": "price_micros", "context.counterpart": "counterpart"}
_EXTENSIONS: Final = (
    'decimal("1.23").lessThan(decimal("1.230"))',
    'decimal("-1.5").lessThanOrEqual(decimal("-1.4999"))',
    'decimal("2.0").greaterThan(decimal("1.9999"))',
    'decimal("2.0").greaterThanOrEqual(decimal("2.00"))',
    'decimal("0.10") == decimal("0.1")',
    'ip("127.0.0.1").isLoopback()',
    'ip("10.1.2.3").isInRange(ip("10.0.0.0/8"))',
    'ip("224.0.0.1").isMulticast()',
    'ip("::1").isIpv4() || ip("::1").isIpv6()',
    'datetime("2026-11-22") < datetime("2026-11-22T00:00:00.001Z")',
    'datetime("2026-11-22T10:00:00+0100").toDate() == datetime("2026-11-22")',
    'datetime("2026-11-22T10:00:00Z").toTime() >= duration("10h")',
    'datetime("2026-11-22").offset(duration("-1d2h")) > datetime("2026-11-21")',
    'datetime("2026-11-22").durationSince(datetime("2026-11-20")) == duration("2d")',
    'duration("1d2h3m4s5ms").toMilliseconds() == 93784005',
    'duration("-90m").toHours() == -1 && duration("36h").toDays() == 1',
    'duration("90s").toMinutes() + duration("90s").toSeconds() == 91',
)

# How strongly an expression binds: what is weaker than its place needs brackets.
IF, OR, AND, RELATION, SUM, PRODUCT, UNARY, MEMBER = range(8)


@dataclass(frozen=True)
class Party:
    """One party's documents: texts of rules, and the actions that they declare."""

    texts: tuple[str, ...]
    declared: tuple[str, ...]
    judges_foreign: bool = False


@dataclass(frozen=True)
class Case:
    """A pair of policies, and requests to ask both."""

    agent: Party
    zone: Party
    questions: tuple[Question, ...]


@dataclass
class _Maker:
    rng: random.Random
    have: set[str] = field(default_factory=set)  # optional attributes known to be there
    declared: tuple[str, ...] = ()
    asks: bool = True
    ids: int = 0

    # Pieces

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, items: Any) -> Any:
        return self.rng.choice(tuple(items))

    def placed(self, made: tuple[str, int], place: int) -> str:
        text, strength = made
        return f"({text})" if strength < place or self.chance(0.08) else text

    def quoted(self, text: str) -> str:
        def spelled(char: str) -> str:
            if char in '"\\':
                return "\\" + char
            if char == "\n":
                return self.pick(("\\n", "\\u{a}", "\\x0a"))
            if self.chance(0.02) or ord(char) > 126:
                return self.pick((char, f"\\u{{{ord(char):x}}}"))
            return char

        return '"' + "".join(map(spelled, text)) + '"'

    def attribute(self, path: str) -> str:
        """Return an access, of the zone by either of its names and by either way to write it."""
        part, name = path.split(".")
        subject = part
        if part == "resource" and "origin" in self.have and self.chance(0.3):
            subject = self.pick(
                ("context.origin", "(if context.own_process then context.origin else resource)")
            )
        elif path not in _OPTIONAL and self.chance(0.04):
            made = f"{{a: {subject}.{name}, b: 1}}" if self.chance(0.5) else f"{{a: {subject}}}"
            inner = "a" if "b: 1" in made else f"a.{name}"
            return f"{made}.{inner}"
        return f'{subject}["{name}"]' if self.chance(0.05) else f"{subject}.{name}"

    def known(self, paths: Any) -> list[str]:
        return [path for path in paths if path not in _OPTIONAL or path in self.have]

    # Expressions of each type, with what they bind by

    def string(self, depth: int, pool: tuple[str, ...] = ()) -> tuple[str, int]:
        roll = self.rng.random()
        if depth > 0 and roll < 0.08:
            return self.branch(depth, lambda d: self.string(d, pool))
        if roll < 0.12:
            return 'Zone::"zone-1".name' if self.chance(0.5) else 'Zone::"zone-9".name', MEMBER
        if roll < 0.6 or not pool:
            return self.attribute(self.pick(self.known(STRINGS))), MEMBER
        return self.quoted(self.pick(pool)), MEMBER

    def long(self, depth: int) -> tuple[str, int]:
        roll = self.rng.random()
        if depth > 0 and roll < 0.3:
            sign = self.pick("+-*")
            place = PRODUCT if sign == "*" else SUM
            left, right = self.long(depth - 1), self.long(depth - 1)
            return f"{self.placed(left, place)} {sign} {self.placed(right, place + 1)}", place
        if depth > 0 and roll < 0.36:
            return "-" + self.placed(self.long(depth - 1), MEMBER), UNARY
        if depth > 0 and roll < 0.4:
            return self.branch(depth, self.long)
        if roll < 0.7:
            return self.attribute(self.pick(self.known(LONGS))), MEMBER
        number = self.pick((*self.pick(tuple(LONGS.values())), 2, 3, -1, -(2**63)))
        return str(number), UNARY if number < 0 else MEMBER

    def strings(self, depth: int, pool: tuple[str, ...] = ("EU",)) -> tuple[str, int]:
        roll = self.rng.random()
        if depth > 0 and roll < 0.06:
            return self.branch(depth, lambda d: self.strings(d, pool))
        if roll < 0.5:
            return self.attribute(self.pick(self.known(SETS))), MEMBER
        items = [self.string(depth - 1, pool) for _ in range(self.rng.randint(1, 3))]
        return "[" + ", ".join(self.placed(item, IF) for item in items) + "]", MEMBER

    def zone(self) -> tuple[str, int]:
        if "origin" in self.have and self.chance(0.4):
            return "context.origin", MEMBER
        return ("resource", MEMBER) if self.chance(0.6) else (f'Zone::"{self.pick(ZONES)}"', MEMBER)

    def branch(self, depth: int, make: Callable[[int], tuple[str, int]]) -> tuple[str, int]:
        test = self.placed(self.truth(depth - 1), IF)
        then, other = self.placed(make(depth - 1), IF), self.placed(make(depth - 1), IF)
        return f"if {test} then {then} else {other}", IF

    def truth(self, depth: int) -> tuple[str, int]:  # noqa: PLR0911 - one for each shape
        if depth <= 0:
            return self.atom(0)
        roll = self.rng.random()
        if roll < 0.22:
            return self.joined("&&", AND, depth)
        if roll < 0.4:
            return self.joined("||", OR, depth)
        if roll < 0.48:
            return "!" * self.rng.randint(1, 3) + self.placed(self.truth(depth - 1), MEMBER), UNARY
        if roll < 0.53:
            return self.branch(depth, self.truth)
        if roll < 0.68:
            return self.guarded(depth)
        return self.atom(depth)

    def joined(self, sign: str, place: int, depth: int) -> tuple[str, int]:
        left = self.placed(self.truth(depth - 1), place)
        return f"{left} {sign} {self.placed(self.truth(depth - 1), place + 1)}", place

    def guarded(self, depth: int) -> tuple[str, int]:
        """Return a condition that first asks for an optional attribute, and then may use it."""
        path, text = self.pick(
            (
                ("resource.price_micros", "resource has price_micros"),
                ("resource.price_micros", 'resource has "price_micros"'),
                ("context.counterpart", "context has counterpart"),
                ("origin", "context has origin"),
                ("origin", "context has origin.name"),
            )
        )
        was = set(self.have)
        # The origin's own price is not known to be there by what is known of the zone's.
        self.have = {path} if path == "origin" else (was - {"origin"}) | {path}
        then = self.placed(self.truth(depth - 1), RELATION)
        self.have = was
        if self.chance(0.2):
            return f"if {text} then {then} else {self.placed(self.atom(0), IF)}", IF
        return f"{text} && {then}", AND

    def atom(self, depth: int) -> tuple[str, int]:
        makers = (
            (self.equality, 18),
            (self.comparison, 14),
            (self.membership, 30),
            (self.likeness, 9),
            (self.entity, 9),
            (self.presence, 5),
            (self.flag, 9),
            (self.oddity, 6),
        )
        make = self.rng.choices([m for m, _ in makers], [w for _, w in makers])[0]
        return make(depth - 1)

    def equality(self, depth: int) -> tuple[str, int]:
        path = self.pick(self.known(STRINGS))
        sign = self.pick(("==", "==", "!="))
        sides = [(self.attribute(path), MEMBER), self.string(depth, STRINGS[path])]
        if self.chance(0.2):
            sides = [self.long(depth), self.long(depth)]
        elif self.chance(0.12):
            sides = [self.strings(depth), self.strings(depth)]
        self.rng.shuffle(sides)
        return f"{self.placed(sides[0], SUM)} {sign} {self.placed(sides[1], SUM)}", RELATION

    def comparison(self, depth: int) -> tuple[str, int]:
        sign = self.pick(("<", "<=", ">", ">="))
        left, right = self.long(depth), self.long(depth)
        return f"{self.placed(left, SUM)} {sign} {self.placed(right, SUM)}", RELATION

    def membership(self, depth: int) -> tuple[str, int]:
        path = self.pick(SETS)
        pool = SETS[path]
        subject = self.attribute(path)
        if self.chance(0.2):
            subject = self.placed(self.strings(depth, pool), MEMBER)
        method = self.pick(("contains", "contains", "containsAll", "containsAny", "isEmpty"))
        if method == "isEmpty":
            return f"{subject}.isEmpty()", MEMBER
        inner = self.string(depth, pool) if method == "contains" else self.strings(depth, pool)
        if method == "contains" and self.chance(0.7):
            inner = (self.quoted(self.pick(pool)), MEMBER)
        return f"{subject}.{method}({self.placed(inner, IF)})", MEMBER

    def likeness(self, depth: int) -> tuple[str, int]:
        path = self.pick(self.known(STRINGS))
        word = self.pick(STRINGS[path])
        cut = self.rng.randint(0, len(word))
        pieces = [word[:cut], word[cut + self.rng.randint(0, 2) :]]
        pattern = "*".join(self.quoted(piece.replace("*", ""))[1:-1] for piece in pieces)
        if "*" in word:
            pattern += self.pick(("\\*", "*"))
        subject = (self.attribute(path), MEMBER) if self.chance(0.8) else self.string(depth)
        return f'{self.placed(subject, SUM)} like "{pattern}"', RELATION

    def entity(self, _: int) -> tuple[str, int]:
        zone = self.placed(self.zone(), MEMBER)
        agents = [f'Agent::"{name}"' for name in AGENTS]
        zones = [f'Zone::"{name}"' for name in self.rng.sample(ZONES, 2)]
        other = self.placed(self.zone(), MEMBER)
        text = self.pick(
            (
                f"principal == {agents[0]}",
                f"principal in [{', '.join(agents)}]",
                f"{zone} == {other}",
                f"{zone} != {zones[0]}",
                f"{zone} in {zones[0]}",
                f"{zone} in [{zones[0]}, {other}]",
                f"resource is Zone in {zones[1]}",
                "principal is Agent",
                "resource is Agent",
                'action == Action::"travel"',
                'action in Action::"application"',
                'action in [Action::"application", Action::"launch"]',
                f'Action::"{self.pick((*self.declared, "launch"))}" in Action::"application"',
            )
        )
        return text, RELATION

    def presence(self, _: int) -> tuple[str, int]:
        text = self.pick(
            (
                "resource has price_micros",
                "context has counterpart",
                "context has origin",
                "context has origin.price_micros",
                "principal has issuer",
                'Zone::"zone-1" has name',
                'Zone::"zone-9" has name',
            )
        )
        return text, RELATION

    def flag(self, _: int) -> tuple[str, int]:
        return self.pick((*BOOLS, *BOOLS, "true", "false")), MEMBER

    def oddity(self, _: int) -> tuple[str, int]:
        odd = (
            "1 == true",
            "principal == resource",
            "{a: 1} == {a: context.cost_micros}",
            "{a: resource.name} has a",
            f"[resource.anchors, {self.pick((3, 4))}].contains(resource.operators)",
            f'[Zone::"{self.pick(ZONES)}"].contains(resource)',
            "[context.labels].contains(context.residency)",
            "[[1], [2, 1]].contains([1, 2, 2])",
            "[true, context.confined] == [context.own_process]",
            "9223372036854775807 + context.cost_micros > 0",
            "--9223372036854775808 > 0",
            "-(-9223372036854775808) < resource.anchors",
        )
        text = self.pick((*odd, *_EXTENSIONS))
        return text, OR if "||" in text else AND if "&&" in text else RELATION

    # Rules

    def rule(self, actions: tuple[str, ...], permits: bool) -> str:
        principal, action, resource = self.principal(), self.action(actions), self.resource()
        scope = f"{principal}, {action}, {resource}"
        clauses = "".join(self.clause() for _ in range(self.pick((0, 0, 1, 1, 1, 1, 2, 3))))
        effect = "permit" if permits else "forbid"
        made = (
            f"{self.annotations()}{effect} ({scope}){clauses};{self.pick(('', ' // a remark'))}\n"
        )
        return self.asking(made, action, permits)

    def asking(self, rule: str, action: str, permits: bool) -> str:
        """Return a rule, perhaps as one about the application's actions that asks for an approval.

        The draw is the rule's own, so that all else is drawn as it would be without.
        """
        draw = random.Random(rule)
        if not self.asks or not permits or draw.random() > 0.3:
            return rule
        scope = draw.choice(
            ('action in Action::"application"', f'action == Action::"{DECLARED[0]}"')
        )
        if DECLARED[0] not in self.declared:
            scope = 'action in Action::"application"'
        asked = rule.replace(f", {action}, ", f", {scope}, ", 1)
        return f'@ask("{draw.choice(GROUPS)}")\n{asked}'

    def annotations(self) -> str:
        self.ids += 1
        made = (f'@id("rule-{self.ids}")\n', '@reason("because \\u{e4}")', "@plain\n")
        return "".join(note for note in made if self.chance(0.2))

    def clause(self) -> str:
        kind = self.pick(("when", "when", "when", "unless"))
        return f"\n{kind} {{ {self.placed(self.truth(self.rng.randint(0, 3)), IF)} }}"

    def principal(self) -> str:
        special = (f'principal == Agent::"{self.pick(AGENTS)}"', "principal is Agent")
        special += (f'principal in Agent::"{self.pick(AGENTS)}"',)
        return self.pick(special) if self.chance(0.15) else "principal"

    def action(self, actions: tuple[str, ...]) -> str:
        def named(name: str) -> str:
            return f'Action::"{name}"'

        one, *more = self.rng.sample((*actions, "application"), 3)
        roll = self.rng.random()
        if roll < 0.3:
            return "action"
        if roll < 0.5:
            return f"action == {named(one)}"
        if roll < 0.6:
            return f"action in {named(one)}"
        return f"action in [{', '.join(map(named, (one, *more)))}]"

    def resource(self) -> str:
        zone = f'Zone::"{self.pick(ZONES)}"'
        special = (f"resource == {zone}", f"resource in {zone}", f"resource is Zone in {zone}")
        return self.pick((*special, "resource is Zone")) if self.chance(0.15) else "resource"


def made_party(rng: random.Random, *, rules: int = 4, asks: bool = True) -> Party:
    """Return a party of up to so many rules in one document or two, at least one a permit.

    Unless it `asks`, no rule waits for an approval, which means nothing to Cedar alone.
    """
    declared = DECLARED[: rng.randint(0, 2)]
    maker = _Maker(rng, declared=declared, asks=asks)
    actions = ("travel", "execute", "launch", "message", *declared)
    effects = [True] + [rng.random() < 0.72 for _ in range(rng.randint(0, rules - 1))]
    rng.shuffle(effects)
    made = [maker.rule(actions, permits) for permits in effects]
    cut = rng.randint(0, len(made)) if rng.random() < 0.3 else 0
    texts = ("".join(made[:cut]), "".join(made[cut:])) if cut else ("".join(made),)
    return Party(texts, declared, rng.random() < 0.5)


def made_question(rng: random.Random) -> Question:
    """Return a request that fits the schema, whose values often are those that rules name."""
    maker = _Maker(rng)
    action = maker.pick((*ACTIONS, *ACTIONS, "x.y"))
    context = {
        **_some(maker, "context"),
        "own_process": maker.chance(0.5),
        "confined": maker.chance(0.3),
        "outlives": maker.chance(0.3),
    }
    zone = (maker.pick(ZONES), _some(maker, "resource"))
    origin = None
    if maker.chance(0.6 if action == "travel" else 0.1):
        others = [name for name in ZONES if name != zone[0]]
        origin = zone if maker.chance(0.15) else (maker.pick(others), _some(maker, "resource"))
    return Question((maker.pick(AGENTS), _some(maker, "principal")), action, zone, origin, context)


def _some(maker: _Maker, part: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pools in (STRINGS, LONGS):
        for path, pool in pools.items():
            if path.startswith(part) and (path not in _OPTIONAL or maker.chance(0.6)):
                found[path.split(".")[1]] = maker.pick(pool)
    for path, members in SETS.items():
        if path.startswith(part):
            share = maker.pick((0.2, 0.5, 0.8))
            found[path.split(".")[1]] = sorted(m for m in members if maker.chance(share))
    return found


def spoil(rng: random.Random, question: Question) -> Question:
    """Return the request as one that does not fit the schema."""
    agent, action, zone, origin, context = (
        question.agent,
        question.action,
        question.zone,
        question.origin,
        dict(question.context),
    )
    match rng.randrange(4):
        case 0:
            context["cost_micros"] = rng.choice((2**63, 2**64 - 1))
        case 1:
            context["step"] = 7
        case 2:
            zone = (zone[0], {**zone[1], "anchors": "four"})
        case _:
            # Two zones of one name that are not the same zone.
            origin = (zone[0], {**zone[1], "anchors": zone[1]["anchors"] + 1})
    return Question(agent, action, zone, origin, context)


def cases(seed: int, *, questions: int = 10) -> Case:
    """Return the case of a seed: two parties, and requests to ask them."""
    rng = random.Random(seed)
    asked = [made_question(rng) for _ in range(questions)]
    spoilt = [spoil(rng, each) if rng.random() < 0.03 else each for each in asked]
    return Case(made_party(rng), made_party(rng), tuple(spoilt))
