"""Whose an agent is, is proved to strangers by its officers' seals, not by its name or its zone (protocol §8)."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.governance import Officers, SignedDocument, Warrant, issuer_id
from sojourn.core.agent.trust import Trust
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.seals import Kind, Role, Seal
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.messages import (
    AskVisa,
    Declined,
    Evidence,
    Proposal,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureZone, World
from tests.samples import ISSUER, document, genesis, key, seal
from tests.unit.core.protocol.asking import EVE, reason_of

BOTH = Officers(keys=(ISSUER.public, EVE.public), amend=2)
OWN = {"by": (EVE,), "officers": Officers(keys=(EVE.public,))}
FIRM = cid_text(issuer_id(document().document))
FIRMS_ONLY = f'permit (principal, action, resource) when {{ principal.issuer == "{FIRM}" }};'


@pytest.fixture
def world() -> World:
    return World("a", "b", "c")


def applies(world: World, *documents: SignedDocument, **launch: Any) -> AskVisa:
    """Launch an agent in the first zone; return its application to the second, which has its policies."""
    a, b = world.zones[:2]
    head = world.launch(a, *documents, **launch)
    b.give(*head.record.governance.documents)
    return world.application(a, b, head)


def with_warrant(world: World, ask: AskVisa, **changes: Any) -> AskVisa:
    """Return an application with other seals."""
    first, *others = world.chapters_of(ask)
    changed = replace(first, warrant=replace(warrant_in(world, ask), **changes))
    return replace(ask, chapters=world.shown([changed, *others], world.zones[1]))


def warrant_in(world: World, ask: AskVisa) -> Warrant:
    """Return the officers' seals that an application shows."""
    warrant = world.chapters_of(ask)[0].warrant
    assert warrant is not None
    return warrant


def launched_by_its_zone_alone(zone: PureZone, proposal: Proposal, warrant: Warrant) -> Certified:
    """Return an agent that a quorum of a zone made up: nothing of it was judged by anybody."""
    head = zone.sample.certified(proposal.transition)
    zone.anchors[0].chapters[head.record.agent_id, 0] = Chapter(opened=head, warrant=warrant)
    return head


# Whom a policy means


def test_trap_54_a_firms_zone_takes_the_firms_agents_and_nobody_who_calls_himself_so(
    world: World,
) -> None:
    firm = world.found("firm", policy=FIRMS_ONLY)
    world.zones[1] = firm
    assert isinstance(firm.ask(0, applies(world)), Voted)
    own = document(**OWN)
    assert "acme" == own.document.issuer
    assert "denied" == reason_of(firm.ask(0, applies(world, own, by=(EVE,))))


def test_one_of_a_firms_officers_is_not_the_firm(world: World) -> None:
    """The firm's acts need two: a document of one of them, that says one is enough, is another issuer's."""
    theirs = document(by=(ISSUER, EVE), officers=BOTH)
    named = cid_text(issuer_id(theirs.document))
    policy = f'permit (principal, action, resource) when {{ principal.issuer == "{named}" }};'
    world.zones[1] = firm = world.found("firm", policy=policy)
    assert isinstance(firm.ask(0, applies(world, theirs, by=(ISSUER, EVE))), Voted)
    lone = document(by=(EVE,), officers=replace(BOTH, amend=1))
    assert "denied" == reason_of(firm.ask(0, applies(world, lone, by=(EVE,))))


# What an applicant shows


def stranger_seal(ask: AskVisa) -> Seal:
    """Return a seal that holds, of the first document, by somebody it does not name."""
    named = ask.head.record.governance.documents[0]
    return seal(key("mallory"), Kind.DOCUMENT, Role.ISSUER, named)


