"""Agents whose host is killed, or that move, at every point of their journal; and agents that do not survive it."""

from typing import Any

import pytest

from sojourn.core.base.errors import Misused
from sojourn.testing import (
    NotSurvived,
    Place,
    Rehearsal,
    ReplayMismatch,
    survives_kills,
    survives_moves,
)
from tests.unit.testing.actors import Careless, Desk, Forgetful, Hoarder, Nomad, Petitioner, Sleeper

MEMORY: dict[str, Any] = {"book": {}, "unsure": None}


def ready(rehearsal: Rehearsal) -> None:
    rehearsal.stand_in("place", lambda amount: amount + 1)
    rehearsal.stand_in("pay", lambda amount: None)


def never_twice(rehearsal: Rehearsal) -> None:
    paid = rehearsal.ledger.of("pay")
    assert len({entry.arguments for entry in paid}) == len(paid)
    assert {0, 10, 20} == {*rehearsal.result(), *(e.arguments[0] for e in paid if e.done)}


@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
def test_an_agent_survives_wherever_its_host_is_killed_or_it_moves(survives: Any) -> None:
    survived = survives(Desk, 3, memory=MEMORY, prepare=ready, check=never_twice)
    assert len(survived.points) > 30
    assert 2 * 3 <= len(survived.uncertain) < len(survived.points) / 2


@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
def test_so_does_one_that_rests_and_one_that_waits_for_people(survives: Any) -> None:
    survives(Sleeper, prepare=lambda rehearsal: rehearsal.send("hello", after=10**9))
    places = [Place(name, asks={"order.pay"}) for name in ("home", "away")]

    def approved(rehearsal: Rehearsal) -> None:
        ready_to_pay(rehearsal)
        rehearsal.always_approve(by="ann")

    survives(Petitioner, places=places, prepare=approved)


def ready_to_pay(rehearsal: Rehearsal) -> None:
    rehearsal.stand_in("pay", lambda *amounts: f"paid {amounts}")


def test_one_that_moves_by_itself_survives_kills() -> None:
    places = [Place("home", price=2.0), Place("near", price=1.0)]
    survives_kills(Nomad, memory={"seen": None}, places=places, same=where)


def where(rehearsal: Rehearsal) -> Any:
    """Return where it ends: killed between its choice and its departure, it is told that it did not move."""
    return rehearsal.place, len(rehearsal.result())


def test_who_keeps_state_outside_memory_does_not_survive() -> None:
    with pytest.raises(NotSurvived, match=r"with kill_at=\d+ \(.*\): it came to") as raised:
        survives_kills(Hoarder)
    assert "undisturbed to (('returned', 3), {})" in str(raised.value)


def test_who_does_again_what_may_have_been_done_does_not_survive() -> None:
    with pytest.raises(
        NotSurvived, match=r"effects 'once' were had \{'pay\(\)': 2\}, and undisturbed"
    ):
        survives_kills(Careless, prepare=ready_to_pay)


def test_who_does_not_repeat_its_journal_is_told_where() -> None:
    def begin(rehearsal: Rehearsal) -> None:
        Forgetful.runs = 0

    with pytest.raises(ReplayMismatch, match="does not repeat what the journal says") as raised:
        survives_kills(Forgetful, prepare=begin, at=[5])
    assert "in the rehearsal with kill_at=5 (after" in raised.value.__notes__[0]


def test_what_must_be_the_same_is_for_the_author_to_say() -> None:
    survives_kills(Hoarder, same=lambda rehearsal: rehearsal.has_ended)


def test_bad_input_is_said_to_be_bad() -> None:
    with pytest.raises(Misused, match="no point 999: this agent comes through"):
        survives_kills(Hoarder, at=[999])
    with pytest.raises(Misused, match="one place cannot move"):
        survives_moves(Hoarder, places=[Place("home")])
