"""Amendments: successors of a document take its place, by its officers' seals, and what cools rules beside it."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.governance import Cooling, Officers, Root
from sojourn.core.agent.orders import Act, Order
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import COOLING_MAX, SUCCESSORS_MAX
from sojourn.core.base.seals import Role
from sojourn.core.protocol import ordering
from sojourn.core.protocol.admission import amended
from sojourn.core.protocol.amending import bringing
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Declined,
    Evidence,
    Intent,
    Need,
    Proposal,
    Propose,
    Voted,
)
from tests.rulings import World
from tests.samples import FOR_EVER_MS, ISSUER, NOW_MS, PERMIT_ALL, document, key, successor
from tests.unit.core.protocol.asking import EVE, proposed, reason_of, resealed

ANN, BEN, CAT = key("ann"), key("ben"), key("cat")
NO_ORDERS = PERMIT_ALL + 'forbid (principal, action == Action::"order.place", resource);'
OTHER = (ANN, BEN)
D0 = document(actions=("order.place",))


@pytest.fixture
def world() -> World:
    return World("a", "b")


def judged(world: World, proposal: Proposal, head: Certified) -> Any:
    """Ask one anchor for a lock vote; the documents shown are stored with it."""
    for item in proposal.evidence.documents:
        world.known.library[digest_of(item.document)] = item.document
        world.zones[0].give(digest_of(item.document))
    return proposed(world, proposal, head)


def order_placed(world: World, head: Certified) -> str:
    """Return what an anchor says to placing an order: "voted", or why not."""
    shown = Intent(
        step="buy", action="order.place", effect="once", key="k", arguments=digest_of("x")
    )
    a = world.zones[0]
    eligibility = replace(head.record.eligibility, last_decision=digest_of(shown))
    step = world.step_proposal(a, head, eligibility=eligibility)
    transition = replace(step.transition, kind=TransitionKind.INTEND)
    made = replace(step, transition=transition, evidence=Evidence(intent=shown))
    reply = proposed(world, resealed(made, world.host_of(a, head), role=Role.HOST), head)
    return "voted" if isinstance(reply, Voted) else f"{reply.reason}: {reply.problem}"  # type: ignore[union-attr]


# What it makes of a record


def test_section_8_6_a_successor_takes_the_place_of_the_document_that_it_follows(
    world: World,
) -> None:
    first, second = document(name="first"), document(name="second")
    head = world.launch(world.zones[0], first, second)
    after = world.amend(world.zones[0], head, successor(second))
    was, now = head.record.governance, after.record.governance
    assert (digest_of(first.document), digest_of(successor(second).document)) == now.documents
    assert (was.version + 1, was.issuer, was.ordered_ms, ()) == (
        now.version,
        now.issuer,
        now.ordered_ms,
        now.cooling,
    )


def test_section_8_6_whoever_slept_through_several_takes_them_together(world: World) -> None:
    second = successor(D0)
    third = successor(second)
    head = world.amend(world.zones[0], world.launch(world.zones[0], D0), second, third)
    assert (digest_of(third.document),) == head.record.governance.documents
    assert 2 == head.record.governance.version


@pytest.mark.parametrize("how", ["dormant", "suspended", "quarantined"])
def test_section_8_6_it_reaches_an_agent_that_acts_on_nothing(world: World, how: str) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    if how == "dormant":
        asleep = replace(head.record.eligibility, status=Status.DORMANT)
        head = world.step(a, head, eligibility=asleep)
    else:
        act = Act.SUSPEND if how == "suspended" else Act.QUARANTINE
        given = Order(agent=head.record.agent_id, act=act, issued_ms=NOW_MS, expires_ms=FOR_EVER_MS)
        signed = ordering.sealed(given, [ISSUER])
        head = world.decide(a, ordering.carrying(signed, head, EVE, at_ms=NOW_MS), head)
    after = world.amend(a, head, successor(D0))
    assert head.record.eligibility == after.record.eligibility


def test_section_8_6_an_expired_policy_is_renewed(world: World) -> None:
    a = world.zones[0]
    brief = document(not_after_ms=NOW_MS + 10, cool_down_ms=1_000, actions=("order.place",))
    head = world.launch(a, brief)
    world.clock.pass_ms(10)
    assert "outside-window" in order_placed(world, head)
    lapsed = successor(brief, not_after_ms=NOW_MS + 10)
    head = world.amend(a, head, lapsed, successor(lapsed, not_after_ms=FOR_EVER_MS))
    assert () == head.record.governance.cooling
    assert "voted" == order_placed(world, head)


# Who says so


WRONG: dict[str, tuple[Callable[[], tuple[Any, ...]], str]] = {
    "by a stranger": (lambda: (successor(D0, by=(EVE,)),), "wrong-key"),
    "by nobody": (lambda: (successor(D0, by=()),), "below-threshold"),
    "of another name": (lambda: (successor(D0, name="other"),), "wrong-documents"),
    "of another issuer": (lambda: (successor(D0, issuer="evil"),), "wrong-documents"),
    "a version too far": (lambda: (successor(D0, version=3),), "rollback"),
    "the same version": (lambda: (successor(D0, version=1),), "rollback"),
    "a gap in the run": (
        lambda: (successor(D0), successor(successor(successor(D0)))),
        "rollback",
    ),
    "not yet": (lambda: (successor(D0, not_before_ms=FOR_EVER_MS - 1),), "outside-window"),
    "no more": (lambda: (successor(D0, not_after_ms=NOW_MS),), "outside-window"),
    "officers unsound": (
        lambda: (successor(D0, officers=Officers(keys=(ANN.public,), amend=2)),),
        "bad-officers",
    ),
    "a root unsound": (
        lambda: (successor(D0, root=Root(keys=(ANN.public,), threshold=2)),),
        "bad-officers",
    ),
    "judged by its own officers": (
        lambda: (successor(D0, officers=Officers(keys=(ANN.public,)), by=(ANN,)),),
        "wrong-key",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_trap_41_a_document_that_its_officers_did_not_sign_as_the_next_changes_nothing(
    world: World, wrong: str
) -> None:
    made, reason = WRONG[wrong]
    head = world.launch(world.zones[0], D0)
    run = made()
    proposal = bringing(D0.document, run, head, EVE, at_ms=world.clock.wall_ms)
    assert reason == reason_of(judged(world, proposal, head))
    assert isinstance(judged(world, world.amendment(head, successor(D0)), head), Voted)


def test_trap_41_as_many_officers_as_the_document_before_says(world: World) -> None:
    both = Officers(keys=(ANN.public, BEN.public), amend=2)
    shared = document(officers=both, by=OTHER)
    head = world.launch(world.zones[0], shared, by=OTHER)
    for by, reason in (((ANN,), "below-threshold"), ((ANN, ANN), "below-threshold")):
        loosened = successor(shared, by=by, officers=replace(both, amend=1))
        assert reason == reason_of(judged(world, world.amendment(head, loosened), head))
    head = world.amend(world.zones[0], head, successor(shared, by=OTHER))
    assert 2 == head.record.governance.version


def test_section_8_6_what_does_not_rule_has_no_successor_here(world: World) -> None:
    """A successor of what was amended already, of another's document, of none, or too many at once."""
    a = world.zones[0]
    head = world.launch(a, D0)
    done = world.amend(a, head, successor(D0))
    for run in ([successor(D0)], [successor(document(name="other"))], [D0]):
        again = replace(
            world.amendment(done, successor(successor(D0))),
            evidence=Evidence(documents=tuple(run)),
        )
        assert "wrong-documents" == reason_of(judged(world, again, done))
    good = world.amendment(done, successor(successor(D0)))
    for run in ([], [successor(successor(D0))] * (SUCCESSORS_MAX + 1)):
        wrong = replace(good, evidence=Evidence(documents=tuple(run)))
        assert "no-successor" == reason_of(judged(world, wrong, done))


