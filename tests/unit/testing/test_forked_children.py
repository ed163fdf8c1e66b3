"""Forks of agents that have children (protocol §8.17): these are the origin's, whatever dies or moves meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused
from sojourn.runtime.records import Received, Spawned
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from sojourn.testing.forking import version_of

FAMILY = """
from sojourn import Agent, Context, OriginsChild, Unanswered


class Helper(Agent):
    async def run(self, ctx: Context) -> str:
        asked = []
        for _ in range(2):
            message = await ctx.receive(timeout=20)
            if message is None:
                break
            asked.append(message.sender)
            await ctx.sleep(4)
            await ctx.reply(message, f"helped {ctx.agent_id.hex()}")
        return " ".join(asked)


class Parent(Agent):
    goal = ""

    def rank(self, places):
        return next((p for p in places if p.name == self.goal and p.eligible), None)

    async def run(self, ctx: Context) -> str:
        said = ctx.memory.log("said", str)
        for name in ("first", "again"):
            try:
                child = await ctx.spawn(Helper, budgets={"steps": 20})
                said.append(f"{name} {child}")
                said.append(await ctx.request(child, "help", str))
                break
            except OriginsChild as error:
                said.append(f"not born {error.child}")
            except Unanswered as error:
                said.append(f"unanswered {error.letter}")
        message = await ctx.receive(timeout=2)
        self.goal = message.body if message else ""
        if self.goal:
            await ctx.consider()
        return " | ".join(said)
"""


class Household:
    """A parent at work in a zone, which may be forked."""

    def __init__(
        self, world: World, folder: Path, entry: str = "family:Parent", code: str = FAMILY
    ) -> None:
        self.world, self.zone = world, world.zone("a", anchors=1, hosts=2)
        place = folder / "code"
        place.mkdir(exist_ok=True)
        (place / "family.py").write_text(code)
        self.agent = world.launch(
            entry, self.zone, folder=place, memory={"said": None}, budgets={"steps": 200}
        )

    def waits_for_its_child(self) -> int:
        """Let the parent ask its child, which takes its time; return the version."""
        self.agent.wait(lambda each: asked(each, self.world), "has asked its child", 60)
        return self.agent.version

    def version_of_spawn(self) -> int:
        """Return the version with which the parent had its child."""
        self.agent.wait(lambda each: each.children(), "has a child", 60)
        kinds = (
            (n, version_of(self.world.anchors(), self.agent, n).transition.kind)
            for n in range(self.agent.version + 1)
        )
        return next(n for n, kind in kinds if kind is TransitionKind.SPAWN)


def asked(parent: LaunchedAgent, world: World) -> bool:
    return any(
        isinstance(record, Received) and record.mark
        for child in parent.children()
        for record in child.journal()
    )


def children_of(agent: LaunchedAgent) -> set[bytes]:
    return {child.id for child in agent.children()}


def check_apart(house: Household, fork: LaunchedAgent, said: str) -> None:
    """Check that origin and fork have one child each, which helped that one alone, and what each was told."""
    agent = house.agent
    origins, forks = agent.result(within=600), fork.result(within=600)
    [child], [own] = agent.children(), fork.children()
    assert f"first {child} | helped {child.id.hex()}" == told(origins, child)
    assert said in forks, forks
    assert forks.endswith(f"again {cid_text(own.id)} | helped {own.id.hex()}"), forks
    assert child.result(within=600) == cid_text(agent.id), "nobody else had asked it"
    assert own.result(within=600) == cid_text(fork.id)
    assert (1, 1) == (agent.record.eligibility.children, fork.record.eligibility.children)
    given = [each.record.eligibility.budgets["steps"].limit for each in (child, own)]
    assert [20, 20] == given
    born = [each for each in fork.journal() if isinstance(each, Spawned)]
    assert 2 == len(born), "the one of the origin, and its own"
    assert not house.world.broken_promises()


def told(result: str, child: LaunchedAgent) -> str:
    return result.replace(cid_text(child.id), str(child))


def test_section_8_17_an_answer_that_the_origin_waits_for_is_the_origins(tmp_path: Path) -> None:
    with simulate(seed=1) as world:
        house = Household(world, tmp_path)
        at = house.waits_for_its_child()
        began = world.now
        fork = world.fork(house.agent, at)
        fork.wait(lambda each: each.children(), "has a child of its own", 60)
        assert world.now - began < 4, "it is told at once, and not when the time is over"
        check_apart(house, fork, "unanswered ")


@pytest.mark.soak
def test_section_8_17_a_child_that_was_being_born_is_the_origins(tmp_path: Path) -> None:
    with simulate(seed=2) as world:
        house = Household(world, tmp_path)
        fork = world.fork(house.agent, house.version_of_spawn())
        [child] = house.agent.children()
        check_apart(house, fork, f"not born {cid_text(child.id)}")


def kill_fork(_: World, fork: LaunchedAgent) -> None:
    if fork.host is not None:
        fork.host.kill()


def kill_anchor(world: World, _: LaunchedAgent) -> None:
    [anchor] = world.anchors()
    anchor.kill()
    anchor.start()


def survived(
    seed: int,
    folder: Path,
    after: int,
    mishap: Callable[[World, LaunchedAgent], None],
    *,
    at_birth: bool,
) -> None:
    """Let something die so many of the fork's versions after its genesis."""
    with simulate(seed=seed) as world:
        house = Household(world, folder)
        at = house.version_of_spawn() if at_birth else house.waits_for_its_child()
        fork = world.fork(house.agent, at)
        fork.wait(lambda each: each.version >= after or each.has_ended, "is under way", 120)
        mishap(world, fork)
        check_apart(house, fork, "not born " if at_birth else "unanswered ")


