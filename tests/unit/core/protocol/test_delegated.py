"""Delegates of an issuer: what they sign is taken while they may, everywhere alike, and proves itself (§8.14)."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent import succession as succession_module
from sojourn.core.agent.delegation import Mandate, Power
from sojourn.core.agent.governance import Document, Governance, SignedDocument
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.revocations import About, Reach, Revocation, sealed_by
from sojourn.core.agent.succession import Delegated, Sealed, check_succession, extended
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS, ORDERS_PER_AGENT_MAX, SUCCESSION_SPARE_MAX
from sojourn.core.protocol import decided, successors
from sojourn.core.protocol.amending import check_run
from sojourn.core.protocol.capsule import load_capsule
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.edicts import Standing, standing_of
from sojourn.core.protocol.messages import Declined, Voted
from sojourn.core.protocol.ordering import carrying
from sojourn.core.protocol.successors import KnownSuccessors
from sojourn.core.protocol.waiting import next_order, next_run
from tests.rulings import PureZone, World
from tests.samples import ISSUER, NOW_MS, PERMIT_ALL, successor
from tests.unit.core.agent.delegations import (
    DESK,
    HOUR_MS,
    REGION,
    RULES,
    mandate,
    ordered_under,
    regions,
    succeeding_under,
)
from tests.unit.core.protocol.asking import proposed, reason_of
from tests.unit.core.protocol.test_amended_first import obeyed
from tests.unit.core.protocol.test_ordered_first import asked, is_held_up
from tests.unit.core.protocol.test_succession import application, capsule_of, certified

TWO = REGION[:2]
HEAD, DEEP = mandate(), mandate(deep=True)
BY_REGION = succeeding_under(HEAD, *TWO, cedar=PERMIT_ALL + " // the region's")
BY_DESK = succeeding_under(DEEP, *DESK, cedar=PERMIT_ALL + " // the desk's")
OWN = successor(RULES, cedar=PERMIT_ALL + " // the issuer's own")
LATE_MS = HOUR_MS + 1
"""How long the desk's delegation is over for certain."""


@pytest.fixture
def world() -> World:
    return World("a", "b", "c", lease_ms=60_000)


def succession(zone: PureZone, head: Certified) -> tuple[Sealed, ...]:
    return zone.anchors[0].past(head.record.agent_id)[-1].succession


def sealed(signed: SignedDocument, follows: SignedDocument, at_ms: int) -> Sealed:
    """Return what a chapter holds of a document that a delegate sealed."""
    under = signed.mandate
    assert under is not None
    return Sealed(
        document=digest_of(signed.document),
        follows=digest_of(follows.document),
        seals=signed.seals,
        delegated=Delegated(mandate=under, at_ms=at_ms),
    )


def tell(zone: PureZone, *documents: SignedDocument) -> None:
    for anchor in zone.anchors:
        anchor.learn_documents(*documents)


# Documents


@pytest.mark.parametrize("signed", [BY_REGION, BY_DESK])
def test_section_8_14_a_delegate_s_document_rules_travels_and_proves_itself(
    world: World, signed: SignedDocument
) -> None:
    """At its own anchors, at those of the next zone and the one after, and to whoever reads a capsule."""
    a, b, c = world.zones
    head = world.amend(a, world.launch(a, RULES), signed)
    assert (digest_of(signed.document),) == head.record.governance.documents
    assert (sealed(signed, RULES, world.clock.wall_ms),) == succession(a, head)
    world.clock.pass_ms(20 * HOUR_MS)  # what was taken stays, when the delegation is long over
    a.renew(head)
    head = world.move(b, c, world.move(a, b, head))
    assert (sealed(signed, RULES, NOW_MS),) == succession(c, head)
    verified = load_capsule(io.BytesIO(capsule_of(world, c, head)))
    assert (signed.document,) == verified.documents


