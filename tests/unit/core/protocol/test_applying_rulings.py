"""The ruling on a decision, field by field: what is kept, told and announced."""

from msgspec.structs import replace

from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Arrival, Dossier, OpenSlot
from sojourn.core.protocol.messages import Applied, Arrive, Evidence, Proposal, ShowCommit
from tests.rulings import World
from tests.unit.core.protocol.crossing import Crossing


def shown(done: Certified, evidence: Evidence | None = None) -> ShowCommit:
    """Return a decision as anybody may show it, with evidence of their choice."""
    proposal = Proposal(transition=done.transition, seals=(), evidence=evidence or Evidence())
    return ShowCommit(certificate=done.certificate, proposal=proposal)


def refused_once(c: Crossing, gone: Certified, *only: int) -> Certified:
    """Have b refuse a departure whose deadline is over; return the refusal."""
    c.world.clock.pass_ms(200)
    return c.world.decide(c.b, c.world.refuse_proposal(c.b, gone), gone, only=only)


def test_a_decision_is_history_and_is_announced() -> None:
    world = World("a")
    zone, late = world.zones[0], world.zones[0].anchors[3]
    head = world.launch(zone)
    done = world.decide(zone, world.step_proposal(zone, head), head, only=(0, 1, 2))
    ruling = late.ruling(shown(done))
    assert (Applied(), done, done) == (ruling.answer, ruling.history, ruling.applied)
    assert () == ruling.chapters


def test_a_refusal_is_history_and_is_announced_where_it_was_decided() -> None:
    c = Crossing(deadline_ms=100)
    gone = c.arrived()
    refusal = refused_once(c, gone, 0, 1, 2)
    ruling = c.b.anchors[3].ruling(shown(refusal))
    assert (Applied(), refusal, refusal) == (ruling.answer, ruling.history, ruling.applied)
    assert ruling.dossier is not None
    assert (refusal, 1, True) == (
        ruling.dossier.refusal,
        ruling.dossier.high_term,
        ruling.dossier.held,
    )


def test_trap_21_an_older_refusal_does_not_replace_a_newer_one() -> None:
    """The newer closed a later term: to forget it would open that term for a departure that was refused."""
    c = Crossing(deadline_ms=100)
    late = c.b.anchors[3]
    gone = c.arrived()
    older = refused_once(c, gone, 0, 1, 2)
    back = c.world.take_back(c.a, gone, older)
    c.a.renew(back)
    gone, visa, _ = c.world.depart(c.a, c.b, back, deadline_ms=100)
    c.b.ask_all(Arrive(departure=gone, visa=visa))
    newer = refused_once(c, gone, 0, 1, 2, 3)
    before = late.dossier(c.agent)
    assert newer == before.refusal

    ruling = late.ruling(shown(older))

    assert (Applied(), None, None) == (ruling.answer, ruling.dossier, ruling.history)


def test_another_stay_begins_with_nothing_of_the_last_but_what_a_later_slot_holds() -> None:
    c = Crossing()
    late = c.b.anchors[3]
    gone = c.arrived()
    admission = c.world.admit_proposal(c.b, gone, c.visa)
    done = c.world.decide(c.b, admission, gone, application=c.ask, only=(0, 1, 2))
    later = replace(done.certificate.slot, term=9)
    undecided = OpenSlot(slot=later, entered_ms=5)
    refusal = replace(done, certificate=replace(done.certificate, slot=later))
    asked = replace(c.ask, terms=replace(c.ask.terms, term=9))
    came = Arrive(departure=gone, visa=replace(c.visa, terms=asked.terms))
    arrival = Arrival(arrive=came, seen_ms=7, boot=c.world.clock.boot)
    before = Dossier(
        agent=c.agent,
        head=None,
        high_term=9,
        open=undecided,
        application=asked,
        arrival=arrival,
        visa=c.visa,
        onward=done,
        refusal=refusal,
    )
    late.dossiers[c.agent] = before
    ruling = late.ruling(shown(done))
    assert ruling.dossier is not None
    [*earlier, opened] = ruling.chapters
    assert [gone] == [chapter.closed for chapter in earlier]
    assert ruling.dossier == Dossier(
        agent=c.agent,
        held=True,
        head=done,
        high_term=9,
        open=undecided,
        application=asked,
        arrival=arrival,
        refusal=refusal,
        chapter=opened,
        proved=True,
    )


