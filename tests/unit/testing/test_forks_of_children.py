"""Forks of children in whole worlds (protocol §8.17): what binds the child's ancestors binds its fork, anywhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Denied
from sojourn.core.base.limits import GOSSIP_ROUND_MS
from sojourn.runtime.records import Failure, Outcome, Received, Returned
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from sojourn.testing.forking import version_of

ROUND_S = 1.2 * GOSSIP_ROUND_MS / 1000
FAMILY = """
from sojourn import Agent, Context, UncertainOutcome, step


class Clerk(Agent):
    reports = True
    goal = ""

    def rank(self, places):
        return next((p for p in places if p.name == self.goal and p.eligible), None)

    @step(effect="idempotent", action="ledger.enter")
    def enter(self, number: int) -> int:
        return number

    async def run(self, ctx: Context, count: int) -> str:
        book = ctx.memory.log("book", int)
        for number in range(count):
            try:
                book.append(await self.enter(number))
            except UncertainOutcome:  # it is the origin's to have had it
                book.append(number)
            message = await ctx.receive(timeout=1)
            if message is not None:
                self.goal = message.body
                await ctx.consider()
        return f"{len(book)} by {ctx.agent_id.hex()}"


class Middle(Agent):
    async def run(self, ctx: Context, count: int) -> str:
        child = await ctx.spawn(Clerk, count, memory={"book": []}, budgets={"steps": 300})
        return await ctx.result(child, str)


class Head(Agent):
    async def run(self, ctx: Context) -> str:
        plan = ctx.memory["plan"]
        child = await ctx.spawn(Middle, plan["count"], budgets={"steps": 600})
        await ctx.sleep(3600)
        return str(child)
"""


class House:
    """A head, its child and its grandchild at work in zone a, and zone b where who is told to goes."""

    def __init__(self, world: World, folder: Path, count: int = 500, anchors: int = 1) -> None:
        self.world = world
        self.a = world.zone("a", anchors=anchors, hosts=2)
        self.b = world.zone("b", anchors=anchors, hosts=2)
        place = folder / "code"
        place.mkdir(exist_ok=True)
        (place / "family.py").write_text(FAMILY)
        self.head = world.launch(
            "family:Head",
            self.a,
            folder=place,
            memory={"plan": {"count": count}},
            budgets={"steps": 1000},
            actions=["ledger.enter"],
        )
        self.middle = self.only_child(self.head)
        self.clerk = self.only_child(self.middle)
        self.clerk.wait(lambda each: len(entered(each)) > 2, "has entered some", 60)

    @staticmethod
    def only_child(agent: LaunchedAgent) -> LaunchedAgent:
        agent.wait(lambda each: each.children(), "has a child", 60)
        [child] = agent.children()
        return child

    def fork(self, zone: Zone | None = None) -> LaunchedAgent:
        fork = self.world.fork(self.clerk, self.clerk.version, zone=zone)
        assert ids(self.clerk) == ids(fork) == [self.head.id, self.middle.id]
        assert [self.clerk.id] == [each.id for each in self.middle.children()]
        return fork


def ids(agent: LaunchedAgent) -> list[bytes]:
    return [each.agent for each in agent.record.eligibility.ancestors]


def entered(agent: LaunchedAgent) -> list[int]:
    return [each.arguments[0] for each in agent.performed("enter")]


def check_bound(house: House, fork: LaunchedAgent, act: str) -> None:
    """Order something of the grandparent: neither origin nor fork does any more."""
    world = house.world
    world.publish(house.head, act, house.a.anchors[0])
    for each in (house.clerk, fork):
        each.wait(lambda it: not may_work(it), f"is bound by {act}", 4 * ROUND_S)
    world.run(2)
    before = [entered(house.clerk), entered(fork)]
    world.run(10)
    assert before == [entered(house.clerk), entered(fork)]
    ends = {"retire": Status.RETIRED, "revoke": Status.REVOKED}
    assert act not in ends or ends[act] is fork.status is house.clerk.status
    assert not world.broken_promises()


def check_freed(house: House, fork: LaunchedAgent, act: str) -> None:
    done = len(entered(fork))
    house.world.publish(house.head, act, house.b.anchors[0])
    fork.wait(lambda it: may_work(it) and len(entered(it)) > done, "works again", 4 * ROUND_S + 30)
    assert not house.world.broken_promises()


def may_work(agent: LaunchedAgent) -> bool:
    eligibility = agent.record.eligibility
    return eligibility.is_acting and not eligibility.is_alone


def test_section_8_17_a_fork_of_a_grandchild_obeys_what_is_ordered_of_the_head(
    tmp_path: Path,
) -> None:
    with simulate(seed=1) as world:
        house = House(world, tmp_path)
        fork = house.fork()
        fork.wait(lambda each: entered(each), "works", 30)
        check_bound(house, fork, "suspend")
        with pytest.raises(Denied):
            denied_by(world, house)
        check_freed(house, fork, "resume")


def denied_by(world: World, house: House) -> None:
    """Fork while the head is in quarantine."""
    world.publish(house.head, "quarantine", house.a.anchors[0])
    house.clerk.wait(lambda it: it.record.eligibility.is_alone, "is alone", 4 * ROUND_S)
    try:
        house.fork()
    finally:
        world.publish(house.head, "lift", house.a.anchors[0])
        house.clerk.wait(lambda it: not it.record.eligibility.is_alone, "is free", 4 * ROUND_S)


@pytest.mark.parametrize("act", ["retire"])
def test_section_8_17_a_fork_that_has_moved_obeys_there(tmp_path: Path, act: str) -> None:
    moved(tmp_path, 2, act, dies=True)


@pytest.mark.soak
@pytest.mark.parametrize("act", ["suspend", "quarantine", "retire", "revoke"])
@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("seed", range(30, 33))
def test_section_8_17_wherever_a_fork_has_moved_it_obeys(
    tmp_path: Path, seed: int, act: str, dies: bool
) -> None:
    moved(tmp_path, seed, act, dies=dies)


def moved(folder: Path, seed: int, act: str, *, dies: bool) -> None:
    with simulate(seed=seed) as world:
        house = House(world, folder)
        fork = house.fork()
        fork.send("b")
        fork.wait(lambda each: each.zone is house.b, "has moved", 60)
        if dies:
            kill(world, fork)
        done = len(entered(fork))
        fork.wait(lambda each: len(entered(each)) > done, "works there", 60)
        check_bound(house, fork, act)


@pytest.mark.soak
@pytest.mark.parametrize("act", ["suspend", "revoke"])
def test_section_8_17_a_fork_that_is_born_elsewhere_obeys_there(tmp_path: Path, act: str) -> None:
    with simulate(seed=40) as world:
        house = House(world, tmp_path, anchors=4)
        fork = house.fork(house.b)
        fork.wait(lambda each: entered(each), "works", 60)
        assert fork.zone is house.b
        check_bound(house, fork, act)


# --- it is nobody's child -----------------------------------------------------------------------------


def kill(_: World, agent: LaunchedAgent) -> None:
    if agent.host is not None:
        agent.host.kill()


def kill_anchor(world: World, agent: LaunchedAgent) -> None:
    anchor = agent.zone.anchors[0]
    anchor.kill()
    anchor.start()


def told(
    folder: Path, seed: int, after: int, mishap: Callable[[World, LaunchedAgent], None]
) -> None:
    """Let a fork end, dying on the way: its origin's parent is told by its origin alone."""
    with simulate(seed=seed) as world:
        house = House(world, folder, count=6)
        fork = house.fork()
        fork.wait(lambda each: each.version >= after or each.has_ended, "is under way", 120)
        mishap(world, fork)
        assert f"6 by {fork.id.hex()}" == fork.result(within=600)
        assert f"6 by {house.clerk.id.hex()}" == house.middle.result(within=600)
        heard = [each for each in house.middle.journal() if isinstance(each, Received)]
        assert [cid_text(house.clerk.id)] == [each.sender for each in heard]
        [outcome] = [each for each in fork.journal() if is_report(each)]
        assert isinstance(outcome, Outcome) and isinstance(outcome.failure, Failure)
        assert "this agent is a fork" in outcome.failure.message
        assert isinstance(fork.journal()[-1], Returned)
        assert set(range(6)) == set(entered(house.clerk)) | set(entered(fork))
        assert not world.broken_promises()


