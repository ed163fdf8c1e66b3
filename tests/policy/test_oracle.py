"""The engine and an independent judge of the same rules say the same of the same requests."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from sojourn.core.base.errors import Misused
from sojourn.core.policy import cedar, engine
from sojourn.core.policy.decision import Rule
from tests.policy.asking import Counts, compare, policy_of
from tests.policy.generating import Party, cases, made_party
from tests.policy.oracle import Judge, Question

QUICK = range(150)
SOAK = range(1_000, 11_000)
CASE = 10  # requests of a case

BASES = ("permit", "ask", "forbid", "unmet", "no-permit", "error", "unfit")
SHAPES = (
    *(" has ", " like ", " in [", " is Zone in ", ".contains(", ".containsAll(", ".containsAny("),
    *(".isEmpty()", "if ", " then ", " else ", " && ", " || ", "!", " + ", " - ", " * ", " -("),
    *(
        " == ",
        " != ",
        " < ",
        " <= ",
        " > ",
        " >= ",
        "when {",
        "unless {",
        "@id(",
        "@ask(",
        "@plain",
        "//",
    ),
    *("action in [", "action == ", "principal == ", "principal is Agent", "resource == "),
    *("resource in ", "resource is Zone", "context.origin", "price_micros", "counterpart"),
    *('["', "{a: ", "decimal(", "ip(", "datetime(", "duration(", 'Zone::"zone-9".name'),
    *('Action::"application"', "\\u{", "\\*", "9223372036854775807", "-9223372036854775808"),
)
"""What generated texts must hold: every operator and shape that Cedar and our check admit."""


def run(seeds: range) -> Counts:
    counts = Counts()
    for seed in seeds:
        compare(cases(seed, questions=CASE), counts)
    return counts


def check(counts: Counts, seeds: range) -> None:
    """Fail unless the two agreed, and every way a decision can come out was met often."""
    assert [] == counts.disagreements[:1]
    assert len(seeds) * CASE == counts.cases
    few = {basis: counts.bases.get(basis, 0) for basis in BASES}
    assert min(few.values()) >= counts.cases // 40, few
    assert counts.permitted >= counts.cases // 25, counts


def test_the_engine_and_the_oracle_agree() -> None:
    check(run(QUICK), QUICK)


@pytest.mark.soak
def test_the_engine_and_the_oracle_agree_on_100_000_cases() -> None:
    counts = run(SOAK)
    print(f"{counts.cases} cases, {counts.permitted} permitted, {counts.bases}")  # noqa: T201
    check(counts, SOAK)


def test_the_cases_hold_every_shape_that_a_rule_can_have() -> None:
    texts = [text for seed in QUICK for p in _parties(seed) for text in p.texts]
    written = "\n".join(texts)
    assert [] == [shape for shape in SHAPES if shape not in written]
    assert any(written.count("\nwhen") + written.count("\nunless") > 1 for written in texts)
    assert any(len(party.texts) > 1 for seed in QUICK for party in _parties(seed))


def _parties(seed: int) -> tuple[Party, Party]:
    case = cases(seed, questions=0)
    return case.agent, case.zone


# Differences that are planted must be found


def skipping_errors(real: Callable[..., cedar.Answer]) -> Callable[..., cedar.Answer]:
    """Cedar's own way: a rule that errors is left out, and a forbid with it."""

    def authorize(*asked: Any) -> cedar.Answer:
        answer = real(*asked)
        return (
            answer._replace(errors=(), permitted=bool(answer.reasons)) if answer.errors else answer
        )

    return authorize


def permitting_over_forbid(real: Callable[..., cedar.Answer]) -> Callable[..., cedar.Answer]:
    """A forbid that does not override."""

    def authorize(*asked: Any) -> cedar.Answer:
        answer = real(*asked)
        return answer._replace(permitted=bool(answer.reasons) and not answer.errors)

    return authorize


@pytest.mark.parametrize("planted", [skipping_errors, permitting_over_forbid])
def test_an_engine_that_fails_open_is_found(
    planted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cedar, "authorize", planted(cedar.authorize))
    assert run(range(20)).disagreements


def test_an_engine_that_asks_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rule, "ask", None)
    assert run(range(20)).disagreements


def test_an_engine_that_asks_where_a_plain_rule_permits_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asks_for_all(policy: Any, request: Any, applied: Any) -> Any:
        asks = any(each.rule.ask for each in applied)
        return engine._decision(policy, request, "ask" if asks else "permit", applied)

    monkeypatch.setattr(engine, "_permitted", asks_for_all)
    assert run(range(60)).disagreements


