"""What a comparison of policies says is so, and where it says nothing there is nothing."""

import itertools
import random
import time
from collections import Counter
from typing import Any

import pytest

from sojourn.core.policy import candidates, comparing, engine, outcomes
from sojourn.core.policy.comparing import Comparison, compare
from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.request import ZoneEntity
from sojourn.core.policy.schema import STANDARD_ACTIONS
from tests.policy.asking import request_of
from tests.policy.generating import GROUPS, Party, made_party, made_question

PERMIT = "permit (principal, action, resource);\n"
TRAVEL = 'permit (principal, action == Action::"travel", resource) when {{ {} }};\n'
QUICK = range(50)
SOAK = range(1_000, 3_000)
REQUESTS = 30


def document(text: str, *actions: str, name: str = "policy") -> PolicyDocument:
    return PolicyDocument(name=name, text=text, actions=actions, approvers=GROUPS)


def compared(old: str, new: str, *actions: str, **settings: Any) -> Comparison:
    return compare([document(old, *actions)], [document(new, *actions)], **settings)


def when(old: str, new: str) -> Comparison:
    """Compare two conditions for travel."""
    return compared(TRAVEL.format(old), TRAVEL.format(new))


def answer(found: Comparison) -> tuple[list[str], list[str]]:
    return [each.action for each in found.widened], [each.action for each in found.narrowed]


SAME = ([], [])
WIDER, NARROWER = (["travel"], []), ([], ["travel"])
BOTH = (["travel"], ["travel"])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("context.cost_micros <= 5", "context.cost_micros < 6", SAME),
        ("context.cost_micros <= 5", "context.cost_micros <= 6", WIDER),
        ("context.cost_micros >= 0", "true", SAME),
        ("resource.anchors > resource.operators", "resource.operators < resource.anchors", SAME),
        ("resource.anchors > 3", "resource.anchors > 3 && resource.operators < 99", NARROWER),
        ('resource.country == "IE"', 'resource.country == "SE"', BOTH),
        ('resource.country == "IE"', "true", WIDER),
        ('context.labels.contains("a")', 'context.labels.containsAny(["a", "b"])', WIDER),
        ('context.labels.containsAll(["a", "b"])', 'context.labels.contains("a")', WIDER),
        ("context.labels.isEmpty()", '!context.labels.contains("a")', WIDER),
        ('context.labels == ["a"]', 'context.labels.contains("a")', WIDER),
        (
            "resource.jurisdiction.containsAll(context.residency)",
            "resource.jurisdiction.containsAny(context.residency)",
            BOTH,
        ),
        (
            "resource.jurisdiction.containsAll(context.residency)",
            "resource.jurisdiction.containsAny(context.residency) || context.residency.isEmpty()",
            WIDER,
        ),
        ("resource.jurisdiction.contains(resource.country)", "true", WIDER),
        ('resource.region like "eu-*"', 'resource.region like "eu-*-1"', NARROWER),
        (
            'resource.region like "eu-*" && resource.region like "*-1"',
            'resource.region like "eu-*-1"',
            NARROWER,  # "eu-1" matches both of the first
        ),
        (
            'resource.region like "eu-*" && resource.region like "*-x-1"',
            'resource.region like "eu-*-x-1" || resource.region == "eu-x-1"',
            SAME,
        ),
        (
            'resource.region like "a*a"',
            'resource.region like "a*a" && resource.region != "a"',
            SAME,
        ),
        (
            'context.effect == "none" || context.effect == "once"',
            'context.effect != "idempotent"',
            SAME,
        ),
        (
            "resource has price_micros && resource.price_micros >= 0",
            "resource has price_micros",
            SAME,
        ),
        ("resource has price_micros", "true", WIDER),
        ("context has origin && context.origin == resource", "context has origin", WIDER),
        (
            "context has origin && context.origin == resource",
            "context has origin && context.origin == resource && context.origin.name == resource.name",
            SAME,
        ),
        ('resource in Zone::"z"', 'resource == Zone::"z"', SAME),
        ('principal in [Agent::"a", Agent::"b"]', 'principal == Agent::"a"', NARROWER),
        ('Zone::"z".name == "x"', 'resource == Zone::"z" && resource.name == "x"', NARROWER),
        ("context.confined", "if context.confined then true else context.own_process", WIDER),
        ("context.cost_micros < 2 * 3", "context.cost_micros <= 5", SAME),
        ('ip("10.0.0.1").isInRange(ip("10.0.0.0/8"))', "true", SAME),
        ('{a: context.step}.a == "x"', 'context.step == "x"', SAME),
        ('context.labels.contains("")', "false", SAME),  # no label is empty
        ('!(resource.name == "x" && resource.name == "y")', "true", SAME),
    ],
)
def test_conditions_are_compared_exactly(
    old: str, new: str, expected: tuple[list[str], list[str]]
) -> None:
    assert (expected, ()) == (answer(when(old, new)), when(old, new).bounds)
    assert expected[::-1] == answer(when(new, old))