def test_section_8_14_it_is_judged_by_the_time_of_the_amendment(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    world.clock.pass_ms(HOUR_MS - 1)
    in_time = world.amendment(head, BY_DESK)
    world.clock.pass_ms(1)
    assert "outside-window" == reason_of(proposed(world, world.amendment(head, BY_DESK), head))
    assert isinstance(asked(a, in_time, head, anchor=1), Voted)
    world.clock.pass_ms(CLOCK_SKEW_MS)
    reply = asked(a, in_time, head, anchor=2)
    assert isinstance(reply, Declined) and "from this anchor's clock" in reply.problem


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (mandate(powers=(Power.SUSPEND,)), "beyond-mandate"),
        (mandate(documents=("other",)), "beyond-mandate"),
        (mandate(to=replace(regions().to, keys=(ISSUER.public,), amend=1, retire=1)), "cycle"),
        (mandate(to=replace(regions().to, amend=3)), "below-threshold"),
    ],
)
def test_section_8_14_what_goes_beyond_is_voted_for_by_nobody(
    world: World, given: Mandate, reason: str
) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    assert reason == reason_of(
        proposed(world, world.amendment(head, succeeding_under(given, *TWO)), head)
    )


def test_section_8_14_no_zone_takes_it_late_nor_before_it_had_the_agent(world: World) -> None:
    """All of its anchors together: when it began is what the zone before it says."""
    a, b, _ = world.zones
    begun_ms = world.clock.wall_ms
    head = world.launch(a, RULES)
    lied = certified(a, head, BY_DESK, world=world)
    for at_ms, reason in (
        (begun_ms + HOUR_MS, "outside-window"),
        (begun_ms - HOUR_MS - 1, "outside-window"),
        (begun_ms - 2 * CLOCK_SKEW_MS - 1, "outside-window"),
    ):
        shown = application(world, lied, sealed(BY_DESK, RULES, at_ms))
        assert reason == reason_of(b.ask(0, shown)), at_ms
    for at_ms in (begun_ms, begun_ms + HOUR_MS - 1, begun_ms - 2 * CLOCK_SKEW_MS):
        shown = application(world, lied, sealed(BY_DESK, RULES, at_ms))
        assert isinstance(b.ask(0, shown), Voted), at_ms


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (mandate(powers=(Power.SUSPEND,)), "beyond-mandate"),
        (mandate(to=replace(regions().to, amend=3)), "below-threshold"),
    ],
)
def test_section_8_14_no_zone_takes_what_goes_beyond(
    world: World, given: Mandate, reason: str
) -> None:
    a, b, _ = world.zones
    head = world.launch(a, RULES)
    signed = succeeding_under(given, *TWO)
    lied = certified(a, head, signed, world=world)
    shown = application(world, lied, sealed(signed, RULES, world.clock.wall_ms))
    assert reason == reason_of(b.ask(0, shown))


def test_section_8_14_a_sleeper_takes_what_the_issuer_went_on_from(world: World) -> None:
    """Else an agent that slept while a delegate's document ruled could never be amended again."""
    a, b, _ = world.zones
    head = world.launch(a, RULES)
    world.clock.pass_ms(20 * HOUR_MS)
    a.renew(head)
    third = successor(BY_REGION)
    assert "outside-window" == reason_of(proposed(world, world.amendment(head, BY_REGION), head))
    head = world.move(a, b, world.amend(a, head, BY_REGION, third))
    assert (digest_of(third.document),) == head.record.governance.documents
    verified = load_capsule(io.BytesIO(capsule_of(world, b, head)))
    assert {1, 2, 3} == {document.version for document in verified.policies.values()}


