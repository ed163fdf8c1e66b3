"""Evaluation: default deny, forbid overrides, and every doubt is a denial."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Misused
from sojourn.core.policy.decision import Basis
from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.engine import PreparedPolicy, evaluate, evaluate_all, prepare
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import PolicyRequest, ZoneEntity
from sojourn.core.policy.schema import STANDARD_ACTIONS, schema_text
from tests.unit.core.policy.samples import (
    AGENT,
    IRELAND,
    VIRGINIA,
    eu_finance,
    policy,
    request,
    zone,
)

ANYTHING = "permit (principal, action, resource);"
CONFIDENTIAL = ("client-confidential",)


@pytest.mark.parametrize(
    ("asked", "basis", "deciders"),
    [
        (request(), "permit", ["eu-only"]),
        (request("execute"), "permit", ["eu-only"]),
        (request("order.place", effect="once"), "permit", ["eu-only"]),
        (request(labels=CONFIDENTIAL), "permit", ["eu-only"]),
        (request(where=VIRGINIA), "unmet", ["eu-only", ""]),
        (request(where=VIRGINIA, labels=CONFIDENTIAL), "forbid", ["confidential-stays"]),
        (request(where=replace(VIRGINIA, price_micros=0)), "permit", [""]),
        (
            request(where=replace(VIRGINIA, price_micros=0), labels=CONFIDENTIAL),
            "forbid",
            ["confidential-stays"],
        ),
        (request(where=replace(VIRGINIA, price_micros=None)), "unmet", ["eu-only", ""]),
        (request("execute", VIRGINIA, labels=CONFIDENTIAL), "unmet", ["eu-only"]),
        (request("retire"), "no-permit", ["eu-only", ""]),
    ],
)
def test_the_risk_desk(asked: PolicyRequest, basis: Basis, deciders: list[str]) -> None:
    decision = evaluate(eu_finance(), asked)
    assert (basis, deciders) == (decision.basis, [rule.id for rule in decision.rules])
    assert decision.permitted == (basis == "permit")


def test_a_decision_names_policy_request_and_the_values_seen() -> None:
    asked = request(where=VIRGINIA, labels=("b", "client-confidential"))
    decision = evaluate(eu_finance(), asked)
    assert eu_finance().digest == decision.policy_digest
    assert asked.digest() == decision.request_digest
    expected = {
        "context.labels": ("b", "client-confidential"),
        "resource.jurisdiction": ("US",),
    }
    assert expected == decision.values


def test_values_are_seen_wherever_a_rule_looks() -> None:
    text = """
    permit (principal == Agent::"agent-1", action, resource in Zone::"id-of-aws-us-east-1") when {
      principal.realm == "test" && context.confined && !(context has counterpart) &&
      context has origin && context.origin.anchors == 4 && context.origin != resource &&
      context.cost_micros < 10
    };
    """
    decision = evaluate(policy(text), request(where=VIRGINIA, origin=IRELAND, confined=True))
    assert {
        "context.confined": True,
        "context.cost_micros": 0,
        "context.counterpart": None,
        "context.origin": "id-of-aws-eu-west-1",
        "context.origin.anchors": 4,
        "principal": "agent-1",
        "principal.realm": "test",
        "resource": "id-of-aws-us-east-1",
    } == decision.values
    assert decision.permitted


# --- the documented danger: Cedar skips a rule that errors ----------------------------------------


def _ask_cedar(text: str, asked: PolicyRequest, context: dict[str, Any], **schema: Any) -> bool:
    """Ask Cedar itself, with or without our schema."""
    entities = [
        {"uid": {"type": "Agent", "id": asked.agent.id}, "attrs": _of(asked.agent), "parents": []},
        {"uid": {"type": "Zone", "id": asked.zone.id}, "attrs": _of(asked.zone), "parents": []},
    ]
    question = {
        "principal": {"type": "Agent", "id": asked.agent.id},
        "action": {"type": "Action", "id": asked.action},
        "resource": {"type": "Zone", "id": asked.zone.id},
        "context": json.dumps(context),
    }
    return cedarpy.is_authorized(question, text, entities, **schema).allowed


def _of(value: Any) -> dict[str, Any]:
    names = [name for name in value.__struct_fields__ if name != "id"]
    return {name: getattr(value, name) for name in names if getattr(value, name) is not None}


LABELLED = 'forbid (principal, action, resource) when { context.labels.contains("secret") };'
OVERFLOWING = "forbid (principal, action, resource) when { context.cost_micros + 1 > 100 };"


def test_without_the_schema_a_forbid_that_errors_is_skipped_and_with_it_denies() -> None:
    text = ANYTHING + LABELLED
    incomplete = {"step": "x"}
    assert _ask_cedar(text, request(), incomplete), "the danger is gone: see rule 2 of the engine"
    assert not _ask_cedar(text, request(), incomplete, schema=schema_text())


def test_a_forbid_that_no_schema_can_check_is_not_evaluated_at_all() -> None:
    misspelt = LABELLED.replace("labels", "lables")
    assert _ask_cedar(ANYTHING + misspelt, request(), {"labels": ["secret"]})
    with pytest.raises(Misused, match="attribute `lables` in context"):
        policy(ANYTHING + misspelt)


def test_even_with_the_schema_cedar_skips_an_overflow_and_ours_denies() -> None:
    asked = request(cost_micros=2**63 - 1)
    context = _of(asked.context)
    assert _ask_cedar(ANYTHING + OVERFLOWING, asked, context, schema=schema_text())
    decision = evaluate(policy(ANYTHING + OVERFLOWING), asked)
    assert ("error", False) == (decision.basis, decision.permitted)
    assert {"context.cost_micros": 2**63 - 1} == decision.values
    (error,) = decision.errors
    assert error.startswith("the rule at sample, line 1: integer overflow")


def test_a_permit_that_errors_denies_too() -> None:
    text = "permit (principal, action, resource) when { context.cost_micros + 1 > 0 };"
    assert "error" == evaluate(policy(ANYTHING + text), request(cost_micros=2**63 - 1)).basis


# --- a request that does not fit the schema -------------------------------------------------------


class _Annexed(ZoneEntity):
    """A zone with an attribute that no schema knows."""

    annex: str = "x"


@pytest.mark.parametrize(
    "asked",
    [
        request(step=1),
        request(labels=(1,)),
        request(cost_micros="1"),
        request(cost_micros=1.5),
        request(cost_micros=2**63),
        request(confined=None),
        request(effect={"__entity": {"type": "Zone", "id": "z"}}),
        request(where=zone(jurisdiction=(True,))),
        request(where=zone(anchors="4")),
        request(where=zone(country=None)),
        request(where=_Annexed(**_of(IRELAND), id="annexed")),
        request(origin=zone(operators=None)),
        request(origin=replace(IRELAND, anchors=7)),  # two accounts of one zone
        replace(request(), agent=replace(AGENT, issuer=7)),
        replace(request(), agent=replace(AGENT, realm=None)),
    ],
)
def test_what_does_not_fit_the_schema_is_denied(asked: PolicyRequest) -> None:
    decision = evaluate(policy(ANYTHING), asked)
    assert ("error", (), 1) == (decision.basis, decision.rules, len(decision.errors))


def test_a_move_to_where_it_is_can_be_judged() -> None:
    assert evaluate(policy(ANYTHING), request(origin=zone())).permitted


# --- actions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", STANDARD_ACTIONS)
def test_every_standard_action_can_be_judged(action: str) -> None:
    assert evaluate(policy(ANYTHING), request(action)).permitted


@pytest.mark.parametrize("action", ["order.place", "application", "", 'x"]; permit', "travel "])
def test_an_undeclared_action_is_denied(action: str) -> None:
    decision = evaluate(policy(ANYTHING, "order.cancel"), request(action))
    assert ("error", action) == (decision.basis, decision.action)
    assert (f'the action "{action}" is not declared by these policy documents',) == decision.errors


def test_a_zone_judges_what_it_has_not_declared_as_an_application_action() -> None:
    text = (
        'permit (principal, action in Action::"application", resource) when { context.confined };'
    )
    text += 'forbid (principal, action == Action::"order.cancel", resource);'
    guests = policy(text, "order.cancel", judges_foreign=True)
    assert evaluate(guests, request("order.place", confined=True)).permitted
    assert "unmet" == evaluate(guests, request("order.place")).basis
    assert "forbid" == evaluate(guests, request("order.cancel", confined=True)).basis
    assert "no-permit" == evaluate(guests, request("execute", confined=True)).basis
    assert "order.place" == evaluate(guests, request("order.place")).action


def test_a_rule_for_the_group_alone_is_not_about_the_actions_in_it() -> None:
    text = 'permit (principal, action == Action::"application", resource);'
    prepared = policy(text, "order.place", judges_foreign=True)
    assert "no-permit" == evaluate(prepared, request("order.place")).basis
    assert "permit" == evaluate(prepared, request("order.cancel")).basis


def test_declared_actions_are_application_actions() -> None:
    text = 'permit (principal, action in Action::"application", resource);'
    assert evaluate(policy(text, "order.place"), request("order.place")).permitted


# --- several documents, several parties -----------------------------------------------------------


def _documents(*texts: str) -> list[PolicyDocument]:
    return [PolicyDocument(name=f"d{n}", text=text) for n, text in enumerate(texts)]


def test_the_documents_of_one_party_are_one_policy() -> None:
    # A comment at the end of one document must not swallow the beginning of the next.
    both = prepare(_documents(ANYTHING + "// the end", LABELLED))
    assert evaluate(both, request()).permitted
    (rule,) = evaluate(both, request(labels=("secret",))).rules
    assert ("d1", 1, False) == (rule.document, rule.line, rule.permits)


def test_the_order_of_documents_is_of_no_account() -> None:
    documents = _documents(ANYTHING, LABELLED)
    assert prepare(documents) is prepare(documents[::-1])


def test_whatever_is_read_differently_has_another_digest() -> None:
    document = PolicyDocument(name="d", text=ANYTHING)
    digests = {
        prepare([document]).digest,
        prepare([document], judges_foreign=True).digest,
        prepare([replace(document, name="e")]).digest,
        prepare([replace(document, text=ANYTHING + " ")]).digest,
        prepare([replace(document, actions=("order.place",))]).digest,
    }
    assert 5 == len(digests)


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([], "can never permit anything"),
        (_documents(LABELLED, OVERFLOWING), r"d0\+d1:1:1: this policy can never permit anything"),
        (_documents(ANYTHING, "permit"), "d1:1:1: the last rule ends here"),
        (_documents(ANYTHING) * 2, "two policy documents are called 'd0'"),
        (_documents(ANYTHING * 200, ANYTHING * 57), "hold 257 rules, more than the limit of 256"),
    ],
    ids=["none", "no permit", "malformed", "one name", "too many rules"],
)
def test_documents_that_cannot_be_a_policy_are_refused(
    documents: list[PolicyDocument], problem: str
) -> None:
    with pytest.raises(Misused, match=problem):
        prepare(documents)


def test_every_party_must_permit() -> None:
    parties = [
        ("the agent's policy", eu_finance()),
        ("its parent's policy", policy(ANYTHING + LABELLED)),
        ("the zone's policy", policy(ANYTHING + OVERFLOWING)),
    ]

    def denied_by(asked: PolicyRequest) -> tuple[str, ...]:
        verdict = evaluate_all(parties, asked, Memo())
        assert [label for label, _ in parties] == [each.party for each in verdict.decisions]
        assert verdict.permitted == (not verdict.denied_by)
        return verdict.denied_by

    assert () == denied_by(request())
    assert ("its parent's policy",) == denied_by(request(labels=("secret",)))
    assert ("the agent's policy",) == denied_by(request(where=VIRGINIA))
    assert ("the agent's policy", "the zone's policy") == denied_by(
        request("spawn", cost_micros=500)
    )


def test_where_nobody_is_asked_nothing_is_permitted() -> None:
    assert not evaluate_all([], request(), Memo()).permitted


def test_a_decision_keeps_the_first_sixteen_rules_and_counts_the_rest() -> None:
    decision = evaluate(policy(ANYTHING * 20), request())
    assert (16, 4) == (len(decision.rules), decision.rules_omitted)


# --- against a model ------------------------------------------------------------------------------


class _Condition(NamedTuple):
    """A condition in Cedar, and what it means."""

    text: str
    holds: Callable[[PolicyRequest], bool]


CONDITIONS = [
    _Condition("true", lambda r: True),
    _Condition('resource.jurisdiction.contains("EU")', lambda r: "EU" in r.zone.jurisdiction),
    _Condition('context.labels.contains("secret")', lambda r: "secret" in r.context.labels),
    _Condition("context.cost_micros > 100", lambda r: r.context.cost_micros > 100),
    _Condition(
        "resource has price_micros && resource.price_micros < 500",
        lambda r: r.zone.price_micros is not None and r.zone.price_micros < 500,
    ),
    _Condition(
        "context has origin && context.origin.country != resource.country",
        lambda r: r.origin is not None and r.origin.country != r.zone.country,
    ),
    _Condition(
        "resource.jurisdiction.containsAll(context.residency)",
        lambda r: set(r.context.residency) <= set(r.zone.jurisdiction),
    ),
]
SCOPES = [(), ("travel",), ("execute", "order.place"), ("travel", "execute")]


class _ModelRule(NamedTuple):
    permits: bool
    actions: tuple[str, ...]
    condition: _Condition

    def text(self) -> str:
        scope = ", ".join(f'Action::"{action}"' for action in self.actions)
        action = f"action in [{scope}]" if scope else "action"
        effect = "permit" if self.permits else "forbid"
        return f"{effect} (principal, {action}, resource) when {{ {self.condition.text} }};\n"

    def applies(self, asked: PolicyRequest) -> bool:
        return self.condition.holds(asked) and (not self.actions or asked.action in self.actions)


RULES = st.builds(_ModelRule, st.booleans(), st.sampled_from(SCOPES), st.sampled_from(CONDITIONS))
ZONES = st.builds(
    zone,
    country=st.sampled_from(["IE", "US"]),
    jurisdiction=st.sampled_from([(), ("EU",), ("EU", "IE"), ("US",)]),
    price_micros=st.sampled_from([None, 0, 499, 500]),
)
REQUESTS = st.builds(
    request,
    st.sampled_from(["travel", "execute", "order.place"]),
    ZONES,
    origin=st.sampled_from([None, VIRGINIA]),
    labels=st.sampled_from([(), ("public",), ("public", "secret")]),
    residency=st.sampled_from([(), ("EU",), ("EU", "IE")]),
    cost_micros=st.sampled_from([0, 100, 101]),
)
FALLBACK = _ModelRule(True, ("message",), CONDITIONS[0])  # so that there is always a permit


def _prepared(rules: list[_ModelRule]) -> PreparedPolicy:
    return policy("".join(rule.text() for rule in rules), "order.place")


@given(st.lists(RULES, max_size=6), REQUESTS)
def test_nothing_is_permitted_by_default_and_forbid_overrides(
    rules: list[_ModelRule], asked: PolicyRequest
) -> None:
    applying = [rule for rule in rules if rule.applies(asked)]
    permitted = bool(applying) and all(rule.permits for rule in applying)
    decision = evaluate(_prepared([*rules, FALLBACK]), asked)
    assert permitted == decision.permitted
    assert () == decision.errors
    if applying:
        deciding = [rule.permits for rule in applying if rule.permits == permitted]
        assert deciding == [rule.permits for rule in decision.rules]


@given(st.data(), st.lists(RULES, min_size=2, max_size=6), REQUESTS)
def test_the_order_of_rules_does_not_change_the_decision(
    data: st.DataObject, rules: list[_ModelRule], asked: PolicyRequest
) -> None:
    shuffled = data.draw(st.permutations([*rules, FALLBACK]))
    one, other = (evaluate(_prepared(each), asked) for each in ([*rules, FALLBACK], shuffled))
    assert (one.basis, one.values) == (other.basis, other.values)
    assert sorted(rule.text for rule in one.rules) == sorted(rule.text for rule in other.rules)


@given(st.lists(RULES, max_size=4), REQUESTS)
def test_one_more_forbid_never_permits_what_was_denied(
    rules: list[_ModelRule], asked: PolicyRequest
) -> None:
    forbid = _ModelRule(False, (), CONDITIONS[2])
    before, after = (
        evaluate(_prepared(each), asked).permitted
        for each in ([*rules, FALLBACK], [*rules, FALLBACK, forbid])
    )
    assert after <= before


# --- determinism ----------------------------------------------------------------------------------

DECIDE = """
from sojourn.core.base.encoding import digest_of
from sojourn.core.policy.engine import evaluate
from tests.unit.core.policy.samples import *

