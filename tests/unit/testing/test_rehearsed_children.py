"""Rehearsals of agents that have children: they run beside it, and hosts are killed under all of them."""

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sojourn import Agent, Context, step
from sojourn.core.agent.capabilities import Offer
from sojourn.core.base.errors import Misused
from sojourn.testing import (
    Limit,
    NotSurvived,
    Place,
    Rehearsal,
    Unmet,
    rehearse,
    survives_kills,
    survives_moves,
)
from tests.unit.testing.actors import forgetful
from tests.unit.testing.masters import Careless, Master, Mute, Ring

OPTIONS: dict[str, Any] = {"memory": {"unread": None}}
CAME_TO: dict[str, Any] = {
    "gathered": [["hand 0", 3], ["hand 1", 3], ["hand 2", 9]],
    "raced": 5,
    "failed": [True, "never mind"],
    "told": [[2, 5], []],
    "cancelled": "went on",
    "deep": "Master",
}


def master(way: str, **options: Any) -> Rehearsal:
    return rehearse(Master, way, **{**OPTIONS, **options})


@pytest.mark.parametrize("way", CAME_TO)
def test_children_run_beside_the_agent_and_to_their_ends(way: str) -> None:
    rehearsal = master(way).run()
    assert CAME_TO[way] == rehearsal.result()
    assert all(each.has_ended for each in rehearsal.family)


def test_a_child_is_looked_at_like_the_agent() -> None:
    rehearsal = master("deep").run()
    (below,) = rehearsal.children
    assert [[1, 2], [3], [4, 5]] == [each.arguments[0] for each in below.children]
    assert ["Hand 1", "Hand 2", "Hand 3"] == [each.name for each in below.children]
    last = below.children[2]
    assert ({"amount": 9}, 9) == (last.memory("sum"), last.result())
    assert {1, 2, 3, 4, 5} == {each.arguments[0] for each in rehearsal.ledger.of("count")}
    assert "after a child was born" in rehearsal.points
    assert any(where.endswith(" (Hand 3)") for where in rehearsal.points)
    with pytest.raises(Unmet, match=r"expected that run raises; it returned 9"):
        last.failure()


def counted(rehearsal: Rehearsal) -> None:
    entries = rehearsal.ledger.entries
    assert all(each.done for each in entries if each.arguments[0] >= 0)
    assert len({each.arguments for each in entries}) == len(entries)


@pytest.mark.parametrize("way", ["failed", "cancelled"])
def test_a_family_survives_a_kill_at_every_point_of_each_of_its_journals(way: str) -> None:
    assert () == survives_kills(Master, way, **OPTIONS, check=counted).uncertain


def test_a_family_survives_a_move_of_whoever_comes_to_a_point() -> None:
    survives_moves(Master, "gathered", **OPTIONS, check=counted, at=range(0, 95, 9))
    moved = master("gathered", move_at=[20, 40]).run()
    assert {"home", "elsewhere"} == {each.place for each in moved.family}


@pytest.mark.soak
@pytest.mark.parametrize("way", CAME_TO)
def test_every_family_survives_a_kill_and_a_move_at_every_point(way: str) -> None:
    survives_kills(Master, way, **OPTIONS, check=counted)
    survives_moves(Master, way, **OPTIONS, check=counted)


def test_a_kill_ends_what_the_whole_family_does_on_that_host() -> None:
    held: list[str] = []

    def rehearsed(**options: Any) -> Rehearsal:
        held.clear()
        rehearsal = master("gathered", places=[Place("home")], **options)
        rehearsal.stand_in("count", count)
        return rehearsal.run()

    async def count(number: int) -> int:
        held.append(f"{number} begun")
        await asyncio.sleep(60)
        held.append(f"{number} done")
        return number

    last = [where.startswith("after the intent of count") for where in rehearsed().points]
    point = [n for n, is_intent in enumerate(last) if is_intent][2]
    assert CAME_TO["gathered"] == rehearsed(kill_at=point).result()
    twice = {each for each in held if held.count(each) > 1}
    assert {"begun"} == {each.split()[1] for each in twice}
    assert 2 <= len(twice), "two that others of the family had begun"


