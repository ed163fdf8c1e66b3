"""Other code for an agent that runs: adopted at a restart point, or given up; whatever dies or moves meanwhile."""

import builtins
from collections.abc import Callable
from pathlib import Path

import pytest

from sojourn.core.base.digests import cid_text
from sojourn.runtime.records import Began, Parted
from sojourn.testing import LaunchedAgent, World, Zone, simulate

TURNS = 5

CLERK = """
from sojourn import Agent, Context, step, upgrade


class Clerk(Agent):
    goal = ""

    def rank(self, places):
        return next((p for p in places if p.name == self.goal and p.eligible), None)

    @step(effect="idempotent", action="book.enter")
    def enter(self, number: int) -> int:
        return number

    async def run(self, ctx: Context, per: int = 1) -> str:
        done = ctx.memory.log("done", str)
        async for number in ctx.turns(range(5)):
            await self.enter(number)
            done.append(f"old {number}")
            await ctx.sleep(1)
            done.append(f"end {number}")
        return "old"
"""
NEW = CLERK.replace("old {", "new {").replace('return "old"', 'return "new"')
STEPPED = (
    NEW.replace("range(5)", 'range(len([d for d in done if d.startswith("end")]) , 5)')
    .replace(
        "    async def run(",
        """    @upgrade()
    def convert(self, memory):
        log = memory.log("done", str)
        log.append(f"converted after {len(log)}")
        return {"per": 2}

    async def run(""",
    )
    .replace('return "new"', 'return f"new {per}"')
)
GOING = NEW.replace(
    "            await ctx.sleep(1)\n",
    "            await ctx.sleep(1)\n            self.goal = 'b'\n            await ctx.consider()\n",
)


def code(folder: Path, text: str, name: str) -> Path:
    """Write an agent's module into a folder of its own, and return that."""
    place = folder / name
    place.mkdir(exist_ok=True)
    (place / "clerk.py").write_text(text)
    return place


class Office:
    """A clerk at work in a zone, and what may be given to it."""

    def __init__(self, world: World, folder: Path, text: str = CLERK, *, hosts: int = 2) -> None:
        self.world, self.folder = world, folder
        self.zone = world.zone("a", anchors=1, hosts=hosts)
        self.entered: list[int] = []
        world.stand_in("enter", self.enter)
        place = code(folder, text, "first")
        self.agent = world.launch("clerk:Clerk", self.zone, folder=place, memory={"done": None})

    def enter(self, number: int) -> int:
        self.entered.append(number)
        return number

    def upgrade(self, text: str, name: str = "next") -> bytes:
        return self.world.upgrade(self.agent, "clerk:Clerk", folder=code(self.folder, text, name))

    @property
    def done(self) -> list[str]:
        return [str(each) for each in self.agent.memory("done")]


def failures(agent: LaunchedAgent) -> list[Parted]:
    return [each for each in agent.journal() if isinstance(each, Parted)]


def in_turn(number: int) -> Callable[[LaunchedAgent], bool]:
    return lambda agent: f"old {number}" in agent.memory("done")


def test_section_8_16_an_agent_has_its_new_code_from_its_next_restart_point_on(
    tmp_path: Path,
) -> None:
    with simulate(seed=1) as world:
        office = Office(world, tmp_path)
        office.agent.wait(in_turn(2), "is in a turn")
        named = office.upgrade(NEW)
        assert named != office.agent.record.capabilities.code, "it is ordered, and no more"
        assert "new" == office.agent.result()
        capabilities = office.agent.record.capabilities
        assert (named, 1) == (capabilities.code, len(capabilities.codes))
        assert list(range(TURNS)) == office.entered
        assert ["end 2", "new 3"] == office.done[5:7]
        assert not failures(office.agent)


def test_section_8_16_an_upgrade_step_changes_memory_once_and_run_begins_anew(
    tmp_path: Path,
) -> None:
    with simulate(seed=2) as world:
        office = Office(world, tmp_path)
        office.agent.wait(in_turn(2), "is in a turn")
        office.upgrade(STEPPED)
        assert "new 2" == office.agent.result()
        assert ["end 2", "converted after 6", "new 3"] == office.done[5:8]
        assert 1 == sum(line.startswith("converted") for line in office.done)
        assert list(range(TURNS)) == office.entered
        assert 2 == sum(isinstance(each, Began) for each in office.agent.journal())


