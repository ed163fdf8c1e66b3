"""An amended agent proves by its officers' seals what rules it: no zone can amend in their name (protocol §8)."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent import succession as succession_module
from sojourn.core.agent.governance import Document, Governance, Officers, Root, SignedDocument
from sojourn.core.agent.succession import Sealed, check_succession, extended
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import SUCCESSION_SPARE_MAX, SUCCESSORS_MAX
from sojourn.core.base.seals import Role
from sojourn.core.protocol import amending
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.applying import caught_up, is_behind
from sojourn.core.protocol.capsule import (
    Closure,
    block_names,
    capsule_head,
    load_capsule,
    make_capsule,
)
from sojourn.core.protocol.car import car_section
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.messages import (
    Arrive,
    AskVisa,
    Declined,
    Need,
    Proposal,
    Propose,
    ShowCommit,
    Voted,
)
from tests.rulings import PureZone, World
from tests.samples import CODE, ISSUER, NOW_MS, document, key, successor
from tests.unit.core.protocol.asking import EVE, proposed, reason_of

ANN, BEN, CAT = key("ann"), key("ben"), key("cat")
D0 = document()
D1 = successor(D0, cedar=D0.document.cedar + "// 1")
ANNS = Officers(keys=(ANN.public,))
TURNED = successor(D1, officers=ANNS)
"""The issuer hands over to Ann."""
D3 = successor(TURNED, by=(ANN,))


@pytest.fixture
def world() -> World:
    return World("a", "b", "c")


def sealed(signed: SignedDocument, follows: SignedDocument) -> Sealed:
    return Sealed(
        document=digest_of(signed.document),
        follows=digest_of(follows.document),
        seals=signed.seals,
    )


def succession(zone: PureZone, head: Certified, index: int = 0) -> tuple[Sealed, ...]:
    """Return what an anchor keeps that proves an agent's documents."""
    return zone.anchors[index].past(head.record.agent_id)[-1].succession


# What is shown


def test_section_8_1_officers_that_name_their_successors_stay_the_issuer(world: World) -> None:
    """The identifier outlives its keys; who holds them now is who may amend, and order."""
    a, b, _ = world.zones
    head = world.launch(a, D0)
    issuer = head.record.governance.issuer
    head = world.amend(a, head, D1)
    head = world.amend(a, head, TURNED)
    late = successor(TURNED, by=(ISSUER,))
    assert "wrong-key" == reason_of(proposed(world, world.amendment(head, late), head))
    head = world.move(a, b, world.amend(a, head, D3))
    assert issuer == head.record.governance.issuer
    assert (sealed(D1, D0), sealed(TURNED, D1), sealed(D3, TURNED)) == succession(b, head)
    assert "wrong-key" == reason_of(b.ask(0, _asked(world, b, head, successor(D3, by=(ISSUER,)))))


def _asked(world: World, zone: PureZone, head: Certified, *run: SignedDocument) -> Any:
    proposal = world.amendment(head, *run)
    zone.give(*(digest_of(item.document) for item in run))
    return Propose(slot=zone.slot(proposal, head), round=0, proposal=proposal)


def test_section_8_1_it_goes_from_zone_to_zone_and_back(world: World) -> None:
    a, b, c = world.zones
    head = world.amend(a, world.launch(a, D0), D1)
    head = world.move(a, b, head)
    head = world.amend(b, head, TURNED)
    head = world.move(c, a, world.move(b, c, head))
    for index in range(4):
        assert (sealed(D1, D0), sealed(TURNED, D1)) == succession(a, head, index)


def test_section_8_1_a_refused_agent_comes_home_with_it(world: World) -> None:
    a, b, _ = world.zones
    head = world.amend(a, world.launch(a, D0), D1)
    gone, visa, _ask = world.depart(a, b, head, deadline_ms=10)
    world.clock.pass_ms(10)
    b.ask_all(Arrive(departure=gone, visa=visa))
    world.clock.pass_ms(10)
    back = world.take_back(a, gone, world.refuse(b, gone))
    assert (sealed(D1, D0),) == succession(a, back)


@pytest.fixture
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succession_module, "SUCCESSION_SPARE_MAX", 0)


@pytest.mark.usefixtures("_bare")
def test_section_8_1_only_changes_of_keys_make_it_longer() -> None:
    """Those who were officers all along vouch for the newest text."""
    last, found, known = amended_often(50)
    assert (sealed(last, D0),) == found
    other = successor(last, officers=ANNS)
    found = extended(found, [other, successor(other, by=(ANN,))], known, NOW_MS)
    assert (sealed(other, D0), sealed(successor(other, by=(ANN,)), other)) == found
    rooted = successor(D0, root=Root(keys=(CAT.public,)))
    found = extended((), [rooted, successor(rooted)], known, NOW_MS)
    assert (sealed(rooted, D0), sealed(successor(rooted), rooted)) == found


