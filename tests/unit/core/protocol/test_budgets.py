"""Budgets at the anchors (protocol §2, §4 check 12): what must be spent is worked out, whatever a host says."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Arrive, Evidence, Intent, Proposal, Voted
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.validate import check_proposal
from tests.rulings import World
from tests.samples import ISSUER, document, key
from tests.unit.core.protocol.asking import proposed, reason_of

ALL = ("calls", "cost_micros", "hops", "orders", "steps", "tokens", "wall_ms")
ORDERS = document(actions=("order.place",))


@pytest.fixture
def world() -> World:
    return World("a", "b")


def launched(world: World, limit: int = 10_000, **limits: int) -> Certified:
    """Return an agent that has every budget."""
    budgets = {name: Budget(limit=limits.get(name, limit)) for name in ALL}
    eligibility = Eligibility(status=Status.ACTIVE, budgets=budgets)
    return world.launch(world.zones[0], ORDERS, eligibility=eligibility)


def spent(record: AgentRecord) -> dict[str, int]:
    return {name: b.spent for name, b in record.eligibility.budgets.items() if b.spent}


def memory(world: World, name: str) -> Memory:
    world.zones[0].give(digest(name.encode()))
    return Memory(compartments={}, journal=digest(name.encode()))


def step(world: World, head: Certified, **changes: Any) -> Proposal:
    """Return the proposal of a step that appends to the journal."""
    appended = memory(world, f"journal {head.record.version}")
    return world.step_proposal(world.zones[0], head, **({"memory": appended} | changes))


def intend(world: World, head: Certified, **fields: Any) -> Proposal:
    """Return the proposal of an act."""
    shown = Intent(
        step="buy",
        action="order.place",
        effect="once",
        key=f"key {head.record.version}",
        arguments=digest(b"a"),
        **fields,
    )
    eligibility = replace(head.record.eligibility, last_decision=digest_of(shown))
    record = child(head.record, head.certificate.slot, eligibility=eligibility)
    by = world.host_of(world.zones[0], head)
    return world.propose(TransitionKind.INTEND, head, record, by, evidence=Evidence(intent=shown))


def depart(world: World, head: Certified) -> Proposal:
    a, b = world.zones
    visa = world.visa(b, world.application(a, b, head))
    return world.depart_proposal(a, b, head, visa)


def stated(world: World, head: Certified, made: Proposal, name: str, by: int) -> Proposal:
    """Return a proposal whose author says that more, or less, of a budget is spent than is."""
    record = made.transition.record
    budget = record.eligibility.budgets[name]
    budgets = record.eligibility.budgets | {name: replace(budget, spent=budget.spent + by)}
    lie = replace(record, eligibility=replace(record.eligibility, budgets=budgets))
    author, evidence = world.host_of(world.zones[0], head), made.evidence
    kind = made.transition.kind
    return world.propose(kind, head, lie, author, evidence=evidence, is_charged=False)


Make = Callable[[World, Certified], Proposal]
DEAR: Make = lambda world, head: intend(world, head, cost_micros=70, tokens=30)  # noqa: E731


@pytest.mark.parametrize(
    ("make", "due"),
    [
        (step, {"steps": 1, "wall_ms": 250}),
        (intend, {"calls": 1, "wall_ms": 250}),
        (DEAR, {"calls": 1, "cost_micros": 70, "tokens": 30, "wall_ms": 250}),
        (depart, {"hops": 1, "wall_ms": 250}),
    ],
    ids=["step", "intend", "dear intend", "depart"],
)
def test_section_4_check_12_what_is_due_is_spent_and_not_less(
    world: World, make: Make, due: dict[str, int]
) -> None:
    head = launched(world)
    world.clock.pass_ms(250)
    good = make(world, head)
    assert due == spent(good.transition.record)
    for name in due:
        assert "miscounted" == reason_of(
            proposed(world, stated(world, head, good, name, -1), head)
        ), name
    assert isinstance(proposed(world, good, head), Voted)


@pytest.mark.parametrize("name", ["calls", "wall_ms", "hops"])
def test_section_4_check_12_what_is_counted_is_not_even_wasted(world: World, name: str) -> None:
    head = launched(world)
    for make in (step, intend, depart):
        wasteful = stated(world, head, make(world, head), name, 1)
        assert "miscounted" == reason_of(proposed(world, wasteful, head)), make


@pytest.mark.parametrize("name", ["steps", "cost_micros", "tokens", "orders"])
def test_section_2_code_may_have_spent_more_than_is_due_but_only_where_it_ran(name: str) -> None:
    for make, may_say_more in ((step, True), (intend, True), (depart, False)):
        world = World("a", "b")
        head = launched(world)
        reply = proposed(world, stated(world, head, make(world, head), name, 1), head)
        assert isinstance(reply, Voted) if may_say_more else "miscounted" == reason_of(reply)


def test_section_4_check_12_holds_for_a_locked_value_too(world: World) -> None:
    """A lock is taken over without asking policies or clocks again; what is spent is no matter of either."""
    a, head = world.zones[0], launched(world)
    lie = stated(world, head, step(world, head), "steps", -1)
    anchor = a.anchors[0]
    dossier = anchor.dossier(head.record.agent_id)
    with pytest.raises(Rejected) as caught:
        check_proposal(dossier, lie, a.slot(lie, head), anchor.view(), is_locked=True)
    assert "miscounted" == caught.value.reason


def test_section_4_check_12_a_step_that_changes_no_memory_is_none(world: World) -> None:
    head = launched(world)
    eligibility = replace(head.record.eligibility, status=Status.DORMANT)
    rest = world.step_proposal(world.zones[0], head, eligibility=eligibility)
    assert {} == spent(rest.transition.record)
    assert isinstance(proposed(world, rest, head), Voted)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("calls", intend),
        ("cost_micros", DEAR),
        ("tokens", DEAR),
        ("hops", depart),
    ],
)
def test_section_4_check_12_an_act_beyond_its_budget_is_not_voted_for(
    world: World, name: str, make: Make
) -> None:
    head = launched(world, **{name: 0})
    assert "over-budget" == reason_of(proposed(world, make(world, head), head))
    silent = stated(world, head, make(world, head), name, -make_due(name))
    assert "over-budget" == reason_of(proposed(world, silent, head))
    assert isinstance(proposed(world, step(world, head), head), Voted)  # and nothing else is lost


def make_due(name: str) -> int:
    return {"calls": 1, "cost_micros": 70, "tokens": 30, "hops": 1}[name]


@pytest.mark.parametrize("name", ["steps", "wall_ms"])
def test_section_2_the_last_step_lays_an_exhausted_agent_to_rest(world: World, name: str) -> None:
    a, head = world.zones[0], launched(world, **{name: 1})
    world.clock.pass_ms(250)
    head = world.decide(a, step(world, head), head)
    assert 1 == spent(head.record)[name]  # a quarter of a second is more than there was
    assert head.record.eligibility.is_exhausted and head.record.eligibility.is_acting
    for make in (step, intend, depart):
        assert "over-budget" == reason_of(proposed(world, make(world, head), head)), make
    resting = replace(head.record.eligibility, status=Status.DORMANT)
    head = world.decide(a, step(world, head, eligibility=resting), head)
    assert not head.record.eligibility.is_acting
    for status in (Status.DORMANT, Status.ACTIVE):
        changed = replace(head.record.eligibility, status=status)
        assert "over-budget" == reason_of(
            proposed(world, step(world, head, eligibility=changed), head)
        )


def test_section_2_nothing_but_acts_and_steps_waits_for_a_budget(world: World) -> None:
    """A bind, a journey's end and all orders are as if there were none, with every budget exhausted."""
    a, head = world.zones[0], launched(world, limit=0)
    for act in (Act.SUSPEND, Act.RESUME, Act.QUARANTINE, Act.LIFT):
        head = world.decide(a, ordered(world, head, act), head)
    world.clock.pass_ms(70_000)
    head = world.bind(a, head, host=1)
    assert 2 == head.record.custody.binding
    head = world.decide(a, ordered(world, head, Act.RETIRE), head)
    assert Status.RETIRED is head.record.eligibility.status


