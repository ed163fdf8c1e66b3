"""What decisions make of a dossier, in whatever order an anchor hears of them."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.applying import caught_up, is_behind
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    Evidence,
    Head,
    Nack,
    Proposal,
    Propose,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.missing import Missing
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureAnchor, PureZone, World
from tests.unit.core.protocol.crossing import Crossing


def shown(done: Certified, evidence: Evidence | None = None) -> ShowCommit:
    """Return a decision as anybody may show it, with evidence of their choice."""
    proposal = Proposal(transition=done.transition, seals=(), evidence=evidence or Evidence())
    return ShowCommit(certificate=done.certificate, proposal=proposal)


def stepping(world: World, zone: PureZone, head: Certified, journal: bytes) -> Proposal:
    """Return a step, told from others by its journal, whose memory every anchor has."""
    memory = replace(head.record.memory, journal=digest(journal))
    zone.give(memory.journal)
    return world.step_proposal(zone, head, memory=memory)


# A vote outlives the decisions before it


def test_trap_55_an_anchor_that_learns_of_an_older_decision_keeps_what_it_promised_since() -> None:
    """It commit-voted two versions ahead of its head; then somebody shows it the version between."""
    world = World("a")
    zone, late = world.zones[0], world.zones[0].anchors[3]
    head = world.launch(zone)
    between = world.decide(zone, stepping(world, zone, head, b"1"), head, only=(0, 1, 2))
    ahead, rival = (stepping(world, zone, between, text) for text in (b"2", b"rival"))
    slot = zone.slot(ahead, between)
    lock = zone.sample.certificate(slot, ahead.transition.digest, phase=Phase.LOCK)
    assert isinstance(late.ask(ShowLock(certificate=lock, proposal=ahead)), Voted)

    assert Applied() == late.ask(shown(between))

    dossier = late.dossier(slot.agent)
    assert (between, lock) == (dossier.head, dossier.open and dossier.open.lock)
    reply = late.ask(Propose(slot=slot, round=0, proposal=rival))
    assert isinstance(reply, Nack) and lock == reply.lock


def test_trap_55_a_late_refusal_takes_back_no_vote_of_a_later_stay() -> None:
    c = Crossing(deadline_ms=100)
    late = c.b.anchors[3]
    gone = c.arrived()
    c.world.clock.pass_ms(200)
    refusal = c.world.decide(c.b, c.world.refuse_proposal(c.b, gone), gone, only=(0, 1, 2))
    back = c.world.take_back(c.a, gone, refusal)
    c.a.renew(back)
    gone, visa, ask = c.world.depart(c.a, c.b, back)
    c.b.ask_all(Arrive(departure=gone, visa=visa))
    admission = c.world.admit_proposal(c.b, gone, visa)
    done = c.world.decide(c.b, admission, gone, application=ask, only=(0, 1, 2))
    lock = c.b.sample.certificate(
        done.certificate.slot, admission.transition.digest, phase=Phase.LOCK
    )
    assert isinstance(late.ask(ShowLock(certificate=lock, proposal=admission)), Voted)
    before = late.dossier(c.agent)

    assert Applied() == late.ask(shown(refusal))

    after = late.dossier(c.agent)
    assert after == replace(before, refusal=refusal, high_term=after.high_term, held=True)


def test_an_anchor_may_learn_of_a_refusal_before_it_learns_that_the_agent_had_left() -> None:
    """The refusal closes its slot for good; the head is another matter, and else would be stale for ever."""
    c = Crossing(deadline_ms=100)
    late = c.a.anchors[3]
    proposal = c.world.depart_proposal(c.a, c.b, c.head, c.visa)
    left = c.world.decide(c.a, proposal, c.head, only=(0, 1, 2))
    there = c.world.arrive(c.b, left, c.visa, c.ask)
    gone, visa, ask = c.world.depart(c.b, c.a, there, deadline_ms=100)
    c.a.ask_all(Arrive(departure=gone, visa=visa))
    c.world.clock.pass_ms(200)
    refusal = c.world.refuse(c.a, gone)
    assert (c.head, refusal) == (late.dossier(c.agent).head, late.dossier(c.agent).refusal)

    assert Applied() == late.ask(shown(left))

    dossier = late.dossier(c.agent)
    assert (left, refusal, 2) == (dossier.head, dossier.refusal, dossier.high_term)
    admission = c.world.admit_proposal(c.a, gone, visa)
    lock = c.a.sample.certificate(
        refusal.certificate.slot, admission.transition.digest, phase=Phase.LOCK, round=1
    )
    reply = late.ask(ShowLock(certificate=lock, proposal=admission))
    assert isinstance(reply, Head) and refusal == reply.refusal
    assert Applied() == late.ask(shown(c.head)) and dossier == late.dossier(c.agent)
    assert Applied() == late.ask(shown(refusal)) and dossier == late.dossier(c.agent)


# Who saw all decisions is not behind


def is_any_behind(zone: PureZone, agent: bytes) -> list[int]:
    """Return the anchors that lack something of what led to their head."""
    return [anchor.index for anchor in zone.anchors if is_behind(anchor.dossier(agent))]


def test_section_3_who_saw_all_decisions_is_never_behind() -> None:
    c = Crossing(deadline_ms=100)
    assert [] == is_any_behind(c.a, c.agent)
    gone = c.arrived()
    assert [] == is_any_behind(c.a, c.agent)
    c.world.clock.pass_ms(200)
    back = c.world.take_back(c.a, gone, c.world.refuse(c.b, gone))
    assert [] == [*is_any_behind(c.a, c.agent), *is_any_behind(c.b, c.agent)]
    c.a.renew(back)
    c.world.move(c.b, c.a, c.world.move(c.a, c.b, back))
    assert [] == [*is_any_behind(c.a, c.agent), *is_any_behind(c.b, c.agent)]


def test_section_3_who_adopted_a_genesis_without_its_officers_seals_is_behind() -> None:
    world = World("a")
    zone, late = world.zones[0], world.zones[0].anchors[3]
    born = world.decide(zone, world.genesis(zone), only=(0, 1, 2))
    assert Applied() == late.ask(shown(born))
    assert [3] == is_any_behind(zone, born.record.agent_id)
    late.blocks |= zone.anchors[0].blocks
    catch_up(late, zone.anchors[0], born.record.agent_id)
    assert [] == is_any_behind(zone, born.record.agent_id)


def test_section_3_a_return_that_was_adopted_without_its_refusal_leaves_an_anchor_behind() -> None:
    c = Crossing(deadline_ms=100)
    gone = c.arrived()
    c.world.clock.pass_ms(200)
    refusal = c.world.refuse(c.b, gone)
    proposal = c.world.return_proposal(c.a, gone, refusal)
    back = c.world.decide(c.a, proposal, gone, only=(0, 1, 2))
    for index, evidence in ((3, Evidence()), (3, Evidence(refusal=back))):
        c.a.anchors[index].dossiers[c.agent] = replace(
            c.a.anchors[index].dossier(c.agent), head=gone
        )
        assert Applied() == c.a.anchors[index].ask(shown(back, evidence))
        assert [3] == is_any_behind(c.a, c.agent)
    catch_up(c.a.anchors[3], c.a.anchors[0], c.agent)
    chapter = c.a.anchors[3].past(c.agent)[-1]
    assert (back, refusal) == (chapter.opened, chapter.refusal)


# What an anchor that was away takes from the others


def catch_up(late: PureAnchor, other: PureAnchor, agent: bytes, *chapters: Chapter) -> None:
    """Give one anchor what another says of the past, or these chapters. Raises `Rejected`."""
    told, dossier = chapters or other.past(agent), late.dossier(agent)
    late.keep(caught_up(dossier, told, other.dossier(agent).visa, late.view()))


class Away:
    """An agent that was refused, came home and moved from a to b; one anchor of b has only heard of a late step."""

    def __init__(self) -> None:
        self.c = Crossing(deadline_ms=100)
        world, self.b = self.c.world, self.c.b
        gone = self.c.arrived()
        world.clock.pass_ms(200)
        back = world.take_back(self.c.a, gone, world.refuse(self.b, gone))
        self.c.a.renew(back)
        gone, visa, ask = world.depart(self.c.a, self.b, back)
        for anchor in self.b.anchors[:3]:
            anchor.ask(Arrive(departure=gone, visa=visa))
        admission = world.admit_proposal(self.b, gone, visa)
        head = world.decide(self.b, admission, gone, application=ask, only=(0, 1, 2))
        self.b.renew(head)
        self.head = self.step(head)
        self.agent = head.record.agent_id
        self.other, self.late = self.b.anchors[0], self.b.anchors[3]
        self.late.dossiers.clear()
        assert Applied() == self.late.ask(shown(self.head))

    def step(self, head: Certified) -> Certified:
        step = self.c.world.step_proposal(self.b, head)
        return self.c.world.decide(self.b, step, head, only=(0, 1, 2))


def test_section_3_what_an_anchor_is_told_of_the_past_proves_itself_and_is_all_it_lacked() -> None:
    away = Away()
    assert is_behind(away.late.dossier(away.agent))
    catch_up(away.late, away.other, away.agent)
    dossier = away.late.dossier(away.agent)
    assert not is_behind(dossier)
    assert away.other.past(away.agent) == away.late.past(away.agent)
    assert dossier.chapter == away.late.past(away.agent)[-1]
    assert away.head == dossier.head


def test_section_3_who_is_told_of_later_terms_takes_what_led_to_its_own_head() -> None:
    """The one that tells has seen a departure since: that is not what led here."""
    away = Away()
    world, a, b = away.c.world, away.c.a, away.b
    told = away.other.past(away.agent)
    visa = world.visa(a, world.application(b, a, away.head))
    proposal = world.depart_proposal(b, a, away.head, visa)
    gone = world.decide(b, proposal, away.head, only=(0, 1, 2))
    assert gone == away.other.past(away.agent)[-1].closed
    catch_up(away.late, away.other, away.agent)
    assert told == away.late.past(away.agent)

    assert Applied() == away.late.ask(shown(gone, Evidence(visa=visa)))
    assert away.other.past(away.agent) == away.late.past(away.agent)
    assert not is_behind(away.late.dossier(away.agent))


def _lies(told: tuple[Chapter, ...], stranger: PureZone) -> dict[str, tuple[Chapter, ...]]:
    """Return what one anchor may make up of an agent's past: a genesis, a return, an admission."""
    first, second, last = told
    genesis = first.opened
    forged = stranger.sample.certified(genesis.transition, genesis.certificate.slot)
    return {
        "nothing of the past": told[1:],
        "not how it came here": told[:-1],
        "a gap": (first, last),
        "a term that was not closed": (first, replace(second, closed=None), last),
        "a return without its refusal": (first, replace(second, refusal=None), last),
        "no officer's seal": (replace(first, warrant=None), second, last),
        "a warrant where none belongs": (first, replace(second, warrant=first.warrant), last),
        "a refusal where none belongs": (first, second, replace(last, refusal=second.refusal)),
        "another zone's certificate": (replace(first, opened=forged), second, last),
        "a seal too few": (
            replace(first, warrant=replace(first.warrant, genesis=())),  # type: ignore[type-var]
            second,
            last,
        ),
    }