def test_section_8_16_without_a_restart_point_it_finishes_on_what_it_began_with(
    tmp_path: Path,
) -> None:
    plain = CLERK.replace("async for number in ctx.turns(range(5))", "for number in range(5)")
    with simulate(seed=3) as world:
        office = Office(world, tmp_path, plain)
        office.agent.wait(in_turn(2), "is under way")
        office.upgrade(NEW)
        assert "old" == office.agent.result()


def test_section_8_16_one_that_has_not_run_begins_with_it(tmp_path: Path) -> None:
    with simulate(seed=4) as world:
        office = Office(world, tmp_path, hosts=1)
        office.zone.hosts[0].kill()
        if not office.entered:
            office.upgrade(STEPPED)
        office.zone.hosts[0].start()
        assert office.agent.result().startswith("new")


BAD = {
    "ends the process that loads it": ("raise SystemExit(3)", "cannot be loaded"),
    "has no such class": ("x = 1", "has no class 'Clerk'"),
    "imports what is not there": ("import not_there_at_all", "there is no module"),
    "has a step that fails": (
        STEPPED.replace("return {", "raise KeyError('gone')\n        return {"),
        "its upgrade step raised KeyError: 'gone'",
    ),
    "has a step that writes what it may not": (
        STEPPED.replace(
            "        return {", "        memory.log('nowhere').append(object())\n        return {"
        ),
        "its upgrade step raised",
    ),
    "has a step from other code alone": (
        STEPPED.replace("@upgrade()", "@upgrade(from_='bafysomething')"),
        "declares no upgrade step from",
    ),
    "has a step that returns no arguments": (
        STEPPED.replace("return {", "return 7 or {"),
        "returned a int",
    ),
    "takes no such arguments": (STEPPED.replace("per: int", "other: int"), "run cannot begin"),
    "does something else before the loop": (
        NEW.replace("done = ctx", "await self.enter(99)\n        done = ctx"),
        "does not repeat what the journal says",
    ),
    "raises at once": (NEW.replace("await self.enter(number)", "1 / 0"), "ZeroDivisionError"),
}


@pytest.mark.parametrize("bad", BAD)
def test_section_8_16_code_that_will_not_do_is_given_up_and_the_old_goes_on(
    tmp_path: Path, bad: str
) -> None:
    text, why = BAD[bad]
    with simulate(seed=5) as world:
        office = Office(world, tmp_path, hosts=1)
        before = office.agent.record.capabilities
        office.agent.wait(in_turn(1), "is in a turn")
        named = office.upgrade(text)
        assert "old" == office.agent.result()
        [noted] = failures(office.agent)
        assert (named, True) == (noted.code, why in noted.text), noted.text
        assert before == office.agent.record.capabilities
        assert list(range(TURNS)) == office.entered
        assert not any("converted" in line for line in office.done)


def test_section_8_16_a_later_order_takes_the_place_of_one_that_waits(tmp_path: Path) -> None:
    with simulate(seed=6) as world:
        office = Office(world, tmp_path)
        office.agent.wait(in_turn(1), "is in a turn")
        office.upgrade("x = 1", "bad")
        world.run(0.05)
        named = office.upgrade(NEW)
        assert "new" == office.agent.result()
        assert named == office.agent.record.capabilities.code


def killed_at(seed: int, folder: Path, after: int, text: str = STEPPED) -> None:
    """Order an upgrade, and kill the agent's host so many decided versions after that, or when it has ended."""
    with simulate(seed=seed) as world:
        office = Office(world, folder)
        office.agent.wait(in_turn(2), "is in a turn")
        named = office.upgrade(text)
        upto = office.agent.version + after
        office.agent.wait(lambda it: it.version >= upto or it.has_ended, "comes that far")
        if office.agent.host is not None:
            office.agent.host.kill()
        assert office.agent.result().startswith("new")
        assert named == office.agent.record.capabilities.code
        assert not failures(office.agent)
        if text is STEPPED:
            assert 1 == sum(line.startswith("converted") for line in office.done)
            at = next(n for n, line in enumerate(office.done) if line.startswith("converted"))
            assert office.done[at - 1].startswith("end"), "in the midst of a turn"
        assert list(range(TURNS)) == sorted({*office.entered})
        assert not world.broken_promises()


@pytest.mark.parametrize("after", [0, 2, 4])
def test_section_8_16_a_host_that_dies_on_the_way_changes_nothing(
    tmp_path: Path, after: int
) -> None:
    killed_at(7, tmp_path, after)


