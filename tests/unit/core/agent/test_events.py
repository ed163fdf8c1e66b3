"""Counted events: the rule, that nothing is ever uncounted, and that there is room for everything."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent.events import (
    LEVEL_MAX,
    OTHERS,
    Events,
    check_events,
    check_named,
    events_of,
    forgiven,
    levels_lost,
    with_broken_lease,
    with_liars,
    with_refusal,
)
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ANCHORS_MAX, EVENTS_MAX

ZONES = [digest(bytes([number])) for number in range(EVENTS_MAX + 6)]
ZONE, OTHER = ZONES[:2]
Counted = dict[str, Events]
Counting = Callable[[Counted], Counted]


def reason_of(action: Callable[[], object]) -> str:
    with pytest.raises(Rejected) as caught:
        action()
    return caught.value.reason


# The rule


@pytest.mark.parametrize(("refused", "lost"), [(0, 0), (1, 1), (12, 12)])
def test_section_4_each_visa_not_honoured_costs_a_level(refused: int, lost: int) -> None:
    assert lost == levels_lost(Events(refused=refused))


@pytest.mark.parametrize(("broken", "lost"), [(0, 0), (7, 0), (8, 1), (16, 2), (24, 2), (9999, 2)])
def test_section_4_a_crash_is_no_fraud(broken: int, lost: int) -> None:
    assert lost == levels_lost(Events(broken=broken))


@pytest.mark.parametrize(
    ("f", "by_liars"),
    [(0, [0, 10]), (1, [0, 5, 10]), (2, [0, 4, 7, 10]), (3, [0, 3, 5, 8, 10])],
)
def test_section_4_more_liars_than_a_zone_tolerates_leave_nothing(
    f: int, by_liars: list[int]
) -> None:
    lost = [levels_lost(Events(liars=tuple(range(n)), tolerated=f)) for n in range(f + 2)]
    assert by_liars == lost


@given(st.integers(0, (ANCHORS_MAX - 1) // 3), st.integers(0, ANCHORS_MAX))
def test_section_4_nothing_is_left_once_a_zone_may_have_lied(f: int, named: int) -> None:
    """With ten that are tolerated, ten leave nothing either: a level is lost whole."""
    lost = levels_lost(Events(liars=tuple(range(named)), tolerated=f))
    assert (named > f or named == f == LEVEL_MAX) == (lost >= LEVEL_MAX)


# Counting


COUNTINGS: st.SearchStrategy[Counting] = st.one_of(
    st.builds(lambda zone: lambda e: with_refusal(e, zone), st.sampled_from(ZONES)),
    st.builds(lambda zone: lambda e: with_broken_lease(e, zone), st.sampled_from(ZONES)),
    st.builds(
        lambda zone, liars: lambda e: _named(e, zone, liars),
        st.sampled_from(ZONES),
        st.sets(st.integers(0, 6), min_size=1),
    ),
)


def _named(events: Counted, zone: bytes, liars: set[int]) -> Counted:
    """Name liars where that is possible: all of them may be named already, or there may be no room."""
    try:
        return with_liars(events, zone, liars, 2)
    except Rejected:
        return events


@given(st.lists(COUNTINGS, max_size=120), st.data())
def test_trap_42_no_counting_ever_raises_the_trust_in_any_zone(
    countings: list[Counting], data: st.DataObject
) -> None:
    events: Counted = {}
    if data.draw(st.booleans()):  # nearly full
        for zone in ZONES[: EVENTS_MAX - 3]:
            events = with_refusal(events, zone)
    for counting in countings:
        before, events = events, counting(events)
        check_events(before, events)
        assert len(events) <= EVENTS_MAX
        for zone in ZONES:
            assert levels_lost(events_of(events, zone)) >= levels_lost(events_of(before, zone))


def test_an_event_for_which_there_is_no_room_counts_against_all_that_are_not_named() -> None:
    events: Counted = {}
    for zone in ZONES:
        events = with_refusal(events, zone)
    assert EVENTS_MAX == len(events)
    assert len(ZONES) - EVENTS_MAX + 1 == events[OTHERS].refused
    assert 1 == events_of(events, ZONE).refused
    stranger = digest(b"never heard of")
    assert events[OTHERS] == events_of(events, stranger)
    assert 2 == events_of(with_refusal(events, ZONE), ZONE).refused
    assert "no-room" == reason_of(lambda: with_liars(events, stranger, {1}, 1))
    assert (0,) == with_liars(events, ZONE, {0}, 1)[ZONE.hex()].liars


def test_all_that_can_be_counted_takes_little_room_in_a_record() -> None:
    most = Events(refused=2**32, broken=2**32, liars=tuple(range(ANCHORS_MAX)), tolerated=10)
    events = {zone.hex(): most for zone in ZONES[: EVENTS_MAX - 1]} | {OTHERS: most}
    assert len(encode(events)) < 12 * 1024


def test_a_liar_is_counted_once_however_often_it_is_proved() -> None:
    once = with_liars({}, ZONE, {3}, 1)
    assert "nothing-new" == reason_of(lambda: with_liars(once, ZONE, {3}, 1))
    twice = with_liars(once, ZONE, {1, 3}, 1)
    assert {ZONE.hex(): Events(liars=(1, 3), tolerated=1)} == twice


# What may not be


@pytest.mark.parametrize(
    "new",
    [
        {},
        {ZONE.hex(): Events(refused=1, broken=3, liars=(1, 4), tolerated=1)},
        {ZONE.hex(): Events(refused=2, broken=2, liars=(1, 4), tolerated=1)},
        {ZONE.hex(): Events(refused=2, broken=3, liars=(1,), tolerated=1)},
        {ZONE.hex(): Events(refused=2, broken=3, liars=(1, 5), tolerated=1)},
        {ZONE.hex(): Events(refused=2, broken=3, liars=(1, 4), tolerated=2)},
        {OTHER.hex(): Events(refused=2, broken=3, liars=(1, 4), tolerated=1)},
    ],
)
def test_trap_42_counted_events_are_never_uncounted(new: Counted) -> None:
    old = {ZONE.hex(): Events(refused=2, broken=3, liars=(1, 4), tolerated=1)}
    assert "bad-change" == reason_of(lambda: check_events(old, new))
    check_events(old, old)
    check_events(old, old | {OTHER.hex(): Events(broken=1)})
    check_events(old, with_refusal(with_broken_lease(old, ZONE), ZONE))


OLD = {ZONE.hex(): Events(refused=2)}


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        {ZONE.hex(): Events(refused=3)},
        {ZONE.hex(): Events(refused=3, liars=(1,), tolerated=1)},
        {ZONE.hex(): Events(liars=(1,), tolerated=1)},
        {ZONE.hex(): Events(refused=2, tolerated=9)},
        OLD | {OTHER.hex(): Events(refused=1)},
        with_liars(with_liars(OLD, ZONE, {0}, 1), OTHER, {0}, 1),
    ],
)
def test_trap_42_an_accusation_counts_liars_of_one_zone_and_nothing_else(new: Counted) -> None:
    assert "bad-change" == reason_of(lambda: check_named(OLD, new))
    check_named(OLD, with_liars(OLD, ZONE, {0, 2}, 1))
    check_named(OLD, with_liars(OLD, OTHER, {5}, 3))


# The way back


def test_section_4_officers_forgive_all_but_lies() -> None:
    events = with_refusal(with_broken_lease({}, OTHER), ZONE)
    assert {} == forgiven(events)
    lied = with_liars(events, ZONE, {2}, 1)
    assert {ZONE.hex(): Events(liars=(2,), tolerated=1)} == forgiven(lied)
    assert forgiven(lied) == forgiven(forgiven(lied))


def test_events_are_told_in_words() -> None:
    assert "" == Events().describe()
    assert "1 visa not honoured" == Events(refused=1).describe()
    told = Events(refused=2, broken=1, liars=(0, 3), tolerated=1).describe()
    assert "2 visas not honoured, 1 broken lease, 2 anchors proved to have lied" == told
