"""Edicts (protocol §8.8, §11.1): what an order is worth where it is told, and that none of worth is displaced."""

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Status
from sojourn.core.agent.events import Events
from sojourn.core.agent.governance import Document, Governance, Matter, Officers
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import (
    CLOCK_SKEW_MS,
    ORDER_LEFT_MS_MAX,
    ORDER_LEFT_MS_MIN,
    ORDERS_PER_AGENT_MAX,
)
from sojourn.core.base.merkle import Inclusion
from sojourn.core.protocol import edicts
from sojourn.core.protocol.edicts import KnownEdicts, Standing, standing_of
from sojourn.core.protocol.gossip import NOBODY
from sojourn.core.protocol.ordering import sealed
from tests.samples import NOW_MS, document, found, genesis, key

HOME, AWAY = found("home"), found("away")
ANN, BOB, CAT, EVE = (key(name) for name in ("ann", "bob", "cat", "eve"))
RULES = document(
    by=(ANN, BOB), officers=Officers(keys=(ANN.public, BOB.public, CAT.public), amend=2, revoke=1)
).document
LIBRARY: dict[bytes, Document] = {digest_of(RULES): RULES}
HOUR_MS = 3_600_000


def born(number: int = 0) -> AgentRecord:
    """Return the first record after genesis of one of several agents under the same rules."""
    governance = Governance(documents=(digest_of(RULES),), version=1)
    record = genesis(HOME, governance=governance, parent=digest(b"%d" % number)).transition.record
    return replace(record, agent=record.agent_id, version=1)


def with_status(record: AgentRecord, status: Status, **fields: Any) -> AgentRecord:
    return replace(record, eligibility=replace(record.eligibility, status=status, **fields))


AGENT = born().agent_id


def order(
    act: Act = Act.SUSPEND, *by: KeyPair, agent: bytes = AGENT, issued_ms: int = NOW_MS, **f: Any
) -> SignedOrder:
    times = {"issued_ms": issued_ms, "expires_ms": NOW_MS + HOUR_MS}
    return sealed(Order(**({"agent": agent, "act": act} | times | f)), by or (ANN,))


def strange(number: int, **fields: Any) -> SignedOrder:
    """Return somebody's order about an agent that nobody knows."""
    return order(Act.SUSPEND, EVE, agent=digest(b"stranger %d" % number), **fields)


def judge(*records: AgentRecord) -> edicts.Judge:
    """Return what judges orders at home by these newest records."""
    known = {record.agent_id: record for record in records}
    return lambda signed: standing_of(signed, known.get(signed.order.agent), LIBRARY, HOME.zone)


def learn(
    known: KnownEdicts,
    orders: Iterable[SignedOrder],
    *records: AgentRecord,
    teller: bytes | None = NOBODY,
    now_ms: int = NOW_MS,
) -> list[SignedOrder]:
    return known.take(known.examine(orders, now_ms, teller, judge(*records)), teller)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make room for eight orders about agents elsewhere, and four of a teller's strangers."""
    monkeypatch.setattr(edicts, "ORDERS_MAX", 8)
    monkeypatch.setattr(edicts, "STRANGE_ORDERS_MAX", 4)


# What an order is worth


@pytest.mark.parametrize(
    ("record", "signed", "standing"),
    [
        (born(), order(), Standing.HERE),
        (with_status(born(), Status.DORMANT), order(), Standing.HERE),
        (with_status(born(), Status.DEPARTED), order(), Standing.PROVED),
        (None, order(), Standing.STRANGE),
        (born(), order(Act.SUSPEND, EVE), Standing.FALSE),
        (born(), order(Act.RESUME, ANN), Standing.FALSE),
        (born(), order(Act.RESUME, ANN, BOB), Standing.HERE),
        (born(), order(Act.RESUME, ANN, ANN), Standing.FALSE),
        (born(), order(Act.SUSPEND, ANN, EVE), Standing.FALSE),
        (with_status(born(), Status.DEPARTED), order(Act.SUSPEND, EVE), Standing.STRANGE),
        (with_status(born(), Status.RETIRED), order(), Standing.OVER),
        (with_status(born(), Status.REVOKED), order(), Standing.OVER),
    ],
)
def test_section_11_1_what_an_order_is_worth_depends_on_who_looks(
    record: AgentRecord | None, signed: SignedOrder, standing: Standing
) -> None:
    assert standing is standing_of(signed, record, LIBRARY, HOME.zone)


def test_section_8_an_order_is_over_once_one_issued_then_or_since_was_carried_out() -> None:
    for ordered_ms, standing in (
        (NOW_MS - 1, Standing.HERE),
        (NOW_MS, Standing.OVER),
        (NOW_MS + 1, Standing.OVER),
    ):
        record = born()
        record = replace(
            record, governance=record.governance.ordered(Matter.SUSPENSION, ordered_ms)
        )
        assert standing is standing_of(order(), record, LIBRARY, HOME.zone)