def test_an_engine_that_lets_anyone_judge_foreign_actions_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "judged_as", lambda _, action: action)
    assert run(range(20)).disagreements


@pytest.mark.parametrize(
    ("method", "planted"),
    [
        ("_in", lambda self, left, right: left == right),
        ("_has", lambda self, value, names: True),
        ("is_met", lambda self, rule: all(map(self._truth, rule.conditions))),
    ],
)
def test_a_meaning_of_its_own_is_found(
    method: str, planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"tests.policy.oracle._World.{method}", planted)
    assert run(range(40)).disagreements


# What the check refuses


@pytest.mark.parametrize(
    "rule",
    [
        "permit (principal == ?principal, action, resource);",
        "permit (principal, action, resource) when { resource.nowhere == 1 };",
        "permit (principal, action, resource) when { resource has nowhere };",
        "permit (principal, action, resource) when { resource.price_micros > 1 };",
        'permit (principal, action == Action::"not.declared", resource);',
        "permit (principal, action, resource) when { context.step > 1 };",
        "permit (principal, action, resource) when { context.labels.contains(1) && };",
        "permit (principal, action, resource) when { [].isEmpty() };",
        "permit (principal, action, resource) when { context.step };",
    ],
)
def test_a_policy_with_one_rule_that_cannot_be_judged_is_refused_whole(rule: str) -> None:
    made = made_party(random.Random(7))
    policy_of(made)
    with pytest.raises(Misused):
        policy_of(Party((*made.texts[:-1], made.texts[-1] + rule), made.declared))


# The oracle itself, by what the language's documentation says

ZONE = {
    **dict.fromkeys(("name", "provider", "region", "country"), "x"),
    **{name: ["EU"] for name in ("jurisdiction", "certifications", "accelerators")},
    "anchors": 4,
    "operators": 4,
}
AGENT = {**dict.fromkeys(("issuer", "code", "realm"), "x"), "depth": 0}
CONTEXT = {
    **{name: [] for name in ("labels", "labels_dropped", "residency", "residency_dropped")},
    "secrets": [],
    "effect": "none",
    "step": "",
    "cost_micros": 5,
    "own_process": False,
    "confined": False,
    "outlives": False,
}


@pytest.mark.parametrize(
    ("condition", "basis"),
    [
        ("1 == 1", "permit"),
        ('1 == "1"', "unmet"),
        ("1 == true", "unmet"),
        ("false && 9223372036854775807 + 1 == 0", "unmet"),
        ("9223372036854775807 + 1 == 0 && false", "error"),
        ("true || 9223372036854775807 + 1 == 0", "permit"),
        ("9223372036854775807 + 1 == 0 || true", "error"),
        ("1 - 2 - 3 == -4", "permit"),
        ("2 + 3 * 4 == 14", "permit"),
        ("!false && false || true", "permit"),
        ("--9223372036854775808 > 0", "error"),
        ("-9223372036854775808 < 0", "permit"),
        ("if 1 > 2 then 1 == 1 / 1 else true", None),
        ("[1, 2, 2] == [2, 1]", "permit"),
        ("[1].containsAll([1, 1]) && ![1].containsAny([2])", "permit"),
        ("resource has price_micros", "unmet"),
        ("resource.price_micros > 0", "error"),
        ('Zone::"nowhere".name == "x"', "error"),
        ('Zone::"nowhere" has name', "unmet"),
        ('Zone::"nowhere" in [Zone::"nowhere"]', "permit"),
        ('"a*b" like "a\\*b" && "axb" like "a*b" && !("axb" like "a\\*b")', "permit"),
        ('"" like "*" && "aXbXc" like "*b*c"', "permit"),
        ('action in Action::"application" && action == Action::"a.b"', "permit"),
        ('resource is Zone in Zone::"other"', "unmet"),
        ('{"a b": 1}["a b"] == 1', "permit"),
    ],
)
def test_the_oracle_means_what_the_language_means(condition: str, basis: str | None) -> None:
    text = f"permit (principal, action, resource) when {{ {condition} }};"
    question = Question(("a", AGENT), "a.b", ("z", ZONE), None, CONTEXT)
    if basis is None:
        with pytest.raises(Exception, match="no token"):
            Judge([text], frozenset(["a.b"]))
    else:
        assert basis == Judge([text], frozenset(["a.b"])).answer(question).basis
