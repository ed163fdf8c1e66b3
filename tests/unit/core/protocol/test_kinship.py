"""Families across zones (protocol §8.13): what proves a child, and what is ordered of its ancestors."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.ancestry import check_ancestors
from sojourn.core.agent.eligibility import Ancestor, Eligibility, Status
from sojourn.core.agent.governance import Matter
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.applying import caught_up
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.edicts import Standing, standing_of
from sojourn.core.protocol.messages import AskVisa, Declined, Propose, Reply, Voted
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.parentage import Parentage, parentage_block, read_parentage
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.spawning import Gift
from tests.rulings import STRANGER, PureZone, driven
from tests.samples import ISSUER, key
from tests.unit.core.protocol.family import HALF, Family

LASTING = replace(HALF, outlives=True)


def applied(family: Family, zone: PureZone, ask: AskVisa) -> Reply:
    """Ask an anchor of a zone for a visa; what the application names is stored there."""
    record = ask.head.record
    zone.give(*record.governance.named, *ask.documents, record.capabilities.code)
    return zone.anchors[0].ask(ask)


def order(family: Family, agent: Certified, act: Act, after_ms: int = 1) -> SignedOrder:
    family.world.clock.pass_ms(after_ms)
    now_ms = family.world.clock.wall_ms
    given = Order(
        agent=agent.record.agent_id, act=act, issued_ms=now_ms, expires_ms=now_ms + 60_000
    )
    return sealed(given, [ISSUER])


def carry(family: Family, zone: PureZone, signed: SignedOrder, head: Certified) -> Certified:
    """Have an order carried out on an agent in a zone."""
    proposal = carrying(signed, head, STRANGER, at_ms=family.world.clock.wall_ms)
    return family.world.decide(zone, proposal, head)


def stepping(family: Family, zone: PureZone, head: Certified) -> Reply:
    proposal = family.world.step_proposal(zone, head)
    slot = zone.slot(proposal, head)
    return zone.anchors[0].ask(Propose(slot=slot, round=0, proposal=proposal))


# --- proofs ------------------------------------------------------------------------------------------


def test_section_8_13_a_child_goes_where_it_can_prove_its_parent() -> None:
    family = Family("a", "b", "c")
    a, b, c = family.world.zones
    _, child = family.have(a, family.parent)
    there = family.move(a, b, child)
    assert family.move(b, c, there).record.custody.zone == c.zone


def test_section_8_13_so_does_a_child_of_a_child_that_was_born_elsewhere() -> None:
    family = Family("a", "b", "c")
    a, b, c = family.world.zones
    _, child = family.have(a, family.parent)
    there = family.move(a, b, child)
    there, grandchild = family.have(b, there, Gift(entry="agent:Child", budgets={"steps": 3}))
    ancestors = [each.agent for each in grandchild.record.eligibility.ancestors]
    assert ancestors == [family.parent.record.agent_id, there.record.agent_id]
    done = family.move(b, c, grandchild)
    assert done.record.custody.zone == c.zone
    anchor = c.anchors[0]
    assert anchor.dossier(done.record.agent_id).proved


def test_section_8_13_no_zone_can_have_the_child_of_an_agent_that_it_never_had() -> None:
    """Anybody can found a zone, and have its anchors certify what they like."""
    family = Family("a", "b", "c")
    a, b, c = family.world.zones
    stolen = replace(
        family.parent.record,
        custody=replace(family.parent.record.custody, zone=c.zone, host=c.hosts[0].public),
    )
    transition = replace(family.parent.transition, record=stolen)
    slot = replace(family.parent.certificate.slot, group=c.zone)
    made_up = Certified(
        transition=transition, certificate=c.sample.certificate(slot, transition.digest)
    )
    for anchor in c.anchors:
        agent = stolen.agent_id
        chapter = a.anchors[0].past(agent)[0]  # it is no secret, and shows officers' seals
        anchor.chapters[agent, 0] = chapter
        dossier = a.anchors[0].dossier(agent)
        anchor.dossiers[agent] = replace(dossier, head=made_up, chapter=chapter)
    c.give(*stolen.governance.named)
    c.renew(made_up)
    _, child = family.have(c, made_up)
    ask = family.application(c, b, child)
    reply = applied(family, b, ask)
    assert isinstance(reply, Declined) and reply.reason == "wrong-term", reply


def test_section_8_13_the_chain_of_a_parent_ends_with_the_spawn() -> None:
    family = Family("a", "b")
    a, b = family.world.zones
    _, child = family.have(a, family.parent)
    ask = family.application(a, b, child)
    (first,) = family.world.chapters_of(ask)
    assert first.spawned is not None
    parent = a.anchors[0].dossier(family.parent.record.agent_id).head
    assert parent is not None
    _, sister = family.have(a, parent, Gift(entry="agent:Sister"))
    strange = a.anchors[0].past(sister.record.agent_id)[0].spawned
    for spawned, reason in ((None, "no-warrant"), (strange, "wrong-agent")):
        chapters = family.world.shown((replace(first, spawned=spawned),), b)
        reply = applied(family, b, replace(ask, chapters=chapters))
        assert isinstance(reply, Declined) and reply.reason == reason, reply


def test_section_8_13_what_proves_a_parent_comes_first() -> None:
    family = Family("a", "b")
    a, b = family.world.zones
    _, child = family.have(a, family.parent)
    ask = family.application(a, b, child)
    named = child.record.lineage.parentage
    assert named is not None
    for lacking in (named, family.world.known.parentages[named].chapters[0]):
        b.anchors[0].blocks.discard(lacking)
        reply = applied(family, b, ask)
        assert getattr(reply, "digests", None) == (lacking,)
        b.give(lacking)
    assert isinstance(applied(family, b, ask), Voted)


def test_an_anchor_that_missed_a_birth_learns_of_it_from_the_others() -> None:

    family = Family("a")
    _, child = family.have(family.a, family.parent)
    agent = child.record.agent_id
    anchor = family.a.anchors[3]
    anchor.dossiers[agent] = replace(anchor.dossier(agent), proved=False, chapter=None)
    chapters = family.a.anchors[0].past(agent)
    ruling = caught_up(anchor.dossier(agent), chapters, None, anchor.view())
    assert ruling.dossier is not None and ruling.dossier.proved
    with pytest.raises(Rejected, match="no SPAWN"):
        caught_up(anchor.dossier(agent), [replace(chapters[0], spawned=None)], None, anchor.view())


# --- the block ---------------------------------------------------------------------------------------


def test_a_parentage_is_read_back_as_it_was_written() -> None:
    for above in (None, digest(b"above")):
        parentage = Parentage(
            chapters=(digest(b"1"), digest(b"2")), documents=(digest(b"text"),), above=above
        )
        assert read_parentage(parentage_block(parentage)) == parentage


@pytest.mark.parametrize(
    "wrong",
    [
        Parentage(chapters=(digest(b"1"),) * 2, documents=()),
        Parentage(chapters=(), documents=()),
    ],
    ids=["one chapter twice", "no chapter"],
)
def test_a_parentage_that_is_none_is_rejected(wrong: Parentage) -> None:
    with pytest.raises(Rejected):
        read_parentage(parentage_block(wrong))


# --- what is ordered of ancestors --------------------------------------------------------------------


HELD = {Act.SUSPEND: "is_still", Act.QUARANTINE: "is_alone"}
FREED = {Act.SUSPEND: Act.RESUME, Act.QUARANTINE: Act.LIFT}


@pytest.mark.parametrize("act", HELD)
def test_section_8_13_what_is_ordered_of_an_ancestor_binds_its_child_elsewhere(act: Act) -> None:
    family = Family("a", "b")
    a, b = family.world.zones
    _, child = family.have(a, family.parent)
    there = family.move(a, b, child)
    signed = order(family, family.parent, act)
    for anchor in b.anchors:
        assert anchor.learn_orders(signed) == [signed]
    reply = stepping(family, b, there)
    assert isinstance(reply, Declined) and reply.for_now and "comes first" in reply.problem
    held = carry(family, b, signed, there)
    assert getattr(held.record.eligibility, HELD[act])
    assert not (held.record.eligibility.is_suspended or held.record.eligibility.is_quarantined)
    freed = carry(family, b, order(family, family.parent, FREED[act]), held)
    assert not freed.record.eligibility.is_held


def test_section_8_13_neither_order_lifts_the_other() -> None:
    family = Family()
    family.parent, child = family.have(family.a, family.parent)
    child = carry(family, family.a, order(family, child, Act.QUARANTINE), child)
    child = carry(family, family.a, order(family, family.parent, Act.QUARANTINE), child)
    freed = carry(family, family.a, order(family, family.parent, Act.LIFT), child)
    assert freed.record.eligibility.is_alone
    again = carry(family, family.a, order(family, family.parent, Act.QUARANTINE), freed)
    freed = carry(family, family.a, order(family, child, Act.LIFT), again)
    assert freed.record.eligibility.is_alone


def test_section_8_13_a_child_ends_with_its_parent() -> None:
    family = Family()
    family.parent, child = family.have(family.a, family.parent)
    done = carry(family, family.a, order(family, family.parent, Act.RETIRE), child)
    assert done.record.eligibility.status is Status.RETIRED


def test_section_8_13_one_that_may_outlive_its_parent_goes_on_when_that_retires() -> None:
    family = Family()
    family.parent, child = family.have(family.a, family.parent, LASTING)
    retire = order(family, family.parent, Act.RETIRE)
    with pytest.raises(Rejected, match="nothing to retire"):
        carry(family, family.a, retire, child)
    for anchor in family.a.anchors:
        anchor.learn_orders(retire)
    assert isinstance(stepping(family, family.a, child), Voted)
    done = carry(family, family.a, order(family, family.parent, Act.REVOKE), child)
    assert done.record.eligibility.status is Status.REVOKED


def test_section_8_13_a_grandchild_ends_with_whom_its_parent_ends_with() -> None:
    family = Family()
    family.parent, child = family.have(family.a, family.parent)
    _, lasting = family.have(family.a, child, Gift(entry="agent:Child", outlives=True))
    retire = order(family, family.parent, Act.RETIRE)
    with pytest.raises(Rejected, match="nothing to retire"):
        carry(family, family.a, retire, lasting)


def test_section_8_13_an_order_about_an_ancestor_is_carried_out_once() -> None:
    family = Family()
    _, child = family.have(family.a, family.parent)
    suspend = order(family, family.parent, Act.SUSPEND)
    held = carry(family, family.a, suspend, child)
    freed = carry(family, family.a, order(family, family.parent, Act.RESUME), held)
    proposal = carrying(suspend, freed, STRANGER, at_ms=family.world.clock.wall_ms)
    proposer = Proposer(proposal, family.a.slot(proposal, freed), family.a.manifest, parent=freed)
    assert driven(family.a, proposer).decided is None
    assert {declined.reason for declined in proposer.declined.values()} == {"rollback"}


def test_section_8_13_a_later_resumption_of_an_ancestor_voids_no_quarantine_of_before() -> None:
    """Each matter has its own newest order, of an ancestor as of the agent itself."""
    family = Family()
    _, child = family.have(family.a, family.parent)
    quarantine = order(family, family.parent, Act.QUARANTINE)
    held = carry(family, family.a, order(family, family.parent, Act.SUSPEND), child)
    freed = carry(family, family.a, order(family, family.parent, Act.RESUME), held)
    for anchor in family.a.anchors:
        assert [quarantine] == anchor.learn_orders(quarantine)
    assert isinstance(stepping(family, family.a, freed), Declined), "it waits for what came late"
    alone = carry(family, family.a, quarantine, freed).record
    assert (alone.eligibility.is_alone, alone.eligibility.is_still) == (True, False)
    (ancestor,) = alone.eligibility.ancestors
    assert {Matter.SUSPENSION, Matter.QUARANTINE} == ancestor.ordered_ms.keys()
    assert {} == alone.governance.ordered_ms, "nothing was ordered of itself"


def test_section_8_13_what_is_noted_of_an_ancestor_changes_by_orders_of_its_matter_alone() -> None:
    parent = Ancestor(
        agent=digest(b"parent"), ordered_ms={Matter.QUARANTINE: 5}, is_quarantined=True
    )
    before = Eligibility(status=Status.ACTIVE, ancestors=(parent,))
    resumed = {**parent.ordered_ms, Matter.SUSPENSION: 6}
    for reason, after in (
        ("", replace(parent, ordered_ms=resumed, is_suspended=True)),
        ("", replace(parent, ordered_ms={Matter.QUARANTINE: 6}, is_quarantined=False)),
        ("bad-change", replace(parent, ordered_ms=resumed, is_quarantined=False)),
        ("bad-change", replace(parent, is_suspended=True)),
        ("bad-change", replace(parent, outlives=True)),
        ("rollback", replace(parent, ordered_ms={Matter.QUARANTINE: 4})),
        ("rollback", replace(parent, ordered_ms={Matter.SUSPENSION: 6})),
    ):
        assert reason == _refused(before, replace(before, ancestors=(after,))), after


def _refused(before: Eligibility, after: Eligibility) -> str:
    try:
        check_ancestors(before, after)
    except Rejected as error:
        return error.reason
    return ""


def test_section_8_13_an_order_by_others_binds_nobody() -> None:
    family = Family()
    _, child = family.have(family.a, family.parent)
    real = order(family, family.parent, Act.RETIRE)
    false = sealed(real.order, [key("nobody")])
    proposal = carrying(false, child, STRANGER, at_ms=family.world.clock.wall_ms)
    proposer = Proposer(proposal, family.a.slot(proposal, child), family.a.manifest, parent=child)
    assert driven(family.a, proposer).decided is None


def test_section_8_13_what_was_carried_out_on_a_parent_is_told_on() -> None:
    """It binds children elsewhere: they may not have heard of it when the parent has obeyed."""
    family = Family()
    childless = family.parent
    parent, _ = family.have(family.a, family.parent)
    documents = family.a.anchors[0].view().documents

    for act in (Act.SUSPEND, Act.RETIRE):
        signed = order(family, parent, act)
        proposal = carrying(signed, parent, STRANGER, at_ms=family.world.clock.wall_ms)
        after = proposal.transition.record
        assert standing_of(signed, after, documents, family.a.zone) is Standing.PROVED
        false = sealed(signed.order, [key("nobody")])
        assert standing_of(false, after, documents, family.a.zone) is Standing.OVER
        alone = carrying(signed, childless, STRANGER, at_ms=family.world.clock.wall_ms)
        over = standing_of(signed, alone.transition.record, documents, family.a.zone)
        assert over is Standing.OVER
