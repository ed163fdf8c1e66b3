"""What one anchor knows of one agent: which zones it needs the manifests of, and since when it waits."""

from typing import Any

import pytest
from msgspec.structs import FieldInfo, replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value
from sojourn.core.protocol import dossier as dossiers
from sojourn.core.protocol.custody import Chapter
from sojourn.core.protocol.dossier import (
    Arrival,
    CastRound,
    CastVote,
    Dossier,
    OpenSlot,
    Ruling,
    View,
    zones_of,
)
from sojourn.core.protocol.messages import Applied, Arrive
from tests.rulings import BOOT
from tests.unit.core.protocol.crossing import Crossing
from tests.unit.core.protocol.leaving_out import left_out, says_nothing
from tests.unit.core.protocol.stage import Stage


@pytest.fixture
def crossing() -> Crossing:
    return Crossing(deadline_ms=100)


@pytest.mark.parametrize(("struct", "field"), left_out(dossiers))
def test_what_is_not_known_of_an_agent_is_nothing(struct: type[Value], field: FieldInfo) -> None:
    assert says_nothing(field), struct


def test_what_was_ruled_and_on_what_is_not_changed_any_more() -> None:
    ruled = (OpenSlot, Dossier, View, CastVote, CastRound, Ruling)
    assert all(struct.__struct_config__.frozen for struct in ruled)
    with pytest.raises(TypeError):
        Ruling(Applied())  # type: ignore[misc]


def zones(crossing: Crossing, **known: Any) -> str:
    """Return the names of the zones of a dossier, joined."""
    found = zones_of(Dossier(agent=crossing.agent, **known))
    return "".join(sorted(crossing.world.known.manifests[zone].name for zone in found))


def test_a_dossier_needs_the_manifests_of_all_who_decided_what_stands_in_it(
    crossing: Crossing,
) -> None:
    world, a, b, c = crossing.world, crossing.a, crossing.b, crossing.c
    gone = crossing.arrived()
    opened = Chapter(opened=crossing.head)
    assert ("", "a", "a") == (
        zones(crossing),
        zones(crossing, head=crossing.head),
        zones(crossing, chapter=opened),
    )
    assert "ab" == zones(crossing, head=gone), "who holds it is not known here yet"
    assert "a" == zones(crossing, chapter=replace(opened, closed=gone))
    there = world.arrive(b, gone, crossing.visa, crossing.ask)
    assert "b" == zones(crossing, onward=there)
    further, _, _ = world.depart(b, c, there, deadline_ms=100)
    assert "bc" == zones(crossing, onward=further)
    refusal = replace(gone, certificate=there.certificate)
    assert "b" == zones(crossing, refusal=refusal)
    assert "ab" == zones(crossing, chapter=replace(opened, refusal=refusal))
    assert "abc" == zones(crossing, head=gone, onward=further, chapter=opened)
    assert a.zone in zones_of(a.anchors[0].dossier(crossing.agent))


def test_trap_17_what_was_seen_before_a_restart_was_seen_at_its_beginning(
    crossing: Crossing,
) -> None:
    """Another boot's clock says nothing here; so an anchor waits longer, never shorter."""
    arrive = Arrive(departure=crossing.depart(), visa=crossing.visa)
    arrival = Arrival(arrive=arrive, seen_ms=700, boot=BOOT)
    assert (700, 0) == (arrival.seen_at(BOOT), arrival.seen_at(digest(b"another boot")))


def test_a_proposal_is_found_by_the_value_that_is_voted_on() -> None:
    stage = Stage()
    state = OpenSlot(slot=stage.slot, entered_ms=0, proposals=(stage.x, stage.y))
    for proposal in (stage.x, stage.y):
        assert proposal == state.proposal_of(proposal.transition.digest)
    assert state.proposal_of(digest(b"no value")) is None


def test_what_is_promised_are_the_terms_that_were_applied_for(crossing: Crossing) -> None:
    dossier = Dossier(agent=crossing.agent, application=crossing.ask)
    assert crossing.ask.terms == dossier.promised
    assert Dossier(agent=crossing.agent).promised is None
