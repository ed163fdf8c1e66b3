"""Children (protocol §2, §8.13): what a SPAWN may give, and what a child is born with."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.ancestry import check_child
from sojourn.core.agent.eligibility import Ancestor, Budget, Eligibility, Status
from sojourn.core.agent.heads import head_of
from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.orders import Act, Order
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.revocations import About, Reach, Revocation, sealed_by
from sojourn.core.agent.transition import TransitionKind, check_change
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CHILDREN_MAX, SPAWN_DEPTH_MAX
from sojourn.core.base.sharing import commit, scalar
from sojourn.core.protocol.admission import child as next_version
from sojourn.core.protocol.messages import Declined, Evidence, Propose, Reply, Voted
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.spawning import Gift, bringing
from tests.rulings import STRANGER
from tests.samples import ISSUER, document, successor
from tests.unit.core.protocol.family import HALF, SPAWNING, Family
from tests.unit.core.protocol.test_accusing import two_faced
from tests.unit.core.protocol.test_counted_first import tell


def spawning(family: Family, child: AgentRecord, **more: Any) -> Reply:
    """Ask an anchor for its vote for a SPAWN."""
    proposal = family.spawn_proposal(family.a, family.parent, child, **more)
    slot = family.a.slot(proposal, family.parent)
    return family.a.anchors[0].ask(Propose(slot=slot, round=0, proposal=proposal))


def refused(reply: object, reason: str, words: str = "") -> bool:
    assert isinstance(reply, Declined), reply
    return reply.reason == reason and words in reply.problem


def test_section_2_a_spawn_gives_a_child_of_what_its_parent_has() -> None:
    family = Family()
    parent, child = family.have(family.a, family.parent)
    spent = {name: b.spent for name, b in parent.record.eligibility.budgets.items()}
    had = {name: b.limit for name, b in child.record.eligibility.budgets.items()}
    assert spent == had == {"steps": 40, "cost_micros": 500}
    assert parent.record.eligibility.children == 1
    assert child.record.governance == parent.record.governance
    assert child.record.eligibility.ancestors == (Ancestor(agent=parent.record.agent_id),)


def test_section_2_what_is_given_is_split_and_not_copied() -> None:
    family = Family()
    child = family.child(family.a, family.parent)
    assert refused(spawning(family, child, is_charged=False), "miscounted", "steps")


def test_section_2_nobody_gives_more_than_is_left() -> None:
    family = Family()
    parent, _ = family.have(family.a, family.parent)
    family.parent = parent
    child = family.child(family.a, parent, replace(HALF, budgets={"steps": 61}))
    assert refused(spawning(family, child), "over-budget", "steps")
    child = family.child(family.a, parent, replace(HALF, budgets={"steps": 60}))
    assert isinstance(spawning(family, child), Voted)


def _richer(child: AgentRecord) -> AgentRecord:
    budgets = {name: b for name, b in child.eligibility.budgets.items() if name != "steps"}
    return replace(child, eligibility=replace(child.eligibility, budgets=budgets))


def _orphan(child: AgentRecord) -> AgentRecord:
    eligibility = replace(child.eligibility, ancestors=(Ancestor(agent=digest(b"somebody")),))
    return replace(child, eligibility=eligibility)


def _ruled_otherwise(child: AgentRecord) -> AgentRecord:
    other = document(name="other")
    governance = replace(child.governance, documents=(digest_of(other.document),))
    return replace(child, governance=governance)


def _laxer(child: AgentRecord) -> AgentRecord:
    requires = replace(child.capabilities.requires, confined=False)
    return replace(child, capabilities=replace(child.capabilities, requires=requires))


WIDER: dict[str, Callable[[AgentRecord], AgentRecord]] = {
    "without a budget that its parent has": _richer,
    "of another family": _orphan,
    "without its parent's documents": _ruled_otherwise,
    "of other code": lambda child: replace(
        child, capabilities=replace(child.capabilities, code=digest(b"other code"))
    ),
    "of another publisher": lambda child: replace(
        child, capabilities=replace(child.capabilities, publisher=STRANGER.public)
    ),
    "trusting others": lambda child: replace(child, trust=replace(child.trust, issuers=())),
    "elsewhere": lambda child: replace(
        child, custody=replace(child.custody, zone=digest(b"elsewhere"))
    ),
    "of another moment": lambda child: replace(child, parent=digest(b"another parent")),
}


@pytest.mark.parametrize("made", WIDER.values(), ids=WIDER)
def test_section_8_13_a_child_has_nothing_that_its_parent_has_not(
    made: Callable[[AgentRecord], AgentRecord],
) -> None:
    family = Family()
    child = family.child(family.a, family.parent)
    assert isinstance(spawning(family, child), Voted)
    fresh = Family()
    assert refused(spawning(fresh, made(fresh.child(fresh.a, fresh.parent))), "no-child")


def test_section_8_13_a_child_of_a_confined_agent_is_confined() -> None:
    family = Family()
    record = family.parent.record
    requires = replace(record.capabilities.requires, confined=True)
    confined = replace(record, capabilities=replace(record.capabilities, requires=requires))
    child = replace(family.child(family.a, family.parent), parent=confined.digest)
    with pytest.raises(Rejected, match="confined"):
        check_child(replace(confined, parent=confined.digest), child)


def test_section_2_a_spawn_shows_the_child_that_it_names() -> None:
    family = Family()
    child = family.child(family.a, family.parent)
    proposal = family.spawn_proposal(family.a, family.parent, child)
    other = family.child(family.a, family.parent, replace(HALF, entry="agent:Other"))
    slot = family.a.slot(proposal, family.parent)
    for evidence in (Evidence(), Evidence(child=other)):
        wrong = replace(proposal, evidence=evidence)
        reply = family.a.anchors[0].ask(Propose(slot=slot, round=0, proposal=wrong))
        assert isinstance(reply, Declined)


def test_section_2_what_proves_the_parent_and_the_memory_are_stored_first() -> None:
    family = Family()
    child = family.child(family.a, family.parent)
    family.a.anchors[0].blocks.discard(child.lineage.parentage or b"")
    reply = spawning(family, child)
    assert getattr(reply, "what", "") == "blocks"


FORBIDDEN = document(
    'permit(principal, action, resource);\nforbid(principal, action == Action::"spawn", resource);'
)
FOR_GOOD = document(
    "permit(principal, action, resource);\n"
    'forbid(principal, action == Action::"spawn", resource) when { context.outlives };'
)
SHALLOW = document(
    "permit(principal, action, resource);\n"
    'forbid(principal, action == Action::"spawn", resource) when { principal.depth > 0 };'
)


def test_section_4_a_spawn_is_asked_of_the_policies() -> None:
    family = Family(documents=(FORBIDDEN,))
    assert refused(spawning(family, family.child(family.a, family.parent)), "denied")


def test_section_4_that_a_child_outlives_its_parent_is_asked_of_the_policies() -> None:
    family = Family(documents=(FOR_GOOD,))
    lasting = family.child(family.a, family.parent, replace(HALF, outlives=True))
    assert refused(spawning(family, lasting), "denied")
    assert isinstance(spawning(family, family.child(family.a, family.parent)), Voted)


def test_section_4_a_policy_may_say_how_deep_a_family_is() -> None:
    family = Family(documents=(SHALLOW,))
    _, family.parent = family.have(family.a, family.parent)
    child = family.child(family.a, family.parent, Gift(entry="agent:Child"))
    assert refused(spawning(family, child), "denied")


def test_section_8_13_children_and_depth_are_bounded() -> None:
    family = Family()
    child = family.child(family.a, family.parent)
    record = family.parent.record
    many = replace(record, eligibility=replace(record.eligibility, children=CHILDREN_MAX))
    deep = replace(
        record,
        eligibility=replace(
            record.eligibility,
            ancestors=tuple(
                Ancestor(agent=digest(str(depth).encode())) for depth in range(SPAWN_DEPTH_MAX)
            ),
        ),
    )
    slot = family.parent.certificate.slot
    for parent in (many, deep):
        eligibility = replace(
            parent.eligibility,
            children=parent.eligibility.children + 1,
            last_decision=child.digest,
        )
        after = next_version(parent, slot, eligibility=eligibility)
        with pytest.raises(Rejected) as caught:
            check_change(TransitionKind.SPAWN, parent, after, slot)
        assert caught.value.reason == "too-many"


def test_section_2_one_spawn_has_one_child() -> None:
    family = Family()
    child = family.child(family.a, family.parent)
    done = family.world.decide(
        family.a, family.spawn_proposal(family.a, family.parent, child), family.parent
    )
    born = family.born(family.a, done, child)
    twin = replace(child, capabilities=replace(child.capabilities, entry="agent:Twin"))
    again = bringing(twin, done, STRANGER, at_ms=family.world.clock.wall_ms)
    reply = family.a.anchors[0].ask(
        Propose(slot=family.a.slot(again, None), round=0, proposal=again)
    )
    assert refused(reply, "wrong-agent")
    known = family.a.anchors[0].dossier(born.record.agent_id)
    assert known.chapter is not None and known.chapter.spawned == done and known.proved


def test_section_2_no_child_is_born_without_the_spawn_that_names_it() -> None:
    family = Family()
    child = family.child(family.a, family.parent)
    proposal = bringing(child, family.parent, STRANGER, at_ms=family.world.clock.wall_ms)
    slot = family.a.slot(proposal, None)
    for wrong in (proposal, replace(proposal, evidence=Evidence())):
        assert refused(
            family.a.anchors[0].ask(Propose(slot=slot, round=0, proposal=wrong)), "no-warrant"
        )


def test_section_2_a_genesis_of_officers_has_no_ancestors() -> None:
    family = Family()
    child = family.child(family.a, family.parent)
    forged = family.world.genesis(
        family.a, SPAWNING, eligibility=child.eligibility, lineage=child.lineage
    )
    slot = family.a.slot(forged, None)
    reply = family.a.anchors[0].ask(Propose(slot=slot, round=0, proposal=forged))
    assert refused(reply, "no-warrant")


def test_section_8_7_an_agent_in_quarantine_has_no_children() -> None:
    family = Family()
    now_ms = family.world.clock.wall_ms
    order = Order(
        agent=family.parent.record.agent_id,
        act=Act.QUARANTINE,
        issued_ms=now_ms,
        expires_ms=now_ms + 60_000,
    )
    carried = carrying(sealed(order, [ISSUER]), family.parent, STRANGER, at_ms=now_ms)
    family.parent = family.world.decide(family.a, carried, family.parent)
    assert refused(spawning(family, family.child(family.a, family.parent)), "denied", "quarantine")


def test_section_8_13_no_child_begins_with_what_is_encrypted() -> None:
    """Keys are dealt at a launch; with its parent's it would keep what is erased from that."""
    family = Family()
    key = Encryption(commitments=commit([scalar(bytes([7]) * 64)]))
    for anchor in family.a.anchors:
        anchor.shares.dealt[key.key] = family.parent.record.agent_id
    kept = Compartment(form=Form.LOG, root=ZERO, encryption=key)
    child = family.child(family.a, family.parent)
    other = replace(child, memory=replace(child.memory, compartments={"kept": kept}))
    assert refused(spawning(family, other), "no-child", "keys are dealt at a launch")
    assert isinstance(spawning(family, child), Voted)