def test_each_change_has_a_request_that_both_policies_decided() -> None:
    old, new = TRAVEL.format("context.cost_micros <= 5"), TRAVEL.format("context.cost_micros <= 9")
    (change,) = compared(old, new).widened
    assert 5 < change.example.context.cost_micros <= 9
    assert ("unmet", "permit") == (change.before.basis, change.after.basis)
    assert change.after == engine.evaluate(engine.prepare([document(new)]), change.example)


def test_actions_are_compared_one_by_one() -> None:
    new = PERMIT + 'forbid (principal, action in [Action::"launch", Action::"travel"], resource);'
    assert ([], ["launch", "travel"]) == answer(compared(PERMIT, new))
    assert (list(STANDARD_ACTIONS), []) == answer(
        compared(PERMIT + "forbid (principal, action, resource);", PERMIT)
    )


def test_a_forbid_that_errors_denies_and_so_narrows() -> None:
    new = PERMIT + "forbid (principal, action, resource) when { context.cost_micros * 2 < 0 };"
    found = compared(PERMIT, new)
    assert [] == [each.action for each in found.widened]
    assert set(STANDARD_ACTIONS) == {each.action for each in found.narrowed}
    assert {"error"} == {each.after.basis for each in found.narrowed}
    assert all("arithmetic on context.cost_micros" in bound for bound in found.bounds)


def test_what_cannot_be_followed_is_bounded_and_still_finds_what_is_plain() -> None:
    odd = "[context.labels].contains(context.residency)"
    found = when(odd, f"{odd} || context.confined")
    assert WIDER == answer(found)
    assert ("travel: a set of sets: 256 requests were tried",) == found.bounds


def test_applications_actions_are_compared_as_each_side_judges_them() -> None:
    text = 'permit (principal, action in Action::"application", resource);'
    plain, declared = document(text), document(text, "order.place")
    assert (["order.place"], []) == answer(compare([plain], [declared]))
    assert SAME == answer(compare([plain], [declared], judges_foreign=True))
    only = document('permit (principal, action == Action::"application", resource);', "order.place")
    both = compare([declared], [only], judges_foreign=True)
    assert ([], ["order.place"]) == answer(both)


def test_zones_can_be_given() -> None:
    ireland = ZoneEntity(
        id="z",
        name="ie",
        provider="",
        region="",
        country="IE",
        anchors=4,
        operators=4,
        jurisdiction=("EU", "IE"),
    )
    old = TRAVEL.format('resource.jurisdiction.contains("EU")')
    new = TRAVEL.format('resource.jurisdiction.containsAny(["CH", "EU"])')
    assert WIDER == answer(compared(old, new))
    assert SAME == answer(compared(old, new, zones=[ireland]))
    (change,) = compared(new, TRAVEL.format("false"), zones=[ireland]).narrowed
    assert ireland == change.example.zone


def test_many_documents_are_one_policy() -> None:
    permits, forbids = (
        document(PERMIT, name="b"),
        document("forbid (principal, action, resource) when { context.confined };", name="a"),
    )
    found = compare([permits], [permits, forbids])
    assert set(STANDARD_ACTIONS) == {each.action for each in found.narrowed}