def test_where_a_documents_block_is_lacking_an_order_is_a_strangers_word() -> None:
    assert Standing.STRANGE is standing_of(order(), born(), {}, HOME.zone)
    assert Standing.PROVED is standing_of(order(), born(), LIBRARY, AWAY.zone)


# False ones


def forged() -> dict[str, SignedOrder]:
    """Return orders with something false about them that anybody sees."""
    good, other = strange(1), strange(2)
    padded = replace(good.seals[0], inclusion=Inclusion(index=0, size=1, path=()))
    return {
        "another's seal": replace(good, seals=other.seals),
        "no seal": replace(good, seals=()),
        "one of two": replace(good, seals=(*good.seals, *other.seals)),
        "another's act": replace(good, order=replace(good.order, act=Act.RETIRE)),
        "padded": replace(good, seals=(padded,)),
    }


@pytest.mark.parametrize("what", forged())
def test_section_11_1_a_seal_that_is_not_its_keys_is_rejected_on_sight(what: str) -> None:
    known = KnownEdicts()
    with pytest.raises(Rejected):
        learn(known, [strange(3), forged()[what]])
    assert not known.names(), "and all that came with it is left out"
    assert 1 == len(learn(known, [strange(3)])), "which costs its place nothing"


def test_trap_50_an_order_too_large_to_be_told_of_is_rejected() -> None:
    many = [key(f"officer {i}") for i in range(64)]
    assert 1 == len(learn(KnownEdicts(), [order(Act.SUSPEND, *many)])), "every officer may seal"
    path = tuple(digest(b"%d" % i) for i in range(12))
    padded = [
        replace(seal, inclusion=Inclusion(index=0, size=1, path=path))
        for seal in order(Act.SUSPEND, *many).seals
    ]
    with pytest.raises(Rejected) as caught:
        learn(KnownEdicts(), [replace(order(), seals=tuple(padded))], born())
    assert "too-large" == caught.value.reason


def test_section_11_1_what_only_the_agents_zone_can_tell_to_be_false_is_passed_over_there() -> None:
    """Who told of it could not know: to reject it would cut off a correct anchor that carries it on."""
    known = KnownEdicts()
    by_nobody, good = order(Act.SUSPEND, EVE), order()
    assert [good] == learn(known, [by_nobody, good], born())
    assert {digest_of(good)} == known.names()


# Room


@pytest.mark.usefixtures("small")
def test_trap_50_a_flood_of_strangers_orders_displaces_nothing_and_leaves_others_room() -> None:
    known = KnownEdicts()
    assert 4 == len(learn(known, [strange(i) for i in range(9)]))
    assert 0 == len(learn(known, [strange(9)])), "who is known already stays"
    assert 4 == len(learn(known, [strange(10 + i) for i in range(9)], teller=AWAY.zone))
    assert 0 == len(learn(known, [strange(20)], teller=HOME.zone)), "there is no more room"
    here, gone = born(1), with_status(born(2), Status.DEPARTED)
    new = learn(known, [order(agent=r.agent_id) for r in (here, gone)], here, gone)
    assert 2 == len(new), "what is of worth has room"
    assert 9 == len(known.names()), (
        "one on top, about an agent that is here, and one for a stranger"
    )
    kept = {signed.order.agent for signed in known.lacking_in(())}
    assert digest(b"stranger 13") not in kept and digest(b"stranger 0") in kept


@pytest.mark.usefixtures("small")
def test_trap_50_orders_that_hold_displace_none_that_hold() -> None:
    gone = [with_status(born(i), Status.DEPARTED) for i in range(9)]
    known = KnownEdicts()
    orders = [order(agent=record.agent_id) for record in gone]
    assert 8 == len(learn(known, orders, *gone))
    assert orders[8] not in known.lacking_in(())
    here = [born(100 + i) for i in range(9)]
    assert 9 == len(learn(known, [order(agent=r.agent_id) for r in here], *here))
    assert 17 == len(known.names())


def test_of_an_agents_orders_the_newest_are_kept() -> None:
    known, record = KnownEdicts(), born()
    first = [order(issued_ms=NOW_MS + i) for i in range(1, ORDERS_PER_AGENT_MAX + 1)]
    assert first == learn(known, first, record)
    assert [] == learn(known, [order(issued_ms=NOW_MS)], record)
    later = order(Act.RESUME, ANN, BOB, issued_ms=NOW_MS + 100)
    assert [later] == learn(known, [later], record)
    assert [*first[1:], later] == known.about(AGENT)
    apart = order(Act.RETIRE, issued_ms=NOW_MS)
    assert [apart] == learn(known, [apart], record), "of another matter there is room"
    assert [apart, *first[1:], later] == known.about(AGENT)


