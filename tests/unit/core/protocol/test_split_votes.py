"""An order that comes while the agent's own step has half the votes (protocol §3, §8.8): what is lost is little."""

import pytest

from sojourn.core.base.limits import CLOCK_SKEW_MS, RANK_STEP_MS, ROUND_BASE_MS
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.duties import Task, duties_of
from sojourn.core.protocol.messages import AskRound, Nack, Proposal, RoundVoted, ShowLock, Voted
from sojourn.core.protocol.waiting import carrying_next
from sojourn.core.quorum.certificates import RoundCertificate
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureZone, World
from tests.unit.core.protocol.test_ordered_first import ORDERS, asked, order, tell

HASTE_MS = ROUND_BASE_MS // 4


@pytest.fixture
def world() -> World:
    return World("a", lease_ms=60_000)


def split(world: World) -> tuple[PureZone, Certified, AskRound]:
    """Have two anchors vote for a step, and the other two for an order that all know then."""
    (a,) = world.zones
    head = world.launch(a, ORDERS)
    step = world.step_proposal(a, head)
    assert all(isinstance(asked(a, step, head, anchor), Voted) for anchor in (0, 1))
    tell(a, order(world, head))
    mine = next_of(a, head, 2)
    assert all(isinstance(asked(a, mine, head, anchor), Voted) for anchor in (2, 3))
    assert all(isinstance(asked(a, mine, head, anchor), Nack) for anchor in (0, 1))
    return a, head, AskRound(slot=a.slot(step, head), round=0)


def next_of(zone: PureZone, head: Certified, anchor: int) -> Proposal:
    """Return what an anchor would propose to carry the order out."""
    mine = zone.anchors[anchor]
    proposal = carrying_next(mine.dossier(head.record.agent_id), mine.view(), mine.identity)
    assert proposal is not None
    return proposal


def test_section_3_votes_that_may_be_split_are_left_after_a_quarter_of_the_time(
    world: World,
) -> None:
    a, head, leave = split(world)
    due = sorted(
        duty.due_ms - world.clock.boot_ms
        for anchor in a.anchors
        for duty in duties_of(anchor.dossier(head.record.agent_id), anchor.view())
        if duty.task is Task.LEAVE_ROUND
    )
    assert [HASTE_MS + RANK_STEP_MS * rank for rank in range(4)] == due
    world.clock.pass_ms(HASTE_MS - 1)
    assert all(isinstance(reply, Nack) for reply in a.ask_all(leave))
    world.clock.pass_ms(1)
    replies = a.ask_all(leave)
    votes = tuple(reply.vote for reply in replies if isinstance(reply, RoundVoted))
    assert 4 == len(votes)
    entry = RoundCertificate(slot=leave.slot, round=0, votes=votes)
    later = AskRound(slot=leave.slot, round=1, entry=entry)
    a.ask_all(later)
    world.clock.pass_ms(2 * HASTE_MS)
    assert all(isinstance(reply, Nack) for reply in a.ask_all(later)), "it has a leader"


def test_section_3_who_is_locked_stays_its_time(world: World) -> None:
    a, head, leave = split(world)
    voted = a.anchors[2].dossier(head.record.agent_id).open
    assert voted is not None and voted.lock_voted is not None
    lock = a.sample.certificate(leave.slot, voted.lock_voted, phase=Phase.LOCK, round=0)
    assert isinstance(a.ask(2, ShowLock(certificate=lock)), Voted)
    world.clock.pass_ms(HASTE_MS)
    kinds = [type(reply) for reply in a.ask_all(leave)]
    assert [RoundVoted, RoundVoted, Nack, RoundVoted] == kinds


def test_section_3_a_slot_lasts_its_time_unless_an_order_waits(world: World) -> None:
    (a,) = world.zones
    head = world.launch(a, ORDERS)
    step = world.step_proposal(a, head)
    leave = AskRound(slot=a.slot(step, head), round=0)
    for anchor in range(4):
        asked(a, step, head, anchor)
    world.clock.pass_ms(HASTE_MS)
    assert all(isinstance(reply, Nack) for reply in a.ask_all(leave))
    tell(a, order(world, head))
    assert all(isinstance(reply, RoundVoted) for reply in a.ask_all(leave))


def test_section_8_8_who_has_voted_for_an_order_carries_that_proposal_on(world: World) -> None:
    a, head, _ = split(world)
    world.clock.pass_ms(RANK_STEP_MS)
    carried = [next_of(a, head, anchor) for anchor in range(4)]
    assert carried[2] == carried[3], "one value, whoever carries it"
    assert len({each.transition.digest for each in carried}) == 3
    assert a.anchors[2].identity.public == carried[3].transition.author
    world.clock.pass_ms(CLOCK_SKEW_MS // 2)
    assert carried[3] != next_of(a, head, 3), "nobody votes much longer for one that is old"
