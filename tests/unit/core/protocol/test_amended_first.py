"""What officers publish rules first (protocol §4 check 6b, §8.9): nothing is done under a text known to be old."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.orders import Act
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import COOLING_MAX, RANK_STEP_MS
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.duties import Task, duties_of
from sojourn.core.protocol.messages import Voted
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.waiting import carrying_next, next_run, what_waits
from tests.rulings import PureZone, World, driven
from tests.samples import FOR_EVER_MS, PERMIT_ALL, document, successor
from tests.unit.core.protocol.test_ordered_first import asked, is_held_up, order
from tests.unit.core.protocol.test_ordered_first import tell as tell_order
from tests.unit.core.protocol.test_validate import intended
from tests.unit.core.protocol.test_validate import intent as shown_intent

D0 = document(actions=("order.place",))
D1 = successor(D0, cedar=PERMIT_ALL + " // 1")
D2 = successor(D1, cedar=PERMIT_ALL + " // 2")


@pytest.fixture
def world() -> World:
    return World("a", "b", lease_ms=60_000)


def tell(zone: PureZone, *documents: SignedDocument, to: tuple[int, ...] = (0, 1, 2, 3)) -> None:
    """Let some anchors of a zone know documents."""
    for index in to:
        assert [*documents] == zone.anchors[index].learn_documents(*documents)


def obeyed(zone: PureZone, head: Certified, anchor: int = 0) -> Certified:
    """Have an anchor carry out what comes next, as its caretaker does; others are given what they lack."""
    mine = zone.anchors[anchor]
    agent = head.record.agent_id
    proposal = carrying_next(mine.dossier(agent), mine.view(), mine.identity)
    assert proposal is not None
    for item in proposal.evidence.documents:
        mine.known.library[digest_of(item.document)] = item.document
    proposer = Proposer(proposal, zone.slot(proposal, head), zone.manifest, parent=head)
    driven(zone, proposer)
    assert proposer.decided is not None, proposer.describe()
    return proposer.decided


def owed(zone: PureZone, head: Certified) -> list[int]:
    """Return when each anchor is to carry something out, by those that are."""
    found = [duties_of(a.dossier(head.record.agent_id), a.view()) for a in zone.anchors]
    return [duty.due_ms for duties in found for duty in duties if duty.task is Task.OBEY]


def test_section_4_check_6b_nothing_is_done_under_a_document_that_is_known_to_be_succeeded(
    world: World,
) -> None:
    a, b = world.zones
    head = world.launch(a, D0)
    visa = world.visa(b, world.application(a, b, head))
    doing = (
        world.step_proposal(a, head),
        intended(world, head, shown_intent()),
        world.depart_proposal(a, b, head, visa),
    )
    tell(a, D1, to=(0,))
    for proposal in doing:
        reply = asked(a, proposal, head)
        assert is_held_up(reply), proposal.transition.kind
        assert "published version 2 of rules" in reply.problem  # type: ignore[attr-defined]
    assert isinstance(asked(a, doing[0], head, anchor=1), Voted), "who does not know it votes"


def test_section_8_9_an_agent_takes_the_whole_run_and_goes_on(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    tell(a, D1, D2)
    done = obeyed(a, head)
    assert TransitionKind.AMEND is done.transition.kind
    assert (digest_of(D2.document),) == done.record.governance.documents
    assert [] == owed(a, done)
    assert isinstance(asked(a, world.step_proposal(a, done), done), Voted)


def test_section_8_9_one_anchor_that_knows_it_is_enough_to_bring_it(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    tell(a, D1, to=(2,))
    assert 1 == len(owed(a, head))
    done = obeyed(a, head, anchor=2)
    assert 2 == done.record.governance.version


def test_section_3_it_is_brought_by_rank_and_to_a_sleeper_only_when_it_has_a_host(
    world: World,
) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    tell(a, D1)
    ranked = [world.clock.boot_ms + place * RANK_STEP_MS for place in range(4)]
    assert ranked == sorted(owed(a, head))
    other = World("a", lease_ms=2_000)
    zone = other.zones[0]
    eligibility = other.launch(zone, D0)
    asleep = replace(
        eligibility.record.eligibility, status=Status.DORMANT, wake=(Wake(on_message=True),)
    )
    sleeper = other.step(zone, eligibility, eligibility=asleep)
    other.clock.pass_ms(5_000)
    tell(zone, D1)
    assert [] == owed(zone, sleeper), "nobody wants it"
    zone.renew(sleeper)
    assert 4 == len(owed(zone, sleeper)), "its host has woken it"
    assert is_held_up(asked(zone, other.step_proposal(zone, sleeper), sleeper))


def test_section_8_9_an_order_goes_before_an_amendment(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    tell(a, D1)
    tell_order(a, order(world, head, Act.QUARANTINE))
    first = obeyed(a, head)
    assert TransitionKind.QUARANTINE is first.transition.kind
    assert TransitionKind.AMEND is obeyed(a, first).transition.kind


def test_section_8_9_an_agent_that_arrives_under_an_old_text_meets_the_new_one(
    world: World,
) -> None:
    a, b = world.zones
    gone, visa, ask = world.depart(a, b, world.launch(a, D0))
    for anchor in b.anchors:
        assert [D1] == anchor.learn_documents(D1), "a stranger's word, so far"
    here = world.arrive(b, gone, visa, ask)
    for anchor in b.anchors:
        anchor.learn_documents()
    assert is_held_up(asked(b, world.step_proposal(b, here), here))
    assert 2 == obeyed(b, here).record.governance.version


@pytest.mark.parametrize(
    "unfit",
    [
        successor(D0, cedar="no policy"),
        successor(D0, not_before_ms=FOR_EVER_MS - 1),
        successor(D0, cedar="permit (principal, action, resource) when { context.nothing };"),
    ],
    ids=["no policy", "not yet", "not by the schema"],
)
def test_section_8_9_what_nobody_would_vote_for_holds_nobody_up(
    world: World, unfit: SignedDocument
) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    tell(a, unfit)
    dossier, view = a.anchors[0].dossier(head.record.agent_id), a.anchors[0].view()
    held_up = bool(what_waits(dossier, view))
    assert held_up == bool(next_run(dossier, view))
    proposal = world.amendment(head, unfit)
    a.give(digest_of(unfit.document))
    assert held_up == isinstance(asked(a, proposal, head, anchor=1), Voted), "as anchors would vote"
    if held_up:
        return
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)
    assert [] == owed(a, head)


def test_section_8_9_where_nothing_more_can_cool_the_agent_goes_on(world: World) -> None:
    a = world.zones[0]
    newest = document(cool_down_ms=10**9)
    head = world.launch(a, newest)
    for _ in range(COOLING_MAX):
        newest = successor(newest)
        head = world.amend(a, head, newest)
    tell(a, successor(newest))
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)
    assert [] == owed(a, head)


def test_what_rules_somebody_else_concerns_nobody_here(world: World) -> None:
    a = world.zones[0]
    world.launch(a, document(name="other"))
    head = world.launch(a, D0, parent=digest_of("another"))
    other = successor(document(name="other"))
    tell(a, other)
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)
