"""Rehearsals: an agent in one process, with production's runtime and no zones."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sojourn import Agent, Context, NoAnswer, RetryableError, days
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused
from sojourn.testing import Place, Rehearsal, ReplayMismatch, Unmet, hang, person_key, rehearse
from tests.unit.testing.actors import (
    Desk,
    Fickle,
    Forgetful,
    Nomad,
    Parent,
    Petitioner,
    Sleeper,
)
from tests.unit.testing.watchmen import Bargainer

MEMORY: dict[str, Any] = {"book": {}, "unsure": None}


def desk(orders: int = 3, **options: Any) -> Rehearsal:
    rehearsal = rehearse(Desk, orders, memory=MEMORY, **options)
    rehearsal.stand_in("place", lambda amount: amount + 1)
    rehearsal.stand_in("pay", lambda amount: None)
    return rehearsal


def test_an_agent_runs_to_its_end_with_stand_ins_for_its_steps() -> None:
    rehearsal = desk()
    assert [] == rehearsal.result()
    assert {"0": 1, "1": 11, "2": 21} == rehearsal.memory("book")
    assert 3 == rehearsal.ledger.count("pay")
    assert 1 == rehearsal.ledger.count("pay", 20)
    assert 0 == rehearsal.ledger.count("pay", 99)
    assert [1, 1, 1] == [entry.begun for entry in rehearsal.ledger.of("place")]
    assert ("returned", []) == rehearsal.outcome


def test_a_sleep_of_years_is_over_at_once_and_costs_no_host() -> None:
    rehearsal = rehearse(Sleeper)
    begun = rehearsal.now
    rehearsal.run(seconds=60)
    assert Status.DORMANT is rehearsal.status
    assert timedelta(seconds=60) == rehearsal.now - begun
    rehearsal.run()
    assert "for a message" in rehearsal.describe()
    rehearsal.send({"wake": "up"})
    assert [3652, {"wake": "up"}] == rehearsal.result()


def test_a_place_may_become_cheap_while_the_agent_rests() -> None:
    rehearsal = rehearse(Bargainer, places=(Place("home"), Place("away", price=0.9)))
    rehearsal.run(seconds=5000)
    assert Status.DORMANT is rehearsal.status
    rehearsal.change("away", price=0.3)
    assert ["away", "moved"] == rehearsal.result()


def test_a_message_may_come_later() -> None:
    rehearsal = rehearse(Sleeper)
    rehearsal.send("late", after=4000 * 86_400)
    assert [4000, "late"] == rehearsal.result()


def fails_twice() -> Callable[[], str]:
    left = [RetryableError("busy"), RetryableError("busy", after_s=600)]

    def fetch() -> str:
        if left:
            raise left.pop()
        return "fetched"

    return fetch


def test_a_stand_in_may_fail_hang_or_ask_for_patience() -> None:
    rehearsal = rehearse(Fickle)
    rehearsal.stand_in("fetch", fails_twice())
    begun = rehearsal.now
    assert "fetched" == rehearsal.result()
    assert timedelta(seconds=600) <= rehearsal.now - begun <= timedelta(seconds=900)

    rehearsal = rehearse(Fickle)
    rehearsal.stand_in("fetch", hang)
    assert "Timeout after 3" == rehearsal.result()


def test_what_hangs_without_a_limit_is_said_to_be_waited_for() -> None:
    rehearsal = rehearse(Desk, memory=MEMORY)
    rehearsal.stand_in("place", hang)
    with pytest.raises(
        Unmet, match="returns in the end; it is active in home, after the intent of place"
    ):
        rehearsal.result()


def test_a_place_denies_and_the_denial_is_there_to_look_at() -> None:
    rehearsal = rehearse(Petitioner, places=[Place("home", denies={"order.pay": "not today"})])
    assert "order.pay is denied in home: not today" == rehearsal.result()
    (denial,) = rehearsal.denials()
    assert ("order.pay", "pay") == (denial.action, denial.step)
    assert [] == rehearsal.ledger.entries


def asking(**options: Any) -> Rehearsal:
    rehearsal = rehearse(Petitioner, places=[Place("home", asks={"order.pay"}, **options)])
    rehearsal.stand_in("pay", lambda amount: f"paid {amount}")
    return rehearsal


def test_people_approve_decline_or_let_it_pass() -> None:
    rehearsal = asking()
    assert [[5], {}] == rehearsal.asks().spelled
    rehearsal.approve(by="ann")
    assert "paid 5" == rehearsal.result()

    rehearsal = asking()
    rehearsal.decline("too much", by="bob")
    assert "order.pay was declined: too much" == rehearsal.result()

    rehearsal = asking(asks_for=3600)
    begun = rehearsal.now
    assert "not approved in time" in rehearsal.result()
    assert timedelta(hours=1) <= rehearsal.now - begun < timedelta(hours=2)

    rehearsal = asking()
    rehearsal.always_approve()
    assert "paid 5" == rehearsal.result()


def test_it_moves_to_where_rank_says_and_stays_where_it_is_refused() -> None:
    places = [Place("home", price=2.0), Place("near", price=1.0), Place("far", price=1.5)]
    rehearsal = rehearse(Nomad, memory={"seen": None}, places=places)
    rehearsal.run(seconds=60)
    assert "near" == rehearsal.place
    rehearsal.change("far", price=0.5, refuses="no room")
    assert ["True", "False refused: no room"] == rehearsal.result()
    assert "near" == rehearsal.place

    rehearsal = rehearse(
        Nomad, memory={"seen": None}, places=[places[0], Place("near", ineligible="outside the EU")]
    )
    assert ["False", "False"] == rehearsal.result()


def test_a_child_is_born_with_what_it_was_given() -> None:
    rehearsal = rehearse(Parent, budgets={"steps": 10})
    assert rehearsal.result().endswith(":Petitioner")
    (child,) = rehearsal.children
    assert ((7,), {"steps": 3}) == (child.arguments, child.budgets)


class Giver(Agent):
    """Has a child, whose memory begins with what it was told."""

    async def run(self, ctx: Context, values: Any) -> str:
        """Have it."""
        try:
            child = await ctx.spawn(Giver, None, memory={"book": {}, "log": values})
        except Misused as error:
            return str(error)
        return str(child)


def test_a_childs_memory_begins_with_mappings_and_logs() -> None:
    for values in (None, [], [1]):
        rehearsal = rehearse(Giver, values)
        assert rehearsal.result() == cid_text(rehearsal.children[0].agent_id)
    assert (
        "ctx.spawn was given a str of 4 characters for compartment 'log'. Give a dict for a "
        "mapping, a list or None for a log"
    ) == rehearse(Giver, "text").result()


def test_budgets_run_out_and_are_granted() -> None:
    rehearsal = desk(budgets={"steps": 4})
    with pytest.raises(Unmet, match="steps used up"):
        rehearsal.result()
    rehearsal.grant(steps=100)
    assert [] == rehearsal.result()
    assert 3 == rehearsal.ledger.count("pay")


def test_a_host_is_killed_and_what_was_done_once_is_not_done_again() -> None:
    points = desk().run().points
    point = next(n for n, where in enumerate(points) if where == "after the intent of pay")
    rehearsal = desk(kill_at=point)
    assert [0] == rehearsal.result()
    assert {10: 1, 20: 1} == {e.arguments[0]: e.begun for e in rehearsal.ledger.of("pay")}


def test_code_that_does_not_repeat_its_journal_is_found_out() -> None:
    Forgetful.runs = 0
    with pytest.raises(ReplayMismatch, match="journal  intent of call 0") as raised:
        rehearse(Forgetful, kill_at=5).run()
    assert "step quote" in str(raised.value)


def test_two_rehearsals_of_one_seed_are_the_same_and_of_two_are_not() -> None:
    one, other, third = (desk(seed=seed).run() for seed in (1, 1, 2))
    assert one.record == other.record
    assert one.record.agent_id != third.record.agent_id


def test_an_agent_named_by_its_file_is_loaded_anew_for_each_host(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(
        "from sojourn import Agent, step\n"
        "KEPT = []\n"
        "class Counting(Agent):\n"
        "    @step\n"
        "    def keep(self) -> int:\n"
        "        KEPT.append(1)\n"
        "        return len(KEPT)\n"
        "    async def run(self, ctx):\n"
        "        first = await self.keep()\n"
        "        await ctx.sleep(3600)\n"
        "        return [first, await self.keep()]\n"
    )
    rehearsal = rehearse("counting:Counting", folder=tmp_path)
    assert [1, 1] == rehearsal.result()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: rehearse(int), "is no agent"),  # type: ignore[type-var]
        (lambda: rehearse("desk:Desk"), "where is desk:Desk"),
        (lambda: rehearse(Desk, places=[]), r"was given \[\] for places"),
        (lambda: rehearse(Desk, places=[Place("a"), Place("a")]), r"\['a', 'a'\] for places"),
        (lambda: rehearse(Desk, object()), "argument of the rehearsed run"),
        (lambda: rehearse(Desk).stand_in("plaice", hang), "no step 'plaice'. It has pay, place"),
        (lambda: desk().run().stand_in("pay", hang), "came when the agent had begun"),
        (lambda: desk().memory("bok"), "no compartment 'bok'. It has book, unsure"),
        (lambda: desk().change("away", price=1), "no place is called 'away'"),
        (lambda: desk().grant(calls=1), "no budget 'calls'"),
        (lambda: desk().send(object()), "a message"),
    ],
)
def test_bad_input_is_said_to_be_bad(make: Callable[[], Any], problem: str) -> None:
    with pytest.raises(Misused, match=problem):
        make()


def test_what_came_otherwise_than_expected_is_shown() -> None:
    with pytest.raises(Unmet, match=r"expected that run raises; it returned \[\]"):
        desk().failure()
    rehearsal = rehearse(Desk, "many", memory=MEMORY)
    with pytest.raises(
        Unmet, match="expected that run returns; it raised Misused: argument 'orders'"
    ):
        rehearsal.result()
    assert "is no int" in rehearsal.failure()


class Asker(Agent):
    """Asks people two things."""

    async def run(self, ctx: Context) -> list[object]:
        """Ask."""
        how = await ctx.ask("How?", choices=["fast", "slow"], of="desk", timeout=days(3))
        try:
            return [how, await ctx.ask("Really?", bool, of=[person_key("eve").hex()], timeout=60)]
        except NoAnswer:
            return [how, "nobody said"]


def test_it_answers_what_code_asks_at_every_point() -> None:
    points = range(len(answered().points))
    for kill_at in points:
        told = answered(kill_at=kill_at)
        assert ["slow", True] == told.result(), kill_at


def answered(**when: int) -> Rehearsal:
    rehearsal = rehearse(Asker, **when)
    assert "How?" == rehearsal.inquires().question
    rehearsal.run(3600)
    rehearsal.say("warp")
    rehearsal.say("slow", by="ben")
    rehearsal.run(1)
    rehearsal.say(True, by="eve")
    return rehearsal.run()


def test_nobody_answers_in_a_rehearsal() -> None:
    rehearsal = rehearse(Asker)
    rehearsal.say("fast")
    assert ["fast", "nobody said"] == rehearsal.run().result()


def agreed(**when: int) -> Rehearsal:
    rehearsal = rehearse(Asker, places=[Place("here", agree=2)], **when)
    for by, how in (("ann", "slow"), ("ben", "fast"), ("cat", "slow")):
        assert "How?" == rehearsal.inquires().question
        rehearsal.say(how, by=by)
        rehearsal.run(1)
    rehearsal.say(True, by="eve")
    return rehearsal.run()


def test_two_people_have_to_say_the_same_at_every_point() -> None:
    for kill_at in range(len(agreed().points)):
        assert ["slow", True] == agreed(kill_at=kill_at).result(), kill_at
