"""The agent's judgement of a place: three questions, asked apart, each answered with its reasons."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Offer, Requirements
from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.trust import Trust, TrustedIssuer
from sojourn.core.base.digests import ZERO
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol.assessment import Assessment, ask_to_execute, assess
from sojourn.core.zone.envelope import Envelope
from tests.samples import (
    ISSUER,
    NOW_MS,
    PERMIT_ALL,
    SampleZone,
    document,
    endorsement,
    envelope,
    found,
    genesis,
    governed_by,
    governing,
)

HOME, AWAY = found("home"), found("away", jurisdiction=("US",))
AGENT: AgentRecord = genesis(HOME).transition.record
BOUND = replace(AGENT, custody=replace(AGENT.custody, host=HOME.hosts[0].public, binding=1))
TRUSTED = [endorsement(HOME.zone), endorsement(AWAY.zone)]


def offers(zone: SampleZone, **changes: Any) -> dict[bytes, Envelope]:
    """Return an envelope of the zone's first host, changed."""
    host = zone.hosts[0]
    return {host.public: envelope(zone, host, **changes).envelope}


def judged(place: SampleZone = AWAY, record: AgentRecord = BOUND, **given: Any) -> Assessment:
    settings: dict[str, Any] = {
        "documents": (document().document,),
        "envelopes": offers(place),
        "endorsements": TRUSTED,
        "home": HOME.manifest,
        "memo": Memo(),
        "now_ms": NOW_MS,
    }
    asked = settings | given
    return assess(governed_by(record, *asked["documents"]), place=place.manifest, **asked)


def answers(found_out: Assessment) -> tuple[bool, bool, bool]:
    return (found_out.governance.passes, found_out.capability.passes, found_out.trust.passes)


def rules(cedar: str) -> tuple[Document, ...]:
    return (document(cedar).document,)


def test_architecture_4_a_place_is_eligible_if_all_three_questions_are_answered_with_yes() -> None:
    there = judged()
    assert ((True, True, True), True, False) == (answers(there), there.eligible, there.current)
    assert (AWAY.zone, "away", AWAY.hosts[0].public, 1000) == (
        there.zone,
        there.name,
        there.host,
        there.price_micros,
    )


def test_section_8_3_a_policy_that_does_not_hold_now_permits_no_place() -> None:
    """It was judged as if it held, and the agent set out for a place that had to refuse it."""
    for changes in ({"not_after_ms": NOW_MS}, {"not_before_ms": NOW_MS + 1}):
        found_out = judged(documents=(document(**changes).document,))
        assert (False, True, True) == answers(found_out)
        assert "outside its window" in found_out.governance.reasons[0]


NOWHERE = 'permit (principal, action == Action::"launch", resource);'
NO_TRAVEL = PERMIT_ALL + 'forbid (principal, action == Action::"travel", resource);'
NEEDY = replace(BOUND.capabilities, requires=Requirements(gpus=1))
WARY = Trust(issuers=(TrustedIssuer(name="acme", key=ISSUER.public),), minimum={"execute": 9})


@pytest.mark.parametrize(
    ("given", "expected", "because"),
    [
        ({"documents": rules(NOWHERE)}, (False, True, True), "does not permit"),
        ({"documents": rules(NO_TRAVEL)}, (False, True, True), "forbids it"),
        ({"documents": rules("nonsense")}, (False, True, True), "cannot be evaluated"),
        ({"documents": ()}, (False, True, True), "never permit"),
        ({"record": replace(BOUND, capabilities=NEEDY)}, (True, False, True), "needs 1 GPUs"),
        ({"envelopes": {}}, (True, False, True), "no host there offers anything"),
        ({"endorsements": []}, (True, True, False), "no issuer I know"),
        ({"record": replace(BOUND, trust=WARY)}, (True, True, False), "9"),
    ],
)
def test_each_question_has_an_answer_of_its_own_and_says_why(
    given: dict[str, Any], expected: tuple[bool, bool, bool], because: str
) -> None:
    there = judged(**given)
    assert (expected, False) == (answers(there), there.eligible)
    failing = (there.governance, there.capability, there.trust)[expected.index(False)]
    assert because in " ".join(failing.reasons)


