"""What an anchor checks before an agent is born in its zone (protocol §2, §4)."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Eligibility, Status
from sojourn.core.agent.governance import Officers, SignedDocument
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.base.digests import digest
from sojourn.core.base.seals import Role
from sojourn.core.protocol.messages import (
    Declined,
    Evidence,
    Need,
    Propose,
    Voted,
)
from tests import samples
from tests.rulings import World
from tests.samples import CODE, ISSUER, PERMIT_ALL, document
from tests.unit.core.protocol.asking import EVE, proposed, reason_of, resealed


@pytest.fixture
def world() -> World:
    return World("a", "b")


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


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ("unsealed", "below-threshold"),
        ("eve's", "wrong-key"),
        ("missing", "no-warrant"),
        ("another", "no-warrant"),
    ],
)
def test_section_4_governance_documents_are_shown_with_their_seals(
    world: World, spoilt: str, reason: str
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
    assert reason == reason_of(proposed(world, wrong))


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
        ({"eligibility": Eligibility(status=Status.RETIRED)}, "bad-status"),
        ({"eligibility": Eligibility(status=Status.ACTIVE, is_suspended=True)}, "bad-change"),
        ({"eligibility": Eligibility(status=Status.ACTIVE, is_quarantined=True)}, "bad-change"),
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


def test_a_genesis_that_names_a_parent_is_none(world: World) -> None:
    """Its record's parent may be anything; that of the transition says what it follows."""
    child = resealed(world.genesis(world.zones[0]), ISSUER, parent=digest(b"a parent"))
    reply = proposed(world, child)
    assert isinstance(reply, Declined) and ("wrong-parent", False) == (reply.reason, reply.for_now)


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
