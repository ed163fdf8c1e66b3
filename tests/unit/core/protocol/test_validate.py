"""What an anchor checks before a lock vote (protocol §4): steps, intents, retirements; alike everywhere."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.governance import Officers
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import Trust, TrustedIssuer
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import RECORD_BYTES_MAX, TRANSITION_BYTES_MAX
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import child, ordered
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Declined,
    Evidence,
    Intent,
    Need,
    Proposal,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.validate import check_size
from sojourn.core.quorum.votes import Phase
from tests.rulings import World
from tests.samples import ISSUER, PERMIT_ALL, document, propose, seal
from tests.unit.core.protocol.asking import EVE, proposed, reason_of, resealed


@pytest.fixture
def world() -> World:
    return World("a", "b")


# Steps


def test_section_4_check_3_and_4_a_step_is_the_bound_hosts_alone(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    good = world.step_proposal(a, head)
    host, other = a.hosts
    record = good.transition.record
    sealed_twice = replace(good, seals=good.seals * 2)
    for wrong, reason in (
        (
            propose(TransitionKind.STEP, head, record, other, now_ms=good.transition.at_ms),
            "wrong-author",
        ),
        (replace(good, seals=()), "wrong-author"),
        (sealed_twice, "wrong-author"),
        (resealed(good, other, role=Role.HOST), "wrong-key"),
        (resealed(good, host, role=Role.ANCHOR), "bad-signature"),
        (replace(good, transition=replace(good.transition, reason="x")), "bad-signature"),
    ):
        assert reason == reason_of(proposed(world, wrong, head))
    assert isinstance(proposed(world, good, head), Voted)


def test_section_4_check_10_a_step_needs_a_live_lease_here(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    a.anchors[0].restart()
    reply = proposed(world, world.step_proposal(a, head), head)
    assert isinstance(reply, Declined) and reply.for_now
    a.renew(head)
    assert isinstance(proposed(world, world.step_proposal(a, head), head), Voted)


def test_section_4_check_12_a_step_overspends_nothing(world: World) -> None:
    a = world.zones[0]
    budgets = {"orders": Budget(limit=3)}
    head = world.launch(a, eligibility=Eligibility(status=Status.ACTIVE, budgets=budgets))
    for spent, reason in ((4, "over-budget"), (3, "")):
        eligibility = replace(
            head.record.eligibility, budgets={"orders": Budget(limit=3, spent=spent)}
        )
        reply = proposed(world, world.step_proposal(a, head, eligibility=eligibility), head)
        assert reason == reason_of(reply) if reason else isinstance(reply, Voted)


def test_trap_23_no_lock_vote_without_the_blocks(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    memory = replace(head.record.memory, journal=digest(b"j"), outbox=digest(b"o"))
    step = world.step_proposal(a, head, memory=memory)
    assert Need(what="blocks", digests=(digest(b"j"), digest(b"o"))) == proposed(world, step, head)
    a.give(digest(b"j"), digest(b"o"))
    assert isinstance(proposed(world, step, head), Voted)


def test_trap_50_a_record_has_its_limit(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    wide = {
        f"{i:064}": Compartment(
            form=Form.LOG, root=ZERO, labels=tuple(f"{j:0128}" for j in range(32))
        )
        for i in range(20)
    }
    step = world.step_proposal(a, head, memory=Memory(compartments=wide))
    assert len(encode(step.transition.record)) > RECORD_BYTES_MAX
    assert "too-large" == reason_of(proposed(world, step, head))


def test_trap_50_a_proposal_has_its_limit(world: World) -> None:
    """It is stored, and shown in every NACK and round vote: one too large to show would wedge the slot."""
    a = world.zones[0]
    head = world.launch(a)
    heavy = document("//" + "x" * 60_000 + "\n" + PERMIT_ALL)
    step = replace(world.step_proposal(a, head), evidence=Evidence(documents=(heavy,) * 5))
    assert len(encode(step)) > TRANSITION_BYTES_MAX
    assert "too-large" == reason_of(proposed(world, step, head))


def test_trap_50_a_proposal_may_have_just_as_many_bytes_as_the_limit(world: World) -> None:
    a = world.zones[0]
    step = world.step_proposal(a, world.launch(a))

    def padded(count: int) -> Proposal:
        texts = [*["x" * 60_000] * (TRANSITION_BYTES_MAX // 65_536), "x" * count]
        return replace(step, evidence=Evidence(documents=tuple(map(document, texts))))

    room = 1_000 + TRANSITION_BYTES_MAX - len(encode(padded(1_000)))
    assert TRANSITION_BYTES_MAX == len(encode(padded(room)))
    check_size(padded(room))
    with pytest.raises(Rejected, match="more than the limit"):
        check_size(padded(room + 1))


def test_trap_50_a_locked_value_does_not_come_with_more_than_fits(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    step = world.step_proposal(a, head)
    slot = a.slot(step, head)
    lock = a.sample.certificate(slot, step.transition.digest, phase=Phase.LOCK)
    heavy = document("//" + "x" * 60_000 + "\n" + PERMIT_ALL)
    wide = replace(step, evidence=Evidence(documents=(heavy,) * 5))
    assert "too-large" == reason_of(a.ask(0, ShowLock(certificate=lock, proposal=wide)))
    assert isinstance(a.ask(0, ShowLock(certificate=lock, proposal=step)), Voted)


# Intents


def intent(**changes: Any) -> Intent:
    shown = Intent(
        step="hedge", action="order.place", effect="once", key="k", arguments=digest(b"a")
    )
    return replace(shown, **changes)


def intended(world: World, head: Certified, shown: Intent | None, **changes: Any) -> Proposal:
    """Return the bound host's proposal of an intent."""
    a = world.zones[0]
    decided = digest_of(shown) if shown else digest(b"nothing")
    eligibility = replace(head.record.eligibility, last_decision=decided)
    record = child(head.record, head.certificate.slot, **({"eligibility": eligibility} | changes))
    evidence = Evidence(intent=shown)
    return world.propose(
        TransitionKind.INTEND, head, record, world.host_of(a, head), evidence=evidence
    )