ORDERS = 'permit (principal, action == Action::"order.place", resource);\n'
FEW = ORDERS.replace(";\n", " when { context.cost_micros < 9 };\n")


def asks(group: str, rule: str = ORDERS) -> str:
    return f'@ask("{group}") {rule}'


@pytest.mark.parametrize(
    ("old", "new", "expected", "groups"),
    [
        (asks("officers"), ORDERS, (["order.place"], []), {""}),
        (ORDERS, asks("officers"), ([], ["order.place"]), {""}),
        (TRAVEL.format("true"), asks("officers") + TRAVEL.format("true"), (["order.place"], []), {"officers"}),
        (asks("officers"), asks("desk-heads"), (["order.place"], ["order.place"]), {"officers", "desk-heads"}),
        (asks("officers"), asks("officers", FEW) + asks("officers"), SAME, set()),
        (asks("officers"), asks("officers") + FEW, (["order.place"], []), {""}),
        (ORDERS, ORDERS + asks("officers"), SAME, set()),
    ],
)  # fmt: skip
def test_a_rule_that_asks_permits_less_than_one_that_does_not(
    old: str, new: str, expected: Any, groups: set[str]
) -> None:
    found = compared(old, new, "order.place")
    assert expected == answer(found)
    assert groups == {each.approved_by for each in (*found.widened, *found.narrowed)}


def test_a_rule_that_asks_others_denies_where_it_errs() -> None:
    errs = ORDERS.replace(";\n", " when { context.cost_micros + 9223372036854775807 > 0 };\n")
    found = compared(ORDERS, ORDERS + asks("officers", errs), "order.place")
    (change,) = found.narrowed
    assert ("permit", "error") == (change.before.basis, change.after.basis)


# Every request that policies decide differently is told


def pair(seed: int) -> tuple[Party, Party]:
    """Return two parties at random, most of which share rules."""
    rng = random.Random(seed)
    old, new = made_party(rng), made_party(rng)
    if rng.random() < 0.6:
        declared = tuple(sorted({*old.declared, *new.declared}))
        added = old.texts[0] + new.texts[0].replace('@id("rule-', '@id("new-')
        old, new = (Party(each, declared) for each in (old.texts, (added, *old.texts[1:])))
    return (old, new) if rng.random() < 0.7 else (new, old)


def documents(party: Party) -> list[PolicyDocument]:
    return [
        document(text, *party.declared, name=f"document-{number}")
        for number, text in enumerate(party.texts)
    ]


def check_pairs(seeds: range) -> Counter[str]:
    counts: Counter[str] = Counter()
    for seed in seeds:
        parties = pair(seed)
        found = compare(*map(documents, parties), judges_foreign=seed % 2 == 0)
        counts["exact" if found.is_exact else "bounded"] += 1
        counts["same"] += not (found.widened or found.narrowed)
        check_pair(seed, parties, found, counts)
    return counts


def check_pair(
    seed: int, parties: tuple[Party, Party], found: Comparison, counts: Counter[str]
) -> None:
    rng = random.Random(seed)
    old, new = (engine.prepare(documents(party), judges_foreign=seed % 2 == 0) for party in parties)
    bounded = {bound.partition(":")[0] for bound in found.bounds}
    for _ in range(REQUESTS):
        asked = request_of(made_question(rng))
        decided = [engine.evaluate(each, asked) for each in (old, new)]
        for group in ("", *GROUPS):
            before, after = (comparing._permits(each, group) for each in decided)
            if before is after:
                continue
            told = found.widened if after else found.narrowed
            declared = {*STANDARD_ACTIONS, *old.actions, *new.actions}
            action = asked.action if asked.action in declared else "other.action"
            counts["widened" if after else "narrowed"] += 1
            counts["asked"] += "ask" in {each.basis for each in decided}
            if action not in bounded:
                assert action in {each.action for each in told}, (seed, asked)
                counts["told"] += 1


