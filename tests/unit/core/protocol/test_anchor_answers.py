"""What an anchor says of what it knows, renews, and takes for the place that an agent went to."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.anchor import note_onward, renews
from sojourn.core.protocol.binding import Claim
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import OpenSlot
from sojourn.core.protocol.messages import AskHead, AskRound, Head
from tests.rulings import World
from tests.unit.core.protocol.crossing import Crossing, refused


def test_section_5_only_the_certified_admission_of_that_departure_is_a_pointer_onward() -> None:
    c = Crossing()
    gone, anchor = c.depart(), c.a.anchors[0]
    done = c.world.arrive(c.b, gone, c.visa, c.ask)
    known, view = anchor.dossier(c.agent), anchor.view()
    forged = c.c.sample.certified(done.transition, done.certificate.slot)
    other = c.b.sample.certified(replace(done.transition, parent=digest(b"another departure")))
    refusal = c.b.sample.certified(
        c.world.refuse_proposal(c.b, gone).transition, done.certificate.slot
    )

    def why(admission: Certified, **changes: object) -> str:
        with pytest.raises(Rejected) as caught:
            note_onward(replace(known, **changes), admission, view)
        return caught.value.reason

    assert replace(known, onward=done) == note_onward(known, done, view)
    assert "wrong-parent" == why(other) == why(done, head=None) == why(done, head=c.head)
    assert "wrong-kind" == why(refusal)
    assert "wrong-key" == why(forged)


def test_section_5_an_anchor_says_what_opened_its_term_and_where_the_agent_went() -> None:
    c = Crossing(deadline_ms=100)
    gone, anchor = c.arrived(), c.b.anchors[0]
    c.world.clock.pass_ms(200)
    refusal = c.world.refuse(c.b, gone)
    assert Head(certified=None, refusal=refusal) == anchor.ask(AskHead(agent=c.agent))
    [first] = c.a.anchors[0].past(c.agent)
    assert Head(certified=gone, opened=first.opened) == c.a.ask(0, AskHead(agent=c.agent))

    c = Crossing()
    gone, anchor = c.depart(), c.a.anchors[0]
    done = c.world.arrive(c.b, gone, c.visa, c.ask)
    anchor.learn_onward(c.agent, done)
    [first] = anchor.past(c.agent)
    expected = Head(certified=gone, opened=first.opened, onward=done)
    assert expected == anchor.ask(AskHead(agent=c.agent))


def test_section_6_no_lease_is_renewed_by_who_knows_of_a_later_term_or_slot() -> None:
    world = World("a")
    [a] = world.zones
    head = world.launch(a)
    custody, slot = head.record.custody, head.certificate.slot
    assert custody.host is not None
    claim = Claim(agent=slot.agent, term=custody.term, binding=custody.binding)
    known = a.anchors[0].dossier(slot.agent)
    next_, later = (
        OpenSlot(slot=replace(slot, version=slot.version + ahead), entered_ms=0) for ahead in (1, 2)
    )
    for dossier, is_renewed in (
        (known, True),
        (replace(known, high_term=claim.term + 1), False),
        (replace(known, open=next_), True),
        (replace(known, open=later), False),
    ):
        assert renews(dossier, custody.host, claim) is is_renewed


def test_section_3_a_slot_of_another_zone_is_not_ruled_on_here() -> None:
    c = Crossing()
    slot = replace(c.head.certificate.slot, version=c.head.record.version + 1)
    assert refused(c.b.ask(0, AskRound(slot=slot, round=0)), "wrong-zone")
