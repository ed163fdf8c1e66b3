"""What an anchor checks before a lock vote (protocol §4), for the kinds that do not cross a border."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.governance import Officers, SignedDocument
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import Trust, TrustedIssuer
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.limits import RECORD_BYTES_MAX, TRANSITION_BYTES_MAX
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Declined,
    Evidence,
    Intent,
    Need,
    Order,
    Proposal,
    Propose,
    Reply,
    SignedOrder,
    Voted,
)
from tests import samples
from tests.rulings import World
from tests.samples import CODE, ISSUER, PERMIT_ALL, document, key, propose, seal

EVE = key("eve")


@pytest.fixture
def world() -> World:
    return World("a", "b")


def proposed(world: World, proposal: Proposal, parent: Certified | None = None) -> Reply | None:
    """Ask one anchor of the first zone for a lock vote; the policies it names are there."""
    a = world.zones[0]
    a.give(*proposal.transition.record.governance.documents)
    return a.ask(0, Propose(slot=a.slot(proposal, parent), round=0, proposal=proposal))


def reason_of(reply: Reply | None) -> str:
    assert isinstance(reply, Declined), reply
    return reply.reason


def resealed(proposal: Proposal, *by: Any, role: Role = Role.ISSUER, **changes: Any) -> Proposal:
    """Return a proposal with its transition changed, under the seals of `by`."""
    transition = replace(proposal.transition, **changes)
    seals = tuple(seal(pair, Kind.TRANSITION, role, transition.digest) for pair in by)
    return replace(proposal, transition=transition, seals=seals)


# Genesis


def test_section_2_a_genesis_is_sealed_by_its_issuers_officers(world: World) -> None:
    assert isinstance(proposed(world, world.genesis(world.zones[0])), Voted)


@pytest.mark.parametrize(
    ("by", "role", "reason"),
    [
        ((), Role.ISSUER, "below-threshold"),
        ((EVE,), Role.ISSUER, "wrong-key"),
        ((ISSUER, EVE), Role.ISSUER, "wrong-key"),
        ((ISSUER,), Role.HOST, "bad-signature"),
    ],
)
def test_trap_11_nobody_else_launches(
    world: World, by: tuple[Any, ...], role: Role, reason: str
) -> None:
    good = world.genesis(world.zones[0])
    assert reason == reason_of(proposed(world, resealed(good, *by, role=role)))


def test_a_genesis_names_an_author_among_those_who_sealed_it(world: World) -> None:
    good = world.genesis(world.zones[0])
    wrong = resealed(good, ISSUER, author=EVE.public)
    assert "wrong-author" == reason_of(proposed(world, wrong))


def test_a_genesis_needs_as_many_officers_as_its_policy_says(world: World) -> None:
    officers = Officers(keys=(ISSUER.public, EVE.public), amend=2)
    both = document(by=(ISSUER, EVE), officers=officers)
    a = world.zones[0]
    assert isinstance(proposed(world, world.genesis(a, both, by=(ISSUER, EVE))), Voted)
    alone = world.genesis(
        a,
        both,
        by=(ISSUER,),
        capabilities=replace(samples.genesis(a.sample).transition.record.capabilities, entry="x:Y"),
    )
    assert "below-threshold" == reason_of(proposed(world, alone))


@pytest.mark.parametrize("spoilt", ["unsealed", "eve's", "missing", "another"])
def test_section_4_governance_documents_are_shown_with_their_seals(
    world: World, spoilt: str
) -> None:
    good = world.genesis(world.zones[0])
    (shown,) = good.evidence.documents
    documents: dict[str, tuple[SignedDocument, ...]] = {
        "unsealed": (replace(shown, seals=()),),
        "eve's": (replace(shown, seals=document(by=(EVE,)).seals),),
        "missing": (),
        "another": (document(PERMIT_ALL + " "),),
    }
    wrong = replace(good, evidence=Evidence(documents=documents[spoilt]))
    assert reason_of(proposed(world, wrong)) in ("bad-signature", "below-threshold", "wrong-key")


def test_a_genesis_is_governed_by_something(world: World) -> None:
    a = world.zones[0]
    record = samples.genesis(a.sample).transition.record
    bare = world.genesis(a, governance=replace(record.governance, documents=()))
    assert "no-governance" == reason_of(proposed(world, bare))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"custody": None}, "wrong-slot"),
        ({"realm": "production"}, "wrong-realm"),
        ({"version": 1}, "bad-change"),
        ({"eligibility": Eligibility(status=Status.SUSPENDED)}, "bad-status"),
    ],
)
def test_a_genesis_is_a_first_record_of_this_zone(
    world: World, fields: dict[str, Any], reason: str
) -> None:
    a, b = world.zones
    if "custody" in fields:
        record = samples.genesis(b.sample).transition.record
        fields = {"custody": replace(record.custody, zone=b.zone)}
        reason = "wrong-zone"
    assert reason == reason_of(proposed(world, world.genesis(a, **fields)))


def test_an_agent_is_born_once(world: World) -> None:
    a = world.zones[0]
    good = world.genesis(a)
    world.decide(a, good)
    for anchor in a.anchors:
        dossier = anchor.dossier(good.transition.record.agent_id)
        anchor.dossiers[dossier.agent] = replace(dossier, head=None)
    assert "exists" == reason_of(proposed(world, good))


def test_section_4_the_zone_permits_the_launch() -> None:
    world = World()
    world.zones = [
        world.found("a", policy='permit (principal, action == Action::"travel", resource);')
    ]
    assert "denied" == reason_of(proposed(world, world.genesis(world.zones[0])))


def test_section_4_the_agents_own_policy_permits_the_launch(world: World) -> None:
    strict = document('permit (principal, action == Action::"travel", resource);')
    assert "denied" == reason_of(proposed(world, world.genesis(world.zones[0], strict)))


@pytest.mark.parametrize(
    "cedar",
    [
        "",
        "permit (",
        "permit (principal, action, resource) when { resource.colour == 1 };",
        "forbid (principal, action, resource);",
        "(" * 3_000,
        "permit (principal, action, resource) when { " + "!" * 3_000 + "true };",
    ],
    ids=["empty", "cut", "unknown attribute", "no permit", "brackets", "nots"],
)
def test_section_4_a_policy_that_cannot_be_evaluated_denies(world: World, cedar: str) -> None:
    reply = proposed(world, world.genesis(world.zones[0], document(cedar)))
    assert isinstance(reply, Declined) and not reply.for_now


@pytest.mark.parametrize("action", ["no-dot", "UPPER.CASE", "x" * 100 + ".y", "a.b c"])
def test_a_document_with_actions_that_cannot_be_declared_denies(world: World, action: str) -> None:
    reply = proposed(world, world.genesis(world.zones[0], document(actions=(action,))))
    assert isinstance(reply, Declined) and not reply.for_now


def test_two_documents_of_one_name_deny(world: World) -> None:
    same = (document(), document(version=2))
    reply = proposed(world, world.genesis(world.zones[0], *same))
    assert isinstance(reply, Declined) and not reply.for_now


def test_a_document_outside_its_window_denies(world: World) -> None:
    late = document(not_before_ms=world.clock.wall_ms + 1)
    assert "outside-window" == reason_of(proposed(world, world.genesis(world.zones[0], late)))


def test_trap_23_a_genesis_comes_with_its_policies_code_and_memory(world: World) -> None:
    a = world.zones[0]
    root = digest(b"first memory")
    memory = Memory(compartments={"m": Compartment(form=Form.LOG, root=root)})
    born = world.genesis(a, memory=memory)
    documents = born.transition.record.governance.documents
    ask = Propose(slot=a.slot(born, None), round=0, proposal=born)
    for lacking in (documents, (root, digest(CODE))):
        a.anchors[0].blocks.discard(digest(CODE))
        assert Need(what="blocks", digests=lacking) == a.ask(0, ask)
        a.give(*lacking)
    assert isinstance(a.ask(0, ask), Voted)


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
    budgets = {"calls": Budget(limit=3)}
    head = world.launch(a, eligibility=Eligibility(status=Status.ACTIVE, budgets=budgets))
    for spent, reason in ((4, "over-budget"), (3, "")):
        eligibility = replace(
            head.record.eligibility, budgets={"calls": Budget(limit=3, spent=spent)}
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


def ordered(agent: bytes, act: str = "retire", by: Any = ISSUER, **fields: Any) -> SignedOrder:
    order = Order(agent=agent, act=act, issued_ms=0)
    role, kind = fields.get("role", Role.ISSUER), fields.get("kind", Kind.ORDER)
    return SignedOrder(order=order, seals=(seal(by, kind, role, digest_of(order)),))


def retired(
    world: World,
    head: Certified,
    order: SignedOrder | None,
    by: Any = EVE,
    role: Role = Role.PERSON,
) -> Proposal:
    eligibility = replace(head.record.eligibility, status=Status.RETIRED, wake=())
    record = child(head.record, head.certificate.slot, eligibility=eligibility)
    return world.propose(
        TransitionKind.RETIRE, head, record, by, role=role, evidence=Evidence(order=order)
    )


def test_section_2_anybody_may_bring_the_officers_order(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a)
    order = ordered(head.record.agent_id)
    later = world.step(a, head)  # officers sign no parent digest that a step outruns
    done = world.decide(a, retired(world, later, order), later)
    assert Status.RETIRED is done.record.eligibility.status


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": digest(b"another agent")},
        {"act": "suspend"},
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
    order = ordered(**({"agent": head.record.agent_id} | changes))
    assert isinstance(proposed(world, retired(world, head, order), head), Declined)


def test_trap_11_the_bringer_seals_as_a_person(world: World) -> None:
    head = world.launch(world.zones[0])
    order = ordered(head.record.agent_id)
    for role in (Role.HOST, Role.ISSUER, Role.ANCHOR):
        wrong = retired(world, head, order, role=role)
        assert "bad-signature" == reason_of(proposed(world, wrong, head))
    assert "no-order" == reason_of(proposed(world, retired(world, head, None), head))


def test_retiring_needs_the_threshold_of_the_first_document(world: World) -> None:
    officers = Officers(keys=(ISSUER.public, EVE.public), retire=2)
    head = world.launch(world.zones[0], document(officers=officers))
    order = ordered(head.record.agent_id)
    assert "below-threshold" == reason_of(proposed(world, retired(world, head, order), head))
    both = replace(order, seals=(*order.seals, *ordered(head.record.agent_id, by=EVE).seals))
    assert isinstance(proposed(world, retired(world, head, both), head), Voted)


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