def test_section_3_nothing_unexplained_is_taken_from_another_anchor() -> None:
    away = Away()
    lies = _lies(away.other.past(away.agent), away.c.c)
    before = away.late.dossier(away.agent), away.late.past(away.agent)
    for name, chapters in lies.items():
        with pytest.raises(Rejected):
            catch_up(away.late, away.other, away.agent, *chapters)
        assert before == (away.late.dossier(away.agent), away.late.past(away.agent)), name
    other = away.c.world.launch(away.b)
    with pytest.raises(Rejected):
        catch_up(away.late, away.other, away.agent, *away.other.past(other.record.agent_id))
    assert before == (away.late.dossier(away.agent), away.late.past(away.agent))


def test_section_3_officers_seals_are_not_believed_without_the_documents_they_are_of() -> None:
    away = Away()
    documents = away.head.record.governance.documents
    away.late.blocks -= set(documents)
    with pytest.raises(Missing) as lacking:
        catch_up(away.late, away.other, away.agent)
    assert documents == lacking.value.digests
    assert is_behind(away.late.dossier(away.agent))


def test_section_5_an_anchor_that_missed_a_departure_takes_its_visa_and_no_other() -> None:
    c = Crossing()
    other, late = c.a.anchors[0], c.a.anchors[3]
    proposal = c.world.depart_proposal(c.a, c.b, c.head, c.visa)
    gone = c.world.decide(c.a, proposal, c.head, only=(0, 1, 2))
    wrong = c.world.visa(c.c, c.world.application(c.a, c.c, c.head))
    assert Applied() == late.ask(shown(gone))
    assert is_behind(late.dossier(c.agent))
    for visa in (None, wrong, replace(c.visa, certificate=wrong.certificate)):
        told = caught_up(late.dossier(c.agent), other.past(c.agent), visa, late.view())
        assert late.dossier(c.agent) == told.dossier and () == told.chapters
    catch_up(late, other, c.agent)
    assert c.visa == late.dossier(c.agent).visa
    assert not is_behind(late.dossier(c.agent))


def test_section_5_a_visa_is_not_asked_for_once_it_is_known_where_the_agent_went() -> None:
    c = Crossing()
    late = c.a.anchors[3]
    proposal = c.world.depart_proposal(c.a, c.b, c.head, c.visa)
    gone = c.world.decide(c.a, proposal, c.head, only=(0, 1, 2))
    assert Applied() == late.ask(shown(gone))
    late.learn_onward(c.agent, c.world.arrive(c.b, gone, c.visa, c.ask))
    assert not is_behind(late.dossier(c.agent))


def test_an_anchor_that_knows_nothing_of_an_agent_takes_nothing_of_its_past() -> None:
    away = Away()
    away.late.dossiers.clear()
    with pytest.raises(Rejected):
        catch_up(away.late, away.other, away.agent)
    assert not is_behind(away.late.dossier(away.agent))
