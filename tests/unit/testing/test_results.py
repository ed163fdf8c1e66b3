"""What came of a child's `run` reaches its parent (protocol §10.41): in rehearsals, and on zones whose hosts die."""

import asyncio
import random
from typing import Any

import msgspec
import pytest

from sojourn import Agent, ChildFailed, Context, Unanswered, WrongMessage, step
from sojourn.testing import Place, rehearse, simulate, survives_kills, survives_moves
from tests.unit.testing.reporters import Chief

SHORT_S = 5.0


class Page(msgspec.Struct):
    """What a reader makes of a page."""

    number: int
    words: int


class Reader(Agent):
    """Reads a page, slowly."""

    reports = True

    @step
    def read(self, number: int) -> int:
        """Return how many words a page has."""
        return number * 100

    async def run(self, ctx: Context, number: int, how: str = "") -> Any:
        """Read it, or fail in some way."""
        await ctx.sleep(number)
        words = await self.read(number)
        match how:
            case "raises":
                raise ValueError(f"page {number} is torn")
            case "object":
                return object()
            case "large":
                return "x" * 200_000
            case "asks":
                return await ctx.request(ctx.memory["state"]["parent"], "help", timeout=600)
            case "for ever":
                await ctx.receive()
        return Page(number, words)


class Silent(Reader):
    """Does the same, and tells nobody."""

    reports = False


class Librarian(Agent):
    """Has readers, and gathers what they make of it."""

    async def run(self, ctx: Context, how: str = "") -> Any:
        """Gather, race, or expect what does not come."""
        if how == "":
            children = [await ctx.spawn(Reader, number) for number in (3, 1, 2)]
            pages = await asyncio.gather(*(ctx.result(each, Page) for each in children))
            return [page.words for page in pages]
        child = await ctx.spawn(
            Silent if how == "silent" else Reader,
            1,
            how,
            memory={"state": {"parent": str(ctx.address).partition("@")[0]}},
        )
        if how == "late":
            await ctx.sleep(86_400 * 300)
            return (await ctx.result(str(child), Page)).words
        form = dict[str, str] if how == "typed" else Any
        try:
            return await ctx.result(child, form, timeout=SHORT_S if how == "for ever" else None)
        except (ChildFailed, Unanswered, WrongMessage) as error:
            said = error.problem.replace(str(child), "it")
            return [type(error).__name__, said, getattr(error, "is_cycle", False)]


def told(how: str) -> list[Any]:
    found = rehearse(Librarian, how).result()
    assert isinstance(found, list)
    return found


def test_results_are_gathered_in_the_order_of_the_children() -> None:
    assert [300, 100, 200] == rehearse(Librarian).result()


def test_a_result_waits_for_who_asks_for_it() -> None:
    assert 100 == rehearse(Librarian, "late").result()


@pytest.mark.parametrize(
    ("how", "name", "part"),
    [
        ("raises", "ChildFailed", "has failed: ValueError: page 1 is torn"),
        ("object", "ChildFailed", "what run returned cannot be told: "),
        ("large", "ChildFailed", "cannot be sent"),
        ("typed", "WrongMessage", ""),
        ("for ever", "Unanswered", "has told nothing of its end"),
    ],
)
def test_what_is_no_result_is_told_by_name(how: str, name: str, part: str) -> None:
    kind, problem, _ = told(how)
    assert name == kind
    assert part in problem


def test_a_child_that_waits_for_its_parent_is_a_cycle() -> None:
    kind, _, is_cycle = told("asks")
    assert ("Unanswered", True) == (kind, is_cycle)


def test_a_child_that_does_not_report_is_not_waited_for() -> None:
    assert "Silent does not report what comes of its run" in rehearse(Librarian, "silent").failure()


def test_who_is_no_child_at_all_is_told_so() -> None:
    class Lost(Agent):
        async def run(self, ctx: Context) -> Any:
            return await ctx.result("nobody")

    assert "ctx.result was given 'nobody', which is no agent" in rehearse(Lost).failure()


def test_a_report_that_a_place_denies_is_a_line_of_the_log_and_the_child_ends() -> None:
    rehearsal = rehearse(Librarian, "for ever", places=[Place("home", denies={"message"})])
    rehearsal.run()
    assert "Unanswered" == rehearsal.result()[0]


TWO = [Place("home"), Place("away")]


def test_it_is_the_same_wherever_hosts_die() -> None:
    survives_kills(Librarian, "raises")
    survives_moves(Librarian, at=range(0, 58, 3), places=TWO)


@pytest.mark.soak
@pytest.mark.parametrize("how", ["", "raises", "late", "large", "for ever"])
def test_it_is_the_same_wherever_any_host_dies(how: str) -> None:
    survives_kills(Librarian, how)
    survives_moves(Librarian, how, places=TWO)


# --- on zones ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 40))]
)
def test_children_that_have_moved_report_through_the_deaths_of_hosts(seed: int) -> None:
    with simulate(seed=seed) as world:
        a, b = world.zone("a", hosts=2), world.zone("b", hosts=2)
        chance = random.Random(seed)
        plan = {"goal": "b" if seed % 3 else "", "late": seed % 2 * 20}
        agent = world.launch(Chief, a, memory={"plan": plan})
        for _ in range(chance.randint(1, 4)):
            world.run(chance.uniform(0.1, 3))
            host = chance.choice([*a.hosts, *b.hosts])
            host.kill()
            world.run(chance.uniform(0.1, 2))
            host.start()
        assert ["10", "20", "LookupError"] == agent.result(within=600)
        assert not world.broken_promises()
