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
from sojourn.core.protocol.assessment import Assessment, assess
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
    return assess(record, place=place.manifest, **(settings | given))


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


def test_what_another_zone_holds_is_not_at_hand_in_a_third() -> None:
    memory = Memory(compartments={"a": Compartment(form=Form.LOG, root=ZERO, held_by=b"z" * 32)})
    assert ("a",) == judged(record=replace(BOUND, memory=memory)).stays


def test_its_own_host_has_its_slot_already() -> None:
    full = Offer(slots=0)
    assert judged(HOME, envelopes=offers(HOME, offer=full)).capability.passes
    assert not judged(AWAY, envelopes=offers(AWAY, offer=full)).capability.passes


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
