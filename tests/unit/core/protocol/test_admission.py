"""Crossing a border (protocol §5): departed, arrived, admitted; never twice (traps 20 to 23)."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.protocol.admission import admitted, departed, returned
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Arrive,
    Declined,
    Evidence,
    Head,
    Need,
    Propose,
    Voted,
)
from sojourn.core.protocol.validate import slot_for
from sojourn.core.quorum.votes import Phase
from tests.rulings import World
from tests.samples import found, key
from tests.unit.core.protocol.crossing import MEMORY, ROOTS, Crossing, refused


@pytest.fixture
def crossing() -> Crossing:
    return Crossing()


# Records on both sides


def test_section_2_departing_changes_status_and_says_where_to(crossing: Crossing) -> None:
    before, slot = crossing.head.record, crossing.head.certificate.slot
    gone = departed(before, slot, crossing.visa, crossing.b.manifest)
    assert Status.DEPARTED is gone.eligibility.status
    assert gone.migration is not None
    assert (crossing.b.zone, 1, crossing.visa.digest) == (
        gone.migration.to_zone,
        gone.migration.next_term,
        gone.migration.visa,
    )
    assert (before.memory, before.custody) == (gone.memory, gone.custody)


def test_section_5_a_compartment_that_may_not_reside_there_stays_with_its_source() -> None:
    world = World("a", "b")
    overseas = world.found("overseas", jurisdiction=("US",))
    a, b = world.zones
    world.zones.append(overseas)
    for zone in world.zones:
        zone.give(*ROOTS.values())
    head = world.launch(a, memory=MEMORY)
    gone, visa, ask = world.depart(a, overseas, head)
    there = world.arrive(overseas, gone, visa, ask)
    holders = {n: c.held_by for n, c in there.record.memory.compartments.items()}
    assert {"free": None, "eu": a.zone} == holders
    gone, visa, ask = world.depart(overseas, b, there)
    further = world.arrive(b, gone, visa, ask)
    assert a.zone == further.record.memory.compartments["eu"].held_by
    gone, visa, ask = world.depart(b, a, further)
    home = world.arrive(a, gone, visa, ask)
    assert {None} == {c.held_by for c in home.record.memory.compartments.values()}


def test_section_5_a_return_is_home_with_nothing_lost(crossing: Crossing) -> None:
    before, slot = crossing.head.record, crossing.head.certificate.slot
    gone = departed(before, slot, crossing.visa, crossing.b.manifest)
    back = returned(gone, slot)
    assert (before.custody.zone, 2, 0, before.custody.host) == (
        back.custody.zone,
        back.custody.term,
        back.custody.binding,
        back.custody.host,
    )
    assert (Status.ACTIVE, None, before.memory) == (
        back.eligibility.status,
        back.migration,
        back.memory,
    )


# Departing


def test_section_2_a_departure_needs_a_visa(crossing: Crossing) -> None:
    good = crossing.world.depart_proposal(crossing.a, crossing.b, crossing.head, crossing.visa)
    bare = replace(good, evidence=Evidence())
    assert refused(crossing.proposed(crossing.a, bare, crossing.head), "no-visa")


def test_section_5_a_visa_is_void_when_what_it_was_judged_by_has_changed() -> None:
    crossing = Crossing()
    world, a = crossing.world, crossing.a
    memory = replace(
        MEMORY,
        compartments=MEMORY.compartments
        | {"new": Compartment(form=Form.LOG, root=ROOTS["us"], labels=("secret",))},
    )
    stepped = world.step(a, crossing.head, memory=memory)
    late = world.depart_proposal(a, crossing.b, stepped, crossing.visa)
    assert refused(crossing.proposed(a, late, stepped), "void-visa")


def test_section_5_steps_that_change_nothing_of_it_do_not_void_a_visa(crossing: Crossing) -> None:
    stepped = crossing.world.step(crossing.a, crossing.head)
    proposal = crossing.world.depart_proposal(crossing.a, crossing.b, stepped, crossing.visa)
    crossing.world.decide(crossing.a, proposal, stepped)


@pytest.mark.parametrize("part", ["to_zone", "to_manifest", "visa", "memory", "host"])
def test_section_5_the_departed_record_is_determined_by_the_evidence(
    crossing: Crossing, part: str
) -> None:
    good = crossing.world.depart_proposal(crossing.a, crossing.b, crossing.head, crossing.visa)
    record, migration = good.transition.record, good.transition.record.migration
    assert migration is not None
    if part == "memory":
        record = replace(record, memory=replace(record.memory, journal=digest(b"x")))
    elif part == "host":
        record = replace(record, custody=replace(record.custody, host=key("x").public))
    else:
        migration = replace(migration, **{part: digest(b"elsewhere")})
        record = replace(record, migration=migration)
    author = crossing.world.host_of(crossing.a, crossing.head)
    wrong = crossing.world.propose(
        TransitionKind.DEPART, crossing.head, record, author, evidence=good.evidence
    )
    assert refused(crossing.proposed(crossing.a, wrong, crossing.head), "bad-change")


def test_section_4_check_3_only_the_bound_host_with_a_live_lease_departs(
    crossing: Crossing,
) -> None:
    good = crossing.world.depart_proposal(crossing.a, crossing.b, crossing.head, crossing.visa)
    other = crossing.a.hosts[1]
    stolen = crossing.world.propose(
        TransitionKind.DEPART,
        crossing.head,
        good.transition.record,
        other,
        evidence=good.evidence,
    )
    assert refused(crossing.proposed(crossing.a, stolen, crossing.head), "wrong-author")
    crossing.world.clock.pass_ms(61_000)
    late = crossing.world.depart_proposal(crossing.a, crossing.b, crossing.head, crossing.visa)
    reply = crossing.proposed(crossing.a, late, crossing.head)
    assert isinstance(reply, Declined) and reply.for_now


def test_section_5_the_source_votes_for_nothing_more_but_a_return(crossing: Crossing) -> None:
    gone = crossing.arrived()
    world, a = crossing.world, crossing.a
    again = world.propose(TransitionKind.DEPART, gone, gone.record, world.host_of(a, crossing.head))
    assert isinstance(crossing.proposed(a, again, gone), Declined | Head)
    back = world.return_proposal(a, gone, None)
    assert refused(crossing.proposed(a, back, gone), "no-refusal")


# Arriving


def test_trap_20_a_departure_for_another_zone_is_nothing_here(crossing: Crossing) -> None:
    gone = crossing.depart()
    reply = crossing.c.ask(0, Arrive(departure=gone, visa=crossing.visa))
    assert refused(reply, "wrong-zone")
    crossing.c.give(*ROOTS.values())
    proposal = crossing.world.admit_proposal(crossing.c, gone, crossing.visa)
    assert isinstance(crossing.proposed(crossing.c, proposal, gone), Declined)


def test_section_5_a_departure_of_an_agent_that_never_applied_needs_its_chain(
    crossing: Crossing,
) -> None:
    gone = crossing.depart()
    fresh = crossing.b.anchors[0]
    fresh.dossiers.clear()
    reply = crossing.b.ask(0, Arrive(departure=gone, visa=crossing.visa))
    assert isinstance(reply, Need) and "visa" == reply.what
    crossing.b.ask(0, crossing.ask)
    assert isinstance(crossing.b.ask(0, Arrive(departure=gone, visa=crossing.visa)), Head)


@pytest.mark.parametrize("spoilt", ["a step", "a lock", "two votes", "a thief's", "another term"])
def test_trap_18_what_is_no_certified_departure_opens_nothing(
    crossing: Crossing, spoilt: str
) -> None:
    gone = crossing.depart()
    thief = found("thief")
    certificate = gone.certificate
    wrong = {
        "a step": crossing.head,
        "a lock": replace(
            gone,
            certificate=crossing.a.sample.certificate(
                certificate.slot, certificate.value, phase=Phase.LOCK
            ),
        ),
        "two votes": replace(gone, certificate=replace(certificate, votes=certificate.votes[:2])),
        "a thief's": replace(
            gone, certificate=thief.certificate(certificate.slot, certificate.value)
        ),
        "another term": later_term(gone),
    }[spoilt]
    before = dict(crossing.b.anchors[0].dossiers)
    reply = crossing.b.ask(0, Arrive(departure=wrong, visa=crossing.visa))
    assert isinstance(reply, Declined | Need)
    assert before == crossing.b.anchors[0].dossiers
    for made in (
        crossing.world.refuse_proposal(crossing.b, wrong),
        replace(
            crossing.world.admit_proposal(crossing.b, gone, crossing.visa),
            evidence=Evidence(departure=wrong, visa=crossing.visa),
        ),
    ):
        assert isinstance(crossing.proposed(crossing.b, made, wrong), Declined | Need)
    assert before == crossing.b.anchors[0].dossiers


def later_term(gone: Certified) -> Certified:
    assert gone.record.migration is not None
    migration = replace(gone.record.migration, next_term=5)
    record = replace(gone.record, migration=migration)
    return replace(gone, transition=replace(gone.transition, record=record))


@pytest.mark.parametrize("spoilt", ["another's", "forged", "other terms"])
def test_section_4_check_8_a_departure_is_shown_with_the_visa_it_names(
    crossing: Crossing, spoilt: str
) -> None:
    gone = crossing.depart()
    other = crossing.world.visa(
        crossing.c, crossing.world.application(crossing.a, crossing.c, crossing.head)
    )
    visa = {
        "another's": other,
        "forged": replace(crossing.visa, certificate=other.certificate),
        "other terms": replace(
            crossing.visa, terms=replace(crossing.visa.terms, deadline_ms=2**62)
        ),
    }[spoilt]
    assert isinstance(crossing.b.ask(0, Arrive(departure=gone, visa=visa)), Declined)
    assert crossing.b.anchors[0].dossier(crossing.agent).arrival is None
    crossing.b.ask_all(Arrive(departure=gone, visa=crossing.visa))
    proposal = crossing.world.admit_proposal(crossing.b, gone, visa)
    assert isinstance(crossing.proposed(crossing.b, proposal, gone), Declined)


def test_section_5_the_deadline_is_counted_from_the_first_sight(crossing: Crossing) -> None:
    gone = crossing.arrived()
    seen = crossing.b.anchors[0].dossier(crossing.agent).arrival
    crossing.world.clock.pass_ms(500)
    crossing.b.ask_all(Arrive(departure=gone, visa=crossing.visa))
    assert seen == crossing.b.anchors[0].dossier(crossing.agent).arrival


# Admitting


def test_section_5_an_admission_is_into_the_next_term_on_the_host_that_signs(
    crossing: Crossing,
) -> None:
    gone = crossing.arrived()
    done = crossing.world.arrive(crossing.b, gone, crossing.visa)
    custody = done.record.custody
    assert (crossing.b.zone, 1, 0, crossing.b.hosts[0].public) == (
        custody.zone,
        custody.term,
        custody.binding,
        custody.host,
    )
    dossier = crossing.b.anchors[0].dossier(crossing.agent)
    assert (1, True, None, None) == (
        dossier.high_term,
        dossier.held,
        dossier.arrival,
        dossier.application,
    )


def test_trap_23_no_admission_without_the_blocks(crossing: Crossing) -> None:
    gone = crossing.arrived()
    proposal = crossing.world.admit_proposal(crossing.b, gone, crossing.visa)
    for lacking in (ROOTS["free"], ROOTS["journal"], gone.record.capabilities.code):
        crossing.b.anchors[0].blocks.discard(lacking)
        reply = crossing.proposed(crossing.b, proposal, gone)
        assert Need(what="blocks", digests=(lacking,)) == reply
        crossing.b.anchors[0].blocks.add(lacking)
    assert isinstance(crossing.proposed(crossing.b, proposal, gone), Voted)


@pytest.mark.parametrize(
    "changes",
    [
        {"eligibility": Status.DORMANT},
        {"custody": "another host's"},
        {"memory": "taken along"},
        {"trust": "more"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_section_5_the_admitted_record_is_determined_by_the_departure(
    crossing: Crossing, changes: dict[str, Any]
) -> None:
    gone = crossing.arrived()
    record = admitted(
        gone.record, gone.certificate.slot, crossing.b.manifest, crossing.b.hosts[0].public
    )
    others = {
        "eligibility": replace(record.eligibility, status=Status.DORMANT),
        "custody": replace(record.custody, host=crossing.b.hosts[1].public),
        "memory": replace(record.memory, journal=digest(b"x")),
        "trust": replace(record.trust, issuers=()),
    }
    name = next(iter(changes))
    wrong = crossing.world.propose(
        TransitionKind.ADMIT,
        gone,
        replace(record, **{name: others[name]}),
        crossing.b.hosts[0],
        evidence=Evidence(departure=gone, visa=crossing.visa),
    )
    assert isinstance(crossing.proposed(crossing.b, wrong, gone), Declined)


def test_a_host_of_another_zone_admits_nobody_here(crossing: Crossing) -> None:
    gone = crossing.arrived()
    stranger = crossing.c.hosts[0]
    record = admitted(gone.record, gone.certificate.slot, crossing.b.manifest, stranger.public)
    wrong = crossing.world.propose(
        TransitionKind.ADMIT,
        gone,
        record,
        stranger,
        evidence=Evidence(departure=gone, visa=crossing.visa),
    )
    reply = crossing.proposed(crossing.b, wrong, gone)
    assert isinstance(reply, Declined)


def test_section_5_another_host_of_the_zone_may_admit_what_the_first_does_not(
    crossing: Crossing,
) -> None:
    gone = crossing.arrived()
    host = crossing.b.hosts[1]
    record = admitted(gone.record, gone.certificate.slot, crossing.b.manifest, host.public)
    proposal = crossing.world.propose(
        TransitionKind.ADMIT,
        gone,
        record,
        host,
        evidence=Evidence(departure=gone, visa=crossing.visa),
    )
    assert host.public == crossing.world.decide(crossing.b, proposal, gone).record.custody.host


def test_trap_21_a_replayed_departure_admits_no_clone(crossing: Crossing) -> None:
    """a → b → a → c, and then the first hop's departure again at b."""
    world, a, b, c = crossing.world, crossing.a, crossing.b, crossing.c
    c.give(*ROOTS.values())
    gone = crossing.arrived()
    head = world.arrive(b, gone, crossing.visa)
    head = world.move(a, c, world.move(b, a, head))
    before = [dict(anchor.dossiers) for anchor in b.anchors]
    for anchor in b.anchors:
        reply = anchor.ask(Arrive(departure=gone, visa=crossing.visa))
        assert isinstance(reply, Head)
        proposal = world.admit_proposal(b, gone, crossing.visa)
        slot = slot_for(gone, proposal.transition, b.manifest)
        assert not isinstance(anchor.ask(Propose(slot=slot, round=0, proposal=proposal)), Voted)
        assert isinstance(anchor.ask(crossing.ask), Declined)
    assert before == [anchor.dossiers for anchor in b.anchors]
    assert c.zone == head.record.custody.zone