def test_section_8_14_what_a_delegate_had_to_leave_is_shown_until_others_follow() -> None:
    """What the issuer changed before it is not left out: a delegate could not have changed that."""
    cooled = successor(RULES, cool_down_ms=1)
    known = {digest_of(each.document): each.document for each in (RULES, cooled)}
    found = extended((), [cooled], known, NOW_MS)
    last = cooled
    for number in range(SUCCESSION_SPARE_MAX + 4):
        last = (
            succeeding_under(HEAD, *TWO, old=last, cedar=PERMIT_ALL + f" // {number}")
            if number % 2
            else successor(last)
        )
        known[digest_of(last.document)] = last.document
        found = extended(found, [last], known, NOW_MS)
        check_succession(
            (digest_of(RULES.document),),
            found,
            Governance(documents=(digest_of(last.document),), version=2),
            known.__getitem__,
            where="here",
        )


ROOM = 2
_Step = tuple[bool, int, int]
"""Whether a delegate seals the next version, what cool-down the issuer gives it else, and how many hours pass."""


@given(
    st.lists(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=4
        ),
        max_size=8,
    )
)
def test_section_8_14_what_was_taken_is_proved_for_good(runs: list[list[_Step]]) -> None:
    """Whatever the issuer and its delegate sealed, in whatever runs it was taken, and what was left out since."""
    known = {digest_of(RULES.document): RULES.document}
    found, ruling, at_ms = tuple[Sealed, ...](), RULES, NOW_MS - HOUR_MS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(succession_module, "SUCCESSION_SPARE_MAX", ROOM)
        for steps in runs:
            run: list[SignedDocument] = []
            for is_delegate, cool_down_ms, hours in steps:
                old, at_ms = run[-1] if run else ruling, at_ms + hours * HOUR_MS
                text = f"{PERMIT_ALL} // {at_ms} {cool_down_ms}"
                run.append(
                    succeeding_under(HEAD, *TWO, old=old, cedar=text)
                    if is_delegate
                    else successor(old, cedar=text, cool_down_ms=cool_down_ms)
                )
            try:
                check_run(ruling.document, run, at_ms)
            except Rejected:
                assert at_ms >= HEAD.until_ms and run[-1].mandate is not None
                continue
            known |= {digest_of(each.document): each.document for each in run}
            found, ruling = extended(found, run, known, at_ms), run[-1]
            governance = Governance(documents=(digest_of(ruling.document),), version=2)
            born = (digest_of(RULES.document),)
            check_succession(born, found, governance, known.__getitem__, where="here")
            assert len(found) <= 2 * ROOM + 2


# What is published


def find(digest: bytes) -> Document | None:
    return RULES.document if digest == digest_of(RULES.document) else None


def knowing(*documents: SignedDocument, now_ms: int = NOW_MS) -> KnownSuccessors:
    known = KnownSuccessors()
    known.rules([digest_of(RULES.document)], find)
    for each in documents:
        known.take(known.examine([each], now_ms, None, find), now_ms, None, find)
    return known


def run(known: KnownSuccessors, at_ms: int = NOW_MS, **named: Any) -> tuple[SignedDocument, ...]:
    return known.run_after(digest_of(RULES.document), at_ms, **named)


def test_section_8_14_what_no_delegation_holds_for_any_more_is_no_run() -> None:
    known = knowing(BY_DESK)
    assert (BY_DESK,) == run(known, NOW_MS + HOUR_MS - 1)
    assert () == run(known, NOW_MS + HOUR_MS)
    assert () == run(known, counts=lambda _: False)
    known.expire(NOW_MS + HOUR_MS)
    assert not len(known)
    assert not len(knowing(BY_DESK, now_ms=NOW_MS + HOUR_MS))


def test_section_8_14_what_the_issuer_went_on_from_is_kept_and_taken() -> None:
    third = successor(BY_DESK)
    known = knowing(BY_DESK, third)
    known.expire(NOW_MS + HOUR_MS)
    assert (BY_DESK, third) == run(known, NOW_MS + HOUR_MS)
    fourth = succeeding_under(DEEP, *DESK, old=third)
    late = knowing(BY_DESK, third, fourth)
    assert (BY_DESK, third, fourth) == run(late)
    assert (BY_DESK, third) == run(late, NOW_MS + HOUR_MS)


