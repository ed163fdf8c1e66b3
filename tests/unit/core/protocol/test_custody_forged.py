"""Certified, and yet not custody: what a whole zone that lies may put into a chain (protocol §5)."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.admission import admitted, child, departed
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import (
    Certified,
    Chapter,
    check_chain,
    check_head,
    check_refusal,
    check_warrant,
)
from sojourn.core.quorum.votes import Phase
from tests.rulings import World
from tests.samples import propose
from tests.unit.core.protocol.crossing import Crossing


class Refused(Crossing):
    """An agent that b refused: its chapter at a, closed by the departure, and the refusal."""

    def __init__(self) -> None:
        super().__init__(deadline_ms=100)
        self.gone = self.arrived()
        self.world.clock.pass_ms(200)
        self.refusal = self.world.refuse(self.b, self.gone)
        [self.first] = self.a.anchors[0].past(self.agent)

    def why(self, *chapters: Chapter) -> tuple[str, str]:
        """Return why these chapters are no chain, and where they fail."""
        with pytest.raises(Rejected) as caught:
            check_chain(self.agent, chapters, self.world.known.manifests)
        return caught.value.reason, caught.value.where


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


# Kinds that open, close and prove


def test_a_refusal_opens_no_term_though_it_follows_the_departure_and_changes_nothing() -> None:
    c = Refused()
    check_chain(c.agent, [c.first], c.world.known.manifests)
    assert ("wrong-kind", "chapters[1]") == c.why(c.first, Chapter(opened=c.refusal))


def test_a_step_closes_no_term() -> None:
    c = Crossing()
    [first] = c.a.anchors[0].past(c.agent)
    step = c.world.step(c.a, c.head)
    manifests = c.world.known.manifests
    check_head(first, step, manifests)
    with pytest.raises(Rejected) as caught:
        check_chain(c.agent, [replace(first, closed=step)], manifests)
    assert ("wrong-kind", "chapters[0]") == (caught.value.reason, caught.value.where)


def test_nothing_but_a_genesis_leans_on_a_warrant() -> None:
    c = Refused()
    back = c.world.take_back(c.a, c.gone, c.refusal)
    chapter = Chapter(opened=back, refusal=c.refusal)
    check_chain(c.agent, [c.first, chapter], c.world.known.manifests)
    spoilt = replace(chapter, warrant=c.first.warrant)
    assert ("extra", "chapters[1].warrant") == c.why(c.first, spoilt)


def test_a_genesis_without_its_officers_seals_is_nobodys_word() -> None:
    c = Refused()
    documents = tuple(c.world.known.library[d] for d in c.head.record.governance.documents)
    check_warrant(c.first, documents)
    with pytest.raises(Rejected) as caught:
        check_warrant(replace(c.first, warrant=None), documents)
    assert ("no-warrant", "chapters[0]") == (caught.value.reason, caught.value.where)


# One zone's lie in the middle of a term


def test_no_zone_has_one_agent_leave_as_another() -> None:
    """The departure descends from this agent's opening and bears another's name: who follows it is the other."""
    c = Crossing()
    [first] = c.a.anchors[0].past(c.agent)
    other = digest(b"another agent")
    record = departed(c.head.record, c.head.certificate.slot, c.visa, c.b.manifest)
    made = propose(TransitionKind.DEPART, c.head, replace(record, agent=other), c.a.hosts[0])
    gone = c.a.sample.certified(made.transition)
    entered = admitted(gone.record, gone.certificate.slot, c.b.manifest, c.b.hosts[0].public)
    admission = propose(TransitionKind.ADMIT, gone, entered, c.b.hosts[0])
    second = Chapter(opened=c.b.sample.certified(admission.transition))
    assert other == second.opened.record.agent_id
    for agent in (c.agent, other):
        with pytest.raises(Rejected) as caught:
            check_chain(agent, [replace(first, closed=gone), second], c.world.known.manifests)
        assert "wrong-agent" == caught.value.reason


def test_no_zone_changes_in_the_middle_of_a_term_what_no_transition_may_change() -> None:
    c = Crossing()
    [first] = c.a.anchors[0].past(c.agent)
    same = child(c.head.record, c.head.certificate.slot)
    ruled = replace(same, governance=replace(same.governance, documents=(digest(b"mine"),)))
    honest, forged = (
        c.a.sample.certified(propose(TransitionKind.STEP, c.head, each, c.a.hosts[0]).transition)
        for each in (same, ruled)
    )
    manifests = c.world.known.manifests
    check_head(first, honest, manifests)
    with pytest.raises(Rejected) as caught:
        check_head(first, forged, manifests)
    assert ("bad-change", "governance.documents") == (caught.value.reason, caught.value.where)


def test_no_zone_that_lies_closes_a_term_in_another_agents_name() -> None:
    c = Refused()
    record = replace(c.gone.record, agent=digest(b"another agent"))
    lie = c.a.sample.certified(replace(c.gone.transition, record=record))
    assert ("wrong-agent", "chapters[0].closed") == c.why(replace(c.first, closed=lie))
    check_chain(c.agent, [c.first], c.world.known.manifests)
