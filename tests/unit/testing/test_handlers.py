"""Signals and updates are handled wherever the agent waits (protocol §10.39)."""

import asyncio
from typing import Any

import pytest

from sojourn import UpdateRefused
from sojourn.core.agent.eligibility import Status
from sojourn.runtime.records import Line, Sleeping
from sojourn.testing import Place, Rehearsal, rehearse, survives_kills, survives_moves
from tests.unit.testing.handlers import (
    YEAR,
    Busy,
    Gate,
    Harsh,
    Plain,
    Shelf,
    Turning,
    Waiter,
)

WAYS = sorted(name[3:] for name in vars(Waiter) if name.startswith("by_"))
PLACES = [Place("home"), Place("elsewhere")]
BUSY: dict[str, Any] = {"state": {"sum": 0, "stopped": False, "turns": 0}, "said": None}


def waiter(way: str) -> Rehearsal:
    return rehearse(Waiter, way, memory={"state": {"limit": 1}}, places=PLACES)


async def work_long() -> str:
    await asyncio.sleep(1000)
    return "worked"


@pytest.mark.parametrize("way", WAYS)
def test_section_10_39_an_update_is_answered_however_the_agent_waits(way: str) -> None:
    rehearsal = waiter(way)
    rehearsal.stand_in("work", work_long)
    rehearsal.run(100)
    wakes = [wake.at_ms for wake in rehearsal.record.eligibility.wake]
    assert 1 == rehearsal.update("limit", 7)
    assert 7 == rehearsal.update("limit", 8)
    rehearsal.run(100)
    assert not rehearsal.has_ended
    assert {"limit": 8} == rehearsal.memory("state")
    if way not in ("work", "place"):  # it looks for places every hour
        assert Status.DORMANT is rehearsal.status
        assert wakes == [wake.at_ms for wake in rehearsal.record.eligibility.wake]
    if way == "work":
        assert ["worked", 8] == rehearsal.result()


def test_section_10_39_what_it_waits_for_comes_as_if_nobody_had_called() -> None:
    for way, found in (("sleep", None), ("until_in_time", False), ("limit", "over")):
        rehearsal = waiter(way).run(10)
        began = rehearsal.now
        rehearsal.update("limit", 7)
        assert [found, 7] == rehearsal.result()
        assert YEAR - 30 < (rehearsal.now - began).total_seconds() < YEAR


@pytest.mark.parametrize("way", ["until", "until_in_time"])
def test_section_10_39_a_condition_holds_by_what_a_signal_did(way: str) -> None:
    rehearsal = waiter(way).run(10)
    began = rehearsal.now
    rehearsal.signal("open")
    assert [True, 1] == rehearsal.result()
    assert (rehearsal.now - began).total_seconds() < 5


def test_section_10_39_a_sleeper_is_woken_by_a_call_and_by_no_other_message() -> None:
    rehearsal = waiter("sleep").run(100)
    version = rehearsal.record.version
    rehearsal.send("hello")
    rehearsal.send({"call": "signal", "name": "open", "arguments": [[]], "id": ""})
    rehearsal.run(3600)
    assert version == rehearsal.record.version, "nothing of it was recorded"
    rehearsal.signal("open")
    rehearsal.run(10)
    assert version < rehearsal.record.version < version + 4
    assert Status.DORMANT is rehearsal.status


def called(rehearsal: Rehearsal) -> None:
    """Call methods of a busy agent while it waits, and again before they have ended."""
    for number in (1, 2, 3):
        rehearsal.send(call("update", "add", number), after=number * 2.0)
    rehearsal.send(call("update", "add", -1), after=6)
    rehearsal.send(call("signal", "stop"), after=8)


def call(kind: str, name: str, *args: Any) -> dict[str, Any]:
    return {"call": kind, "name": name, "arguments": [list(args), {}], "id": ""}


SAID = [f"{what} {number}" for number in (1, 2, 3) for what in ("adds", "added")]


@pytest.mark.parametrize("agent", [Busy, Turning])
def test_section_10_39_methods_run_one_at_a_time_in_order_with_all_that_run_may(
    agent: type[Busy],
) -> None:
    rehearsal = rehearse(agent, memory=BUSY)
    called(rehearsal)
    assert [6, SAID] == rehearsal.result()
    told = [each.fields for each in rehearsal.journal() if isinstance(each, Line)]
    assert [1, 3, 6, None] == [each["result"] for each in told if "result" in each]
    refused = [each["refused"] for each in told if "refused" in each]
    assert ["ValueError: no less than nothing"] == refused


def same(rehearsal: Rehearsal) -> Any:
    """Return what counts: the turns are what time left for them."""
    outcome = rehearsal.outcome
    return outcome, rehearsal.memory("state")["sum"], rehearsal.memory("said")


SOME = range(3, 24, 7)


@pytest.mark.parametrize("agent", [Busy, Turning])
@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
@pytest.mark.parametrize("at", [SOME, pytest.param(None, marks=pytest.mark.soak)])
def test_section_10_39_calls_survive_kills_and_moves_at_every_point(
    agent: type[Busy], survives: Any, at: Any
) -> None:
    survived = survives(agent, memory=BUSY, places=PLACES, prepare=called, same=same, at=at)
    assert len(survived.points) > 20 or at is not None


