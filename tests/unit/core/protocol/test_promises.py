"""What is promised to applicants (protocol §5 step 1): so many in all, of one zone, and of one host's slots."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Refused
from sojourn.core.base.limits import APPLICATION_KEPT_MS, APPLICATIONS_MAX, ARRIVAL_BYTES_MAX
from sojourn.core.protocol import promises
from sojourn.core.protocol.messages import Declined, Reply, Voted
from sojourn.core.protocol.promises import PromiseBook
from sojourn.core.protocol.visa import VisaTerms
from tests.rulings import PureZone, World

HOST, OTHER_HOST = digest(b"host"), digest(b"other host")
DEADLINE_MS = 10_000


def terms(number: int, zone: bytes = b"a", host: bytes = HOST) -> VisaTerms:
    return VisaTerms(
        realm="test",
        agent=digest(b"agent %d" % number),
        from_zone=digest(zone),
        to_zone=digest(b"here"),
        to_epoch=0,
        term=1,
        host=host,
        size=1,
        deadline_ms=DEADLINE_MS,
        judged=digest(b""),
    )


def noted(
    book: PromiseBook, each: VisaTerms, now_ms: int = 0, *, has_arrived: bool = False
) -> None:
    book.note(each.agent, each, now_ms, has_arrived=has_arrived)


def holding(count: int, **fields: Any) -> PromiseBook:
    book = PromiseBook()
    for number in range(count):
        noted(book, terms(number, **fields))
    return book


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, room in (("APPLICATIONS_MAX", 6), ("_CROWDED", 3), ("APPLICATIONS_PER_ZONE_MAX", 2)):
        monkeypatch.setattr(promises, name, room)


@pytest.mark.usefixtures("small")
def test_trap_50_one_zones_applicants_have_a_room_until_their_deadlines() -> None:
    book = holding(2)
    with pytest.raises(Refused, match="2 applications of that zone are open"):
        book.check_room(terms(9), 0)
    book.check_room(terms(9, b"b"), 0)
    book.check_room(terms(1), 0)  # who asks again takes no more room
    book.check_room(terms(9), DEADLINE_MS)
    noted(book, terms(0), 5, has_arrived=True)
    noted(book, terms(1), 5, has_arrived=True)
    with pytest.raises(Refused):
        book.check_room(terms(9), DEADLINE_MS)


@pytest.mark.usefixtures("small")
def test_trap_50_all_applicants_have_a_room() -> None:
    book = PromiseBook()
    for number in range(6):
        noted(book, terms(number, b"zone %d" % number))
    with pytest.raises(Refused, match="6 applications are kept"):
        book.check_room(terms(9), DEADLINE_MS)
    book.note(terms(0).agent, None, 0, has_arrived=False)
    book.check_room(terms(9), 0)


@pytest.mark.usefixtures("small")
def test_the_oldest_are_forgotten_where_room_is_short_and_never_one_that_arrived() -> None:
    book = holding(3)
    assert [] == book.forgettable(APPLICATION_KEPT_MS)  # there is room
    noted(book, terms(0), 1, has_arrived=True)
    noted(book, terms(3), 2)
    noted(book, terms(4), 3)
    assert [] == book.forgettable(APPLICATION_KEPT_MS - 1)
    oldest = [terms(1).agent, terms(2).agent]
    assert oldest == book.forgettable(APPLICATION_KEPT_MS) == book.forgettable(10**9)


def test_room_is_short_where_half_of_it_is_taken() -> None:
    book = holding(APPLICATIONS_MAX // 2 + 2)
    oldest = [terms(0).agent, terms(1).agent]
    assert oldest == book.forgettable(APPLICATION_KEPT_MS)


def test_a_hosts_slots_are_promised_once() -> None:
    book = holding(2)
    with pytest.raises(Refused, match="all 2 free slots of that host are promised"):
        book.check_slots(terms(9), 2, 0)
    book.check_slots(terms(9), 3, 0)
    book.check_slots(terms(1), 2, 0)
    book.check_slots(terms(9, host=OTHER_HOST), 2, 0)
    book.check_slots(terms(9), 2, DEADLINE_MS)


def test_who_asks_again_is_promised_no_longer_but_anew_when_it_is_over() -> None:
    """So two that were promised half a quorum each do not keep each other out for ever."""
    book = holding(1)
    noted(book, terms(0), DEADLINE_MS - 1)
    book.check_slots(terms(9), 1, DEADLINE_MS)
    noted(book, terms(0), DEADLINE_MS)
    with pytest.raises(Refused):
        book.check_slots(terms(9), 1, DEADLINE_MS)


# As anchors rule


def with_slots(world: World, zone: PureZone, slots: int) -> None:
    """Let every host of a zone offer so many free slots."""
    known = world.known.envelopes[zone.zone]
    for host, envelope in known.items():
        known[host] = replace(envelope, offer=replace(envelope.offer, slots=slots))


def asked(world: World, count: int) -> list[Reply]:
    """Have so many agents of a apply at b, one after the other; return what one anchor says."""
    a, b = world.zones[:2]
    replies = []
    for number in range(count):
        own = Eligibility(status=Status.ACTIVE, budgets={"orders": Budget(limit=number + 1)})
        head = world.launch(a, eligibility=own)
        b.give(*head.record.governance.documents)
        replies.append(b.anchors[0].ask(world.application(a, b, head)))
    return replies


def test_section_5_a_visa_promises_a_slot_that_nobody_else_is_promised() -> None:
    world = World("a", "b")
    with_slots(world, world.zones[1], 2)
    first, second, third = asked(world, 3)
    assert isinstance(first, Voted) and isinstance(second, Voted)
    assert isinstance(third, Declined) and third.for_now
    assert "all 2 free slots of that host are promised to others" == third.problem


def test_section_5_who_asks_for_too_much_room_is_refused() -> None:
    world = World("a", "b")
    a, b = world.zones
    head = world.launch(a)
    b.give(*head.record.governance.documents)
    ask = world.application(a, b, head)
    large = replace(ask, terms=replace(ask.terms, size=ARRIVAL_BYTES_MAX + 1))
    reply = b.anchors[0].ask(large)
    assert isinstance(reply, Declined) and reply.for_now
    assert f"more than the limit of {ARRIVAL_BYTES_MAX}" in reply.problem
    assert b.anchors[0].dossier(head.record.agent_id).application is None
    exact = replace(ask, terms=replace(ask.terms, size=ARRIVAL_BYTES_MAX))
    assert isinstance(b.anchors[0].ask(exact), Voted)


@pytest.mark.usefixtures("small")
def test_trap_50_a_zone_cannot_apply_for_unlimited_agents() -> None:
    world = World("a", "b")
    with_slots(world, world.zones[1], 100)
    replies = asked(world, 3)
    assert [True, True, False] == [isinstance(reply, Voted) for reply in replies]
    assert 2 == len(world.zones[1].anchors[0].dossiers)