def amended_often(times: int) -> tuple[SignedDocument, tuple[Sealed, ...], dict[bytes, Document]]:
    """Return the newest of so many successors, what proves it, and all documents."""
    known = {digest_of(D0.document): D0.document}
    last, found = D0, tuple[Sealed, ...]()
    for _ in range(times):
        following = successor(last)
        found = extended(found, [following], known, NOW_MS)
        known[digest_of(following.document)] = following.document
        last = following
    return last, found, known


def test_section_8_1_of_what_came_between_the_newest_few_are_shown() -> None:
    last, found, known = amended_often(50)
    assert SUCCESSION_SPARE_MAX + 1 == len(found)
    digests = [each.document for each in found]
    versions = [known[each].version for each in digests]
    newest = last.document.version
    assert [*range(newest - SUCCESSION_SPARE_MAX, newest + 1)] == versions
    assert [digest_of(D0.document), *digests[:-1]] == [each.follows for each in found]
    check_succession(
        (digest_of(D0.document),),
        found,
        Governance(documents=(digest_of(last.document),), version=51),
        known.__getitem__,
        where="here",
    )


def test_section_8_1_a_run_of_several_leaves_as_many_out_and_leads_as_before() -> None:
    last, found, known = amended_often(SUCCESSION_SPARE_MAX + 1)
    run = [successor(last)]
    while len(run) < SUCCESSORS_MAX:
        run.append(successor(run[-1]))
    found = extended(found, run, known, NOW_MS)
    known |= {digest_of(each.document): each.document for each in run}
    assert SUCCESSION_SPARE_MAX + 1 == len(found)
    check_succession(
        (digest_of(D0.document),),
        found,
        Governance(documents=(digest_of(run[-1].document),), version=2),
        known.__getitem__,
        where="here",
    )


def test_section_8_1_what_is_spare_has_room_by_its_bytes_and_beside_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = len(encode(sealed(D1, D0)))
    monkeypatch.setattr(succession_module, "SUCCESSION_SPARE_BYTES_MAX", 3 * size + 1)
    assert 4 == len(amended_often(9)[1])
    monkeypatch.setattr(succession_module, "SUCCESSION_MAX", 2)
    last, found, known = amended_often(9)
    assert 2 == len(found)
    turned = successor(last, officers=ANNS)
    found = extended(found, [turned], known, NOW_MS)
    assert [digest_of(turned.document)] == [each.document for each in found[-1:]]
    assert 2 == len(found)


def test_section_8_1_what_one_run_passed_over_can_be_followed_in_a_capsule(world: World) -> None:
    """From version 1 to 3 in one amendment: version 2 never ruled, and is shown with its seals."""
    a, b, _ = world.zones
    second = successor(D1)
    head = world.move(a, b, world.amend(a, world.launch(a, D0), D1, second))
    assert (sealed(D1, D0), sealed(second, D1)) == succession(b, head)
    shown = load_capsule(io.BytesIO(capsule_of(world, b, head)))
    assert {1, 2, 3} == {document.version for document in shown.policies.values()}
    assert (second.document,) == shown.documents
    for wrong in (replace(sealed(D1, D0), seals=()), sealed(successor(D0, by=(EVE,)), D0)):
        forged = (wrong, replace(sealed(second, D1), follows=wrong.document))
        with pytest.raises(Rejected):
            check_succession(
                (digest_of(D0.document),),
                forged,
                head.record.governance,
                world.known.library.__getitem__,
                where="here",
            )


def test_section_8_1_what_is_not_at_hand_is_not_left_out() -> None:
    assert (sealed(D1, D0), sealed(TURNED, D1)) == extended((sealed(D1, D0),), [TURNED], {}, NOW_MS)


# What a zone cannot do, all of its anchors together


def certified(zone: PureZone, head: Certified, *run: SignedDocument, world: World) -> Certified:
    """Return an amendment that a whole zone certified, whoever sealed what it brings."""
    return zone.sample.certified(world.amendment(head, *run).transition)


def application(world: World, head: Certified, *shown: Sealed) -> AskVisa:
    """Return what the first zone lets its agent apply with in the second, where all documents are."""
    a, b = world.zones[:2]
    (first,) = a.anchors[0].past(head.record.agent_id)
    named = world.shown([replace(first, succession=shown)], b)
    ask = world.application(a, b, head)
    proof = {digest_of(D0.document): None} | {each.document: None for each in shown}
    documents = tuple(d for d in proof if d not in head.record.governance.named)
    b.give(*world.known.library)
    return replace(ask, chapters=named, documents=documents)