def test_an_admission_settles_its_application_its_arrival_and_an_earlier_refusal() -> None:
    c = Crossing(deadline_ms=100)
    late = c.b.anchors[3]
    gone = c.arrived()
    back = c.world.take_back(c.a, gone, refused_once(c, gone, 0, 1, 2, 3))
    c.a.renew(back)
    gone, visa, ask = c.world.depart(c.a, c.b, back)
    c.b.ask_all(Arrive(departure=gone, visa=visa))
    admission = c.world.admit_proposal(c.b, gone, visa)
    done = c.world.decide(c.b, admission, gone, application=ask, only=(0, 1, 2))
    before = late.dossier(c.agent)
    assert None not in (before.application, before.arrival, before.refusal)
    ruling = late.ruling(shown(done))
    assert ruling.dossier == Dossier(
        agent=c.agent,
        held=True,
        head=done,
        high_term=done.certificate.slot.term,
        chapter=ruling.chapters[-1],
        proved=True,
    )


def test_a_departure_closes_the_chapter_where_there_is_one_and_brings_its_visa() -> None:
    c = Crossing()
    late = c.a.anchors[3]
    proposal = c.world.depart_proposal(c.a, c.b, c.head, c.visa)
    gone = c.world.decide(c.a, proposal, c.head, only=(0, 1, 2))
    before = late.dossier(c.agent)
    assert before.chapter is not None
    closed = replace(before.chapter, closed=gone)
    ruling = late.ruling(shown(gone, Evidence(visa=c.visa)))
    assert (closed,) == ruling.chapters
    assert ruling.dossier == replace(before, head=gone, chapter=closed, visa=c.visa, open=None)

    late.dossiers[c.agent] = replace(before, chapter=None)
    ruling = late.ruling(shown(gone, Evidence(visa=c.visa)))
    assert () == ruling.chapters
    assert ruling.dossier == replace(before, head=gone, chapter=None, visa=c.visa, open=None)


class Admitted:
    """An agent that was refused once, came home, and then was admitted by three anchors of b; one has yet to hear."""

    def __init__(self) -> None:
        self.c = c = Crossing(deadline_ms=100)
        self.late = c.b.anchors[3]
        gone = c.arrived()
        back = c.world.take_back(c.a, gone, refused_once(c, gone, 0, 1, 2, 3))
        c.a.renew(back)
        self.gone, self.visa, self.ask = c.world.depart(c.a, c.b, back)
        c.b.ask_all(Arrive(departure=self.gone, visa=self.visa))
        admission = c.world.admit_proposal(c.b, self.gone, self.visa)
        self.done = c.world.decide(c.b, admission, self.gone, application=self.ask, only=(0, 1, 2))

    def past(self, evidence: Evidence, **known: object) -> int:
        """Return how many chapters before the admission are taken from what is shown and known."""
        before = self.late.dossier(self.c.agent)
        self.late.dossiers[self.c.agent] = replace(before, **known)
        ruling = self.late.ruling(shown(self.done, evidence))
        self.late.dossiers[self.c.agent] = before
        assert Applied() == ruling.answer and ruling.dossier is not None
        assert self.done == ruling.dossier.head
        earlier = len(ruling.chapters) - 1
        assert ruling.dossier.proved is (earlier > 0)
        return earlier


def test_what_led_to_an_admission_is_taken_from_application_and_departure_if_both_hold() -> None:
    scene = Admitted()
    c, gone = scene.c, scene.gone
    forged = c.c.sample.certified(gone.transition, gone.certificate.slot)
    assert 2 == scene.past(Evidence())
    assert 2 == scene.past(Evidence(departure=c.head)), "another departure does not hide this one"
    assert 2 == scene.past(Evidence(departure=forged)), "nor does a forged one"
    assert 2 == scene.past(Evidence(departure=gone), arrival=None)
    assert 0 == scene.past(Evidence(departure=forged), arrival=None)
    assert 0 == scene.past(Evidence(), arrival=None)
    assert 0 == scene.past(Evidence(departure=gone), application=None)
    assert 0 == scene.past(Evidence(), application=c.ask), "it applied in another term"


def test_a_return_proves_nothing_to_an_anchor_that_did_not_know_the_agent() -> None:
    c = Crossing(deadline_ms=100)
    gone = c.arrived()
    refusal = refused_once(c, gone, 0, 1, 2, 3)
    back = c.world.decide(c.a, c.world.return_proposal(c.a, gone, refusal), gone, only=(0, 1, 2))
    late = c.a.anchors[3]
    late.dossiers[c.agent] = Dossier(agent=c.agent, proved=True)
    ruling = late.ruling(shown(back, Evidence(refusal=refusal)))
    assert ruling.dossier is not None
    assert (back, False) == (ruling.dossier.head, ruling.dossier.proved)