def test_junk_about_an_agent_that_comes_here_goes_when_it_is_here() -> None:
    known, good = KnownEdicts(), order()
    junk = [order(Act.SUSPEND, key(f"junk {i}")) for i in range(5)]
    assert 6 == len(learn(known, [*junk, good]))
    known.settle(AGENT, judge(born()))
    assert [good] == known.about(AGENT)
    assert 0 == known._strangers.share_of(NOBODY), "it takes nobody's share any more"


def test_section_8_an_order_to_forgive_or_to_grant_is_carried_out_if_there_is_something_to() -> (
    None
):
    counted = replace(born().trust, events={"a zone": Events(refused=1)})
    budgets = {"steps": Budget(limit=1)}
    rich = with_status(born(), Status.ACTIVE, budgets=budgets)
    cases: list[tuple[Act, dict[str, int], AgentRecord, AgentRecord]] = [
        (Act.FORGIVE, {}, born(), replace(born(), trust=counted)),
        (Act.GRANT, {"steps": 1}, with_status(born(), Status.ACTIVE, budgets={}), rich),
    ]
    for act, grants, before, after in cases:
        signed = order(act, ANN, BOB, grants=grants)
        known = KnownEdicts()
        assert [signed] == learn(known, [signed], after)
        assert known.next_for(before, LIBRARY, NOW_MS) is None, act
        assert signed == known.next_for(after, LIBRARY, NOW_MS)


def test_a_copy_without_a_seal_does_not_keep_out_the_one_that_holds() -> None:
    """Named by the order alone, a stripped copy that came first would be all that strangers carry."""
    good = order(Act.RESUME, ANN, BOB)
    stripped = replace(good, seals=good.seals[:1])
    swollen = order(Act.RESUME, ANN, BOB, EVE)
    known = KnownEdicts()
    assert [stripped, swollen, good] == learn(known, [stripped, swollen, good])
    suspended = with_status(born(), Status.ACTIVE, is_suspended=True)
    assert good == known.next_for(suspended, LIBRARY, NOW_MS)


@pytest.mark.parametrize(
    ("left_ms", "is_taken"),
    [
        (ORDER_LEFT_MS_MIN - 1, False),
        (ORDER_LEFT_MS_MIN, True),
        (ORDER_LEFT_MS_MAX, True),
        (ORDER_LEFT_MS_MAX + 1, False),
    ],
)
def test_trap_50_a_strangers_place_is_taken_neither_for_a_moment_nor_for_ever(
    left_ms: int, is_taken: bool
) -> None:
    signed = order(expires_ms=NOW_MS + left_ms)
    assert is_taken == bool(learn(KnownEdicts(), [signed]))
    assert learn(KnownEdicts(), [signed], born()), "where the agent is it counts all the same"
    assert learn(KnownEdicts(), [signed], teller=None), "and what was known before is"


def test_an_order_is_learned_while_it_may_be_carried_out() -> None:
    for signed, is_taken in (
        (order(issued_ms=NOW_MS + CLOCK_SKEW_MS), True),
        (order(issued_ms=NOW_MS + CLOCK_SKEW_MS + 1), False),
        (order(expires_ms=NOW_MS + 1), True),
        (order(expires_ms=NOW_MS), False),
    ):
        assert is_taken == bool(learn(KnownEdicts(), [signed], born()))


# What comes next


def test_section_8_the_oldest_order_that_changes_something_comes_next() -> None:
    """A later one of its matter, carried out first, would void those before it."""
    known = KnownEdicts()
    quarantine, suspend, again, lift = (
        order(Act.QUARANTINE, issued_ms=NOW_MS + 1),
        order(Act.SUSPEND, issued_ms=NOW_MS),
        order(Act.SUSPEND, issued_ms=NOW_MS + 2),
        order(Act.LIFT, ANN, BOB, issued_ms=NOW_MS + 3),
    )
    learn(known, [lift, again, quarantine, suspend], born())

    def then(
        ordered_ms: int, matters: tuple[Matter, ...] = tuple(Matter), **eligibility: bool
    ) -> SignedOrder | None:
        record = with_status(born(), Status.ACTIVE, **eligibility)
        governance = replace(record.governance, ordered_ms=dict.fromkeys(matters, ordered_ms))
        return known.next_for(replace(record, governance=governance), LIBRARY, NOW_MS)

    assert suspend == then(0)
    assert quarantine == then(NOW_MS, is_suspended=True)
    both = {"is_suspended": True, "is_quarantined": True}
    assert lift == then(NOW_MS + 1, **both), "it is suspended already"
    assert None is then(NOW_MS + 3, is_suspended=True)
    apart = (Matter.SUSPENSION,)
    assert quarantine == then(NOW_MS + 3, apart, is_suspended=True), "it comes late, and counts"