def test_section_8_14_the_issuer_s_own_goes_before_a_delegate_s() -> None:
    for told in ((BY_DESK, OWN, BY_REGION), (OWN, BY_REGION, BY_DESK)):
        assert (OWN,) == run(knowing(*told))
    third = successor(BY_DESK)
    assert (BY_DESK, third) == run(knowing(BY_REGION, BY_DESK, third), NOW_MS + LATE_MS)
    assert (BY_REGION,) == run(knowing(BY_REGION, BY_DESK), NOW_MS + LATE_MS)
    longer = succeeding_under(DEEP, *DESK, old=BY_DESK)
    held_up = knowing(BY_DESK, longer, BY_REGION)
    assert (BY_REGION,) == run(held_up, counts=lambda signed: signed.mandate == HEAD)


def test_section_8_14_what_is_sealed_by_who_may_longer_takes_the_place_of_the_same() -> None:
    ratified = successor(RULES, cedar=BY_DESK.document.cedar)
    longer = succeeding_under(HEAD, *TWO, cedar=BY_DESK.document.cedar)
    assert digest_of(ratified.document) == digest_of(BY_DESK.document)
    for told, kept in (
        ((BY_DESK, ratified), ratified),
        ((ratified, BY_DESK), ratified),
        ((BY_DESK, longer), longer),
        ((longer, BY_DESK), longer),
        ((BY_DESK, longer, ratified), ratified),
    ):
        known = knowing(*told)
        assert (kept,) == run(known)
        assert {digest_of(kept)} == known.names()
        assert (kept,) == known.lacking_in(())
        assert {*map(digest_of, told)} == {*known.summary()}, "nobody need tell of the others"
        assert ((kept,) if kept is ratified else ()) == run(known, kept_after(kept))


def kept_after(signed: SignedDocument) -> int:
    return signed.mandate.until_ms if signed.mandate else NOW_MS + 20 * HOUR_MS


def test_section_8_14_a_flood_of_a_delegate_s_keeps_out_nothing_of_the_issuer_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(successors, "SUCCESSORS_PER_LINE_MAX", 3)
    flood = [succeeding_under(HEAD, *TWO, cedar=PERMIT_ALL + f" // {i}") for i in range(5)]
    known = knowing(*flood, OWN)
    assert 3 == len(known)
    assert (OWN,) == run(known)
    last, chain = BY_REGION, [BY_REGION]
    for _ in range(5):
        last = succeeding_under(HEAD, *TWO, old=last)
        chain.append(last)
    for told in ((OWN, *chain), (*chain[:3], OWN, *chain[3:])):
        known = knowing(*told)
        assert (OWN,) == run(known), "of a line the newest count, but the issuer's own first"


def test_section_8_14_seals_of_a_stranger_s_delegations_are_looked_at() -> None:
    forged = replace(HEAD.delegations[0], delegation=regions(name="forged"))
    false = succeeding_under(Mandate(delegations=(forged,)), *TWO)
    with pytest.raises(Rejected, match="does not cover"):
        KnownSuccessors().examine([false], NOW_MS, None, find)


