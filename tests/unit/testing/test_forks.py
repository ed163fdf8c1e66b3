"""Forks: new agents that go on from a version of another one, whatever dies or moves meanwhile (protocol §8.17)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.eligibility import Ancestor, Status
from sojourn.core.agent.governance import Matter
from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import ZERO, cid_text
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.protocol.forking import check_forkable, forking
from sojourn.core.protocol.messages import Forking
from sojourn.runtime.clients.zone_client import Stalled
from sojourn.runtime.records import Forked, Intended, Outcome, Raised
from sojourn.testing import Keep, LaunchedAgent, World, Zone, person, simulate
from sojourn.testing.forking import forked, version_of
from sojourn.testing.founding import ISSUER, PERMIT_ALL, Born, person_key

CLERK = """
from sojourn import Agent, Context, step


class Clerk(Agent):
    goal = ""

    def rank(self, places):
        return next((p for p in places if p.name == self.goal and p.eligible), None)

    @step(effect="idempotent", action="book.enter")
    def enter(self, number: int) -> int:
        return number

    @step(effect="once", action="book.close")
    def close(self, number: int) -> int:
        return number

    @step
    def look(self, number: int) -> int:
        return number

    async def run(self, ctx: Context) -> str:
        drawn = ctx.memory.log("drawn", str)
        me = ctx.agent_id.hex()
        drawn.append(f"{me} {ctx.uuid()}")
        for number in range(4):
            try:
                await self.enter(number)
            except Exception as error:
                drawn.append(f"not {number}: {type(error).__name__}")
            drawn.append(f"{ctx.agent_id.hex()} {ctx.uuid()}")
            await ctx.sleep(1)
        self.goal = await_goal(await ctx.receive(timeout=2))
        if self.goal:
            await ctx.consider()
        await self.close(9)
        return f"{len(drawn)} {me} {ctx.agent_id.hex()}"


def await_goal(message):
    return "" if message is None else message.body
"""


class Office:
    """A clerk at work in a zone, which may be forked."""

    def __init__(
        self,
        world: World,
        folder: Path,
        *,
        anchors: int = 1,
        labels: tuple[str, ...] = (),
        **given: object,
    ) -> None:
        self.world = world
        self.zone = world.zone("a", anchors=anchors, hosts=2)
        place = folder / "code"
        place.mkdir(exist_ok=True)
        (place / "clerk.py").write_text(CLERK)
        self.agent = world.launch(
            "clerk:Clerk",
            self.zone,
            folder=place,
            memory={"drawn": Keep(labels=labels)},
            **given,  # type: ignore[arg-type]
        )

    def drawn(self, agent: LaunchedAgent) -> list[str]:
        return [str(each) for each in agent.memory("drawn")]


def has_entered(count: int) -> Callable[[LaunchedAgent], bool]:
    return lambda agent: sum(isinstance(each, Outcome) for each in agent.journal()) >= count


def keys(agent: LaunchedAgent) -> list[str]:
    return [each.key for each in agent.journal() if isinstance(each, Intended)]


def test_section_8_17_a_fork_goes_on_from_a_version_as_an_agent_of_its_own(
    tmp_path: Path,
) -> None:
    with simulate(seed=1) as world:
        office = Office(world, tmp_path)
        agent = office.agent
        agent.wait(has_entered(2), "has entered two")
        at, before = agent.version, office.drawn(agent)
        assert agent.result().startswith("5 ")
        fork = world.fork(agent, at)
        assert fork.id != agent.id
        lineage = fork.record.lineage.forked
        assert (agent.id, at) == (lineage.agent, lineage.version)
        assert f"5 {agent.id.hex()} {fork.id.hex()}" == fork.result()
        drawn, own = office.drawn(fork), office.drawn(agent)
        assert before == drawn[: len(before)] == own[: len(before)]
        assert not {*drawn[len(before) :]} & {*own[len(before) :]}, "chance is its own"
        assert all(line.startswith(fork.id.hex()) for line in drawn[len(before) :])
        [said] = [each for each in fork.journal() if isinstance(each, Forked)]
        assert (agent.id, at) == (said.agent, said.version)
        assert [0, 1, 2, 3] == [each.arguments[0] for each in agent.performed("enter")]
        assert {2, 3} >= {each.arguments[0] for each in fork.performed("enter")}
        assert all(each.key.startswith(cid_text(fork.id)) for each in fork.performed())
        assert not world.broken_promises()


def test_section_8_17_what_the_origin_had_begun_is_uncertain_and_nobodys_twice(
    tmp_path: Path,
) -> None:
    """The version is that of an intent: its outcome is its origin's, whether or not it had the effect."""
    with simulate(seed=2) as world:
        office = Office(world, tmp_path)
        agent = office.agent
        agent.wait(lambda each: len(keys(each)) == 2, "may enter the second")
        fork = world.fork(agent, intended_at(agent, 1))
        assert fork.result() and agent.result()
        assert "not 1: UncertainOutcome" in office.drawn(fork)
        assert not [line for line in office.drawn(agent) if line.startswith("not")]
        assert [2, 3] == [each.arguments[0] for each in fork.performed("enter")]
        assert keys(agent)[:2] == keys(fork)[:2], "it knows of them"
        assert not {each.key for each in fork.performed()} & set(keys(agent))
        assert not world.broken_promises()


