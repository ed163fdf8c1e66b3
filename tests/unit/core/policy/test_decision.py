"""Decisions as evidence, and as people read them."""

from msgspec.structs import replace

from sojourn.core.base.encoding import decode, encode
from sojourn.core.policy.decision import Ask, Decision, PartyDecision, Verdict
from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.engine import PreparedPolicy, evaluate, evaluate_all, prepare
from sojourn.core.policy.memo import Memo
from tests.unit.core.policy.samples import VIRGINIA, eu_finance, policy, request, zone

EU_ONLY = (
    '    "eu-only" (eu-finance, line 2): permit ( principal, action in [Action::"execute", '
    'Action::"travel", Action::"order.place"], resource ) '
    'when { resource.jurisdiction.contains("EU") }'
)


def test_a_permission_says_by_which_rule() -> None:
    assert [
        'Permitted: "execute" in zone "aws-eu-west-1" (id-of-aws-eu-west-1) for agent agent-1.',
        "The agent's policy permits it, by:",
        EU_ONLY,
        "The values it saw:",
        '    resource.jurisdiction = ["EU", "IE"]',
    ] == evaluate(eu_finance(), request("execute")).explain("the agent's policy").splitlines()


def test_a_forbidden_move_says_what_would_have_to_change() -> None:
    asked = request(where=VIRGINIA, labels=("client-confidential",))
    assert [
        'Denied: "travel" to zone "aws-us-east-1" (id-of-aws-us-east-1) for agent agent-1.',
        "The agent's policy forbids it, by:",
        (
            '    "confidential-stays" (eu-finance, line 10): forbid (principal, action == '
            'Action::"travel", resource) when { context.labels.contains("client-confidential") && '
            '!resource.jurisdiction.contains("EU") }'
        ),
        "        reason: GDPR article 44",
        "The values it saw:",
        '    context.labels = ["client-confidential"]',
        '    resource.jurisdiction = ["US"]',
        (
            "To change this: the values above must change, or the policy's issuer must change the "
            "rules, until none forbids it."
        ),
    ] == evaluate(eu_finance(), asked).explain("the agent's policy").splitlines()


def test_unmet_conditions_are_listed_with_the_values() -> None:
    asked = request(where=zone("x", jurisdiction=(), price_micros=None))
    assert [
        'Denied: "travel" to zone "x" (id-of-x) for agent agent-1.',
        "The policy does not permit it. Its permit rules about this do not apply here:",
        EU_ONLY,
        (
            '    the rule at eu-finance, line 14: permit (principal, action == Action::"travel", '
            "resource) when { resource has price_micros && resource.price_micros == 0 }"
        ),
        "The values it saw:",
        "    resource.jurisdiction = []",
        "    resource.price_micros = (absent)",
        (
            "To change this: the values above must change, or the policy's issuer must change the "
            "rules, until one permits it."
        ),
    ] == evaluate(eu_finance(), asked).explain().splitlines()


def test_an_action_that_no_rule_is_about_needs_a_rule() -> None:
    lines = evaluate(eu_finance(), request("retire")).explain("the zone's policy").splitlines()
    about = (
        "The zone's policy does not permit it anywhere. Its permit rules are about other things:"
    )
    assert [about, EU_ONLY] == lines[1:3]
    remedy = 'To change this: the policy\'s issuer must add a rule that permits "retire".'
    assert (5, remedy) == (len(lines), lines[-1])


def test_what_could_not_be_evaluated_says_so() -> None:
    assert [
        'Denied: "order.cancel" in zone "aws-eu-west-1" (id-of-aws-eu-west-1) for agent agent-1.',
        "The policy could not be evaluated, and what cannot be evaluated is denied:",
        '    the action "order.cancel" is not declared by these policy documents',
        (
            "To change this: what could not be evaluated must be corrected, in the request or the "
            "policy."
        ),
    ] == evaluate(eu_finance(), request("order.cancel")).explain().splitlines()


def test_rules_left_out_are_counted() -> None:
    decision = evaluate(policy("permit (principal, action, resource);" * 18), request())
    assert "    and 2 more" == decision.explain().splitlines()[-1]