def test_section_8_nothing_comes_next_that_would_not_be_voted_for() -> None:
    known, record = KnownEdicts(), born()
    learn(known, [order(), order(Act.RESUME, ANN, BOB)], record)
    assert order() == known.next_for(record, LIBRARY, NOW_MS)
    assert None is known.next_for(record, {}, NOW_MS), "its officers are not known"
    assert None is known.next_for(record, LIBRARY, NOW_MS + HOUR_MS), "it has lapsed"
    assert None is known.next_for(record, LIBRARY, NOW_MS - CLOCK_SKEW_MS - 1)
    assert None is known.next_for(born(1), LIBRARY, NOW_MS), "it is another agent's"
    for status in (Status.DEPARTED, Status.RETIRED, Status.REVOKED):
        assert None is known.next_for(with_status(record, status), LIBRARY, NOW_MS)
    poisoned = KnownEdicts()
    learn(poisoned, [order(Act.SUSPEND, EVE)])
    assert None is poisoned.next_for(record, LIBRARY, NOW_MS)


# Letting go


def test_section_8_what_is_over_is_let_go_of_and_not_told_again() -> None:
    known, record, signed = KnownEdicts(), born(), order()
    learn(known, [signed], record)
    done = replace(record, governance=record.governance.ordered(Matter.SUSPENSION, NOW_MS))
    known.settle(AGENT, judge(done))
    assert [] == known.about(AGENT) and not known.names()
    assert (digest_of(signed),) == known.summary(), "so that nobody tells of it"
    assert [] == learn(known, [signed], record), "not even to who has forgotten that it is over"
    known.expire(NOW_MS + HOUR_MS)
    assert () == known.summary()


def test_what_has_lapsed_is_let_go_of() -> None:
    known = KnownEdicts()
    learn(known, [order(expires_ms=NOW_MS + 1), order(Act.RETIRE), strange(1)], born())
    known.expire(NOW_MS)
    assert 3 == len(known.names())
    known.expire(NOW_MS + 1)
    assert [order(Act.RETIRE)] == known.about(AGENT)
    known.expire(NOW_MS + HOUR_MS)
    assert not known.names() and not known.about(AGENT)
    assert 0 == known._strangers.share_of(NOBODY)


@pytest.mark.usefixtures("small")
def test_trap_50_what_is_over_is_remembered_only_so_often() -> None:
    ended = [with_status(born(i), Status.RETIRED) for i in range(12)]
    known = KnownEdicts()
    assert [] == learn(known, [order(agent=r.agent_id) for r in ended], *ended)
    assert 8 == len(known.summary())


# Telling


def test_section_11_what_is_of_worth_is_told_first_and_of_that_the_oldest() -> None:
    here, gone = born(1), with_status(born(2), Status.DEPARTED)
    known = KnownEdicts()
    orders = [
        strange(1, issued_ms=NOW_MS - 9),
        order(agent=gone.agent_id, issued_ms=NOW_MS - 8),
        order(agent=here.agent_id, issued_ms=NOW_MS + 1),
        order(agent=here.agent_id, issued_ms=NOW_MS - 7),
    ]
    learn(known, orders, here, gone)
    assert tuple(orders[i] for i in (3, 2, 1, 0)) == known.lacking_in(())
    named = tuple(map(digest_of, orders[:3]))
    assert (orders[3],) == known.lacking_in(named)
    assert tuple(sorted(map(digest_of, orders))) == known.summary()


def test_section_11_two_that_exchange_know_the_same() -> None:
    one, other = KnownEdicts(), KnownEdicts()
    learn(one, [strange(1), order()])
    learn(other, [strange(2)])
    learn(one, other.lacking_in(one.summary()))
    learn(other, one.lacking_in(other.summary()))
    assert one.summary() == other.summary() and 3 == len(one.names())


def test_an_agent_that_leaves_and_returns_keeps_its_orders_in_their_place() -> None:
    known = KnownEdicts()
    learn(known, [order()])
    for record, standing in (
        (born(), Standing.HERE),
        (with_status(born(), Status.DEPARTED), Standing.PROVED),
        (born(), Standing.HERE),
    ):
        known.settle(AGENT, judge(record))
        assert {standing: 1} == {each: n for each, n in known._counts.items() if n}
    known.settle(AGENT, lambda _: Standing.STRANGE)
    assert [order()] == known.about(AGENT), "what was proved once stays so"