def intended_at(agent: LaunchedAgent, number: int) -> int:
    """Return the version that an effect's key names."""
    return int(keys(agent)[number].split("/")[2])


def test_section_8_17_messages_are_of_whom_they_were_sent_to(tmp_path: Path) -> None:
    with simulate(seed=3) as world:
        office = Office(world, tmp_path)
        world.zone("b", anchors=1)
        agent = office.agent
        agent.wait(has_entered(3), "has entered three")
        at = agent.version
        agent.send("")
        fork = world.fork(agent, at)
        fork.send("b")
        fork.result()
        agent.result()
        assert ("b", "a") == (fork.zone.name, agent.zone.name)


def test_section_8_17_a_fork_of_a_fork_is_one_of_either(tmp_path: Path) -> None:
    with simulate(seed=4) as world:
        office = Office(world, tmp_path)
        agent = office.agent
        agent.wait(has_entered(1), "has entered one")
        first = world.fork(agent, agent.version)
        first.wait(has_entered(3), "has entered three")
        second = world.fork(first, first.version)
        assert f"5 {agent.id.hex()} {second.id.hex()}" == second.result()
        said = [each.agent for each in second.journal() if isinstance(each, Forked)]
        assert [agent.id, first.id] == said
        host = second.host
        assert first.id == second.record.lineage.forked.agent
        assert host is None or not world.broken_promises()


def test_section_8_17_a_fork_has_the_budgets_that_it_is_given(tmp_path: Path) -> None:
    with simulate(seed=5) as world:
        office = Office(world, tmp_path, budgets={"steps": 100, "calls": 50})
        agent = office.agent
        agent.wait(has_entered(1), "has entered one")
        fork = world.fork(agent, 1, budgets={"calls": 0})
        budgets = fork.record.eligibility.budgets
        left = agent.record.eligibility.budgets["steps"]
        assert (0, True) == (budgets["calls"].limit, budgets["steps"].limit >= left.limit - 9)
        assert "0 of 0 are spent" in fork.failure()
        assert "not 0: BudgetExhausted" in office.drawn(fork)