OTHERS = document(name="other")
FORGED: dict[str, tuple[Callable[[], SignedDocument], Callable[[], tuple[Sealed, ...]], str]] = {
    "shown by nothing": (lambda: D1, lambda: (), "wrong-documents"),
    "sealed by nobody": (
        lambda: D1,
        lambda: (replace(sealed(D1, D0), seals=()),),
        "below-threshold",
    ),
    "sealed by a stranger": (
        lambda: successor(D0, by=(EVE,)),
        lambda: (sealed(successor(D0, by=(EVE,)), D0),),
        "wrong-key",
    ),
    "of another name": (
        lambda: successor(D0, name="x"),
        lambda: (sealed(successor(D0, name="x"), D0),),
        "wrong-documents",
    ),
    "of an older version": (
        lambda: successor(D0, version=1, cedar=D0.document.cedar + " "),
        lambda: (sealed(successor(D0, version=1, cedar=D0.document.cedar + " "), D0),),
        "rollback",
    ),
    "following what did not rule": (
        lambda: D1,
        lambda: (sealed(D1, OTHERS),),
        "wrong-documents",
    ),
}


@pytest.mark.parametrize("forged", FORGED)
def test_section_8_1_no_zone_amends_in_the_name_of_others(world: World, forged: str) -> None:
    made, shown, reason = FORGED[forged]
    a, b = world.zones[:2]
    head = world.launch(a, D0)
    lied = certified(a, head, made(), world=world)
    assert reason == reason_of(b.ask(0, application(world, lied, *shown())))
    true = world.amend(a, head, D1)
    assert isinstance(b.ask(0, application(world, true, sealed(D1, D0))), Voted)


def test_section_8_1_what_is_asked_for_was_sealed_by_an_officer(world: World) -> None:
    """A liar cannot have others look for blocks of its choice."""
    a, b = world.zones[:2]
    head = world.launch(a, D0)
    lied = certified(a, head, D1, world=world)
    ask = application(world, lied, sealed(D1, D0))
    for anchor in b.anchors:
        anchor.blocks -= {digest_of(D1.document)}
    named = digest_of(D1.document)
    assert Need(what="blocks", digests=(named,)) == b.ask(0, ask)
    nowhere = replace(sealed(D1, D0), document=digest(b"a block of its choice"))
    b.give(named)
    assert reason_of(b.ask(0, application(world, lied, nowhere))) == "bad-signature"


def test_section_8_1_an_application_names_what_proves_it_and_nothing_else(world: World) -> None:
    a, b = world.zones[:2]
    ask = application(world, world.amend(a, world.launch(a, D0), D1), sealed(D1, D0))
    b.give(digest(b"more"))
    for documents in ((), (*ask.documents, digest(b"more"))):
        assert "wrong-documents" == reason_of(b.ask(0, replace(ask, documents=documents)))
    assert isinstance(b.ask(0, ask), Voted)


def test_section_8_1_a_root_is_asked_for_where_there_is_one(world: World) -> None:
    a, b = world.zones[:2]
    kept = document(root=Root(keys=(CAT.public,)))
    stolen = successor(kept, officers=ANNS)  # by officers whose keys a thief has
    head = world.launch(a, kept)
    lied = certified(a, head, stolen, world=world)
    ask = application(world, lied, sealed(stolen, kept))
    documents = (digest_of(kept.document),)
    assert "wrong-key" == reason_of(b.ask(0, replace(ask, documents=documents)))
    true = successor(kept, by=(CAT,), officers=ANNS)
    lied = certified(a, head, true, world=world)
    ask = replace(application(world, lied, sealed(true, kept)), documents=documents)
    assert isinstance(b.ask(0, ask), Voted)


