"""Calls that the code gives up: effects are carried through to their outcome, before what must come after."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.runtime.records import (
    Began,
    Considered,
    Intended,
    Outcome,
    Raised,
    Record,
    Returned,
    Spawned,
    Turn,
    Woke,
)
from sojourn.testing import Place, Rehearsal, hang, rehearse, survives_kills, survives_moves
from tests.unit.testing.cancellers import Family, Group, Impatient, Racer

PLACES = [Place("home", price=2.0), Place("near", price=1.0)]
THENS = ["return", "raise", "restart", "turn", "consider", "sleep"]
OPTIONS: dict[str, Any] = {"memory": {"log": []}, "places": PLACES}
ENDS = (Began, Turn, Considered, Returned, Raised)


def check_carried(rehearsal: Rehearsal) -> None:
    """Check that each intent has its outcome before the next restart point, move or end."""
    waiting: dict[int, Record] = {}
    for record in rehearsal.journal():
        match record:
            case Intended() | Spawned():
                waiting[record.call] = record
            case Outcome():
                waiting.pop(record.call, None)
            case _ if isinstance(record, ENDS):
                assert not waiting, f"{record} came before the outcomes of {waiting}"
    assert not waiting


@pytest.mark.parametrize("then", THENS)
@pytest.mark.parametrize("how", ["place", "pay"])
def test_protocol_10_23_an_effect_that_is_given_up_is_carried_through(how: str, then: str) -> None:
    rehearsal = rehearse(Impatient, how, then, **OPTIONS).run()
    check_carried(rehearsal)
    expected = ["0", "1"] if then == "turn" else ["given up"]
    assert expected == rehearsal.memory("log")
    assert len(expected) == rehearsal.ledger.count(how)
    outcomes = [each for each in rehearsal.journal() if isinstance(each, Outcome)]
    assert f"{how}" in [each.step for each in outcomes if each.result in ("paid", "placed")]


@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
@pytest.mark.parametrize(
    ("how", "then"), [("place", "turn"), ("pay", "restart"), ("pay", "return")]
)
def test_protocol_10_23_so_it_is_wherever_the_host_dies(
    how: str, then: str, survives: Callable[..., Any]
) -> None:
    check_everywhere(how, then, survives)


@pytest.mark.soak
@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
@pytest.mark.parametrize("then", THENS)
@pytest.mark.parametrize("how", ["place", "pay"])
def test_so_it_is_in_every_way_to_go_on(how: str, then: str, survives: Callable[..., Any]) -> None:
    check_everywhere(how, then, survives)


def check_everywhere(how: str, then: str, survives: Callable[..., Any]) -> None:
    def check(rehearsal: Rehearsal) -> None:
        check_carried(rehearsal)
        expected = ["0", "1"] if then == "turn" else ["given up"]
        assert expected == rehearsal.memory("log")

    survived = survives(Impatient, how, then, **OPTIONS, check=check)
    assert bool(survived.uncertain) == (how == "pay")


def test_a_group_that_fails_drops_its_waits_and_carries_its_effects_through() -> None:
    def prepare(rehearsal: Rehearsal) -> None:
        busy = {1: 2, 2: 1}

        async def place(number: int) -> int:
            busy[number] -= 1
            if busy[number] >= 0:
                return await Group.place.function(None, number)  # type: ignore[no-any-return]
            return number

        rehearsal.stand_in("place", place)

    rehearsal = rehearse(Group)
    prepare(rehearsal)
    assert ["StepFailed"] == rehearsal.result()
    check_carried(rehearsal)
    placed = [e.result for e in rehearsal.journal() if isinstance(e, Outcome) and e.step == "place"]
    assert [1, 2] == sorted(placed)
    assert 1 == sum(isinstance(each, Woke) for each in rehearsal.journal())
    survives_kills(Group, prepare=prepare, check=check_carried)


def test_what_hangs_is_carried_through_to_its_time_out() -> None:
    rehearsal = rehearse(Impatient, "place", "restart", **OPTIONS)
    rehearsal.stand_in("place", hang)
    assert ["given up"] == rehearsal.result()
    (outcome,) = (e for e in rehearsal.journal() if isinstance(e, Outcome) and e.step == "place")
    assert outcome.failure is not None
    assert ("timeout", 3) == (outcome.failure.cause, outcome.attempts)


def test_a_step_that_cancels_itself_after_it_was_given_up_ends_all_the_same() -> None:
    async def give_in(number: int) -> None:
        await asyncio.sleep(3)
        raise asyncio.CancelledError

    rehearsal = rehearse(Impatient, "pay", "restart", **OPTIONS)
    rehearsal.stand_in("pay", give_in)
    assert ["given up"] == rehearsal.result()
    check_carried(rehearsal)


def test_waits_that_were_given_up_are_forgotten_and_take_no_message() -> None:
    rehearsal = rehearse(Racer, 300).run()
    assert not rehearsal.has_ended, "it waits for a message"
    assert Status.DORMANT is rehearsal.status
    (wake,) = rehearsal.record.eligibility.wake
    assert (None, True) == (wake.at_ms, wake.on_message)
    rehearsal.send(5)
    assert 305 == rehearsal.result()
    survives_kills(Racer, 3, prepare=lambda it: it.send(5, after=60))


def test_a_child_that_was_asked_for_is_born_though_nobody_waits_for_it() -> None:
    rehearsal = rehearse(Family)
    assert "alone" == rehearsal.result()
    check_carried(rehearsal)
    assert 1 == len(rehearsal.children)
    survives_kills(Family, check=check_carried)


def test_what_waits_for_people_is_withdrawn_and_not_carried_through() -> None:
    places = [Place("home", asks={"order.pay"})]
    rehearsal = rehearse(Impatient, "pay", "restart", memory={"log": []}, places=places)
    assert ["given up"] == rehearsal.result()
    assert [] == rehearsal.ledger.entries
    assert () == rehearsal.record.eligibility.petitions
    survives_kills(Impatient, "pay", "restart", memory={"log": []}, places=places)


def test_a_denial_that_came_after_it_was_given_up_is_journaled() -> None:
    places = [Place("home", denies={"order.pay": "no"})]
    rehearsal = rehearse(Impatient, "pay", "restart", memory={"log": []}, places=places)
    assert ["given up"] == rehearsal.result()
    assert 1 == len(rehearsal.denials())
    survives_kills(Impatient, "pay", "restart", memory={"log": []}, places=places)


def test_an_agent_out_of_steps_lies_down_with_what_it_carries_and_goes_on_when_granted() -> None:
    for steps in range(1, 9):
        rehearsal = rehearse(Impatient, "place", "turn", **OPTIONS, budgets={"steps": steps}).run()
        if not rehearsal.has_ended:
            rehearsal.grant(steps=50)
        assert ["0", "1"] == rehearsal.result()
        check_carried(rehearsal)
        intents = [each for each in rehearsal.journal() if isinstance(each, Intended)]
        assert len(intents) == rehearsal.ledger.count("place") >= 1