def forked_anyway(
    seed: int, folder: Path, mishap: Callable[[World, LaunchedAgent], None], *, anchors: int = 4
) -> None:
    """Fork an agent while something goes wrong, and let the fork move on: nothing is lost or done twice."""
    with simulate(seed=seed) as world:
        office = Office(world, folder, anchors=anchors)
        there: Zone = world.zone("b", anchors=1)
        agent = office.agent
        agent.wait(has_entered(2), "has entered two")
        fork = world.fork(agent, agent.version - seed % 3, within=120)
        mishap(world, fork)
        fork.send("b", within=120)
        fork.result(within=600)
        uncertain = [line for line in office.drawn(fork) if line.startswith("not")]
        assert fork.result().startswith(f"{5 + len(uncertain)} ")
        assert len(uncertain) <= 1, "what its origin had begun"
        assert there is fork.zone
        assert agent.result(within=600).startswith("5 ")
        assert all(each.key.startswith(cid_text(fork.id)) for each in fork.performed("enter"))
        assert not world.broken_promises()


def kill_an_anchor(world: World, _: LaunchedAgent) -> None:
    world.zones()[0].anchors[0].kill()


def kill_the_hosts(world: World, _: LaunchedAgent) -> None:
    for host in world.zones()[0].hosts:
        host.kill()
        host.start()


def kill_its_host(world: World, fork: LaunchedAgent) -> None:
    fork.advances(by=3)
    if fork.host is not None:
        fork.host.kill()


MISHAPS = [kill_an_anchor, kill_the_hosts, kill_its_host]


def test_section_8_17_a_fork_whose_host_dies_migrates(tmp_path: Path) -> None:
    forked_anyway(6, tmp_path, kill_its_host, anchors=1)


@pytest.mark.soak
@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("seed", range(7, 17))
def test_section_8_17_a_fork_survives_whatever_dies(
    tmp_path: Path, seed: int, mishap: Callable[[World, LaunchedAgent], None]
) -> None:
    forked_anyway(seed, tmp_path, mishap)


def killed_in_fork(seed: int, folder: Path, after: int) -> None:
    """Kill the fork's host so many of its versions after its genesis."""
    with simulate(seed=seed) as world:
        office = Office(world, folder)
        agent = office.agent
        agent.wait(lambda each: len(keys(each)) == 2, "may enter the second")
        fork = world.fork(agent, agent.version)
        fork.advances(by=after)
        if fork.host is not None:
            fork.host.kill()
        fork.wait(lambda it: it.has_ended, "comes to its end", 300)
        ended = fork.journal()[-1]
        if isinstance(
            ended, Raised
        ):  # it died between the intent of `close`, once, and its outcome
            assert "step 'close' was interrupted" in ended.failure.message
        assert len(fork.performed("close")) <= 1
        agent.result(within=300)
        once = [each.key for each in fork.performed("enter")]
        assert all(key.startswith(cid_text(fork.id)) for key in once)
        assert not world.broken_promises()


@pytest.mark.parametrize("after", [1, 4])
def test_section_8_17_a_host_that_dies_in_a_fork_changes_nothing(
    tmp_path: Path, after: int
) -> None:
    killed_in_fork(20, tmp_path, after)


@pytest.mark.soak
@pytest.mark.parametrize("after", range(1, 14))
@pytest.mark.parametrize("seed", range(21, 24))
def test_section_8_17_whenever_a_host_dies_in_a_fork_it_changes_nothing(
    tmp_path: Path, seed: int, after: int
) -> None:
    killed_in_fork(seed, tmp_path, after)


# --- what is no fork ----------------------------------------------------------------------------------

FORBIDDING = """
permit(principal, action, resource);
forbid(principal, action == Action::"fork", resource) when { context.labels.contains("secret") };
"""


def refusals(stalled: Stalled) -> str:
    return " ".join(each.problem for each in stalled.declined.values())


def test_section_8_17_the_policies_of_what_is_forked_have_to_permit_it(tmp_path: Path) -> None:
    with simulate(seed=30) as world:
        agent = Office(world, tmp_path, policy=FORBIDDING, labels=("secret",)).agent
        with pytest.raises(Stalled) as stalled:
            world.fork(agent, agent.version)
        assert "fork" in refusals(stalled.value), refusals(stalled.value)
        other = world.zone("b", anchors=1, policy=FORBIDDING)
        with pytest.raises(Stalled):
            world.fork(agent, agent.version, zone=other)


