"""What an anchor says to an application for entry, to the last field (protocol §5)."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import VISA_DEADLINE_MS
from sojourn.core.protocol.decree import UNCOUNTED
from sojourn.core.protocol.dossier import CastVote
from sojourn.core.protocol.messages import Reply, Voted
from sojourn.core.protocol.visa import visa_slot
from sojourn.core.quorum.votes import Ballot, Phase
from tests.rulings import PureZone, World
from tests.samples import PERMIT_ALL, genesis
from tests.unit.core.protocol.crossing import Crossing, refused


@pytest.fixture
def crossing() -> Crossing:
    return Crossing()


def test_section_5_the_vote_for_a_visa_is_on_its_terms_in_round_0_of_its_own_slot(
    crossing: Crossing,
) -> None:
    ask, anchor = crossing.ask, crossing.b.anchors[2]
    ruling = anchor.ruling(ask)
    assert isinstance(ruling.answer, CastVote)
    expected = Ballot(
        slot=visa_slot(ask.terms),
        round=0,
        phase=Phase.VISA,
        value=digest_of(ask.terms),
        anchor=2,
        counter=UNCOUNTED,
    )
    assert expected == ruling.answer.ballot
    assert replace(anchor.dossier(crossing.agent), application=ask) == ruling.dossier


def test_section_5_an_application_for_an_earlier_term_does_not_displace_a_later_one(
    crossing: Crossing,
) -> None:
    """Whoever was its host once knows what it was then, and could apply with that."""
    anchor, ask = crossing.b.anchors[0], crossing.ask
    known = anchor.dossier(crossing.agent)
    later = replace(ask, terms=replace(ask.terms, term=ask.terms.term + 1))
    anchor.dossiers[crossing.agent] = replace(known, application=later)
    assert refused(anchor.ask(ask), "closed-term")
    assert later == anchor.dossier(crossing.agent).application
    anchor.dossiers[crossing.agent] = known
    assert isinstance(anchor.ruling(ask).answer, CastVote), "the same term may be applied for again"


def test_section_5_a_visa_may_wait_for_as_long_as_the_limit_says() -> None:
    assert VISA_DEADLINE_MS == Crossing(deadline_ms=VISA_DEADLINE_MS).visa.terms.deadline_ms


def applied(world: World, target: PureZone, **launch: Any) -> Reply | None:
    """Return one anchor's answer to an agent of the first zone that applies, with all blocks there."""
    a = world.zones[0]
    head = world.launch(a, **launch)
    target.give(*head.record.governance.documents)
    return target.ask(0, world.application(a, target, head))


def test_section_4_the_target_may_veto_whence_it_comes() -> None:
    world = World("a", "b")
    not_from_a = (
        "forbid (principal, action, resource)"
        ' when { context has origin && context.origin.name == "a" };'
    )
    wary = world.found("wary", policy=f"{PERMIT_ALL} {not_from_a}")
    assert refused(applied(world, wary), "denied")


@pytest.mark.parametrize("needed", [5, 6])
def test_section_4_trust_is_what_the_agent_asks_of_a_journey(needed: int) -> None:
    world = World("a", "b")
    trust = genesis(world.zones[0].sample).transition.record.trust
    reply = applied(world, world.zones[1], trust=replace(trust, minimum={"travel": needed}))
    assert isinstance(reply, Voted) if needed == 5 else refused(reply, "denied")


def test_section_5_a_slot_is_promised_to_one_until_its_time_is_over() -> None:
    c = Crossing(deadline_ms=1_000)
    envelopes = c.world.known.envelopes[c.b.zone]
    offered = envelopes[c.ask.terms.host]
    envelopes[c.ask.terms.host] = replace(offered, offer=replace(offered.offer, slots=1))
    capabilities = replace(c.head.record.capabilities, entry="other:Agent")
    assert refused(applied(c.world, c.b, capabilities=capabilities), "refused")
    c.world.clock.pass_ms(1_000)
    capabilities = replace(capabilities, entry="third:Agent")
    assert isinstance(applied(c.world, c.b, capabilities=capabilities), Voted)