def check_reached(counts: Counter[str], seeds: range) -> None:
    assert counts["exact"] >= len(seeds) // 2, counts
    assert counts["same"] >= len(seeds) // 20, counts
    assert min(counts["widened"], counts["narrowed"]) >= 2 * len(seeds), counts
    assert counts["told"] >= 4 * len(seeds), counts
    assert counts["asked"] >= len(seeds) // 2, counts


def test_what_requests_at_random_show_is_told() -> None:
    check_reached(check_pairs(QUICK), QUICK)


@pytest.mark.soak
def test_what_60_000_requests_at_random_show_is_told() -> None:
    counts = check_pairs(SOAK)
    print(counts)  # noqa: T201
    check_reached(counts, SOAK)


def test_a_comparison_that_tries_constants_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "fresh", lambda taken, count: [] if taken else ["other"])
    with pytest.raises(AssertionError):
        check_pairs(QUICK)


def test_a_comparison_that_takes_errors_for_false_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "ruled", lambda permits, forbids: permits is True is not forbids)
    with pytest.raises(AssertionError):
        check_pairs(QUICK)


# How long it takes

CONDITIONS = (
    'resource.jurisdiction.contains("{law}") && context.cost_micros <= {n}000',
    'resource.jurisdiction.containsAny(["{law}", "CH"]) && resource.provider == "p{n}"',
    'context.labels.contains("l{n}") && !resource.jurisdiction.contains("{law}")',
    'resource has price_micros && resource.certifications.containsAll(["soc{n}", "iso27001"])',
    "resource has price_micros && resource.price_micros < {n}00",
    'principal.issuer == "issuer-{n}" && resource.operators >= {n} && resource.region like "{law}-*"',
    'resource.jurisdiction.containsAll(context.residency) && context.effect != "once"',
)


def rules(count: int) -> list[str]:
    laws = itertools.cycle(("EU", "IE", "US", "DE", "FR", "SE", "NO"))
    scopes = itertools.cycle(("action", 'action in [Action::"launch", Action::"travel"]'))
    made = []
    for number, condition, law in zip(
        range(count), itertools.cycle(CONDITIONS), laws, strict=False
    ):
        effect = "forbid" if number % 3 == 2 else "permit"
        told = condition.format(law=law, n=number)
        made.append(f"{effect} (principal, {next(scopes)}, resource) when {{ {told} }};")
    return made


def test_two_documents_of_24_rules_take_less_than_two_seconds() -> None:
    old = "\n".join(rules(24))
    new = "\n".join([*rules(24)[:5], *rules(24)[6:], TRAVEL.format('resource.country == "CH"')])
    began = time.process_time()
    found = compared(old, new)
    took = time.process_time() - began
    assert found.is_exact
    assert "travel" in answer(found)[0]
    assert took < 2, took


def test_hundreds_of_constants_are_no_trouble() -> None:
    each = 'permit (principal, action, resource) when {{ context.labels.contains("{}") }};\n'
    old = "".join(map(each.format, range(250)))
    found = compared(old, old + each.format("more"))
    assert found.is_exact
    assert set(STANDARD_ACTIONS) == {change.action for change in found.widened}
    assert {("more",)} == {change.example.context.labels for change in found.widened}


def test_more_choices_than_can_be_drawn_are_bounded() -> None:
    parts = ("context.labels", "context.residency")
    each = 'permit (principal, action, resource) when {{ {}.contains("{}") }};\n'
    old = "".join(each.format(parts[n % 2], n) for n in range(250))
    odd = each.replace("permit", "forbid").replace("contains", "containsAny").replace('"{}"', "{}")
    new = old + odd.format("context.labels_dropped", [f"x{n}" for n in range(200)]).replace(
        "'", '"'
    )
    found = compared(old, new)
    assert any("400 choices" in bound for bound in found.bounds), found.bounds


def test_what_is_too_large_is_bounded_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_STEPS_MAX", 50)
    found = compared("\n".join(rules(12)), "\n".join(rules(13)))
    assert not found.is_exact
    assert any("100 steps" in bound or "50 steps" in bound for bound in found.bounds)