def test_section_8_17_a_fork_may_be_born_elsewhere_and_its_origin_be_amended(
    tmp_path: Path,
) -> None:
    """What rules the origin now rules the fork, whatever ruled at the version."""
    with simulate(seed=31) as world:
        agent = Office(world, tmp_path).agent
        agent.wait(has_entered(1), "has entered one")
        at = agent.version
        world.amend(agent, PERMIT_ALL + " // as amended")
        there = world.zone("b", anchors=1)
        fork = world.fork(agent, at, zone=there)
        assert (there.id, agent.record.governance.documents) == (
            fork.record.custody.zone,
            fork.record.governance.documents,
        )
        assert fork.result()


def forge(
    world: World,
    agent: LaunchedAgent,
    change: Callable[[AgentRecord], AgentRecord],
    show: Callable[[Forking], Forking | UnsetType] = lambda shown: shown,
) -> str:
    """Propose another fork than may be, sealed by the officers all the same; return why it is none."""
    documents = [world._policies[each] for each in agent.record.governance.documents]
    at = version_of(world.anchors(), agent, agent.version - 1)
    client = world._person

    async def work() -> object:
        now_ms = client.clock.wall_ms()
        born = await forked(agent, documents, at, agent.zone, {}, bytes(32), now_ms)
        record, evidence = change(born.record), born.proposal.evidence
        assert evidence.fork is not UNSET
        proposal = forking(record, evidence.fork, evidence.documents, [ISSUER], at_ms=now_ms)
        proposal = replace(proposal, evidence=replace(proposal.evidence, fork=show(evidence.fork)))
        return await person.launch(client.pool, agent.zone.manifest, Born(proposal, born.blocks))

    with pytest.raises(Stalled) as stalled:
        world.perform(work, "forge a fork")
    return refusals(stalled.value)


def relabelled(record: AgentRecord) -> AgentRecord:
    memory = record.memory
    item = replace(memory.compartments["drawn"], labels=())
    return replace(record, memory=replace(memory, compartments={"drawn": item}))


def older(shown: Forking) -> Forking:
    return replace(shown, newest=shown.at, at=shown.newest)


def of_another_version(record: AgentRecord) -> AgentRecord:
    assert record.lineage.forked is not UNSET
    fork = replace(record.lineage.forked, version=record.lineage.forked.version - 1)
    return replace(record, lineage=replace(record.lineage, forked=fork))


FORGED: dict[str, tuple[Callable[[AgentRecord], AgentRecord], str]] = {
    "has no labels any more": (relabelled, "another memory.compartments"),
    "says another version": (of_another_version, "another lineage"),
    "relies on somebody else": (
        lambda r: replace(r, trust=replace(r.trust, minimum={"execute": 0})),
        "another trust.minimum",
    ),
    "has fewer budgets": (
        lambda r: replace(r, eligibility=replace(r.eligibility, budgets={})),
        "a budget of steps",
    ),
    "forgets its journal": (
        lambda r: replace(r, memory=replace(r.memory, journal=ZERO)),
        "does not go on from that",
    ),
    "has its origin's mail": (
        lambda r: replace(r, memory=replace(r.memory, inbox=r.memory.journal)),
        "another memory.inbox",
    ),
    "needs something else": (
        lambda r: replace(r, capabilities=replace(r.capabilities, offers=("gold",))),
        "requires and offers",
    ),
    "is dormant": (
        lambda r: replace(r, eligibility=replace(r.eligibility, status=Status.DORMANT)),
        "another eligibility.status",
    ),
}