def test_section_2_a_journey_that_took_the_last_hop_ends_there_or_here() -> None:
    for is_refused in (False, True):
        world = World("a", "b")
        a, b = world.zones
        head = launched(world, hops=1)
        gone, visa, _ = world.depart(a, b, head, deadline_ms=10)
        if is_refused:
            b.ask_all(Arrive(departure=gone, visa=visa))
            world.clock.pass_ms(20)
            back = world.take_back(a, gone, world.refuse(b, gone))
        else:
            back = world.arrive(b, gone, visa)
        assert 1 == spent(back.record)["hops"]
        assert Status.ACTIVE is back.record.eligibility.status


# Time


def test_section_2_time_counts_while_an_agent_is_active_and_bound(world: World) -> None:
    a, b = world.zones
    budgets = {"wall_ms": Budget(limit=10**9)}
    eligibility = Eligibility(status=Status.ACTIVE, budgets=budgets)
    born = world.decide(a, world.genesis(a, ORDERS, eligibility=eligibility))
    for act in (Act.QUARANTINE, Act.LIFT):
        born = world.decide(a, ordered(world, born, act), born)
    world.clock.pass_ms(1_000)  # nobody has it
    head = world.bind(a, born)
    assert {} == spent(head.record)
    world.clock.pass_ms(100)
    head = world.decide(a, step(world, head), head)
    assert {"wall_ms": 100} == spent(head.record)
    world.clock.pass_ms(20)
    resting = replace(head.record.eligibility, status=Status.DORMANT)
    head = world.step(a, head, eligibility=resting)
    world.clock.pass_ms(1_000)  # it sleeps
    waking = replace(head.record.eligibility, status=Status.ACTIVE)
    head = world.step(a, head, eligibility=waking)
    world.clock.pass_ms(2)
    head = world.decide(a, ordered(world, head, Act.SUSPEND), head)
    world.clock.pass_ms(1_000)  # it may not do anything
    head = world.decide(a, ordered(world, head, Act.RESUME), head)
    assert {"wall_ms": 123} == spent(head.record)
    a.renew(head)
    gone, visa, _ = world.depart(a, b, head)
    world.clock.pass_ms(1_000)  # it is between zones
    head = world.arrive(b, gone, visa)
    assert {"wall_ms": 123} == spent(head.record)
    assert head.record.eligibility.uncharged_since_ms == world.clock.wall_ms