def test_a_verdict_tells_every_denial_and_only_those() -> None:
    parties = [
        ("the agent's policy", eu_finance()),
        ("the zone's policy", policy('permit (principal, action == Action::"retire", resource);')),
    ]
    denied = evaluate_all(parties, request(), Memo())
    assert denied.decisions[1].decision.explain("the zone's policy") == denied.explain()
    permitted = evaluate_all(parties[:1] * 2, request(), Memo())
    told = permitted.decisions[0].decision.explain("the agent's policy")
    assert f"{told}\n\n{told}" == permitted.explain()
    nobody = "Denied: no policy was asked, and what no policy permits is denied."
    assert nobody == Verdict(decisions=()).explain()


def test_what_a_terminal_would_obey_is_escaped() -> None:
    hostile = "\x1b[2Jgr\u00fcn\u202e\n"
    asked = request("execute", zone(hostile, id="z"), labels=(hostile,), step=hostile)
    text = (
        'permit (principal, action, resource) when { context.step == "" && context.labels == [] };'
    )
    text = text.replace("[]", '["a"]')
    decision = replace(evaluate(policy(text), asked), agent=hostile, action=hostile)
    told = decision.explain()
    assert told.replace("\n", "").isprintable()
    assert 4 == told.count("\\x1b[2Jgr\u00fcn\\u202e\\n") - 1


def test_decisions_and_verdicts_survive_encoding() -> None:
    decisions = [
        evaluate(eu_finance(), request(where=VIRGINIA, labels=("client-confidential",))),
        evaluate(eu_finance(), request(where=zone(price_micros=None))),
        evaluate(eu_finance(), request("order.cancel")),
        evaluate(
            policy("permit (principal, action, resource) when { context.confined };"), request()
        ),
    ]
    for decision in decisions:
        assert decision == decode(encode(decision), Decision, what="decision", limit=10_000)
    verdict = Verdict(decisions=tuple(PartyDecision(party="p", decision=d) for d in decisions))
    assert verdict == decode(encode(verdict), Verdict, what="verdict", limit=10_000)


ASKING = """
@id("orders") @ask("desk") permit (principal, action == Action::"order.place", resource)
when { context.cost_micros < 9 };
@id("small") permit (principal, action == Action::"order.place", resource)
when { context.cost_micros < 2 };
@id("others") @ask("risk") permit (principal, action in Action::"application", resource);
forbid (principal, action, resource) when { context.cost_micros > 99 };
"""


def asking() -> PreparedPolicy:
    document = PolicyDocument(
        name="rules", text=ASKING, actions=("order.place",), approvers=("desk", "risk")
    )
    return prepare((document,))


def test_what_waits_for_an_approval_says_for_whose() -> None:
    decision = evaluate(asking(), request("order.place", cost_micros=5))
    told = decision.explain("the agent's policy").splitlines()
    assert told[0].startswith('Needs approval: "order.place" in zone "aws-eu-west-1"')
    assert "The agent's policy permits it once it is approved, by:" == told[1]
    assert 'To change this: "desk" or "risk" must approve it.' == told[-1]
    assert not decision.permitted
    assert (Ask(document="rules", group="desk"), Ask(document="rules", group="risk")) == (
        decision.asks
    )
    assert decision == decode(encode(decision), Decision, what="decision", limit=65_536)


def test_a_plain_rule_makes_asking_needless_and_a_forbid_useless() -> None:
    small = evaluate(asking(), request("order.place", cost_micros=1))
    assert ("permit", ["small"], ()) == (small.basis, [r.id for r in small.rules], small.asks)
    large = evaluate(asking(), request("order.place", cost_micros=100))
    assert ("forbid", ()) == (large.basis, large.asks)


def test_a_verdict_asks_only_if_all_others_permit() -> None:
    asks = PartyDecision(
        party="the agent's policy", decision=evaluate(asking(), request("order.place"))
    )
    asks = replace(asks, decision=evaluate(asking(), request("order.place", cost_micros=5)))
    other = replace(asks, party="the zone's policy")
    permits = replace(other, decision=replace(other.decision, basis="permit", asks=()))
    denies = replace(other, decision=replace(other.decision, basis="unmet", asks=()))
    assert (asks.decision,) == Verdict(decisions=(asks, permits)).asking
    assert (asks.decision, other.decision) == Verdict(decisions=(asks, permits, other)).asking
    assert not Verdict(decisions=(asks, permits)).permitted
    for others in ((denies,), (other, denies), (permits, denies)):
        assert () == Verdict(decisions=(asks, *others)).asking
    assert () == Verdict(decisions=(permits,)).asking
    assert () == Verdict(decisions=()).asking
