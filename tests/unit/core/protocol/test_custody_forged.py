"""Certified, and yet not custody: what a whole zone that lies may put into a chain (protocol §5)."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Certified, Chapter, check_chain, check_refusal
from sojourn.core.quorum.votes import Phase
from tests.rulings import World
from tests.unit.core.protocol.crossing import Crossing


def test_clause_1_5_no_zone_gives_an_agent_another_genesis() -> None:
    """The identifier is the genesis record's digest: whoever is not born so is not that agent."""
    world = World("a")
    zone = world.zones[0]
    agent = world.launch(zone).record.agent_id
    [first] = zone.anchors[0].past(agent)
    born = first.opened.transition
    check_chain(agent, [first], world.known.manifests)
    memory = replace(born.record.memory, journal=digest(b"another past"))
    other = replace(born, record=replace(born.record, memory=memory))
    with pytest.raises(Rejected):
        check_chain(agent, [Chapter(opened=zone.sample.certified(other))], world.known.manifests)


def test_no_zone_has_an_agent_born_with_a_past() -> None:
    """By its own identifier, which its record gives it, and certified: what is no genesis begins no chain."""
    world = World("a")
    zone = world.zones[0]
    born = world.launch(zone)
    [first] = zone.anchors[0].past(born.record.agent_id)
    record = first.opened.record
    decided = replace(record.eligibility, last_decision=digest(b"a decision"))
    transition = replace(first.opened.transition, record=replace(record, eligibility=decided))
    chapter = Chapter(opened=zone.sample.certified(transition))
    with pytest.raises(Rejected) as caught:
        check_chain(transition.record.agent_id, [chapter], world.known.manifests)
    assert "eligibility.last_decision" == caught.value.where


def test_a_refusal_is_of_this_departure_by_its_parent_and_by_its_record() -> None:
    c = Crossing(deadline_ms=100)
    gone = c.arrived()
    c.world.clock.pass_ms(200)
    refusal = c.world.refuse(c.b, gone)
    manifests = c.world.known.manifests
    check_refusal(refusal, gone.record, manifests, where="refusal")
    custody = replace(gone.record.custody, binding=gone.record.custody.binding + 1)
    changes = (
        {"parent": digest(b"another departure")},
        {"record": replace(gone.record, custody=custody)},
    )
    for change in changes:
        transition = replace(refusal.transition, **change)
        forged = c.b.sample.certified(transition, refusal.certificate.slot)
        with pytest.raises(Rejected) as caught:
            check_refusal(forged, gone.record, manifests, where="refusal")
        assert "wrong-parent" == caught.value.reason


def test_a_refusal_of_an_agent_that_has_not_left_is_of_no_slot() -> None:
    c = Crossing(deadline_ms=100)
    gone = c.arrived()
    c.world.clock.pass_ms(200)
    refusal = c.world.refuse(c.b, gone)
    transition = replace(refusal.transition, record=c.head.record)
    forged = c.b.sample.certified(transition, refusal.certificate.slot)
    assert forged.transition.kind is TransitionKind.REFUSE
    with pytest.raises(Rejected) as caught:
        forged.check(c.world.known.manifests)
    assert "wrong-slot" == caught.value.reason


def test_trap_1_the_phase_is_looked_at_before_the_zone() -> None:
    c = Crossing()
    transition, slot = c.head.transition, c.head.certificate.slot
    lock = c.a.sample.certificate(slot, transition.digest, phase=Phase.LOCK)
    with pytest.raises(Rejected) as caught:
        Certified(transition=transition, certificate=lock).check({})
    assert "wrong-phase" == caught.value.reason


def test_a_memo_forgets_what_was_put_and_used_longest_ago() -> None:
    memo = ChainMemo(2)
    for name in (b"a", b"b", b"a", b"c"):
        memo.put(name, {})
    assert [True, False, True] == [memo.get(name) is not None for name in (b"a", b"b", b"c")]
