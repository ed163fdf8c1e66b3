"""The pure machines, explored: nothing that must not be is within reach; and with a fault planted, it is."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.protocol import anchor, applying, decree, validate
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, OpenSlot
from sojourn.core.protocol.messages import Propose
from sojourn.core.quorum.votes import Slot
from sojourn.testing.schedules.seals import ideal_signatures
from tests.exploration.explore import Explored, Explorer

CONTEST = ("step", "bind")
ARRIVAL = ("depart", "admit", "rival", "refuse", "return")
LEFT = ("visa", "propose depart 0 None", "lock depart 0", "commit depart 0")
ARRIVED = (*LEFT, "arrive")
LOCKED = ("propose step 0 None",)


@pytest.fixture(autouse=True)
def ideal() -> Iterator[None]:
    with ideal_signatures():
        yield


def explored(
    rounds: int, depth: int, values: tuple[str, ...], *before: str, states: int = 10**7
) -> Explored:
    explorer = Explorer(rounds=rounds, values=values).led_to(*before)
    return explorer.explore(depth=depth, states_max=states)


def check(found: Explored, *decided: str) -> None:
    """Fail unless nothing is wrong, and these were decided in some state: what is never reached proves nothing."""
    assert [] == found.problems
    assert set(decided) <= found.decided, f"{found.states} states to depth {found.depth}"


def test_p1_a_slot_without_a_round_change_is_explored_whole() -> None:
    found = explored(1, 99, CONTEST)
    check(found, *CONTEST)
    assert found.is_whole
    assert (65_284, 16) == (found.states, found.depth)


def test_p1_a_slot_with_a_round_change() -> None:
    """From where all have voted to lock the step: both may still be decided, each in some state."""
    check(explored(2, 8, CONTEST, *LOCKED), "step")


def test_p1_an_arrival_is_admitted_or_refused_and_a_refused_agent_returns() -> None:
    check(explored(1, 8, ARRIVAL, *ARRIVED), "admit", "rival", "refuse")


@pytest.mark.soak
@pytest.mark.parametrize(
    ("rounds", "depth", "values", "before"),
    [
        (2, 11, CONTEST, ()),
        (2, 12, CONTEST, LOCKED),
        (3, 10, CONTEST, LOCKED),
        (1, 13, ARRIVAL, ARRIVED),
        (2, 10, ARRIVAL, ARRIVED),
        (1, 13, ARRIVAL, LEFT),
        (1, 12, (*CONTEST, *ARRIVAL), ()),
    ],
)
def test_p1_deeper(
    rounds: int, depth: int, values: tuple[str, ...], before: tuple[str, ...]
) -> None:
    found = explored(rounds, depth, values, *before, states=3_000_000)
    check(found)


# Planted: what the explorer must find


def problem(rounds: int, depth: int, values: tuple[str, ...], *before: str) -> str:
    found = explored(rounds, depth, values, *before)
    assert found.problems, f"nothing wrong in {found.states} states"
    return found.problems[0]


def test_planted_an_anchor_that_locks_twice_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    right = decree.lock_vote

    def twice(state: OpenSlot, ask: Propose, index: int) -> Any:
        return right(replace(state, lock_voted=None), ask, index)

    monkeypatch.setattr(decree, "may_lock", lambda state, ask: True)
    monkeypatch.setattr(decree, "lock_vote", twice)
    assert problem(1, 12, CONTEST)


def test_planted_an_anchor_that_forgets_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decree, "is_unlocked_for", lambda state, ask: True)
    assert "in round 0" in problem(2, 12, CONTEST, *LOCKED)


def test_planted_an_anchor_that_commits_in_a_round_it_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = decree.commit_vote

    def obliging(state: OpenSlot, lock: Any, *rest: Any) -> Any:
        if lock.round < state.round:
            _, answer = right(replace(state, round=lock.round, commit_voted=None), lock, *rest)
            return state, answer
        return right(state, lock, *rest)

    monkeypatch.setattr(decree, "commit_vote", obliging)
    assert problem(2, 12, CONTEST, *LOCKED)


def test_planted_a_return_without_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "check_refusal", lambda *args, **named: None)
    assert "return" in problem(1, 12, ("depart", "admit", "return"), *ARRIVED)


def test_planted_a_departure_that_needs_no_arrival_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two admissions of one departure: the second as if the first had settled nothing."""

    def forgetful(dossier: Dossier, slot: Slot) -> Certified | None:
        return None

    monkeypatch.setattr(anchor, "_decided", forgetful)
    monkeypatch.setattr(applying, "_past_slot", lambda dossier, slot: replace(dossier, open=None))
    assert problem(1, 12, ("depart", "admit", "rival"), *ARRIVED)