@pytest.mark.soak
@pytest.mark.parametrize("text", [STEPPED, NEW], ids=["step", "plain"])
@pytest.mark.parametrize("after", range(13))
@pytest.mark.parametrize("seed", range(8, 12))
def test_section_8_16_whenever_a_host_dies_it_changes_nothing(
    tmp_path: Path, seed: int, after: int, text: str
) -> None:
    killed_at(seed, tmp_path, after, text)


HOOK = "sojourn_test_upgrade_step"
HOOKED = STEPPED.replace(
    "        log = memory.log(",
    f"        import builtins\n        builtins.{HOOK}()\n        log = memory.log(",
).replace("        return {", f"        builtins.{HOOK}()\n        return {{")


def killed_in_step(
    seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch, *, at: int, after_ms: int | None
) -> None:
    """Kill the host inside the upgrade step, at its first or last line (`at`), or so long after it began to run.

    What has not been decided by then is nothing; the next host runs the step again, on the memory of before.
    """
    with simulate(seed=seed) as world:
        office = Office(world, folder)
        calls: list[int] = []

        def called() -> None:
            calls.append(len(calls))
            if after_ms is None and len(calls) == at + 1:
                assert office.agent.host is not None
                office.agent.host.kill()

        monkeypatch.setattr(builtins, HOOK, called, raising=False)
        office.agent.wait(in_turn(2), "is in a turn")
        named = office.upgrade(HOOKED)
        if after_ms is not None:
            office.agent.wait(lambda _: calls, "is in its upgrade step")
            world.run(after_ms / 1000)
            if office.agent.host is not None:
                office.agent.host.kill()
        assert "new 2" == office.agent.result()
        assert named == office.agent.record.capabilities.code
        assert ["end 2", "converted after 6", "new 3"] == office.done[5:8]
        assert 1 == sum(line.startswith("converted") for line in office.done)
        assert list(range(TURNS)) == sorted({*office.entered})
        assert not failures(office.agent)
        assert after_ms is not None or len(calls) > 2, "the step ran again"
        assert not world.broken_promises()


@pytest.mark.parametrize("at", [0, 1])
def test_section_8_16_a_host_that_dies_inside_the_upgrade_step_has_not_begun_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    killed_in_step(40, tmp_path, monkeypatch, at=at, after_ms=None)


@pytest.mark.soak
@pytest.mark.parametrize("after_ms", [*range(20), *range(20, 100, 8)])
@pytest.mark.parametrize("seed", range(41, 44))
def test_section_8_16_whenever_a_host_dies_between_the_step_and_its_adoption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, after_ms: int
) -> None:
    killed_in_step(seed, tmp_path, monkeypatch, at=0, after_ms=after_ms)


def moved(seed: int, folder: Path, pause_s: float) -> None:
    """Order an upgrade while the agent is about to leave, and let it be adopted wherever it then is."""
    leaving = CLERK.replace(
        "            await ctx.sleep(1)\n",
        "            await ctx.sleep(1)\n            self.goal = 'b' if number > 1 else ''\n"
        "            await ctx.consider()\n",
    )
    with simulate(seed=seed) as world:
        office = Office(world, folder, leaving)
        there: Zone = world.zone("b", anchors=1)
        office.agent.wait(in_turn(2), "is in the turn that ends elsewhere")
        world.run(pause_s)
        named = office.upgrade(leaving.replace("old {", "new {").replace('"old"', '"new"'))
        assert "new" == office.agent.result()
        assert there is office.agent.zone
        assert named == office.agent.record.capabilities.code
        assert list(range(TURNS)) == office.entered
        assert not world.broken_promises()


def test_section_8_16_an_order_travels_with_the_agent(tmp_path: Path) -> None:
    moved(20, tmp_path, 0.2)


@pytest.mark.soak
@pytest.mark.parametrize("tenths", range(15))
@pytest.mark.parametrize("seed", range(21, 24))
def test_section_8_16_an_order_travels_whenever_it_comes(
    tmp_path: Path, seed: int, tenths: int
) -> None:
    moved(seed, tmp_path, tenths / 10)


def test_section_8_16_a_step_may_say_from_which_code_it_leads(tmp_path: Path) -> None:
    with simulate(seed=30) as world:
        office = Office(world, tmp_path)
        office.agent.wait(in_turn(1), "is in a turn")
        old = cid_text(office.agent.record.capabilities.code)
        office.upgrade(STEPPED.replace("@upgrade()", f"@upgrade(from_={old!r})"))
        assert "new 2" == office.agent.result()
