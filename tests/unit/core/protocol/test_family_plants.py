"""Bugs planted into how families are held (protocol §8.13), each with the test that would find it."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.orders import Act
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol import edicts, kinship
from sojourn.core.protocol.messages import Declined, Propose, Voted
from sojourn.core.protocol.ordering import carrying
from tests.rulings import STRANGER
from tests.samples import document
from tests.unit.core.protocol import test_kinship
from tests.unit.core.protocol.family import Family


def fails(test: object) -> bool:
    """Tell whether a test finds something wrong."""
    assert callable(test)
    try:
        test()
    except (AssertionError, pytest.fail.Exception):
        return True
    return False


def freed() -> None:
    """A child that leaves its parent's documents behind gets no vote."""
    family = Family()
    child = family.child(family.a, family.parent)
    lax = document(name="lax")
    family.world.known.library[digest_of(lax.document)] = lax.document
    family.a.give(digest_of(lax.document))
    governance = replace(child.governance, documents=(digest_of(lax.document),))
    proposal = family.spawn_proposal(family.a, family.parent, replace(child, governance=governance))
    slot = family.a.slot(proposal, family.parent)
    reply = family.a.anchors[0].ask(Propose(slot=slot, round=0, proposal=proposal))
    assert isinstance(reply, Declined)


def test_the_plant_that_forgets_an_ancestors_documents_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not fails(freed)
    monkeypatch.setattr("sojourn.core.protocol.spawning.check_child", lambda *_, **__: None)
    assert fails(freed)


def test_the_plant_that_believes_any_zones_spawn_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent's chain of custody is not looked at: anybody's zone can have anybody's children."""
    made_up = (
        test_kinship.test_section_8_13_no_zone_can_have_the_child_of_an_agent_that_it_never_had
    )
    assert not fails(made_up)
    monkeypatch.setattr(kinship, "_check_chain", lambda *_: None)
    monkeypatch.setattr(kinship, "check_head", lambda *_, **__: None)
    assert fails(made_up)


def test_the_plant_that_forgets_what_was_ordered_of_ancestors_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def held() -> None:
        test_kinship.test_section_8_13_what_is_ordered_of_an_ancestor_binds_its_child_elsewhere(
            Act.QUARANTINE
        )

    assert not fails(held)
    monkeypatch.setattr(edicts, "_check_due", _own_alone)
    assert fails(held)


def _own_alone(order: object, record: object) -> None:
    if order.agent != record.agent_id:  # type: ignore[attr-defined]
        raise Rejected("not its own", reason="planted")


def test_the_plant_that_lets_go_of_what_a_parent_has_obeyed_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = test_kinship.test_section_8_13_what_was_carried_out_on_a_parent_is_told_on
    assert not fails(told)
    monkeypatch.setattr(edicts, "BINDING", {})
    assert fails(told)


def test_a_record_in_which_one_order_lifts_another_gets_no_vote() -> None:
    """To lift a parent's quarantine does not free the child of its own."""
    family = Family()
    family.parent, child = family.have(family.a, family.parent)
    child = test_kinship.carry(
        family, family.a, test_kinship.order(family, child, Act.QUARANTINE), child
    )
    child = test_kinship.carry(
        family, family.a, test_kinship.order(family, family.parent, Act.QUARANTINE), child
    )
    lift = test_kinship.order(family, family.parent, Act.LIFT)
    proposal = carrying(lift, child, STRANGER, at_ms=family.world.clock.wall_ms)
    record = proposal.transition.record
    freed_too = replace(record, eligibility=replace(record.eligibility, is_quarantined=False))
    transition = replace(proposal.transition, record=freed_too)
    forged = replace(proposal, transition=transition)
    slot = family.a.slot(forged, child)
    for wrong, answer in ((forged, Declined), (proposal, Voted)):
        reply = family.a.anchors[0].ask(Propose(slot=slot, round=0, proposal=wrong))
        assert isinstance(reply, answer)