def test_section_8_17_a_host_that_dies_in_a_fork_has_no_child_of_the_origins_born(
    tmp_path: Path,
) -> None:
    survived(20, tmp_path, 2, kill_fork, at_birth=True)


@pytest.mark.soak
@pytest.mark.parametrize("mishap", [kill_fork, kill_anchor])
@pytest.mark.parametrize("at_birth", [False, True])
@pytest.mark.parametrize("after", range(12))
@pytest.mark.parametrize("seed", range(21, 24))
def test_section_8_17_wherever_it_dies_a_fork_has_children_of_its_own_alone(
    tmp_path: Path,
    seed: int,
    after: int,
    at_birth: bool,
    mishap: Callable[[World, LaunchedAgent], None],
) -> None:
    survived(seed, tmp_path, after, mishap, at_birth=at_birth)


def moved(seed: int, folder: Path, *, dies: bool) -> None:
    """Let a fork move on with children of its own, and of its origin, behind it."""
    with simulate(seed=seed) as world:
        house = Household(world, folder)
        there: Zone = world.zone("b", anchors=1, hosts=2)
        fork = world.fork(house.agent, house.waits_for_its_child())
        fork.send("b")
        if dies:
            fork.wait(lambda each: each.zone is there, "moves", 300)
            kill_fork(world, fork)
        check_apart(house, fork, "unanswered ")
        assert (there, house.zone) == (fork.zone, house.agent.zone)


@pytest.mark.soak
def test_section_8_17_a_fork_moves_on_without_its_origins_children(tmp_path: Path) -> None:
    moved(40, tmp_path, dies=False)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(41, 49))
def test_section_8_17_a_fork_that_died_after_it_moved_has_its_own_children(
    tmp_path: Path, seed: int
) -> None:
    moved(seed, tmp_path, dies=True)


# --- who answers --------------------------------------------------------------------------------------

ASKED = """
from sojourn import Agent, Context


class Child(Agent):
    async def run(self, ctx: Context, parent: bytes) -> str:
        return await ctx.request(parent, "who are you?", str, timeout=60)


class Asked(Agent):
    async def run(self, ctx: Context) -> str:
        me = ctx.agent_id
        await ctx.spawn(Child, me, budgets={"steps": 20})
        message = await ctx.receive(timeout=30)
        await ctx.sleep(1)
        if me == ctx.agent_id:
            await ctx.sleep(10)
        await ctx.reply(message, ctx.agent_id.hex())
        return "answered"
"""


def test_section_8_17_a_fork_answers_nothing_that_its_origin_was_asked(tmp_path: Path) -> None:
    """It has the question in its journal, and answers first; who asked waits for whom it asked."""
    with simulate(seed=50) as world:
        house = Household(world, tmp_path, "family:Asked", ASKED)
        agent = house.agent
        agent.wait(
            lambda each: any(isinstance(r, Received) and r.mark for r in each.journal()),
            "is asked",
            60,
        )
        fork = world.fork(agent, agent.version)
        [child] = agent.children()
        assert "answered" == fork.result()
        assert not child.has_ended, "it has heard of no answer"
        assert agent.id.hex() == child.result()
        assert "answered" == agent.result()
        assert not world.broken_promises()


def test_an_origins_child_is_uncertain_and_says_which() -> None:
    from sojourn import OriginsChild, UncertainOutcome

    error = OriginsChild("Helper", "bafy")
    assert isinstance(error, UncertainOutcome)
    assert not isinstance(error, Misused)
    assert ("bafy", "origins-child", "Helper") == (error.child, error.code, error.step)
    assert "of the agent that this one was forked from" in str(error)
    assert "bafy" in error.remedy