def test_section_8_17_a_genesis_that_says_it_is_a_fork_is_one(tmp_path: Path) -> None:
    with simulate(seed=32) as world:
        office = Office(world, tmp_path, labels=("secret",), budgets={"steps": 99})
        agent = office.agent
        agent.wait(has_entered(1), "has entered one")
        for what, (change, why) in FORGED.items():
            problem = forge(world, agent, change)
            assert why in problem, f"{what}: {problem}"
        assert "no version of the agent" in forge(world, agent, lambda r: r, older)
        assert "shows no version" in forge(world, agent, lambda r: r, lambda _: UNSET)
        assert world.fork(agent, agent.version).id != agent.id


def changed(record: AgentRecord, **eligibility: object) -> AgentRecord:
    return replace(record, eligibility=replace(record.eligibility, **eligibility))


def kept(record: AgentRecord, **compartment: object) -> AgentRecord:
    item = replace(record.memory.compartments["drawn"], **compartment)
    return replace(record, memory=replace(record.memory, compartments={"drawn": item}))


def test_section_8_17_what_may_not_be_forked_is_said(tmp_path: Path) -> None:
    with simulate(seed=33) as world:
        agent = Office(world, tmp_path).agent
        agent.advances()
        record, zone = agent.record, agent.zone.manifest
        there = world.zone("b", anchors=1).manifest
        parent = Ancestor(agent=ZERO, ordered_ms={Matter.END: 1})
        key = Encryption(commitments=(person_key("a key"),))
        for newest, at, why in (
            (changed(record, ancestors=(parent,)), record, "descends from was retired or revoked"),
            (changed(record, status=Status.REVOKED), record, "revoked the agent"),
            (changed(record, is_quarantined=True), record, "in quarantine"),
            (record, kept(record, residency=("Mars",)), "may be in Mars, and b is not"),
            (record, kept(record, held_by=ZERO), "had stayed behind"),
            (record, kept(record, encryption=key), "hold its key, which travels nowhere"),
        ):
            later = replace(newest, version=at.version + 1)
            place = there if "Mars" in why or "key" in why else zone
            with pytest.raises(Denied, match=why):
                check_forkable(replace(at, agent=later.agent_id), later, place)
        for change in ({"residency": ("Mars",)}, {"encryption": key}):
            check_forkable(kept(record, **change), replace(record, version=99), zone)
        with pytest.raises(Rejected, match="no version of the agent"):
            check_forkable(replace(record, version=99), record, zone)


def test_section_8_17_nothing_is_forked_while_a_policy_cools(tmp_path: Path) -> None:
    with simulate(seed=34) as world:
        agent = Office(world, tmp_path, cool_down=60.0).agent
        agent.wait(has_entered(1), "has entered one")
        world.amend(agent, PERMIT_ALL + " // as amended")
        with pytest.raises(Exception, match="fork"):
            world.fork(agent, agent.version, within=20)
        world.run(60)
        assert world.fork(agent, agent.version - 1).id != agent.id


# --- what was under way --------------------------------------------------------------------------------

ASKER = """
from sojourn import Agent, Context, step


class Helper(Agent):
    async def run(self, ctx: Context) -> str:
        return "helped"


class Asker(Agent):
    @step(effect="idempotent", action="book.enter")
    def enter(self, number: int) -> int:
        return number

    async def run(self, ctx: Context) -> str:
        told = await ctx.ask("Go on?", of="desk", expects=str)
        await self.enter(1)
        try:
            return f"{told} {await ctx.spawn(Helper)}"
        except Exception as error:
            return f"{told} {type(error).__name__}: {error}"
"""
ASKING = """
permit(principal, action, resource) unless { action == Action::"book.enter" };
@ask("desk") permit(principal, action == Action::"book.enter", resource);
"""