ORDERS = document(actions=("order.place",))


def test_section_10_an_intent_is_shown_and_permitted(world: World) -> None:
    head = world.launch(world.zones[0], ORDERS)
    assert isinstance(proposed(world, intended(world, head, intent()), head), Voted)


def test_section_10_the_intent_shown_is_the_one_recorded(world: World) -> None:
    head = world.launch(world.zones[0], ORDERS)
    good = intended(world, head, intent())
    for evidence in (Evidence(), Evidence(intent=intent(cost_micros=1))):
        wrong = replace(good, evidence=evidence)
        assert "no-intent" == reason_of(proposed(world, wrong, head))


def test_section_4_check_3_and_10_an_intent_is_the_bound_hosts_with_a_live_lease(
    world: World,
) -> None:
    a = world.zones[0]
    head = world.launch(a, ORDERS)
    good = intended(world, head, intent())
    other = a.hosts[1]
    stolen = resealed(good, other, role=Role.HOST, author=other.public)
    assert "wrong-author" == reason_of(proposed(world, stolen, head))
    a.anchors[0].restart()
    reply = proposed(world, good, head)
    assert isinstance(reply, Declined) and reply.for_now


@pytest.mark.parametrize(
    ("when", "changes"),
    [
        ('context.step == "hedge"', {"step": "hedge"}),
        ('context.labels.contains("secret")', {"labels": ("secret",)}),
        ("context.cost_micros > 10", {"cost_micros": 11}),
        ('context.labels_dropped.contains("pii")', {"labels_dropped": ("pii",)}),
        ('context.residency.contains("EU")', {"residency": ("EU",)}),
        ('context.residency_dropped.contains("EU")', {"residency_dropped": ("EU",)}),
    ],
)
def test_section_4_the_zone_is_told_the_circumstances_of_an_intent(
    world: World, when: str, changes: dict[str, Any]
) -> None:
    world.zones[0] = world.found(
        "wary", policy=f"{PERMIT_ALL} forbid (principal, action, resource) when {{ {when} }};"
    )
    head = world.launch(world.zones[0], ORDERS)
    mild, told = (intent(step="buy"), intent(**({"step": "buy"} | changes)))
    assert "denied" == reason_of(proposed(world, intended(world, head, told), head))
    assert isinstance(proposed(world, intended(world, head, mild), head), Voted)