def test_what_passes_says_why_as_well() -> None:
    there = judged()
    [permitted] = there.governance.reasons
    for rule in ("the rule at acme/rules, line 1", "home, line 1", "away, line 1"):
        assert 1 == permitted.count(rule)
    assert ("a host there offers all that is required",) == there.capability.reasons
    assert (
        "acme endorses it at level 5",
        "travel needs 1 and has 5, execute needs 1 and has 5",
    ) == there.trust.reasons
    [needs] = [reason for reason in judged(HOME).trust.reasons if "needs" in reason]
    assert "execute needs 1 and has 5" == needs


def test_what_hosts_lack_is_said_once_and_the_best_offer_is_still_told() -> None:
    first, second = AWAY.hosts
    dear = envelope(AWAY, first, price_micros=900).envelope
    cheap = envelope(AWAY, second, price_micros=1).envelope
    needy = replace(BOUND, capabilities=NEEDY)
    there = judged(record=needy, envelopes={dear.host: dear, cheap.host: cheap})
    assert 1 == len(there.capability.reasons)
    assert (second.public, 1) == (there.host, there.price_micros)
    small = envelope(AWAY, second, price_micros=1, offer=Offer(gpus=1)).envelope
    both = judged(record=needy, envelopes={dear.host: dear, small.host: small}).capability.reasons
    assert any("GPU" in reason for reason in both) and any("slot" in reason for reason in both)
    nobody = judged(envelopes={})
    assert (None, None) == (nobody.host, nobody.price_micros)


def test_of_hosts_of_one_price_it_is_the_same_one_for_whoever_asks() -> None:
    known = {host.public: envelope(AWAY, host).envelope for host in AWAY.hosts}
    turned = dict(reversed(known.items()))
    assert min(known) == judged(envelopes=known).host == judged(envelopes=turned).host


def test_the_agents_policy_may_ask_where_a_move_would_start() -> None:
    leaving = ' when { context has origin && context.origin.name == "home" };'
    stay = PERMIT_ALL + 'forbid (principal, action == Action::"travel", resource)' + leaving
    assert (False, True, True) == answers(judged(documents=rules(stay)))
    assert (True, True, True) == answers(judged(documents=rules(stay.replace("home", "away"))))


def test_where_it_is_it_asks_only_whether_it_may_stay() -> None:
    here = judged(HOME, documents=rules(NO_TRAVEL))
    assert ((True, True, True), True) == (answers(here), here.current)


NO_EXECUTE = PERMIT_ALL + 'forbid (principal, action == Action::"execute", resource);'
APART = (
    PERMIT_ALL
    + 'forbid (principal, action == Action::"execute", resource) unless { context.own_process };'
)


@pytest.mark.parametrize(
    ("policies", "permitted"),
    [
        ({"home": NO_EXECUTE}, True),
        ({"away": NO_EXECUTE}, False),
        ({"home": NO_TRAVEL}, False),
        ({"away": NO_TRAVEL}, False),
        ({"away": APART}, True),
    ],
    ids=[
        "home forbids to execute",
        "the place forbids to execute",
        "home lets none go",
        "the place lets none in",
        "the place wants it in a process of its own",
    ],
)
def test_section_4_both_zones_are_asked_about_travel_and_the_place_alone_about_what_runs_there(
    policies: dict[str, str], permitted: bool
) -> None:
    home, away = (found(name, policy=policies.get(name, PERMIT_ALL)) for name in ("home", "away"))
    custody = replace(BOUND.custody, zone=home.zone)
    there = judged(
        away,
        replace(BOUND, custody=custody),
        home=home.manifest,
        endorsements=[endorsement(home.zone), endorsement(away.zone)],
    )
    assert (permitted, True, True) == answers(there)


CONFINED = (
    PERMIT_ALL
    + 'forbid (principal, action == Action::"execute", resource) unless { context.confined };'
)