SPOILT: dict[str, tuple[Callable[[Warrant, AskVisa], dict[str, Any]], str]] = {
    "a document unsealed": (lambda w, _: {"documents": ((),)}, "below-threshold"),
    "a document by too few": (lambda w, _: {"documents": (w.documents[0][:1],)}, "below-threshold"),
    "a document by one of them twice": (
        lambda w, _: {"documents": (w.documents[0][:1] * 2,)},
        "below-threshold",
    ),
    "a document by a stranger too": (
        lambda w, ask: {"documents": ((*w.documents[0], stranger_seal(ask)),)},
        "wrong-key",
    ),
    "another document": (
        lambda w, _: {"documents": (document(by=(ISSUER, EVE), officers=BOTH, name="x").seals,)},
        "bad-signature",
    ),
    "the genesis in a document's place": (
        lambda w, _: {"documents": (w.genesis,)},
        "bad-signature",
    ),
    "a document that is not named": (
        lambda w, _: {"documents": w.documents * 2},
        "wrong-documents",
    ),
    "no document": (lambda w, _: {"documents": ()}, "wrong-documents"),
    "the genesis unsealed": (lambda w, _: {"genesis": ()}, "below-threshold"),
    "the genesis by too few": (lambda w, _: {"genesis": w.genesis[1:]}, "below-threshold"),
    "the genesis by a stranger too": (
        lambda w, ask: {"genesis": (*w.genesis, stranger_seal(ask))},
        "wrong-key",
    ),
    "a document in the genesis's place": (
        lambda w, _: {"genesis": w.documents[0]},
        "bad-signature",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_section_8_a_target_takes_nobody_without_its_officers_seals(
    world: World, spoilt: str
) -> None:
    b = world.zones[1]
    ask = applies(world, document(by=(ISSUER, EVE), officers=BOTH), by=(ISSUER, EVE))
    warrant = warrant_in(world, ask)
    changes, reason = SPOILT[spoilt]
    assert reason == reason_of(b.ask(0, with_warrant(world, ask, **changes(warrant, ask))))
    assert b.anchors[0].dossier(ask.terms.agent).application is None
    assert isinstance(b.ask(0, ask), Voted)


def test_section_8_every_document_has_its_own_officers_seals(world: World) -> None:
    b = world.zones[1]
    ask = applies(world, document(), document(**OWN, name="more"))
    warrant = warrant_in(world, ask)
    assert isinstance(b.ask(0, ask), Voted)
    swapped = with_warrant(world, ask, documents=warrant.documents[::-1])
    assert "wrong-key" == reason_of(b.ask(0, swapped))


def test_section_8_a_chain_without_a_warrant_admits_nobody(world: World) -> None:
    b, ask = world.zones[1], applies(world)
    unsealed = replace(world.chapters_of(ask)[0], warrant=None)
    bare = replace(ask, chapters=world.shown([unsealed], b))
    assert "no-warrant" == reason_of(b.ask(0, bare))
    assert b.anchors[0].dossier(ask.terms.agent).application is None


def test_section_8_only_a_genesis_has_a_warrant(world: World) -> None:
    a, b, c = world.zones
    head = world.move(a, b, world.launch(a))
    ask = world.application(b, c, head)
    c.give(*head.record.governance.documents)
    first, second = world.chapters_of(ask)
    sealed = [first, replace(second, warrant=first.warrant)]
    twice = replace(ask, chapters=world.shown(sealed, c))
    assert "extra" == reason_of(c.ask(0, twice))
    assert isinstance(c.ask(0, ask), Voted)


# A zone that lies


@pytest.mark.parametrize("genesis_seals", ["none", "its own", "another agent's"])
def test_a_zone_cannot_launch_its_own_code_under_a_document_that_it_once_was_shown(
    world: World, genesis_seals: str
) -> None:
    """More than f of its anchors lie. The firm's document, with its seals, is the firm's own; the agent is not."""
    a, b = world.zones[:2]
    true = warrant_in(world, applies(world))
    record = genesis(a.sample).transition.record
    made = world.genesis(a, capabilities=replace(record.capabilities, code=digest(b"thief's")))
    own = seal(EVE, Kind.TRANSITION, Role.ISSUER, made.transition.digest)
    shown = {"none": (), "its own": (own,), "another agent's": true.genesis}[genesis_seals]
    head = launched_by_its_zone_alone(a, made, replace(true, genesis=shown))
    reply = b.ask(0, world.application(a, b, head))
    assert reason_of(reply) in ("below-threshold", "wrong-key", "bad-signature")


def other_documents(head: Certified) -> dict[str, Any]:
    return {"governance": replace(head.record.governance, version=9)}


def other_code(head: Certified) -> dict[str, Any]:
    return {"capabilities": replace(head.record.capabilities, code=digest(b"thief's"))}


def other_issuers(head: Certified) -> dict[str, Any]:
    return {"trust": Trust(minimum=head.record.trust.minimum)}


def other_minimum(head: Certified) -> dict[str, Any]:
    return {"trust": replace(head.record.trust, minimum={"travel": 2})}


@pytest.mark.parametrize(
    "change", [other_documents, other_code, other_issuers, other_minimum], ids=lambda c: c.__name__
)
def test_a_zone_cannot_change_on_the_way_what_the_officers_sealed(
    world: World, change: Callable[[Certified], dict[str, Any]]
) -> None:
    """What lies between a term's opening and the head is not shown, and its quorum may have lied."""
    a, b = world.zones[:2]
    head = world.launch(a)
    b.give(*head.record.governance.documents)
    forged = a.sample.certified(world.step_proposal(a, head, **change(head)).transition)
    assert "bad-change" == reason_of(b.ask(0, world.application(a, b, forged)))
    assert isinstance(b.ask(0, world.application(a, b, world.step(a, head))), Voted)


def test_what_a_step_may_change_keeps_nobody_out(world: World) -> None:
    a, b = world.zones[:2]
    head = world.launch(a)
    b.give(*head.record.governance.documents)
    memory = replace(head.record.memory, journal=digest(b"journal"))
    a.give(memory.journal)
    head = world.step(a, head, memory=memory)
    assert isinstance(b.ask(0, world.application(a, b, head)), Voted)


# Where the seals are kept


def first_chapter(zone: PureZone, index: int, agent: bytes) -> Chapter:
    return zone.anchors[index].past(agent)[0]


def test_the_seals_go_with_the_chain_from_zone_to_zone(world: World) -> None:
    a, b, c = world.zones
    born = world.genesis(a)
    head = world.bind(a, world.decide(a, born))
    agent = head.record.agent_id
    head = world.move(b, c, world.move(a, b, head))
    warrant = Warrant(genesis=born.seals, documents=(born.evidence.documents[0].seals,))
    for zone in (a, b, c):
        assert [warrant] * 4 == [first_chapter(zone, i, agent).warrant for i in range(4)]


def test_an_anchor_that_missed_the_genesis_keeps_the_seals_that_it_is_shown(world: World) -> None:
    a, born = world.zones[0], world.genesis(world.zones[0])
    done = world.decide(a, born, only=(0, 1, 2))
    a.ask(3, ShowCommit(certificate=done.certificate, proposal=born))
    agent = done.record.agent_id
    assert first_chapter(a, 0, agent) == first_chapter(a, 3, agent)


@pytest.mark.parametrize("spoilt", ["no seals", "no documents", "a stranger's", "another's"])
def test_seals_that_do_not_hold_are_not_kept(world: World, spoilt: str) -> None:
    a, born = world.zones[0], world.genesis(world.zones[0])
    done = world.decide(a, born, only=(0, 1, 2))
    forged = (seal(EVE, Kind.TRANSITION, Role.ISSUER, done.transition.digest),)
    wrong = {
        "no seals": replace(born, seals=()),
        "no documents": replace(born, evidence=Evidence()),
        "a stranger's": replace(born, seals=forged),
        "another's": replace(born, evidence=Evidence(documents=(document(name="x"),))),
    }
    a.ask(3, ShowCommit(certificate=done.certificate, proposal=wrong[spoilt]))
    assert Chapter(opened=done) == first_chapter(a, 3, done.record.agent_id)


@pytest.mark.parametrize("is_twin", [False, True])
def test_a_value_that_was_stripped_of_its_seals_gets_its_own_again_and_no_others(
    world: World, is_twin: bool
) -> None:
    """A proposer shows a lock with the bare value, and the decision with the seals: its own, or a twin's."""
    a, born = world.zones[0], world.genesis(world.zones[0])
    done = world.decide(a, born, only=(0, 1, 2))
    slot, value = done.certificate.slot, done.certificate.value
    lock = a.sample.certificate(slot, value, phase=Phase.LOCK)
    bare = replace(born, seals=(), evidence=Evidence())
    assert not isinstance(a.ask(3, ShowLock(certificate=lock, proposal=bare)), Declined)
    twin = genesis(a.sample, now_ms=world.clock.wall_ms + 1)
    shown = twin if is_twin else born
    a.ask(3, ShowCommit(certificate=done.certificate, proposal=shown))
    kept = first_chapter(a, 3, done.record.agent_id)
    assert (done, is_twin) == (kept.opened, kept.warrant is None)
