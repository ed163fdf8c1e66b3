"""The exit drill: judged by the agent's own policy and what was stated and sealed; nothing is moved."""

import dataclasses

import msgspec
import pytest

from sojourn.audit.drill import drill, hold_drill
from sojourn.audit.evidence import Evidence
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import News
from tests.unit.audit.scene import drilled, evidence, life

replace = msgspec.structs.replace


def news() -> News:
    return life()[2]


def at_home(**changes: object) -> Evidence:
    """Return the evidence with another newest record."""
    capsule = evidence().verified.capsule
    head: Certified = capsule.head
    record = replace(head.record, **changes)
    head = replace(head, transition=replace(head.transition, record=record))
    verified = dataclasses.replace(evidence().verified, capsule=replace(capsule, head=head))
    return dataclasses.replace(evidence(), verified=verified)


def test_it_says_where_the_agent_could_go_and_what_would_stay() -> None:
    told = {place.name: (place.may_go, place.stays) for place in drilled().places}
    assert {"a": (True, ()), "c": (False, ("book",))} == told
    assert "not to Singapore" in next(p.governance for p in drilled().places if p.name == "c")
    assert drilled().could_leave_zone
    assert not drilled().could_leave_provider, "all three are of one provider"
    assert not drilled().has_all_with_it
    assert drilled().transcript[-1] == "Leaving the zone: to a. Leaving the provider: to no place."


def test_the_present_is_when_the_newest_offer_was_made() -> None:
    assert max(each.envelope.issued_ms for each in news().envelopes) == drilled().at_ms


def test_it_is_made_again_from_its_statements() -> None:
    assert drilled() == hold_drill(evidence(), drilled().statements)


def test_another_provider_is_a_way_out_and_what_would_be_left_is_counted() -> None:
    home = evidence().manifests[evidence().record.custody.zone]
    attributes = replace(home.attributes, provider="somebody else's")
    manifests = {
        **evidence().manifests,
        home.zone_id: replace(home, zone=home.zone_id, attributes=attributes),
    }
    verified = dataclasses.replace(evidence().verified, manifests=manifests)
    found = drill(dataclasses.replace(evidence(), verified=verified), news())
    assert (True, 0) == (found.could_leave_provider, found.bytes_left)
    assert found.transcript[-1].endswith("Leaving the provider: to a.")


def test_who_was_ordered_to_stay_could_leave_nowhere() -> None:
    held = replace(evidence().record.eligibility, is_quarantined=True)
    found = drill(at_home(eligibility=held), news())
    assert ("it is dormant, in quarantine",) == found.hindered
    assert (False, False) == (found.could_leave_zone, found.could_leave_provider)
    assert any(place.may_go for place in found.places), "the places have not changed"


def test_without_trust_there_is_no_way_out() -> None:
    trust = replace(evidence().record.trust, issuers=())
    found = drill(at_home(trust=trust), news())
    assert not found.could_leave_zone
    assert found.places[0].trust.startswith("no: ")


def test_offers_that_have_run_out_are_no_way_out() -> None:
    late = [e for e in news().envelopes if e.envelope.zone == evidence().record.custody.zone]
    found = drill(evidence(), replace(news(), envelopes=tuple(late)))
    assert not found.could_leave_zone
    assert "no host there offers anything now" in found.places[0].capability


def test_whom_the_agent_relies_on_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many strangers' hosts are told of, those of endorsed zones are heard."""
    monkeypatch.setattr("sojourn.core.protocol.gossip.STRANGE_ENVELOPES_MAX", 0)
    assert drilled().places[0] == drill(evidence(), news()).places[0]


def test_a_forged_statement_is_no_statement() -> None:
    first, *rest = news().envelopes
    forged = replace(first, envelope=replace(first.envelope, price_micros=1))
    with pytest.raises(Rejected):
        drill(evidence(), replace(news(), envelopes=(forged, *rest)))


def test_where_nobody_states_anything_there_is_nothing_to_judge_by() -> None:
    with pytest.raises(Misused, match="no host of any zone has stated anything"):
        drill(evidence(), News())
