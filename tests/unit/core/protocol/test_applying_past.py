"""What another anchor says of the past, field by field: what of it leads to the head here, and what is kept."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.applying import caught_up, is_behind
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Applied, Proposal, ShowCommit
from tests.rulings import PureAnchor
from tests.unit.core.protocol.crossing import Crossing


def adopt(late: PureAnchor, head: Certified) -> None:
    """Have an anchor that has forgotten an agent adopt a decision, and nothing of what led to it."""
    late.dossiers.clear()
    late.chapters.clear()
    proposal = Proposal(transition=head.transition, seals=())
    assert Applied() == late.ask(ShowCommit(certificate=head.certificate, proposal=proposal))
    assert is_behind(late.dossier(head.record.agent_id))


def test_section_3_terms_after_the_head_here_are_not_taken_though_they_prove_themselves() -> None:
    """The one that tells has seen it leave, and come home again: nothing of that led to the head here."""
    c = Crossing()
    other, late = c.a.anchors[0], c.a.anchors[3]
    there = c.world.move(c.a, c.b, c.head)
    c.world.move(c.b, c.a, there)
    told = other.past(c.agent)
    assert [0, 1, 2] == [chapter.opened.certificate.slot.term for chapter in told]
    adopt(late, c.head)
    before = late.dossier(c.agent)

    ruling = caught_up(before, told, None, late.view())

    first = replace(told[0], closed=None)
    assert (Applied(), (first,)) == (ruling.answer, ruling.chapters)
    assert replace(before, chapter=first, proved=True) == ruling.dossier


def test_section_3_the_departure_that_is_the_head_here_closes_the_chapter_that_led_to_it() -> None:
    """Also where the one that tells has not seen it: what is not shown is known here."""
    c = Crossing()
    other, late = c.a.anchors[0], c.a.anchors[3]
    opened = other.past(c.agent)
    gone = c.depart()
    closed = other.past(c.agent)
    assert (None, gone) == (opened[-1].closed, closed[-1].closed)
    adopt(late, gone)
    before = late.dossier(c.agent)
    for told in (opened, closed):
        ruling = caught_up(before, told, c.visa, late.view())
        assert (Applied(), closed) == (ruling.answer, ruling.chapters)
        assert replace(before, chapter=closed[-1], visa=c.visa, proved=True) == ruling.dossier


def test_section_5_who_knows_the_past_is_told_the_visa_alone() -> None:
    c = Crossing()
    late = c.a.anchors[3]
    c.depart()
    before = replace(late.dossier(c.agent), visa=None)
    assert before.proved and is_behind(before)

    ruling = caught_up(before, (), c.visa, late.view())

    assert (Applied(), ()) == (ruling.answer, ruling.chapters)
    assert replace(before, visa=c.visa) == ruling.dossier
    assert ruling.dossier == caught_up(ruling.dossier, (), None, late.view()).dossier


def test_who_knows_nothing_of_an_agent_is_told_nothing_that_leads_to_it() -> None:
    c = Crossing()
    other, late = c.a.anchors[0], c.b.anchors[0]
    with pytest.raises(Rejected) as caught:
        caught_up(late.dossier(c.agent), other.past(c.agent), c.visa, late.view())
    assert ("extra", "chapters") == (caught.value.reason, caught.value.where)