def test_section_8_17_people_are_asked_anew_in_the_forks_name(tmp_path: Path) -> None:
    with simulate(seed=40) as world:
        zone = world.zone("a", anchors=1)
        (tmp_path / "asker.py").write_text(ASKER)
        desk = {"desk": Approvers(keys=(person_key("ann"),), lasts_ms=3_600_000)}
        agent = world.launch("asker:Asker", zone, folder=tmp_path, policy=ASKING, approvers=desk)
        asked = agent.inquires()
        inquiring = world.fork(agent, agent.version)
        again = inquiring.inquires()
        assert (asked.question, agent.id, inquiring.id) == (
            again.question,
            asked.agent,
            again.agent,
        )
        agent.say("yes", by="ann")
        waiting = agent.asks()
        petitioning = world.fork(agent, agent.version)
        anew = petitioning.asks()
        assert (waiting.step, agent.id, petitioning.id) == (
            anew.step,
            waiting.petition.agent,
            anew.petition.agent,
        )
        agent.approve(by="ann")
        assert agent.result().startswith("yes ")
        assert not petitioning.performed("enter"), "it has its own to wait for"
        at = next(
            done.record.version
            for done in (version_of(world.anchors(), agent, n) for n in range(agent.version + 1))
            if done.transition.kind is TransitionKind.SPAWN
        )
        bearing = world.fork(agent, at)
        assert (
            "OriginsChild: child 'asker:Helper' is of the agent that this one was"
            in bearing.result()
        )
        petitioning.approve(by="ann")
        inquiring.say("no", by="ann")
        inquiring.asks()
        inquiring.approve(by="ann")
        assert petitioning.result().startswith("yes ")
        assert inquiring.result().startswith("no ")
        assert [1, 1, 1] == [len(each.children()) for each in (agent, petitioning, inquiring)]
        assert not bearing.children()
        assert not world.broken_promises()


LOOPER = """
from sojourn import Agent, Context


class Looper(Agent):
    async def run(self, ctx: Context, lap: int = 0) -> str:
        drawn = ctx.memory.log("drawn", str)
        first = f"{ctx.agent_id.hex()} {ctx.uuid()}"
        async for turn in ctx.turns(range(3)):
            drawn.append(f"{lap}.{turn} {ctx.agent_id.hex()} {ctx.uuid()} after {first}")
            await ctx.sleep(1)
        if lap < 2:
            await ctx.restart(lap + 1)
        return str(len(drawn))
"""


def forked_at(seed: int, folder: Path, versions: slice) -> None:
    """Fork an agent at some of its versions: what was drawn is kept, what is drawn is its own, whatever dies."""
    with simulate(seed=seed) as world:
        (folder / "looper.py").write_text(LOOPER)
        agent = world.launch(
            "looper:Looper", world.zone("a", anchors=1), folder=folder, memory={"drawn": None}
        )
        assert "9" == agent.result()
        own = [str(each) for each in agent.memory("drawn")]
        for at in range(agent.version - 1)[versions]:
            fork = world.fork(agent, at)
            fork.wait(lambda it: it.version >= 4 or it.has_ended, "is under way")
            if fork.host is not None and at % 2:
                fork.host.kill()
                fork.host.start()
            assert "9" == fork.result()
            drawn = [str(each) for each in fork.memory("drawn")]
            kept = sum(line in own for line in drawn)
            assert own[:kept] == drawn[:kept]
            assert all(line.split()[1] == fork.id.hex() for line in drawn[kept:])
            assert [line.split()[0] for line in own] == [line.split()[0] for line in drawn]
            forked_from = [each for each in fork.journal() if isinstance(each, Forked)]
            assert len(forked_from) == (
                version_of(world.anchors(), agent, at).record.memory.journal != ZERO
            )
        assert not world.broken_promises()


def test_section_8_17_a_fork_at_a_restart_point_is_itself_from_there_on(tmp_path: Path) -> None:
    forked_at(50, tmp_path, slice(3, None, 7))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(51, 54))
def test_section_8_17_a_fork_of_any_version_is_itself_from_there_on(
    tmp_path: Path, seed: int
) -> None:
    forked_at(seed, tmp_path, slice(None))
