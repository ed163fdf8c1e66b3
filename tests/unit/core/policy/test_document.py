"""The check of a policy's text."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.base.errors import Misused
from sojourn.core.policy.document import PolicyDocument, check_policy, read_rules
from tests.unit.core.policy.samples import EU_FINANCE, marked

HEAD = "permit (principal, action, resource)"


def test_a_sound_policy_passes() -> None:
    check_policy(EU_FINANCE, ["order.place"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # It does not parse.
        (f"{HEAD};\n{HEAD} when {{ resource.name == ^}};", "unexpected token `}`"),
        ("permit (principal ^action, resource);", "unexpected token `action`"),
        (f"{HEAD} when {{ [1, 2,^, 3] }};", "unexpected token `,`"),
        (f"{HEAD} when {{ true\n  ^true }};", "unexpected token `true`"),
        (f"{HEAD} when {{ resource.name ^= 1 }};", "'=' is not a valid operator"),
        (f"// allow\n\n  ^allow {HEAD[7:]};", "invalid policy effect: allow"),
        (f"{HEAD} when {{ ^foo(1) }};", "`foo` is not a valid function"),
        (
            'permit (principal, action == ^"fly", resource);',
            "expected an entity uid, found literal",
        ),
        (f'^{HEAD} when {{ "\\q" == "a" }};', "the input `\\q` is not a valid escape"),
        # It does not fit the schema.
        (f"{HEAD} when {{ resource.^regoin == 1 }};", "attribute `regoin` on entity type"),
        (f'^{HEAD} when {{ context.labels == "a" }};', "the types "),
        (f"{HEAD} when {{ context.^lables.isEmpty() }};", "attribute `lables` in context"),
        (f"{HEAD} when {{ resource.^price_micros < 5 }};", "unable to guarantee safety of access"),
        ("permit (principal is ^Agnt, action, resource);", "unrecognized entity type `Agnt`"),
        # It names an action that does not exist.
        (
            'permit (principal, action in\n [Action::"travel", ^Action::"fly"], resource);',
            'unrecognized action `Action::"fly"`',
        ),
        # It asks for what no request holds: a forbid so guarded would never apply.
        (f"{HEAD} when {{ resource has ^price }};", "no request holds `resource.price`"),
        (
            f'^{HEAD} when {{ context has "origin.name" }};',
            "no request holds `context.origin.name`",
        ),
        # It leaves places to fill in, calls two rules the same, or permits nothing.
        ("permit (principal == ^?principal, action, resource);", "?principal leaves a place"),
        (f'@id("a") {HEAD};\n^@id("a") {HEAD};', 'two rules have the id "a"'),
        ("^forbid (principal, action, resource);", "this policy can never permit anything"),
        ("^// nothing", "this policy can never permit anything"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(text: str, problem: str) -> None:
    text, place = marked(text)
    expected = f"eu.cedar:{place}: {problem}"
    with pytest.raises(Misused) as refused:
        check_policy(text, name="eu.cedar")
    assert expected == refused.value.problem[: len(expected)]
    assert refused.value.remedy


ORDERS = '(principal, action == Action::"order.place", resource)'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'{HEAD};\n@id("a") ^@ask("officer") permit {ORDERS};', 'no group of approvers "officer"'),
        (f'^@ask("") permit {ORDERS};', 'there is no group of approvers ""'),
        (f"^@ask permit {ORDERS};", 'there is no group of approvers ""'),
        (f'{HEAD};\n^@ask("desk") forbid {ORDERS};', "a rule that forbids asks nobody"),
        (f'^@ask("desk") {HEAD};', "only the application's own actions can wait"),
        (
            '^@ask("desk") permit (principal, action == Action::"travel", resource);',
            "only the application's own actions can wait",
        ),
        (
            '^@ask("desk") permit (principal,\naction in [Action::"a.b", Action::"launch"], resource);',
            "only the application's own actions can wait",
        ),
    ],
)
def test_who_is_asked_is_declared_and_only_what_can_wait_is_asked(text: str, problem: str) -> None:
    text, place = marked(text)
    with pytest.raises(Misused) as refused:
        check_policy(text, ["order.place", "a.b"], name="eu.cedar", approvers=["desk", "officers"])
    expected = f"eu.cedar:{place}: "
    assert refused.value.problem.startswith(expected)
    assert problem in refused.value.problem
    assert refused.value.remedy


@pytest.mark.parametrize(
    "scope", ['action in Action::"application"', 'action == Action::"order.place"']
)
def test_a_rule_may_ask_about_the_applications_actions(scope: str) -> None:
    text = f'@ask("desk") permit (principal, {scope}, resource);'
    check_policy(text, ["order.place"], approvers=["desk"])
    with pytest.raises(Misused, match="there are none"):
        check_policy(text, ["order.place"])


@pytest.mark.parametrize(
    ("condition", "remedy"),
    [
        ("resource.regoin == 1", "There are accelerators, anchors, certifications, country,"),
        ("principal.isuer == 1", "There are code, depth, issuer, realm"),
        ("context.lables == 1", "There are confined, cost_micros, counterpart, effect, labels,"),
        ("resource has regoin", "There are accelerators, anchors, certifications, country,"),
        ("resource.price_micros < 1", "Ask first whether it is there: `resource has price_micros"),
        ("context.origin == resource", "Ask first whether it is there: `context has origin && "),
        ('action == Action::"fly"', "Declare it as an action of this document, or use amend, "),
    ],
)
def test_the_remedy_lists_what_there_is(condition: str, remedy: str) -> None:
    with pytest.raises(Misused) as refused:
        check_policy(f"{HEAD} when {{ {condition} }};")
    assert refused.value.remedy.startswith(remedy)


def test_the_place_in_a_long_rule_is_found_in_good_time() -> None:
    text, place = marked(f"{HEAD} when {{ [{'1,' * 20_000}^, 1] }};")
    with pytest.raises(Misused, match=f"d:{place}: unexpected token `,`"):
        check_policy(text, name="d")


def test_rules_say_where_they_stand_and_what_they_name() -> None:
    first, second, third = read_rules(
        PolicyDocument(name="eu-finance", text=EU_FINANCE, actions=("order.place",))
    )
    assert ("eu-only", 2, True) == (first.rule.id, first.rule.line, first.rule.permits)
    assert ("execute", "order.place", "travel") == first.rule.actions
    assert (("resource", "jurisdiction"),) == first.paths
    assert {"id": "confidential-stays", "reason": "GDPR article 44"} == second.rule.annotations
    assert (("context", "labels"), ("resource", "jurisdiction")) == second.paths
    assert '"confidential-stays" (eu-finance, line 10)' == second.rule.title
    assert "the rule at eu-finance, line 14" == third.rule.title


def test_a_rule_names_entities_and_the_origins_attributes() -> None:
    text = (
        'permit (principal == Agent::"a", action, resource in Zone::"z") when '
        "{ context has origin && context.origin has price_micros && context.origin.anchors > 3 };"
    )
    ((_, paths, *_),) = read_rules(PolicyDocument(name="d", text=text))
    origin = ("context", "origin")
    expected = [origin, (*origin, "anchors"), (*origin, "price_micros"), ("principal",)]
    assert (*expected, ("resource",)) == paths


def test_a_long_rule_is_shortened_in_decisions() -> None:
    text = f'{HEAD} when {{ context.step == "{"x" * 500}" }};'
    ((rule, *_),) = read_rules(PolicyDocument(name="d", text=text))
    assert (400, "…") == (len(rule.text), rule.text[-1])


WORDS = [
    "permit",
    "forbid",
    "(",
    ")",
    "principal",
    ",",
    "action",
    "resource",
    ";",
    "when",
    "{",
    "}",
]
WORDS += ["context", ".", "labels", "==", '"a"', "&&", "1", "@", "id", "?principal", "[", "]", "::"]


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_any_text_passes_or_is_refused(words: list[str]) -> None:
    with contextlib.suppress(Misused):
        check_policy(f"{HEAD};\n" + " ".join(words))
