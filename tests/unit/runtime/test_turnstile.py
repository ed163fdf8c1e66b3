"""A queue's order from values alone: limits, turns of agents, and when to look again."""

import random

import pytest

from sojourn.runtime.host_side.turnstile import NO_LIMIT, Limit, Turnstile

A, B, C = b"a", b"b", b"c"


def awaited(*tickets: tuple[bytes, int]) -> Turnstile:
    turnstile = Turnstile()
    for agent, ticket in tickets:
        turnstile.come(agent, ticket)
    return turnstile


def test_without_a_limit_all_go_in() -> None:
    turnstile = awaited((A, 1), (A, 2), (B, 3))
    assert [1, 3, 2] == turnstile.admit(0, NO_LIMIT)
    assert turnstile.next_s(NO_LIMIT) is None


def test_who_came_first_goes_in_first_and_agents_take_turns() -> None:
    limit = Limit(at_once=1)
    turnstile = awaited((A, 1), (A, 2), (A, 3), (B, 4), (C, 5), (B, 6))
    order = []
    while admitted := turnstile.admit(0, limit):
        assert [] == turnstile.admit(0, limit)
        order += admitted
        turnstile.leave({4: B, 6: B, 5: C}.get(admitted[0], A), admitted[0])
    assert [1, 4, 5, 2, 6, 3] == order
    assert turnstile.is_fresh(0, limit)


def test_who_leaves_while_it_waits_is_not_let_in() -> None:
    limit = Limit(at_once=1)
    turnstile = awaited((A, 1), (A, 2), (B, 3))
    assert [1] == turnstile.admit(0, limit)
    turnstile.leave(A, 2)
    turnstile.leave(B, 99)
    turnstile.leave(A, 1)
    assert [3] == turnstile.admit(0, limit)
    turnstile.leave(B, 3)
    assert turnstile.is_idle


def test_a_rate_is_of_any_time_span_and_says_when_to_look_again() -> None:
    limit = Limit(rate=2, per_s=10)
    turnstile = awaited(*((A, ticket) for ticket in range(5)))
    assert [0, 1] == turnstile.admit(0, limit)
    assert 10 == turnstile.next_s(limit)
    assert [] == turnstile.admit(9.99, limit)
    assert [2, 3] == turnstile.admit(10, limit)
    assert [4] == turnstile.admit(20, limit)
    assert turnstile.next_s(limit) is None
    for ticket in range(5):
        turnstile.leave(A, ticket)
    assert not turnstile.is_fresh(29, limit)
    assert turnstile.is_fresh(30, limit)


def test_with_both_limits_a_full_queue_waits_for_nobodys_time() -> None:
    limit = Limit(at_once=1, rate=1, per_s=5)
    turnstile = awaited((A, 1), (B, 2))
    assert [1] == turnstile.admit(0, limit)
    assert turnstile.next_s(limit) is None
    turnstile.leave(A, 1)
    assert [] == turnstile.admit(1, limit)
    assert 5 == turnstile.next_s(limit)
    assert [2] == turnstile.admit(5, limit)


def test_a_limit_that_changes_holds_from_then_on() -> None:
    turnstile = awaited(*((A, ticket) for ticket in range(6)))
    assert [0, 1, 2] == turnstile.admit(0, Limit(at_once=3, rate=3, per_s=10))
    assert [] == turnstile.admit(1, Limit(at_once=2))
    assert [3] == turnstile.admit(2, Limit(at_once=4, rate=9, per_s=10))
    narrow = Limit(rate=1, per_s=4)
    assert 6 == turnstile.next_s(narrow)
    assert [4] == turnstile.admit(6, narrow)
    assert [5] == turnstile.admit(7, NO_LIMIT)


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_coming_and_leaving_keeps_the_limits(seed: int) -> None:
    chance, limit = random.Random(seed), Limit(at_once=3, rate=5, per_s=2.0)
    turnstile, inside, waiting = Turnstile(), dict[int, bytes](), dict[int, bytes]()
    times: list[float] = []
    now_s = 0.0
    for ticket in range(300):
        agent = chance.choice([A, A, A, B, C])
        turnstile.come(agent, ticket)
        waiting[ticket] = agent
        if chance.random() < 0.8 and (inside or waiting):
            held = chance.choice([inside, waiting])
            if held:
                gone = chance.choice(sorted(held))
                turnstile.leave(held.pop(gone), gone)
        now_s += chance.random() * 0.4
        for each in turnstile.admit(now_s, limit):
            inside[each] = waiting.pop(each)
            times.append(now_s)
        assert len(inside) <= 3
        has_room = len(inside) < 3 and sum(at > now_s - 2 for at in times) < 5
        assert not (has_room and waiting)
    assert all(later - at >= 2 for at, later in zip(times, times[5:], strict=False))
    assert len(times) > 100
