"""Who has a say before an agent leaves and before it enters, and what they are told (protocol §4, §5)."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import Trust, TrustedIssuer
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Role
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.messages import Declined, Propose, Reply, Voted
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.validate import (
    chapter_of,
    check_departure,
    check_proposal,
    check_visa_of,
)
from sojourn.core.protocol.visa import Visa, visa_slot
from sojourn.core.quorum.votes import Phase
from tests.rulings import Knowledge, World
from tests.samples import ISSUER, PERMIT_ALL
from tests.unit.core.protocol.asking import resealed
from tests.unit.core.protocol.crossing import Crossing, refused

SECRET = Memory(
    compartments={"s": Compartment(form=Form.LOG, root=digest(b"s"), labels=("secret",))}
)
FORBIDDEN = (
    "true",
    'context.labels.contains("secret")',
    'context has origin && context.origin.name == "a"',
    'resource.name == "b"',
)
ELSEWHERE = 'context has origin && context.origin.name == "b"'


class Leaving:
    """An agent that asks to go from a to b, whose votes for a visa say nothing of b's policy."""

    def __init__(self, *, source: str = "false", target: str = "false", **fields: Any) -> None:
        self.world = World()
        self.a, self.b = (
            self.world.found(name, policy=f"{PERMIT_ALL} {forbidding(when)}")
            for name, when in (("a", source), ("b", target))
        )
        self.world.zones = [self.a, self.b]
        for zone in self.world.zones:
            zone.give(digest(b"s"))
        self.head = self.world.launch(self.a, memory=SECRET, **fields)
        self.ask = self.world.application(self.a, self.b, self.head)
        terms = self.ask.terms
        certificate = self.b.sample.certificate(
            visa_slot(terms), digest_of(terms), phase=Phase.VISA
        )
        self.visa = Visa(terms=terms, certificate=certificate)
        self.departure = self.world.depart_proposal(self.a, self.b, self.head, self.visa)

    def leaves(self) -> Reply | None:
        """Ask one anchor of a for its vote to let the agent go."""
        slot = self.a.slot(self.departure, self.head)
        return self.a.ask(0, Propose(slot=slot, round=0, proposal=self.departure))

    def enters(self, prepare: Callable[[], None] = lambda: None) -> Reply | None:
        """Have it leave, and ask one anchor of b, which took its application, for its vote to let it in."""
        gone = self.world.decide(self.a, self.departure, self.head)
        anchor, agent = self.b.anchors[0], gone.record.agent_id
        anchor.blocks.update(gone.record.governance.documents)
        anchor.dossiers[agent] = replace(anchor.dossier(agent), application=self.ask)
        prepare()
        proposal = self.world.admit_proposal(self.b, gone, self.visa)
        slot = self.b.slot(proposal, gone)
        return self.b.ask(0, Propose(slot=slot, round=0, proposal=proposal))


def forbidding(when: str) -> str:
    """Return a rule against moves."""
    return f'forbid (principal, action == Action::"travel", resource) when {{ {when} }};'


@pytest.mark.parametrize("when", FORBIDDEN)
def test_section_4_the_source_has_its_say_with_the_origin_and_what_travels(when: str) -> None:
    assert refused(Leaving(source=when).leaves(), "denied")


@pytest.mark.parametrize("when", FORBIDDEN)
def test_section_4_the_target_has_its_say_again_with_the_origin_and_what_travels(when: str) -> None:
    assert refused(Leaving(target=when).enters(), "denied")


def test_section_4_what_neither_forbids_leaves_and_enters() -> None:
    assert isinstance(Leaving(source=ELSEWHERE, target=ELSEWHERE).leaves(), Voted)
    assert isinstance(Leaving(source=ELSEWHERE, target=ELSEWHERE).enters(), Voted)


def test_section_4_trust_in_the_target_is_judged_before_it_leaves_and_before_it_enters() -> None:
    """It was enough for the visa; what it rests on is not known any more."""
    leaving, entering = Leaving(), Leaving()
    leaving.world.known.endorsements.clear()
    assert refused(leaving.leaves(), "denied")
    assert refused(entering.enters(entering.world.known.endorsements.clear), "denied")


@pytest.mark.parametrize("needed", [2, 3])
def test_section_4_trust_is_enough_for_travel_by_the_agents_own_measure(needed: int) -> None:
    issuers = (TrustedIssuer(name="acme", key=ISSUER.public, level=2),)
    trust = Trust(issuers=issuers, minimum={"travel": needed})
    reply = Leaving(trust=trust).leaves()
    assert isinstance(reply, Voted) if needed == 2 else refused(reply, "denied")


def test_section_5_an_anchor_that_does_not_know_the_target_does_not_let_it_go_yet() -> None:
    it = Leaving()
    known, anchor = it.world.known, it.a.anchors[0]
    it.a.give(*it.head.record.governance.documents)
    anchor.known = Knowledge(
        manifests={it.a.zone: it.a.manifest},
        endorsements=known.endorsements,
        envelopes=known.envelopes,
        library=known.library,
    )
    reply = it.leaves()
    assert isinstance(reply, Declined) and reply.for_now
    anchor.known = known
    assert isinstance(it.leaves(), Voted)


# What is no departure