crowd = policy("".join(
    f'@id("r{n}") @note("n") permit (principal, action, resource) when '
    f'{{ context.cost_micros + {n} > 0 && context.labels.contains("a") }};' for n in range(12)
))
asked = [
    request(labels=("d", "a", "c", "b"), cost_micros=1),
    request(labels=("d", "a", "c", "b"), cost_micros=2**63 - 1),
    request(step=1, cost_micros="1", labels=(7,)),
]
print([digest_of(evaluate(crowd, each)).hex() for each in asked])
"""


def test_equal_questions_have_equal_bytes_in_every_process() -> None:
    """Trap 15: no order of a hash table may reach what is compared."""
    root = Path(__file__).parents[4]
    path = os.pathsep.join([str(root / "src"), str(root)])
    printed = {
        subprocess.run(
            [sys.executable, "-c", DECIDE],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2", "3")
    }
    assert 1 == len(printed)


def test_equal_questions_have_equal_bytes_in_one_process() -> None:
    crowd = policy("".join(f'@id("r{n}") {ANYTHING}' for n in range(12)))
    assert 1 == len({encode(evaluate(crowd, request())) for _ in range(20)})


# What a policy can depend on


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("context.cost_micros < 5", True),
        ("context has cost_micros", True),
        ('context["cost_micros"] < 5', True),
        ("context == context", True),
        ("{a: context}.a.cost_micros < 5", True),
        ("(if context.confined then context else context).cost_micros < 5", True),
        ('context.step == "hedge"', False),
        ("resource.price_micros > 5", False),
        ("true", False),
    ],
)
def test_section_8_whether_a_rule_can_depend_on_the_cost_is_told(
    condition: str, names: bool
) -> None:
    prefix = "resource has price_micros && " if "price" in condition else ""
    text = f"permit (principal, action, resource) when {{ {prefix}{condition} }};"
    plain = "permit (principal, action, resource);"
    assert names is policy(text).names_cost
    assert names is policy(plain + text).names_cost
    assert policy(plain).names_cost is False