BOUNDED = document(staleness_ms=60_000)


def test_section_4_check_6c_to_have_a_child_needs_a_head() -> None:
    family = Family(documents=(BOUNDED,))
    child, now_ms = family.child(family.a, family.parent), family.world.clock.wall_ms
    reply = spawning(family, child)
    assert (
        isinstance(reply, Declined) and reply.for_now and "no officer has vouched" in reply.problem
    )
    head = head_of(BOUNDED.document, ISSUER, at_ms=now_ms, until_ms=now_ms + 60_000)
    family.a.anchors[0].learn_heads(head)
    assert isinstance(spawning(family, child), Voted)


def test_section_4_check_9_nothing_of_what_was_revoked_has_children() -> None:
    family = Family()
    record = family.parent.record
    said = Revocation(
        reach=Reach.AGENTS,
        by=record.governance.issuer,
        about=About.CODE,
        subject=record.capabilities.code,
        issued_ms=family.world.clock.wall_ms,
    )
    family.a.anchors[0].learn_revocations(sealed_by(said, (ISSUER,)))
    reply = spawning(family, family.child(family.a, family.parent))
    assert isinstance(reply, Declined) and reply.for_now and "revoked its code" in reply.problem


def test_section_11_7_what_is_proved_of_zones_is_counted_before_it_has_children() -> None:
    """Whether it may have one is judged by trust, and that is lowered first."""
    family = Family("a", "b")
    a, b = family.world.zones
    child = family.child(a, family.parent)
    tell(a, two_faced(b.sample, 2), of=b, to=(0,))
    reply = spawning(family, child)
    assert isinstance(reply, Declined) and reply.for_now, reply
    assert "anchors of b are proved to have lied" in reply.problem


def test_section_8_9_an_amendment_of_the_parents_binds_the_child_on_sight() -> None:
    family = Family()
    _, child = family.have(family.a, family.parent)
    amended = successor(SPAWNING)
    family.world.known.library[digest_of(amended.document)] = amended.document
    for anchor in family.a.anchors:
        anchor.learn_documents(amended)
    family.a.give(digest_of(amended.document))
    proposal = family.world.step_proposal(family.a, child)
    reply = family.a.anchors[0].ask(
        Propose(slot=family.a.slot(proposal, child), round=0, proposal=proposal)
    )
    assert isinstance(reply, Declined) and reply.for_now, reply


def test_a_child_begins_with_what_it_was_given_and_no_more() -> None:
    family = Family()
    child = family.child(family.a, family.parent, Gift(entry="agent:Child"))
    assert child.eligibility == Eligibility(
        status=Status.ACTIVE,
        budgets={"steps": Budget(limit=0), "cost_micros": Budget(limit=0)},
        ancestors=(Ancestor(agent=family.parent.record.agent_id),),
    )