def why(c: Crossing, departure: Certified, **known: object) -> str:
    """Return why an anchor of b takes a departure for none."""
    anchor = c.b.anchors[0]
    with pytest.raises(Rejected) as caught:
        check_departure(replace(anchor.dossier(c.agent), **known), departure, anchor.view())
    return caught.value.reason


def test_trap_18_what_is_certified_and_does_not_say_where_to_is_no_departure() -> None:
    c = Crossing()
    gone = c.depart()
    nowhere = replace(gone.transition, record=replace(gone.record, migration=None))
    step = replace(gone.transition, kind=TransitionKind.STEP)
    for transition in (nowhere, step):
        assert "wrong-kind" == why(c, c.a.sample.certified(transition))


@pytest.mark.parametrize("high_term", [1, 2])
def test_trap_21_a_departure_for_a_term_that_was_held_or_closed_is_over(high_term: int) -> None:
    c = Crossing()
    gone = c.depart()
    assert gone.record.migration is not None and 1 == gone.record.migration.next_term
    assert "closed-term" == why(c, gone, high_term=high_term)


def test_trap_13_a_departure_is_held_against_the_manifests_of_the_application() -> None:
    """Nobody in b knows zone a, but for what the agent showed when it applied."""
    c = Crossing()
    gone, anchor = c.depart(), c.b.anchors[0]
    anchor.known = Knowledge(manifests={c.b.zone: c.b.manifest}, chapters=c.world.known.chapters)
    check_departure(anchor.dossier(c.agent), gone, anchor.view())
    unproved = replace(c.ask, manifests=())
    assert "unknown-zone" == why(c, gone, application=unproved)


def test_a_block_that_is_no_chapter_is_named_by_its_place_in_the_chain() -> None:
    class Blocks(dict[bytes, Chapter]):
        def __getitem__(self, named: bytes) -> Chapter:
            raise Rejected("that is code", reason="wrong-kind", where="block")

    c = Crossing()
    view = replace(c.b.anchors[0].view(), chapters=Blocks())
    with pytest.raises(Rejected) as caught:
        chapter_of(c.ask, 0, view)
    assert ("wrong-kind", "chapters[0]") == (caught.value.reason, caught.value.where)


def test_section_5_a_departure_in_another_term_than_it_applied_from_needs_its_visa_first() -> None:
    c = Crossing(deadline_ms=100)
    gone = c.arrived()
    c.world.clock.pass_ms(200)
    back = c.world.take_back(c.a, gone, c.world.refuse(c.b, gone))
    c.a.renew(back)
    again, _, ask = c.world.depart(c.a, c.b, back)
    anchor = c.b.anchors[0]
    check_departure(replace(anchor.dossier(c.agent), application=ask), again, anchor.view())
    with pytest.raises(Missing) as lacking:
        check_departure(replace(anchor.dossier(c.agent), application=c.ask), again, anchor.view())
    assert "visa" == lacking.value.what


def test_section_5_a_visa_is_the_one_that_the_departed_record_names() -> None:
    """Another of the same zone for the same move, as good in all else, is not."""
    c = Crossing()
    gone, view = c.depart(), c.b.anchors[0].view()
    check_visa_of(gone.record, c.visa, view, where="visa")
    terms = replace(c.visa.terms, deadline_ms=2_000)
    certificate = c.b.sample.certificate(visa_slot(terms), digest_of(terms), phase=Phase.VISA)
    longer = Visa(terms=terms, certificate=certificate)
    longer.check(gone.record, c.b.manifest)
    stays = replace(gone.record, migration=None)
    for record, visa in ((gone.record, None), (gone.record, longer), (stays, c.visa)):
        with pytest.raises(Rejected) as caught:
            check_visa_of(record, visa, view, where="visa")
        assert ("void-visa", "visa") == (caught.value.reason, caught.value.where)


def test_section_5_an_admission_that_changes_what_it_may_but_did_not_is_another() -> None:
    c = Crossing()
    gone = c.arrived()
    good = c.world.admit_proposal(c.b, gone, c.visa)
    record = good.transition.record
    asleep = replace(record, eligibility=replace(record.eligibility, status=Status.DORMANT))
    wrong = resealed(good, c.b.hosts[0], role=Role.HOST, record=asleep)
    assert refused(c.proposed(c.b, wrong, gone), "bad-change")
    assert isinstance(c.proposed(c.b, good, gone), Voted)


def test_section_5_a_refusal_is_of_a_departure_that_would_be_let_in_but_for_its_deadline() -> None:
    c = Crossing(deadline_ms=100)
    gone, anchor = c.arrived(), c.b.anchors[0]
    c.world.clock.pass_ms(200)
    dossier = anchor.dossier(c.agent)
    forged = c.c.sample.certificate(gone.certificate.slot, gone.transition.digest)
    for departure, known, reason in (
        (gone, replace(dossier, high_term=1), "closed-term"),
        (replace(gone, certificate=forged), dossier, "wrong-key"),
    ):
        refusal = c.world.refuse_proposal(c.b, departure)
        slot = c.b.slot(refusal, departure)
        with pytest.raises(Rejected) as caught:
            check_proposal(known, refusal, slot, anchor.view(), is_locked=False)
        assert reason == caught.value.reason
    refusal = c.world.refuse_proposal(c.b, gone)
    check_proposal(dossier, refusal, c.b.slot(refusal, gone), anchor.view(), is_locked=False)