def test_section_4_the_record_is_the_one_that_follows_and_the_bringer_seals_it(
    world: World,
) -> None:
    cooled = document(cool_down_ms=50)
    head = world.launch(world.zones[0], cooled)
    good = world.amendment(head, successor(cooled))
    record = good.transition.record
    forgets = replace(record, governance=replace(record.governance, cooling=()))
    later = Cooling(documents=head.record.governance.documents, until_ms=NOW_MS + 51)
    longer = replace(record, governance=replace(record.governance, cooling=(later,)))
    for wrong in (forgets, longer):
        made = resealed(good, EVE, role=Role.PERSON, record=wrong, author=EVE.public)
        assert "bad-change" == reason_of(judged(world, made, head))
    for made, reason in (
        (replace(good, seals=()), "wrong-author"),
        (resealed(good, EVE, role=Role.PERSON), "wrong-author"),
        (resealed(good, EVE, role=Role.HOST, author=EVE.public), "bad-signature"),
    ):
        assert reason == reason_of(judged(world, made, head))
    assert isinstance(judged(world, good, head), Voted)


def test_trap_23_no_vote_for_documents_that_are_not_stored(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, D0)
    run = (successor(D0), successor(successor(D0)))
    good = world.amendment(head, *run)
    named = {digest_of(item.document) for item in run}
    reply = a.ask(0, Propose(slot=a.slot(good, head), round=0, proposal=good))
    assert isinstance(reply, Need) and (reply.what, set(reply.digests)) == ("blocks", named)