def test_section_10_39_no_restart_point_comes_while_a_method_runs() -> None:
    """The method takes three seconds, and the code turns every second."""
    rehearsal = rehearse(Turning, memory=BUSY).run(2.5)
    before = rehearsal.memory("state")["turns"]
    assert 5 == rehearsal.update("add", 5)
    assert rehearsal.memory("state")["turns"] <= before + 1
    rehearsal.run(5)
    assert rehearsal.memory("state")["turns"] >= before + 4


def test_the_end_of_run_waits_for_what_was_called() -> None:
    rehearsal = rehearse(Harsh)
    rehearsal.run(59)
    rehearsal.signal("give_up")
    assert "slept" == rehearsal.result()
    rehearsal = rehearse(Gate, memory={"state": {"sum": 1}})
    rehearsal.send("go", after=22)
    rehearsal.run(20.5)
    rehearsal.signal("nap")
    assert [1, 2, 102, "go"] == rehearsal.result()


def test_section_10_39_what_runs_undisturbed_is_not_changed_in_between() -> None:
    rehearsal = rehearse(Gate, memory={"state": {"sum": 1}})
    rehearsal.run(5)
    assert 2 == rehearsal.update("add", 1)
    rehearsal.run(7)
    began = rehearsal.now
    assert 4 + 1 == rehearsal.update("add", 1), "it was held up, and came afterwards"
    assert 7 < (rehearsal.now - began).total_seconds() < 9
    rehearsal.run(20)
    assert 15 == rehearsal.update("add", 10), "in ctx.receive it is handled all the same"
    rehearsal.send("done")
    assert [2, 4, 15, "done"] == rehearsal.result()


def test_what_runs_undisturbed_begins_when_the_method_under_way_has_ended() -> None:
    rehearsal = rehearse(Gate, memory={"state": {"sum": 1}})
    rehearsal.run(5)
    rehearsal.signal("nap")
    rehearsal.send("done", after=60)
    assert [101, 202, 202, "done"] == rehearsal.result()


def test_a_method_that_may_not_do_what_it_does_is_refused_and_the_agent_goes_on() -> None:
    rehearsal = rehearse(Harsh).run(1)
    for name, why in (
        ("again", "ctx.restart was reached in a method that a message has called"),
        ("loop", "a restart point was reached in a method that a message has called"),
        ("give_up", "CancelledError"),
    ):
        rehearsal.signal(name)
        rehearsal.run(1)
        last = [each for each in rehearsal.journal() if isinstance(each, Line)][-1]
        assert last.text == f"signal {name}"
        assert why in last.fields["refused"]
    with pytest.raises(UpdateRefused, match="an instance of object has no plain form"):
        rehearsal.update("odd")
    with pytest.raises(UpdateRefused, match="the agent has no update 'again'"):
        rehearsal.update("again")
    assert "slept" == rehearsal.result()


def test_section_10_39_other_messages_wait_for_receive_and_a_call_passes_them() -> None:
    rehearsal = rehearse(Shelf, memory={"said": None})
    rehearsal.send("one")
    rehearsal.run(10)
    rehearsal.signal("note", "first")
    rehearsal.send("two", after=5)
    rehearsal.run(10)
    rehearsal.signal("note", "second")
    rehearsal.run(42)
    rehearsal.signal("note", "third")
    assert ["first", "second", "awake", "got one", "got two", "third"] == rehearsal.result()


@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
@pytest.mark.parametrize("at", [SOME, pytest.param(None, marks=pytest.mark.soak)])
def test_section_10_39_messages_and_calls_are_each_taken_once_through_kills_and_moves(
    survives: Any, at: Any
) -> None:
    def prepare(rehearsal: Rehearsal) -> None:
        rehearsal.send("one")
        rehearsal.send(call("signal", "note", "first"), after=10)
        rehearsal.send("two", after=20)
        rehearsal.send(call("signal", "note", "second"), after=30)
        rehearsal.send("three", after=62)

    said = ["first", "second", "awake", "got one", "got two", "got three"]

    def check(rehearsal: Rehearsal) -> None:
        assert said == rehearsal.result()

    survives(Shelf, memory={"said": None}, places=PLACES, prepare=prepare, check=check, at=at)


def test_an_agent_without_methods_to_call_is_called_by_nobody_and_wakes_by_time_alone() -> None:
    rehearsal = rehearse(Plain).run(10)
    version = rehearsal.record.version
    rehearsal.signal("open")
    rehearsal.run(50)
    assert version == rehearsal.record.version
    assert "open" == rehearsal.result()
    kinds = [type(each).__name__ for each in rehearsal.journal()]
    assert ["Began", "Sleeping", "Woke", "Waiting", "Received", "Returned"] == kinds
    numbers = [each.call for each in rehearsal.journal() if isinstance(each, Sleeping)]
    assert [0] == numbers
