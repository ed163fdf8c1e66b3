"""When each duty is due to the millisecond, and when there is none (protocol §3, §5, §6)."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import RANK_STEP_MS, ROUND_BASE_MS
from sojourn.core.protocol import decree
from sojourn.core.protocol.binding import rank
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, OpenSlot
from sojourn.core.protocol.duties import (
    Duty,
    Task,
    duties_of,
    has_live_host,
    is_overdue,
    lead_again_ms,
    may_owe_more,
)
from sojourn.core.protocol.messages import Arrive, AskRound
from tests.rulings import PureAnchor, PureZone, World
from tests.unit.core.protocol.stage import Stage


@pytest.fixture
def world() -> World:
    return World("a", "b", lease_ms=2_000)


def due(anchor: PureAnchor, agent: bytes, task: Task, **changes: Any) -> int | None:
    """Return when an anchor owes a task, with its dossier changed; None if it does not."""
    dossier = replace(anchor.dossier(agent), **changes)
    found = {duty.task: duty.due_ms for duty in duties_of(dossier, anchor.view())}
    return found.get(task)


def all_due(zone: PureZone, head: Certified, task: Task) -> list[int]:
    """Return when the anchors of a zone owe a task, by their rank for the slot that made the head."""
    agent, slot = head.record.agent_id, head.certificate.slot
    anchors = {anchor.identity.public: anchor for anchor in zone.anchors}
    keys = [each.identity for each in zone.manifest.anchors]
    ordered = [anchors[key] for key in rank(agent + digest_of(slot), keys)]
    found = [due(anchor, agent, task) for anchor in ordered]
    return [due_ms for due_ms in found if due_ms is not None]


def ranked(first_ms: int) -> list[int]:
    return [first_ms + place * RANK_STEP_MS for place in range(4)]


# Slots


def test_section_3_only_the_leader_leads_only_from_round_1_on_and_only_with_the_proof() -> None:
    stage = Stage()
    entry, now_ms = stage.left(0), stage.world.clock.boot_ms
    for index in range(4):
        stage.anchor(index).ask(AskRound(slot=stage.slot, round=1, entry=entry))
    leading = decree.leader(stage.slot, 1, stage.zone.manifest)
    for index in range(4):
        anchor = stage.anchor(index)
        expected = now_ms if index == leading else None
        assert expected == due(anchor, stage.agent, Task.LEAD)
        state = anchor.dossier(stage.agent).open
        assert state is not None
        by_lock = replace(state, entry=None)
        assert due(anchor, stage.agent, Task.LEAD, open=by_lock) is None
        first = replace(state, round=0)
        assert due(anchor, stage.agent, Task.LEAD, open=first) is None


def test_section_3_a_round_is_left_the_later_the_longer_it_lasts() -> None:
    stage = Stage()
    slot, now_ms = stage.slot, stage.world.clock.boot_ms
    for round in (0, 2):
        for anchor in stage.zone.anchors:
            state = OpenSlot(slot=slot, entered_ms=now_ms, round=round)
            known = anchor.dossier(stage.agent)
            anchor.dossiers[stage.agent] = replace(known, open=state)
        expected = ranked(now_ms + ROUND_BASE_MS * 2**round)
        assert expected == all_due(stage.zone, stage.head, Task.LEAVE_ROUND)


def test_section_3_a_slot_from_before_a_reboot_counts_from_when_this_boot_began() -> None:
    stage = Stage()
    stage.opened(0, 1, 2, 3)
    stage.world.clock.boot_ms, stage.world.clock.boot = 10, digest(b"another boot")
    assert ranked(ROUND_BASE_MS) == all_due(stage.zone, stage.head, Task.LEAVE_ROUND)


@pytest.mark.parametrize("round", [1, 2, 9])
def test_section_3_a_leader_proposes_again_every_eighth_of_the_rounds_time(round: int) -> None:
    assert str(decree.round_timeout_ms(round) // 8) == str(lead_again_ms(round))


# Custody


def test_section_5_a_departure_is_pressed_by_rank_again_and_again(world: World) -> None:
    a, b = world.zones
    gone, _, _ = world.depart(a, b, world.launch(a))
    for _ in range(2):
        assert ranked(world.clock.boot_ms + RANK_STEP_MS) == all_due(a, gone, Task.PRESS)
        world.clock.pass_ms(10_000)


def test_section_5_the_target_presses_nothing_and_the_source_owes_no_arrival(world: World) -> None:
    a, b = world.zones
    gone, visa, _ = world.depart(a, b, world.launch(a))
    b.ask_all(Arrive(departure=gone, visa=visa))
    agent = gone.record.agent_id
    tasks = [
        {duty.task for duty in duties_of(zone.anchors[0].dossier(agent), zone.anchors[0].view())}
        for zone in (a, b)
    ]
    assert [{Task.PRESS}, {Task.OFFER, Task.REFUSE}] == tasks
    elsewhere = replace(b.anchors[0].dossier(agent), head=gone)
    tasks = [{duty.task for duty in duties_of(elsewhere, b.anchors[0].view())}]
    assert [{Task.OFFER, Task.REFUSE}] == tasks, "a head of another zone's is no duty of this one"


def test_section_6_when_the_lease_has_run_out_an_agent_is_offered_at_once(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    world.clock.pass_ms(1_500)
    a.renew(head)
    lease_ends = a.anchors[0].leases.until_ms(head.record.agent_id, head.record.custody.fence)
    assert lease_ends > world.clock.boot_ms + 2_000
    world.clock.boot_ms = lease_ends - 1
    assert ranked(lease_ends + 1) == all_due(a, head, Task.REBIND)
    world.clock.boot_ms = lease_ends + 500
    assert ranked(lease_ends + 501) == all_due(a, head, Task.REBIND)


@pytest.mark.parametrize(
    ("status", "wake_ms", "expected"),
    [
        (Status.DORMANT, (60_000, 40_000, 50_000), 40_000),
        (Status.DORMANT, (-1, 5), 0),
        (Status.DORMANT, (), None),
        (Status.ACTIVE, (60_000,), 0),
        (Status.ACTIVE, (), 0),
        (Status.RETIRED, (), None),
    ],
)
def test_section_6_an_agent_is_offered_when_it_needs_a_host(
    world: World, status: Status, wake_ms: tuple[int, ...], expected: int | None
) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    clock = world.clock
    wakes = [Wake(on_message=True), *(Wake(at_ms=clock.wall_ms + ms) for ms in wake_ms)]
    eligibility = replace(born.record.eligibility, status=status, wake=tuple(wakes))
    record = replace(born.record, eligibility=eligibility)
    head = replace(born, transition=replace(born.transition, record=record))
    first = next(
        anchor
        for anchor in a.anchors
        if due(anchor, born.record.agent_id, Task.REBIND) == clock.boot_ms
    )
    found = due(first, born.record.agent_id, Task.REBIND, head=head)
    assert (None if expected is None else clock.boot_ms + expected) == found


def test_section_3_where_no_head_is_known_the_rank_is_by_the_agent_alone(world: World) -> None:
    a, b = world.zones
    gone, visa, _ = world.depart(a, b, world.launch(a))
    b.ask_all(Arrive(departure=gone, visa=visa))
    agent = gone.record.agent_id
    keys = rank(agent, [each.identity for each in b.manifest.anchors])
    anchors = {anchor.identity.public: anchor for anchor in b.anchors}
    found = [due(anchors[key], agent, Task.REFUSE) for key in keys]
    assert ranked(world.clock.boot_ms + visa.terms.deadline_ms) == found


# What is due though its time is not


def test_section_6_a_host_counts_as_live_until_its_lease_has_run_out(world: World) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    world.clock.pass_ms(3_000)
    head = world.bind(a, born)
    anchor = a.anchors[0]
    dossier = anchor.dossier(head.record.agent_id)
    until_ms = anchor.leases.until_ms(dossier.agent, head.record.custody.fence)
    assert until_ms > anchor.leases.until_ms(digest(b"another"), head.record.custody.fence)
    assert has_live_host(dossier, anchor.leases, until_ms - 1) is True
    assert has_live_host(dossier, anchor.leases, until_ms) is False
    assert has_live_host(replace(dossier, head=born), anchor.leases, 0) is False
    assert has_live_host(replace(dossier, head=None), anchor.leases, until_ms) is True


def test_what_is_counted_from_now_each_time_is_overdue_when_it_is_wanted(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    anchor = a.anchors[0]
    dossier = anchor.dossier(head.record.agent_id)
    until_ms = anchor.leases.until_ms(dossier.agent, head.record.custody.fence)

    def overdue(boot_ms: int) -> set[Task]:
        return {task for task in Task if is_overdue(dossier, task, anchor.leases, boot_ms)}

    assert {Task.PRESS, Task.OBEY} == overdue(until_ms - 1)
    assert {Task.PRESS, Task.OBEY, Task.REBIND} == overdue(until_ms)


def test_a_ruling_that_goes_on_in_a_slot_makes_nothing_new_due() -> None:
    """Most rulings do: whoever plans duties looks at those alone that may have brought some."""
    stage = Stage()
    before = stage.anchor().dossier(stage.agent)
    stage.opened(0)
    opened = stage.anchor().dossier(stage.agent)
    assert opened.open is not None and may_owe_more(before, opened)
    assert not may_owe_more(opened, opened)
    voted = replace(opened, open=replace(opened.open, commit_voted=digest(b"x")))
    assert not may_owe_more(opened, voted)
    assert may_owe_more(opened, replace(opened, open=replace(opened.open, round=1)))
    other = replace(opened.open, slot=replace(stage.slot, version=9))
    assert may_owe_more(opened, replace(opened, open=other))
    assert not may_owe_more(opened, replace(opened, open=None))
    assert may_owe_more(replace(opened, proved=True), replace(opened, proved=False))


def test_a_head_makes_something_due_if_who_holds_it_or_what_it_waits_for_changed(
    world: World,
) -> None:
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    head = world.bind(a, born)
    stepped = world.step(a, head)
    asleep = replace(stepped.record.eligibility, status=Status.DORMANT)
    slept = world.step(a, stepped, eligibility=asleep)
    nothing = Dossier(agent=head.record.agent_id)

    def owes(before: Certified | None, after: Certified | None) -> bool:
        return may_owe_more(replace(nothing, head=before), replace(nothing, head=after))

    assert owes(None, born) and owes(born, head) and owes(stepped, slept)
    assert not owes(head, stepped) and not owes(head, head)
    assert not owes(None, None) and not owes(head, None)


def test_an_arrival_and_where_an_agent_went_make_something_due(world: World) -> None:
    a, b = world.zones
    gone, visa, _ = world.depart(a, b, world.launch(a))
    anchor = b.anchors[0]
    before = anchor.dossier(gone.record.agent_id)
    anchor.ask(Arrive(departure=gone, visa=visa))
    arrived = anchor.dossier(gone.record.agent_id)
    assert may_owe_more(before, arrived) and may_owe_more(arrived, before)
    assert may_owe_more(arrived, replace(arrived, onward=gone))


def test_a_duty_that_is_due_first_comes_first() -> None:
    assert Duty(1, Task.REFUSE) < Duty(2, Task.LEAD)