@pytest.mark.parametrize("cedar", ["nonsense", "", "forbid (principal, action, resource);"])
def test_section_8_2_a_document_that_cannot_be_judged_by_takes_no_place(
    world: World, cedar: str
) -> None:
    head = world.launch(world.zones[0], D0)
    reply = judged(world, world.amendment(head, successor(D0, cedar=cedar)), head)
    assert "denied" == reason_of(reply)


def test_section_2_a_departed_agent_is_amended_where_it_arrives(world: World) -> None:
    a, b = world.zones
    head = world.launch(a, D0)
    gone, visa, ask = world.depart(a, b, head)
    assert "bad-status" == reason_of(judged(world, world.amendment(gone, successor(D0)), gone))
    arrived = world.arrive(b, gone, visa, ask)
    assert isinstance(world.amend(b, arrived, successor(D0)), Certified)


# Root


def test_section_8_6_where_there_is_a_root_it_alone_names_other_officers(world: World) -> None:
    root = Root(keys=(BEN.public, CAT.public), threshold=2)
    kept = document(root=root)
    head = world.launch(world.zones[0], kept)
    others = {"officers": Officers(keys=(ANN.public,))}
    for changes in (others, {"root": None}, {"root": replace(root, threshold=1)}):
        for by, reason in (((ISSUER,), "wrong-key"), ((BEN,), "below-threshold")):
            wrong = successor(kept, by=by, **changes)
            assert reason == reason_of(judged(world, world.amendment(head, wrong), head))
    assert "wrong-key" == reason_of(
        judged(world, world.amendment(head, successor(kept, by=(BEN, CAT))), head)
    )
    head = world.amend(world.zones[0], head, successor(kept))
    head = world.amend(world.zones[0], head, successor(successor(kept), by=(BEN, CAT), **others))
    assert 3 == head.record.governance.version


# Both rule while it cools


def test_section_8_6_what_is_narrowed_is_forbidden_at_once(world: World) -> None:
    a = world.zones[0]
    wide = document(cool_down_ms=1_000, actions=("order.place",))
    head = world.launch(a, wide)
    assert "voted" == order_placed(world, head)
    head = world.amend(a, head, successor(wide, cedar=NO_ORDERS))
    assert "the agent's policy forbids it" in order_placed(world, head).lower()