class Amnesiac(Agent):
    """Breaks the rules: what its child says hangs on how often that began."""

    begun: ClassVar[int] = 0

    @step(effect="idempotent", action="desk.think")
    def think(self) -> None:
        """Take a while."""

    async def run(self, ctx: Context, *said: str) -> str:
        """Have a child; or, as that, say whether it is the first time."""
        if not said:
            Amnesiac.begun = 0
            return (await ctx.spawn(Amnesiac, "child")).entry
        Amnesiac.begun += 1
        await self.think()
        return "once" if Amnesiac.begun == 1 else "again"


def test_what_a_child_makes_of_a_kill_is_not_survived() -> None:
    with pytest.raises(NotSurvived, match=r"with kill_at=\d+ \(.*\): it came to"):
        survives_kills(Amnesiac)


def test_agents_that_wait_for_each_other_are_told_so() -> None:
    rehearsal = rehearse(Ring).run()
    said = {rehearsal.result(), rehearsal.children[0].result()}
    assert "cycle" in said and said <= {"cycle", "answered", "silence"}
    assert rehearsal.now.timestamp() - rehearse(Ring).now.timestamp() < 3600
    rehearsal = rehearse(Mute)
    with pytest.raises(Unmet, match=r"for a message, .*; Mute 1 is dormant in home, for a message"):
        rehearsal.result()
    rehearsal.children[0].send("say something")
    rehearsal.run()
    assert "heard" == rehearsal.children[0].result()


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("tests.unit.testing.masters:Nobody", "has a child 'tests.unit.testing.masters:Nobody'"),
        ("sojourn:Context", "has a child 'sojourn:Context', which is no agent"),
        ("sojourn:Agent", "sojourn:Agent has no run"),
    ],
)
def test_a_child_that_its_code_does_not_have_is_said_to_be_none(entry: str, problem: str) -> None:
    with pytest.raises(Misused, match=problem):
        rehearse(Careless, entry).run()


def test_a_child_is_named_as_at_a_launch() -> None:
    rehearsal = rehearse(Careless, "masters:Hand").run()
    assert 1 == rehearsal.children[0].result()


def test_a_child_that_is_no_agent_is_an_error_of_the_code() -> None:
    assert "is no class of agents" in rehearse(Careless, 7).failure()
    assert "'nowhere' is no entry point" in rehearse(Careless, "nowhere").failure()


def test_a_child_that_requires_more_than_its_place_gives_is_said_to() -> None:
    def careless(offer: Offer) -> Rehearsal:
        places = [Place("home", offer=offer), Place("away")]
        return rehearse(Careless, "masters:Hand", confined=True, places=places)

    with pytest.raises(
        Misused, match=r"Hand 1 requires that its code is confined, and no host in home does"
    ):
        careless(Offer(slots=1)).run()
    assert 1 == careless(Offer(slots=1, confines=True)).run().children[0].result()


def test_budgets_and_policies_bind_the_family() -> None:
    policy = """permit (principal, action, resource);
        forbid (principal, action == Action::"spawn", resource) when { context.outlives };
        forbid (principal, action == Action::"desk.count", resource) when { principal.depth > 0 };"""
    rehearsal = master("denied", budgets={"steps": 100}, policy=policy).run()
    assert ["BudgetExhausted", "had", "Denied"] == rehearsal.result()
    assert ["spawn", "spawn"] == [each.action for each in rehearsal.denials()]
    assert "principal.depth" in rehearsal.children[0].failure()
    assert [{"steps": 20}] == [each.budgets for each in rehearsal.children]


def test_a_child_asks_people_and_is_granted_more() -> None:
    rehearsal = master(
        "cancelled", places=[Place("home", asks={"desk.count"})], budgets={"steps": 100}
    ).run()
    (child,) = rehearsal.children
    with pytest.raises(Unmet, match=r"expected that Hand 1 returns in the end; it is .*used up"):
        child.result()
    child.grant(steps=10)
    assert "count" == child.asks().step
    child.approve()
    assert 7 == child.result()