@pytest.mark.parametrize(
    ("policy", "confines", "permitted", "circumstances"),
    [
        (PERMIT_ALL, True, True, ""),
        (APART, True, True, "own_process"),
        (CONFINED, True, True, "own_process confined"),
        (CONFINED, False, False, "own_process"),
        (NO_EXECUTE, True, False, "own_process confined"),
        (NO_EXECUTE, False, False, "own_process"),
    ],
)
def test_section_4_more_is_asked_for_only_if_less_is_denied_and_confinement_where_it_is_to_be_had(
    policy: str, confines: bool, permitted: bool, circumstances: str
) -> None:
    place = found("place", policy=policy)
    answer, asked = ask_to_execute(
        BOUND, governing(BOUND, document().document), place.manifest, Memo(), confines=confines
    )
    named = [name for name in ("own_process", "confined") if getattr(asked, name)]
    assert (permitted, circumstances) == (answer.permitted, " ".join(named))


@pytest.mark.parametrize(("policy", "permitted"), [(PERMIT_ALL, True), (NO_EXECUTE, False)])
@pytest.mark.parametrize("confines", [True, False])
def test_an_agent_that_requires_to_be_confined_asks_for_nothing_less(
    policy: str, permitted: bool, confines: bool
) -> None:
    needs = replace(BOUND.capabilities, requires=Requirements(confined=True))
    place = found("place", policy=policy)
    answer, asked = ask_to_execute(
        replace(BOUND, capabilities=needs),
        governing(BOUND, document().document),
        place.manifest,
        Memo(),
        confines=confines,
    )
    assert (permitted, True) == (answer.permitted, asked.confined)


def test_where_policies_want_it_confined_only_a_host_that_confines_will_do() -> None:
    away = found("away", policy=CONFINED)
    first, second = away.hosts
    cheap = envelope(away, first, price_micros=1, offer=Offer(slots=1)).envelope
    dear = envelope(away, second, price_micros=900, offer=Offer(slots=1, confines=True)).envelope
    settings = {"endorsements": [endorsement(HOME.zone), endorsement(away.zone)]}
    there = judged(away, envelopes={cheap.host: cheap, dear.host: dear}, **settings)
    assert ((True, True, True), second.public) == (answers(there), there.host)
    alone = judged(away, envelopes={cheap.host: cheap}, **settings)
    assert not alone.governance.passes
    free = judged(AWAY, envelopes=offers(AWAY, offer=Offer(slots=1)))
    assert (True, True, True) == answers(free)


def test_what_another_zone_holds_is_not_at_hand_in_a_third() -> None:
    memory = Memory(compartments={"a": Compartment(form=Form.LOG, root=ZERO, held_by=b"z" * 32)})
    assert ("a",) == judged(record=replace(BOUND, memory=memory)).stays


def test_its_own_host_has_its_slot_already() -> None:
    full = Offer(slots=0)
    assert judged(HOME, envelopes=offers(HOME, offer=full)).capability.passes
    assert not judged(AWAY, envelopes=offers(AWAY, offer=full)).capability.passes
    other = envelope(HOME, HOME.hosts[1], offer=full).envelope
    assert not judged(HOME, envelopes={other.host: other}).capability.passes


def test_the_cheapest_host_that_fits_is_the_one() -> None:
    first, second = AWAY.hosts
    cheap = envelope(AWAY, first, price_micros=1, offer=Offer(slots=0)).envelope
    dear = envelope(AWAY, second, price_micros=900).envelope
    there = judged(envelopes={cheap.host: cheap, dear.host: dear})
    assert (second.public, 900) == (there.host, there.price_micros)


def test_a_strangers_odd_versions_are_a_mismatch_and_no_accident() -> None:
    needs = replace(BOUND.capabilities, requires=Requirements(packages=("arch>=7",)))
    odd = Offer(slots=1, packages={"arch": "²"})
    there = judged(record=replace(BOUND, capabilities=needs), envelopes=offers(AWAY, offer=odd))
    assert not there.capability.passes


def test_what_would_stay_behind_is_named() -> None:
    memory = Memory(
        compartments={
            "a": Compartment(form=Form.LOG, root=ZERO, residency=("EU",)),
            "b": Compartment(form=Form.LOG, root=ZERO),
        }
    )
    assert ("a",) == judged(record=replace(BOUND, memory=memory)).stays
    assert () == judged(HOME, record=replace(BOUND, memory=memory)).stays