def test_section_2_a_clock_that_is_behind_charges_nothing_twice(world: World) -> None:
    a, head = world.zones[0], launched(world)
    for wall_ms, total in ((1_000, 1_000), (-900, 1_000), (800, 1_000), (150, 1_050)):
        world.clock.wall_ms += wall_ms
        head = world.decide(a, step(world, head), head)
        assert total == spent(head.record)["wall_ms"]


@pytest.mark.parametrize("by", [-1, 1, None])
def test_section_4_check_12_no_host_says_from_when_time_counts(
    world: World, by: int | None
) -> None:
    head = launched(world)
    made = step(world, head)
    since = made.transition.record.eligibility.uncharged_since_ms
    assert since is not None
    moved = None if by is None else since + by
    record = made.transition.record
    lie = replace(record, eligibility=replace(record.eligibility, uncharged_since_ms=moved))
    host = world.host_of(world.zones[0], head)
    wrong = world.propose(TransitionKind.STEP, head, lie, host, is_charged=False)
    assert "miscounted" == reason_of(proposed(world, wrong, head))


# Grants


def order(world: World, agent: bytes, act: Act, **grants: int) -> SignedOrder:
    now_ms = world.clock.wall_ms
    given = Order(agent=agent, act=act, issued_ms=now_ms, expires_ms=now_ms + 60_000, grants=grants)
    return sealed(given, [ISSUER])


def ordered(world: World, head: Certified, act: Act, **grants: int) -> Proposal:
    world.clock.pass_ms(1)
    signed = order(world, head.record.agent_id, act, **grants)
    return carrying(signed, head, key("bearer"), at_ms=world.clock.wall_ms)


def test_section_2_officers_grant_more_and_the_agent_goes_on(world: World) -> None:
    a, head = world.zones[0], launched(world, calls=0, steps=0)
    assert "over-budget" == reason_of(proposed(world, step(world, head), head))
    head = world.decide(a, ordered(world, head, Act.GRANT, calls=2, steps=3), head)
    budgets = head.record.eligibility.budgets
    assert (2, 3, 10_000) == tuple(budgets[n].limit for n in ("calls", "steps", "hops"))
    assert isinstance(proposed(world, intend(world, head), head), Voted)


def test_section_2_a_grant_adds_just_what_the_officers_sealed(world: World) -> None:
    head = launched(world)
    good = ordered(world, head, Act.GRANT, calls=2)
    record = good.transition.record
    for name, limit, is_limit in (
        ("calls", 10_003, True),
        ("hops", 10_001, True),
        ("calls", 1, False),
    ):
        before = record.eligibility.budgets[name]
        after = replace(before, limit=limit) if is_limit else replace(before, spent=limit)
        budgets = record.eligibility.budgets | {name: after}
        lie = replace(record, eligibility=replace(record.eligibility, budgets=budgets))
        wrong = world.propose(
            TransitionKind.GRANT, head, lie, key("bearer"), evidence=good.evidence, is_charged=False
        )
        assert reason_of(proposed(world, wrong, head)) in {"bad-change", "miscounted"}
    assert isinstance(proposed(world, good, head), Voted)


def test_section_2_a_step_grants_nothing(world: World) -> None:
    head = launched(world)
    budgets = head.record.eligibility.budgets
    raised = budgets | {"calls": replace(budgets["calls"], limit=10_001)}
    wrong = step(world, head, eligibility=replace(head.record.eligibility, budgets=raised))
    assert "bad-change" == reason_of(proposed(world, wrong, head))