def test_queues_hold_up_all_that_a_host_executes() -> None:
    begun = master("gathered").run().now

    def took_s(**options: Any) -> float:
        rehearsal = master("gathered", **options)
        rehearsal.result()
        return rehearsal.now.timestamp() - begun.timestamp()

    slow = took_s(places=[Place("home", queues={"counters": Limit(rate=1, per_s=60.0)})])
    assert 240 <= slow - took_s(places=[Place("home")])


def test_classes_that_a_test_defines_for_itself_are_run() -> None:
    class Child(Agent):
        async def run(self, ctx: Context) -> float:
            return ctx.random()

    class Here(Agent):
        async def run(self, ctx: Context) -> float:
            for _ in range(2):
                await ctx.spawn(Child)
            return ctx.random()

    rehearsal = rehearse(Here).run()
    drawn = [each.result() for each in rehearsal.family]
    assert 3 == len(set(drawn)), "each draws by itself"
    assert drawn == [each.result() for each in rehearse(Here).run().family]
    survives_kills(Here)


def test_children_are_found_in_the_files_of_a_launch(tmp_path: Path) -> None:
    (tmp_path / "helping.py").write_text(
        "from sojourn import Agent, step\n"
        "class Helper(Agent):\n"
        "    @step(effect='idempotent', action='desk.help')\n"
        "    def help(self):\n"
        "        raise NotImplementedError\n"
        "    async def run(self, ctx):\n"
        "        return await self.help()\n"
    )
    (tmp_path / "boss.py").write_text(
        "from sojourn import Agent\n"
        "import helping\n"
        "from helping import Helper\n"
        "class Boss(Agent):\n"
        "    async def run(self, ctx):\n"
        "        await ctx.spawn(Helper)\n"
        "        await ctx.spawn('helping:Helper')\n"
    )
    options: dict[str, Any] = {"folder": tmp_path}

    def prepare(rehearsal: Rehearsal) -> None:
        rehearsal.stand_in("help", lambda: "helped")

    rehearsal = rehearse("boss:Boss", **options)
    prepare(rehearsal)
    assert ["helped", "helped"] == [each.result() for each in rehearsal.run().children]
    survives_kills("boss:Boss", **options, prepare=prepare)
    with pytest.raises(
        Misused, match=r"no step 'hlp'\. It has none at all; agents beside it have help"
    ):
        rehearse("boss:Boss", **options).stand_in("hlp", lambda: None)


class Forgetting(Agent):
    """Forgets to await what it is told to, here or in its child."""

    @step
    async def think(self) -> int:
        """Take a while."""
        return 1

    async def run(self, ctx: Context, what: str) -> int:
        """Forget."""
        if what == "child":
            await ctx.spawn(Forgetting, "step")
            await ctx.sleep(60)
        elif what == "step":
            self.think()  # type: ignore[unused-coroutine]
        elif what == "sleep":
            ctx.sleep(60)  # type: ignore[unused-coroutine]
        return await self.think()


@pytest.mark.parametrize(
    ("what", "call"),
    [("step", "Forgetting.think"), ("sleep", r"Timers.sleep"), ("child", "Forgetting.think")],
)
def test_a_call_that_is_not_awaited_is_an_error(what: str, call: str) -> None:
    problem = rf"{call} is called and not awaited, at test_rehearsed_children.py:\d+: nothing"
    with pytest.raises(Misused, match=problem):
        rehearse(Forgetting, what).run()
    assert 1 == rehearse(Forgetting, "").result()


def test_what_others_forget_is_warned_of_as_ever() -> None:
    rehearsal = rehearse(Forgetting, "")
    rehearsal.stand_in("think", forgetful)
    with pytest.warns(RuntimeWarning, match="coroutine 'sleep' was never awaited"):
        assert 7 == rehearsal.result()