def is_report(record: object) -> bool:
    return isinstance(record, Outcome) and record.step == "ctx.send"


def test_section_10_41_a_fork_of_a_child_reports_to_nobody(tmp_path: Path) -> None:
    told(tmp_path, 3, 4, kill)


@pytest.mark.soak
@pytest.mark.parametrize("mishap", [kill, kill_anchor])
@pytest.mark.parametrize("after", range(14))
@pytest.mark.parametrize("seed", range(50, 52))
def test_section_10_41_wherever_it_dies_it_reports_to_nobody(
    tmp_path: Path, seed: int, after: int, mishap: Callable[[World, LaunchedAgent], None]
) -> None:
    told(tmp_path, seed, after, mishap)


def test_section_10_41_a_fork_of_a_version_behind_the_intent_to_report_repeats_it(
    tmp_path: Path,
) -> None:
    """That the origin told its parent is the origin's to have done; the code goes on behind it."""
    with simulate(seed=4) as world:
        house = House(world, tmp_path, count=6)
        said = f"6 by {house.clerk.id.hex()}"
        assert said == house.middle.result(within=600)
        kinds = {
            n: version_of(world.anchors(), house.clerk, n).transition.kind
            for n in range(house.clerk.version + 1)
        }
        at = max(n for n, kind in kinds.items() if kind is TransitionKind.INTEND)
        fork = world.fork(house.clerk, at)
        assert said == fork.result(within=600), "it came to that as its origin"
        [outcome] = [each for each in fork.journal() if is_report(each)]
        assert isinstance(outcome, Outcome) and isinstance(outcome.failure, Failure)
        assert "uncertain" == outcome.failure.cause
        assert not world.broken_promises()