@pytest.mark.parametrize(
    "action", ["order.cancel", "travel", "launch", "", " ", "Order.Place", "x" * 128, "\u202e"]
)
def test_section_4_what_no_policy_declares_is_denied(world: World, action: str) -> None:
    narrow = document(
        'permit (principal, action in [Action::"launch", Action::"order.place"], resource);',
        actions=("order.place",),
    )
    head = world.launch(world.zones[0], narrow)
    reply = proposed(world, intended(world, head, intent(action=action)), head)
    expected = isinstance(reply, Voted) if action == "launch" else isinstance(reply, Declined)
    assert expected, reply


def test_section_4_trust_is_enough_for_the_action(world: World) -> None:
    trust = Trust(
        issuers=(TrustedIssuer(name="acme", key=ISSUER.public, level=2),),
        minimum={"order.place": 3},
    )
    head = world.launch(world.zones[0], ORDERS, trust=trust)
    reply = proposed(world, intended(world, head, intent()), head)
    assert "denied" == reason_of(reply)


def test_section_4_the_zone_judges_what_it_has_never_heard_of(world: World) -> None:
    world.zones[0] = world.found(
        "wary",
        policy="permit (principal, action, resource);"
        'forbid (principal, action in Action::"application", resource)'
        ' when { context.effect == "once" };',
    )
    head = world.launch(world.zones[0], ORDERS)
    assert "denied" == reason_of(proposed(world, intended(world, head, intent()), head))
    mild = intended(world, head, intent(effect="idempotent"))
    assert isinstance(proposed(world, mild, head), Voted)


def test_an_intent_of_extreme_values_has_an_answer(world: World) -> None:
    head = world.launch(world.zones[0], ORDERS)
    wild = intent(
        cost_micros=2**63 - 1,
        step="\x00",
        labels=tuple(f"{i}\u202e\ud7ff\U0010ffff" for i in range(3_000)),
    )
    assert isinstance(proposed(world, intended(world, head, wild), head), Voted | Declined)


# Retiring


def order_of(
    world: World, agent: bytes, act: Act = Act.RETIRE, by: Any = ISSUER, **fields: Any
) -> SignedOrder:
    now_ms = world.clock.wall_ms
    times = {"issued_ms": now_ms, "expires_ms": now_ms + 60_000}
    role, kind = fields.pop("role", Role.ISSUER), fields.pop("kind", Kind.ORDER)
    order = Order(agent=agent, act=act, **(times | fields))
    return SignedOrder(order=order, seals=(seal(by, kind, role, digest_of(order)),))


def carrying(
    world: World,
    head: Certified,
    signed: SignedOrder | None,
    by: Any = EVE,
    role: Role = Role.PERSON,
    act: Act = Act.RETIRE,
) -> Proposal:
    """Return the proposal of somebody who carries an order, or pretends to."""
    now_ms = world.clock.wall_ms
    named = signed.order.issued_ms if signed is not None else now_ms
    order = Order(agent=head.record.agent_id, act=act, issued_ms=named, expires_ms=now_ms + 1)
    record = ordered(head.record, head.certificate.slot, order)
    evidence = Evidence(order=signed)
    return world.propose(TransitionKind(act), head, record, by, role=role, evidence=evidence)