def test_section_8_6_what_is_widened_waits_until_the_old_policy_has_cooled(world: World) -> None:
    a = world.zones[0]
    narrow = document(NO_ORDERS, cool_down_ms=1_000, actions=("order.place",))
    head = world.launch(a, narrow)
    wide = successor(narrow, cedar=PERMIT_ALL, cool_down_ms=0)
    head = world.amend(a, head, wide)
    until = NOW_MS + 1_000
    assert (Cooling(documents=(digest_of(narrow.document),), until_ms=until),) == (
        head.record.governance.cooling
    )
    assert "The policy before: rules version 1 forbids it" in order_placed(world, head)
    world.clock.pass_ms(999)
    assert "denied" in order_placed(world, head)
    world.clock.pass_ms(1)
    assert "voted" == order_placed(world, head)


def test_section_8_6_two_small_steps_widen_no_sooner_than_one(world: World) -> None:
    """Policies permit and forbid together: each set of them that ruled cools as it was."""
    a = world.zones[0]
    plain = 'permit (principal, action == Action::"travel", resource);'
    more = plain + 'permit (principal, action == Action::"order.place", resource);'
    one, two = (
        document(plain, name=name, cool_down_ms=1_000, actions=("order.place",))
        for name in ("one", "two")
    )
    extra = document('permit (principal, action == Action::"launch", resource);', name="extra")
    head = world.launch(a, one, two, extra)
    head = world.amend(a, head, successor(one, cedar=more))
    head = world.amend(a, head, successor(two, cedar=more))
    assert 2 == len(head.record.governance.cooling)
    assert "the policy before" in order_placed(world, head).lower()
    world.clock.pass_ms(1_000)
    assert "voted" == order_placed(world, head)


def test_section_8_6_what_was_passed_over_cools_too(world: World) -> None:
    a = world.zones[0]
    strict = successor(D0, cedar=NO_ORDERS, cool_down_ms=1_000)
    head = world.amend(a, world.launch(a, D0), strict, successor(strict, cedar=PERMIT_ALL))
    assert "The policy before: rules version 2 forbids it" in order_placed(world, head)


def test_section_8_6_a_document_cools_no_longer_than_it_holds(world: World) -> None:
    brief = document(not_after_ms=NOW_MS + 10, cool_down_ms=1_000)
    after = world.launch(world.zones[0], brief).record.governance.amended(
        brief.document, [successor(brief).document], NOW_MS
    )
    assert [NOW_MS + 10] == [each.until_ms for each in after.cooling]


def test_section_8_6_so_much_may_cool_at_once(world: World) -> None:
    at_ms, last = NOW_MS, document(cool_down_ms=100)
    head = world.launch(world.zones[0], last)
    governance = head.record.governance
    for _ in range(COOLING_MAX):
        following = successor(last)
        governance = governance.amended(last.document, [following.document], at_ms)
        last = following
    crowded = replace(head.record, governance=governance)
    with pytest.raises(Rejected, match="17 earlier policies would cool"):
        amended(crowded, head.certificate.slot, last.document, [successor(last).document], at_ms)
    later = amended(
        crowded, head.certificate.slot, last.document, [successor(last).document], at_ms + 100
    )
    assert 1 == len(later.governance.cooling)


def test_section_8_6_no_visa_is_given_without_what_cools(world: World) -> None:
    a, b = world.zones
    narrow = document(
        PERMIT_ALL + 'forbid (principal, action == Action::"travel", resource);',
        cool_down_ms=1_000,
    )
    head = world.amend(a, world.launch(a, narrow), successor(narrow, cedar=PERMIT_ALL))
    ask = world.application(a, b, head)
    b.give(*head.record.governance.documents, *ask.documents)
    reply = b.ask(0, ask)
    assert Need(what="blocks", digests=(digest_of(narrow.document),)) == reply
    b.give(digest_of(narrow.document))
    reply = b.ask(0, ask)
    assert isinstance(reply, Declined) and "The policy before" in reply.problem
    world.clock.pass_ms(1_000)
    assert isinstance(b.ask(0, ask), Voted)
    world.move(a, b, world.step(a, head))