def test_section_8_14_it_spreads_and_binds_on_sight_while_it_holds(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    tell(a, BY_DESK)
    assert is_held_up(asked(a, world.step_proposal(a, head), head))
    done = obeyed(a, head)
    assert TransitionKind.AMEND is done.transition.kind
    assert (digest_of(BY_DESK.document),) == done.record.governance.documents


def test_section_8_14_one_whose_delegation_is_over_holds_nobody_up(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    tell(a, BY_DESK)
    world.clock.pass_ms(HOUR_MS)
    a.renew(head)
    anchor = a.anchors[0]
    assert () == next_run(anchor.dossier(head.record.agent_id), anchor.view())
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)


# Orders


def order(world: World, head: Certified, act: Act = Act.SUSPEND) -> Order:
    now_ms = world.clock.wall_ms
    agent = head.record.agent_id
    return Order(agent=agent, act=act, issued_ms=now_ms, expires_ms=now_ms + 20 * HOUR_MS)


def carried_out(zone: PureZone, world: World, head: Certified, signed: SignedOrder) -> Certified:
    now_ms = world.clock.wall_ms
    return world.decide(zone, carrying(signed, head, ISSUER, at_ms=now_ms), head)


def test_section_8_14_a_delegate_s_order_reaches_a_running_agent(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    stop = ordered_under(DEEP, order(world, head), *DESK)
    for anchor in a.anchors:
        assert [stop] == anchor.learn_orders(stop)
    assert is_held_up(asked(a, world.step_proposal(a, head), head))
    done = obeyed(a, head)
    assert done.record.eligibility.is_suspended
    world.clock.pass_ms(1)
    goes_on = ordered_under(DEEP, order(world, done, Act.RESUME), *DESK)
    assert not carried_out(a, world, done, goes_on).record.eligibility.is_suspended


def test_section_8_14_a_delegate_s_order_is_over_with_its_delegation(world: World) -> None:
    """At the anchors that know it, at those that are asked to vote, and to whoever reads of it."""
    a = world.zones[0]
    head = world.launch(a, RULES)
    stop = ordered_under(DEEP, order(world, head), *DESK)
    for anchor in a.anchors:
        anchor.learn_orders(stop)
    world.clock.pass_ms(HOUR_MS)
    a.renew(head)
    anchor = a.anchors[0]
    assert next_order(head.record, anchor.view()) is None
    assert isinstance(asked(a, world.step_proposal(a, head), head), Voted)
    late = carrying(stop, head, ISSUER, at_ms=world.clock.wall_ms)
    assert "outside-window" == reason_of(asked(a, late, head, anchor=1))  # type: ignore[arg-type]
    anchor.edicts.expire(world.clock.wall_ms)
    assert not anchor.edicts.names()
    assert [] == anchor.learn_orders(stop), "it is no news any more"


def test_section_8_14_an_order_that_goes_beyond_is_false_where_the_agent_is(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    revokes = ordered_under(DEEP, order(world, head, Act.REVOKE), *DESK)
    asks = carrying(revokes, head, ISSUER, at_ms=world.clock.wall_ms)
    assert "beyond-mandate" == reason_of(proposed(world, asks, head))
    documents = {digest_of(RULES.document): RULES.document}
    assert Standing.FALSE is standing_of(revokes, head.record, documents, a.zone)
    good = ordered_under(DEEP, order(world, head), *DESK)
    assert Standing.HERE is standing_of(good, head.record, documents, a.zone)


def test_section_8_14_who_reads_of_an_order_judges_it_by_when_it_was_carried_out(
    world: World,
) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    stop = ordered_under(DEEP, order(world, head), *DESK)
    documents = {digest_of(RULES.document): RULES.document}
    done = carried_out(a, world, head, stop)
    decided.check_orders([stop], [head, done], documents)
    assert stop == decided.order_behind(done, [stop], documents)
    late = replace(done, transition=replace(done.transition, at_ms=NOW_MS + HOUR_MS))
    with pytest.raises(Rejected) as caught:
        decided.check_orders([stop], [head, late], documents)
    assert ("outside-window", "orders[0]") == (caught.value.reason, caught.value.where)
    assert decided.order_behind(late, [stop], documents) is None


def test_section_8_14_seals_of_an_order_s_delegations_are_looked_at(world: World) -> None:
    a, b, _ = world.zones
    head = world.launch(a, RULES)
    stop = ordered_under(DEEP, order(world, head), *DESK)
    assert [stop] == b.anchors[0].learn_orders(stop), "who knows nothing of the agent carries it"
    forged = replace(HEAD.delegations[0], delegation=regions(name="forged"))
    false = replace(stop, under=Mandate(delegations=(forged,)))
    with pytest.raises(Rejected, match="does not cover"):
        b.anchors[0].learn_orders(false)


def test_section_8_14_a_flood_of_a_delegate_s_orders_keeps_out_none_of_the_issuer_s(
    world: World,
) -> None:
    """Of one that was revoked since, too: who is revoked may have known it before."""
    a = world.zones[0]
    head, anchor = world.launch(a, RULES), a.anchors[0]
    plain = order(world, head)
    own = ordered_under(None, plain, ISSUER)
    anchor.learn_orders(own)
    flood = [
        ordered_under(DEEP, replace(plain, issued_ms=plain.issued_ms + 1 + number), *DESK)
        for number in range(ORDERS_PER_AGENT_MAX + 2)
    ]
    for signed in flood:
        anchor.learn_orders(signed)
    about = anchor.edicts.about(head.record.agent_id)
    assert ORDERS_PER_AGENT_MAX == len(about)
    assert [own, *flood[3:]] == about, "of the delegate's the newest"
    older = replace(plain, issued_ms=plain.issued_ms - 1)
    assert 1 == len(anchor.learn_orders(ordered_under(None, older, ISSUER)))


# Revoked


def revoked(world: World, head: Certified, number: int = 0, **changes: Any) -> Any:
    """Return that the issuer revokes one of the delegates of the desk's mandate."""
    said = Revocation(
        reach=Reach.AGENTS,
        by=head.record.governance.issuer,
        about=About.ISSUER,
        subject=DEEP.delegates[number],
        issued_ms=world.clock.wall_ms,
        reason="key lost",
    )
    return sealed_by(replace(said, **changes), (ISSUER,))


@pytest.mark.parametrize("number", [0, 1])
def test_section_8_14_who_was_revoked_and_whom_it_passed_on_to_act_no_more(
    world: World, number: int
) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    brought = world.amendment(head, BY_DESK)
    stop = ordered_under(DEEP, order(world, head), *DESK)
    ordered = carrying(stop, head, ISSUER, at_ms=world.clock.wall_ms)
    for anchor in a.anchors:
        anchor.learn_orders(stop)
        anchor.learn_documents(BY_DESK)
        anchor.learn_revocations(revoked(world, head, number))
    for proposal in (brought, ordered):
        reply = proposed(world, proposal, head)
        assert isinstance(reply, Declined) and reply.for_now
        named = DEEP.delegations[number].delegation.name
        assert f"its officers revoked the delegate {named}: key lost" in reply.problem
    step = asked(a, world.step_proposal(a, head), head, anchor=1)
    assert isinstance(step, Voted), "it is held up by none"
    world.clock.pass_ms(1)
    for anchor in a.anchors:
        anchor.learn_revocations(revoked(world, head, number, lifts=True))
    assert isinstance(proposed(world, brought, head), Voted)


def test_section_8_14_who_passed_on_acts_on_when_whom_it_named_was_revoked(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    for anchor in a.anchors:
        anchor.learn_revocations(revoked(world, head, 1))
    assert isinstance(proposed(world, world.amendment(head, BY_REGION), head), Voted)


def test_section_8_14_what_the_issuer_went_on_from_counts_whoever_was_revoked(
    world: World,
) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    for anchor in a.anchors:
        anchor.learn_revocations(revoked(world, head))
    brought = world.amendment(head, BY_DESK, successor(BY_DESK))
    a.give(digest_of(BY_DESK.document))
    assert isinstance(proposed(world, brought, head), Voted)


def test_section_8_14_a_zone_revokes_delegates_for_who_is_there(world: World) -> None:
    a = world.zones[0]
    head = world.launch(a, RULES)
    said = replace(revoked(world, head).revocation, reach=Reach.ZONE, by=a.zone)
    signed = sealed_by(said, (a.sample.identity(0), a.sample.identity(1)))
    for anchor in a.anchors:
        anchor.learn_revocations(signed)
    reply = proposed(world, world.amendment(head, BY_DESK), head)
    assert isinstance(reply, Declined) and "this zone revoked the delegate" in reply.problem