def test_section_2_anybody_may_bring_the_officers_order(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    order = order_of(world, head.record.agent_id)
    later = world.step(a, head)  # officers sign no parent digest that a step outruns
    done = world.decide(a, carrying(world, later, order), later)
    assert Status.RETIRED is done.record.eligibility.status


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": digest(b"another agent")},
        {"act": Act.REVOKE},
        {"by": EVE},
        {"role": Role.OPERATOR},
        {"kind": Kind.DOCUMENT},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_section_2_the_order_is_the_officers_and_for_this(
    world: World, changes: dict[str, Any]
) -> None:
    head = world.launch(world.zones[0])
    order = order_of(world, **({"agent": head.record.agent_id} | changes))
    assert isinstance(proposed(world, carrying(world, head, order), head), Declined)


def test_trap_11_the_bringer_seals_as_a_person(world: World) -> None:
    head = world.launch(world.zones[0])
    order = order_of(world, head.record.agent_id)
    for role in (Role.HOST, Role.ISSUER, Role.ANCHOR):
        wrong = carrying(world, head, order, role=role)
        assert "bad-signature" == reason_of(proposed(world, wrong, head))
    assert "no-order" == reason_of(proposed(world, carrying(world, head, None), head))


def test_section_4_check_4_an_order_is_brought_under_its_authors_seal_alone(world: World) -> None:
    head = world.launch(world.zones[0])
    good = carrying(world, head, order_of(world, head.record.agent_id))
    for wrong in (
        resealed(good, EVE, EVE, role=Role.PERSON),
        resealed(good, ISSUER, role=Role.PERSON),
        replace(good, seals=()),
    ):
        assert "wrong-author" == reason_of(proposed(world, wrong, head))
    assert isinstance(proposed(world, good, head), Voted)


def test_retiring_needs_the_threshold_of_the_first_document(world: World) -> None:
    officers = Officers(keys=(ISSUER.public, EVE.public), retire=2)
    head = world.launch(world.zones[0], document(officers=officers))
    order = order_of(world, head.record.agent_id)
    assert "below-threshold" == reason_of(proposed(world, carrying(world, head, order), head))
    both = replace(
        order, seals=(*order.seals, *order_of(world, head.record.agent_id, by=EVE).seals)
    )
    assert isinstance(proposed(world, carrying(world, head, both), head), Voted)


# Determinism


_JUDGE = """
from sojourn.core.protocol.messages import Propose
from tests.rulings import World
from tests.samples import document, PERMIT_ALL
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.base.digests import ZERO

names = [f"name {i}" for i in range(20)]
world = World("a", "b")
a, b = world.zones
memory = Memory(compartments={
    n: Compartment(form=Form.LOG, root=ZERO, labels=tuple(names[i:]), residency=("EU", n))
    for i, n in enumerate(names)
})
budgets = {n: Budget(limit=9) for n in names}
rules = document(PERMIT_ALL, actions=tuple(f"act.{i}" for i in range(9)))
head = world.launch(a, rules, memory=memory, eligibility=Eligibility(status=Status.ACTIVE, budgets=budgets))
head = world.move(a, b, head)
gone, visa, ask = world.depart(b, a, head, deadline_ms=10)
print(gone.transition.digest.hex(), visa.digest.hex(), head.record.lineage.root.hex())
lean = head.record.memory.compartments | {n: Compartment(form=Form.MAPPING, root=ZERO) for n in names}
head = world.step(b, world.launch(b, rules, memory=memory))
wrong = world.step_proposal(b, head, memory=Memory(compartments=lean))
print(b.ask(0, Propose(slot=b.slot(wrong, head), round=0, proposal=wrong)))
"""


def test_trap_15_every_process_judges_alike() -> None:
    root = Path(__file__).parents[4]
    outputs = set()
    for hash_seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", _JUDGE],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{root}/src:{root}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        outputs.add(done.stdout)
    assert 1 == len(outputs)