def test_section_8_1_no_zone_goes_back_behind_what_came_to_it(world: World) -> None:
    """All of its anchors together may leave an amendment out, and not one that was decided before."""
    a, b, c = world.zones
    second = successor(D1)
    head = world.amend(a, world.amend(a, world.launch(a, D0), D1), second)
    head = world.move(a, b, head)
    documents = (digest_of(D1.document),)
    governance = replace(head.record.governance, documents=documents, version=4)
    record = child(head.record, head.certificate.slot, governance=governance)
    lied = b.sample.certified(
        world.propose(TransitionKind.AMEND, head, record, EVE, role=Role.PERSON).transition
    )
    chapters = b.anchors[0].past(head.record.agent_id)
    shown = [*chapters[:-1], replace(chapters[-1], succession=(sealed(D1, D0),))]
    for zone in (b, c):
        zone.give(*world.known.library)
    ask = replace(
        world.application(b, c, lied),
        chapters=world.shown(shown, c),
        documents=tuple(digest_of(each.document) for each in (D0, second)),
    )
    assert "rollback" == reason_of(c.ask(0, ask))
    true = world.application(b, c, world.step(b, head))
    assert isinstance(c.ask(0, true), Voted)


# Anchors that missed it


def missed(world: World) -> tuple[PureZone, Certified]:
    """Return a zone whose last anchor has missed an amendment, and the step after it, which it has heard of."""
    a = world.zones[0]
    head = world.launch(a, D0)
    run = (D1, TURNED)
    done = world.decide(a, world.amendment(head, *run), head, only=(0, 1, 2))
    a.give(*(digest_of(each.document) for each in run))
    return a, world.step(a, done)


def test_an_anchor_that_missed_an_amendment_knows_that_it_did_and_catches_up(world: World) -> None:
    a, head = missed(world)
    late, agent = a.anchors[3], head.record.agent_id
    assert head == late.dossier(agent).head
    assert [False, False, False, True] == [is_behind(x.dossier(agent)) for x in a.anchors]
    told = a.anchors[0].past(agent)
    for wrong in ((), (sealed(D1, D0),), (sealed(TURNED, D1),)):
        false = (replace(told[0], succession=wrong),)
        with pytest.raises(Rejected):
            caught_up(late.dossier(agent), false, None, late.view())
    late.keep(caught_up(late.dossier(agent), told, None, late.view()))
    assert not is_behind(late.dossier(agent))
    assert a.anchors[0].dossier(agent) == late.dossier(agent)


def test_an_anchor_that_is_shown_an_amendment_without_what_was_sealed_asks_for_it(
    world: World,
) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    good = world.amendment(head, D1)
    done = world.decide(a, good, head, only=(0, 1, 2))
    late, agent = a.anchors[3], head.record.agent_id
    bare = Proposal(transition=done.transition, seals=())
    stranger = replace(good, evidence=replace(good.evidence, documents=(successor(D0, by=(EVE,)),)))
    show = ShowCommit(certificate=done.certificate)
    for shown in (bare, stranger):
        ruling = late.ruling(replace(show, proposal=shown))
        assert ruling.dossier is not None and is_behind(ruling.dossier)
    late.ask(replace(show, proposal=good))
    assert not is_behind(late.dossier(agent))
    assert (sealed(D1, D0),) == succession(a, done, 3)


def test_what_has_no_room_is_refused_for_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    proposal = world.amendment(head, D1)
    monkeypatch.setattr(amending, "SUCCESSION_BYTES_MAX", 100)
    reply = proposed(world, proposal, head)
    assert isinstance(reply, Declined) and reply.for_now and "no room" in reply.problem


# Capsules


def capsule_of(world: World, zone: PureZone, head: Certified, **shown: Any) -> bytes:
    """Return the capsule of an agent without memory, with what else is shown."""
    chapters: tuple[Chapter, ...] = zone.anchors[0].past(head.record.agent_id)
    manifests = [z.sample.signed for z in world.zones]
    made = make_capsule(chapters, head, manifests, world.known.library.values(), **shown)
    blocks = {digest(CODE): CODE} | {d: encode(t) for d, t in world.known.library.items()}
    closure, sections = Closure(block_names(made)), []
    while (named := closure.next) is not None:
        sections.append(car_section(blocks[named]))
        closure.take(blocks[named])
    return capsule_head(made) + b"".join(sections)


def test_a_capsule_proves_what_rules_the_agent(world: World) -> None:
    a, b, _ = world.zones
    cooled = successor(D0, cool_down_ms=1_000)
    head = world.amend(a, world.launch(a, D0), cooled)
    turned = successor(cooled, officers=ANNS)
    head = world.amend(a, head, turned)
    head = world.move(a, b, head)
    verified = load_capsule(io.BytesIO(capsule_of(world, b, head)))
    assert (turned.document,) == verified.documents
    assert 4 == verified.blocks  # what rules, what cools, what it was born with, and the code


def test_no_capsule_holds_a_policy_that_officers_did_not_seal(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    lied = certified(a, head, successor(D0, by=(EVE,)), world=world)
    with pytest.raises(Rejected, match="does not lead to the documents"):
        capsule_of(world, a, lied)
