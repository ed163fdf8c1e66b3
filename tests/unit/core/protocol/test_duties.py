"""What an anchor owes when nobody else acts, and when (protocol §3, §5, §6)."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.base.digests import digest
from sojourn.core.base.limits import ARRIVAL_PATIENCE_MS, RANK_STEP_MS, ROUND_BASE_MS
from sojourn.core.protocol import decree
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.duties import Duty, Task, duties_of, lead_again_ms
from sojourn.core.protocol.messages import Arrive, Propose, Voted
from tests.rulings import PureZone, World
from tests.unit.core.protocol.stage import Stage


@pytest.fixture
def world() -> World:
    return World("a", "b", lease_ms=2_000)


def duties(zone: PureZone, head: Certified, index: int = 0) -> dict[Task, Duty]:
    anchor = zone.anchors[index]
    found = duties_of(anchor.dossier(head.record.agent_id), anchor.view())
    assert found == sorted(found)
    return {duty.task: duty for duty in found}


def test_an_idle_agent_asleep_until_a_message_owes_nothing(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    asleep = replace(head.record.eligibility, status=Status.DORMANT, wake=(Wake(on_message=True),))
    head = world.step(a, head, eligibility=asleep)
    assert {} == duties(a, head)


def test_section_6_an_agent_without_a_live_host_is_offered_by_rank(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    lease_ends = a.anchors[0].leases.until_ms(head.record.agent_id, head.record.custody.fence)
    due = sorted(duties(a, head, index)[Task.REBIND].due_ms for index in range(4))
    assert [lease_ends + 1 + rank * RANK_STEP_MS for rank in range(4)] == due


def test_an_agent_that_nobody_bound_is_offered_at_once(world: World) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    due = sorted(duties(a, born, index)[Task.REBIND].due_ms for index in range(4))
    assert [world.clock.boot_ms + rank * RANK_STEP_MS for rank in range(4)] == due


def test_a_sleeper_is_offered_when_it_wakes(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    at_ms = world.clock.wall_ms + 60_000
    asleep = replace(head.record.eligibility, status=Status.DORMANT, wake=(Wake(at_ms=at_ms),))
    head = world.step(a, head, eligibility=asleep)
    assert world.clock.boot_ms + 60_000 == duties(a, head)[Task.REBIND].due_ms


def test_section_3_an_open_slot_is_left_by_rank(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    a.ask_all(Propose(slot=a.slot(step, head), round=0, proposal=step))
    due = sorted(duties(a, head, index)[Task.LEAVE_ROUND].due_ms for index in range(4))
    first_ms = world.clock.boot_ms + ROUND_BASE_MS
    assert [first_ms + RANK_STEP_MS * rank for rank in range(4)] == due


def test_an_open_slot_from_before_a_reboot_is_left_soon(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    a.ask_all(Propose(slot=a.slot(step, head), round=0, proposal=step))
    world.clock.boot_ms, world.clock.boot = 10, digest(b"another boot")
    assert duties(a, head)[Task.LEAVE_ROUND].due_ms <= 4 * ROUND_BASE_MS


def test_section_5_a_departure_is_pressed_until_it_is_known_where_the_agent_went(
    world: World,
) -> None:
    a, b = world.zones
    head = world.launch(a)
    gone, visa, ask = world.depart(a, b, head)
    assert {Task.PRESS} == set(duties(a, gone))
    done = world.arrive(b, gone, visa, ask)
    assert {Task.PRESS} == set(duties(a, gone))
    a.anchors[0].learn_onward(head.record.agent_id, done)
    assert {} == duties(a, gone)


def test_section_5_an_arrival_that_its_host_does_not_admit_is_offered_to_the_others_by_rank(
    world: World,
) -> None:
    a, b = world.zones
    gone, visa, _ = world.depart(a, b, world.launch(a))
    b.ask_all(Arrive(departure=gone, visa=visa))
    due = sorted(duties(b, gone, index)[Task.OFFER].due_ms for index in range(4))
    patient_ms = world.clock.boot_ms + ARRIVAL_PATIENCE_MS
    assert [patient_ms + rank * RANK_STEP_MS for rank in range(4)] == due


def test_section_5_an_arrival_is_refused_by_rank_after_its_deadline(world: World) -> None:
    a, b = world.zones
    head = world.launch(a)
    gone, visa, _ = world.depart(a, b, head, deadline_ms=500)
    b.ask_all(Arrive(departure=gone, visa=visa))
    due = sorted(duties(b, gone, index)[Task.REFUSE].due_ms for index in range(4))
    assert [world.clock.boot_ms + 500 + rank * RANK_STEP_MS for rank in range(4)] == due


def test_section_5_an_arrival_from_before_a_reboot_is_refused_after_its_deadline_here(
    world: World,
) -> None:
    """It had been seen when this boot began: the deadline is counted from there, and it ends."""
    a, b = world.zones
    head = world.launch(a)
    gone, visa, _ = world.depart(a, b, head, deadline_ms=500)
    b.ask_all(Arrive(departure=gone, visa=visa))
    world.clock.boot_ms, world.clock.boot = 100, digest(b"another boot")
    assert 500 <= duties(b, gone)[Task.REFUSE].due_ms <= 500 + 3 * RANK_STEP_MS
    world.clock.pass_ms(401)
    world.refuse(b, gone)


def test_section_3_a_leader_proposes_again_in_its_round() -> None:
    """It has voted for its value itself: others may have refused for a lease that had yet to run out."""
    stage = Stage()
    leading = decree.leader(stage.slot, 1, stage.zone.manifest)
    assert isinstance(stage.propose(leading, stage.x, 1, entry=stage.entry_to(1)), Voted)
    anchor = stage.anchor(leading)
    tasks = [duty.task for duty in duties_of(anchor.dossier(stage.agent), anchor.view())]
    assert Task.LEAD in tasks
    assert decree.round_timeout_ms(1) > lead_again_ms(1) > 0
