"""Permission at a boundary (protocol §4): what policies are told, and that both parties must permit."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.governance import issuer_id
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, cid_text, digest
from sojourn.core.base.errors import Denied
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import AgentEntity, PolicyRequest, RequestContext, ZoneEntity
from sojourn.core.protocol.permission import (
    agent_policy,
    ask,
    check_permitted,
    check_trusted,
    entity_of,
    travel_context,
    zone_policy,
)
from sojourn.core.zone.manifest import Attributes, ZoneManifest
from tests.samples import (
    NOW_MS,
    PERMIT_ALL,
    document,
    endorsement,
    found,
    genesis,
    governed_by,
    governing,
)

HOME = found("home")
EU, US = found("eu", jurisdiction=("EU", "IE")), found("us", jurisdiction=("US",))


def kept(**fields: Any) -> Compartment:
    return Compartment(form=Form.LOG, root=ZERO, **fields)


def agent(**compartments: Compartment) -> AgentRecord:
    return genesis(HOME, memory=Memory(compartments=compartments)).transition.record


def verdict(
    cedar: str = PERMIT_ALL,
    *,
    place: ZoneManifest = EU.manifest,
    ruled_by: ZoneManifest = HOME.manifest,
    origin: ZoneManifest | None = None,
    action: str = "travel",
    **context: Any,
) -> Any:
    text = document(cedar, actions=("order.place",)).document
    record, asked = governed_by(agent(), text), RequestContext(**context)
    ruling = governing(record, text)
    return ask(record, ruling, action, place, ruled_by, asked, Memo(), origin)


# Who asks


def test_section_8_policies_are_told_the_issuers_identifier_and_not_its_name() -> None:
    named = cid_text(issuer_id(document().document))
    when = "permit (principal, action, resource) when {{ principal.issuer == {} }};"
    assert verdict(when.format(f'"{named}"')).permitted
    assert not verdict(when.format('"acme"')).permitted


def test_section_4_a_question_is_the_whole_of_who_asks_what_where_and_from_where() -> None:
    asked = RequestContext(labels=("client",), cost_micros=5)
    naming = PERMIT_ALL + "forbid (principal, action, resource) when { context.cost_micros > 5 };"
    text = document(naming).document
    record = governed_by(agent(), text)
    ruling = governing(record, text)
    answer = ask(record, ruling, "travel", EU.manifest, HOME.manifest, asked, Memo(), US.manifest)
    agent_entity = AgentEntity(
        id=cid_text(record.agent_id),
        issuer=cid_text(issuer_id(document().document)),
        code=cid_text(record.capabilities.code),
        realm=record.realm,
    )
    zones = {"zone": entity_of(EU.manifest), "origin": entity_of(US.manifest)}
    request = PolicyRequest(agent=agent_entity, action="travel", context=asked, **zones)
    assert {request.digest()} == {each.decision.request_digest for each in answer.decisions}
    assert ("the agent's policy", "the zone's policy") == tuple(
        each.party for each in answer.decisions
    )


def test_an_agent_without_documents_has_no_issuer_and_no_permission() -> None:
    record, asked = governed_by(agent()), RequestContext()
    with pytest.raises(Denied, match="the agent's policy cannot be evaluated"):
        ask(record, governing(record), "travel", EU.manifest, HOME.manifest, asked, Memo())


def test_section_8_nobody_is_judged_by_what_rules_another() -> None:
    ruling = governing(agent(), document().document)
    other = governed_by(agent(), document(name="other").document)
    with pytest.raises(AssertionError, match="by what rules it"):
        ask(other, ruling, "travel", EU.manifest, HOME.manifest, RequestContext(), Memo())


# What a move is judged by


def test_what_travels_is_told_apart_from_what_stays_behind() -> None:
    record = agent(
        free=kept(labels=("public",)),
        eu=kept(labels=("client",), residency=("EU",)),
        us=kept(labels=("public", "payroll"), residency=("US",)),
    )
    to_eu, to_us = travel_context(record, EU.manifest), travel_context(record, US.manifest)
    assert (("client", "public"), ("payroll",)) == (to_eu.labels, to_eu.labels_dropped)
    assert (("EU",), ("US",)) == (to_eu.residency, to_eu.residency_dropped)
    assert (("payroll", "public"), ("client",)) == (to_us.labels, to_us.labels_dropped)


def test_what_another_zone_holds_does_not_travel_wherever_it_might_reside() -> None:
    record = agent(
        left=kept(labels=("client",), residency=("EU",), held_by=digest(b"another zone")),
        there=kept(labels=("ledger",), held_by=EU.zone),
    )
    context = travel_context(record, EU.manifest)
    assert ((), ("client", "ledger")) == (context.labels, context.labels_dropped)


def test_a_zone_is_what_its_manifest_says() -> None:
    entity = entity_of(EU.manifest)
    assert ("eu", 4, 1, ("EU", "IE")) == (
        entity.name,
        entity.anchors,
        entity.operators,
        entity.jurisdiction,
    )
    assert entity.price_micros is None  # 0 in a manifest means that it is not stated
    attributes = Attributes(
        provider="acme",
        region="dublin-1",
        country="Ireland",
        jurisdiction=("IE",),
        certifications=("iso27001",),
        accelerators=("tpu",),
        price_micros=7,
    )
    manifest = replace(EU.manifest, attributes=attributes, name="other")
    assert entity_of(manifest) == ZoneEntity(
        id=cid_text(manifest.zone_id),
        name="other",
        provider="acme",
        region="dublin-1",
        country="Ireland",
        anchors=4,
        operators=1,
        jurisdiction=("IE",),
        certifications=("iso27001",),
        accelerators=("tpu",),
        price_micros=7,
    )


def test_operators_are_counted_each_once() -> None:
    first, *others = EU.manifest.anchors
    manifest = replace(EU.manifest, anchors=(replace(first, operator="somebody"), *others))
    assert (4, 2) == (entity_of(manifest).anchors, entity_of(manifest).operators)


def test_trap_50_what_is_remembered_of_places_is_bounded() -> None:
    for remembered in (entity_of, zone_policy):
        assert remembered.cache_parameters()["maxsize"] is not None


# Who must permit


ONLY_EU = 'permit (principal, action, resource) when { resource.jurisdiction.contains("EU") };'


def test_the_agents_policy_and_the_zones_must_both_permit() -> None:
    strict = found("strict", policy='permit (principal, action == Action::"launch", resource);')
    for cedar, place, ruled_by, denied in (
        (PERMIT_ALL, EU, HOME, ()),
        (ONLY_EU, EU, HOME, ()),
        (ONLY_EU, US, HOME, ("the agent's policy",)),
        (PERMIT_ALL, EU, strict, ("the zone's policy",)),
        (ONLY_EU, US, strict, ("the agent's policy", "the zone's policy")),
    ):
        found_out = verdict(cedar, place=place.manifest, ruled_by=ruled_by.manifest)
        assert denied == found_out.denied_by
        if denied:
            with pytest.raises(Denied):
                check_permitted(found_out)
        else:
            check_permitted(found_out)


def test_a_policy_may_ask_where_a_move_would_start() -> None:
    cedar = (
        "permit (principal, action, resource);"
        "forbid (principal, action, resource)"
        ' when { context has origin && context.origin.jurisdiction.contains("US") };'
    )
    assert verdict(cedar, origin=HOME.manifest).permitted
    assert not verdict(cedar, origin=US.manifest).permitted
    assert verdict(cedar).permitted


def test_a_denial_says_who_by_which_rule_and_with_which_values() -> None:
    with pytest.raises(Denied) as caught:
        check_permitted(verdict(ONLY_EU, place=US.manifest))
    said = str(caught.value)
    assert "The agent's policy does not permit it" in said
    assert "acme/rules, line 1" in said
    assert 'resource.jurisdiction = ["US"]' in said


ORDERS = 'permit (principal, action == Action::"order.place", resource);'


def test_section_4_an_action_is_declared_by_the_agents_documents_and_the_zones_policy_judges_it() -> (
    None
):
    """By its name, if the zone declares it as well; as one of any application, if not."""
    foreign = found(
        "foreign", policy='permit (principal, action == Action::"application", resource);'
    )
    own = found("own", policy=ORDERS)
    declares = replace(own.manifest, policy_actions=("order.place",))
    for ruled_by in (HOME.manifest, foreign.manifest, declares):
        answer = verdict(ORDERS, action="order.place", ruled_by=ruled_by)
        assert answer.permitted, answer.explain()
    assert not verdict(ORDERS, action="order.cancel").permitted


def test_a_zone_whose_policy_cannot_be_evaluated_denies() -> None:
    with pytest.raises(Denied, match="the zone's policy cannot be evaluated"):
        verdict(ruled_by=found("bad", policy="permit (").manifest)


def test_rules_are_told_by_issuer_document_and_zone() -> None:
    agents, zones = verdict().decisions
    assert ["acme/rules"] == [rule.document for rule in agents.decision.rules]
    assert ["home"] == [rule.document for rule in zones.decision.rules]


def test_two_documents_of_one_name_are_no_policy() -> None:
    same = (document().document, document(version=2).document)
    with pytest.raises(Denied):
        agent_policy(same)
    with pytest.raises(Denied):
        agent_policy(())


def test_each_agent_is_told_as_itself_however_many_were_asked_about() -> None:
    when = "permit (principal, action, resource) when {{ principal.{} == {} }};"
    first, second = agent(), agent(notes=kept())
    wanted = replace(
        second, capabilities=replace(second.capabilities, code=digest(b"other")), realm="other"
    )
    told = {"code": f'"{cid_text(digest(b"other"))}"', "realm": '"other"'}
    for name, value in told.items():
        text = document(when.format(name, value)).document
        place, asked, memo = EU.manifest, RequestContext(), Memo()
        agents = [governed_by(each, text) for each in (first, second, wanted, first)]
        answers = [
            ask(each, governing(each, text), "travel", place, HOME.manifest, asked, memo).denied_by
            for each in agents
        ]
        assert [("the agent's policy",)] * 2 + [()] + [("the agent's policy",)] == answers


BY_COST = "permit (principal, action, resource) when { context.cost_micros < 5 };"


@pytest.mark.parametrize(
    ("agents", "zones", "kept"), [(PERMIT_ALL, PERMIT_ALL, 2), (BY_COST, PERMIT_ALL, 6)]
)
def test_section_8_a_cost_that_no_policy_names_is_no_part_of_the_question(
    agents: str, zones: str, kept: int
) -> None:
    for ruling, ruled in ((agents, zones), (zones, agents)):
        memo, home = Memo(), found("home", policy=ruled).manifest
        text = document(ruling, actions=("order.place",)).document
        record = governed_by(agent(), text)
        governed = governing(record, text)
        answers = [
            ask(record, governed, "order.place", home, home, asked, memo).permitted
            for asked in (RequestContext(cost_micros=4), RequestContext(cost_micros=6))
        ]
        assert [True, kept == 2] == answers
        assert ask(record, governed, "order.place", home, home, RequestContext(), memo).permitted
        assert kept == len(memo)


# Trust beside permission


def test_trust_is_a_question_of_its_own() -> None:
    known = [endorsement(EU.zone, 1)]
    check_trusted(agent(), EU.zone, "travel", known, NOW_MS)
    with pytest.raises(Denied, match="trust for travel is 0, 1 is needed"):
        check_trusted(agent(), US.zone, "travel", known, NOW_MS)
