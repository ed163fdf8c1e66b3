"""Forks of agents that keep encrypted memory (protocol §8.17, §10.20 to §10.22): they read it, wherever they die."""

from pathlib import Path

import pytest

from sojourn.core.agent.orders import Act
from sojourn.core.base.errors import Denied
from sojourn.core.base.sharing import is_share
from sojourn.runtime.clients.zone_client import Stalled
from sojourn.runtime.records import Outcome, Raised
from sojourn.testing import Keep, LaunchedAgent, World, Zone, simulate

KEEPER = """
from sojourn import Agent, Context, Denied, step


SECRET = "wolf" + "ramite"


class Keeper(Agent):
    goal = ""

    def rank(self, places):
        return next((p for p in places if p.name == self.goal and p.eligible), None)

    @step
    def look(self, number: int) -> int:
        return number

    async def run(self, ctx: Context, phase: int = 0) -> str:
        if phase == 0:
            people = ctx.memory.mapping("people", str)
            names = ctx.memory.log("names", str)
            for number in range(4):
                try:
                    people[str(number)] = f"{ctx.agent_id.hex()} {SECRET}"
                    names.append(f"{SECRET} {number}")
                except Denied:
                    return "erased"
                await self.look(number)
                await ctx.sleep(1)
            await ctx.restart(1)
        if phase < 3:
            message = await ctx.receive(timeout=2)
            self.goal = message.body if message else ""
            if not self.goal:
                await ctx.restart(3)
            await ctx.consider()
            await ctx.restart(phase + 1)
        people = ctx.memory.mapping("people", str)
        own = sum(each.split()[0] == ctx.agent_id.hex() for each in people.values())
        return f"{len(people)} {own} {len(ctx.memory.log('names', str))}"
"""
CANARY = b"wolframite"
"""What is encrypted, and stands nowhere else: not even in the code as one word."""


class Vault:
    """An agent with encrypted memory at work in a zone, which may be forked."""

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
        (place / "keeper.py").write_text(KEEPER)
        self.agent = world.launch(
            "keeper:Keeper",
            self.zone,
            folder=place,
            memory={
                "people": Keep(
                    values={"first": "nobody wolframite"}, labels=labels, encrypted="ann"
                ),
                "names": Keep(values=[], labels=labels, encrypted="ann"),
            },
            **given,  # type: ignore[arg-type]
        )

    def looks(self, count: int, agent: LaunchedAgent | None = None) -> LaunchedAgent:
        """Wait until an agent has looked so often, and return it."""
        chosen = agent or self.agent
        chosen.wait(lambda each: looked(each) >= count, f"has looked {count} times", 120)
        return chosen

    @property
    def key(self) -> bytes:
        """The name of the key."""
        key = self.agent.record.memory.compartments["people"].key
        assert key is not None
        return key


def looked(agent: LaunchedAgent) -> int:
    return sum(isinstance(each, Outcome) for each in agent.journal())


def in_the_clear(world: World) -> list[str]:
    """Return the anchors on whose disks something of what is encrypted stands in the clear."""
    found = []
    for anchor in world.anchors():
        content = anchor.disk.copy()
        if CANARY in repr(content).encode():
            found.append(anchor.name)
    return found


@pytest.mark.parametrize("anchors", [1, pytest.param(4, marks=pytest.mark.soak)])
def test_section_8_17_a_fork_reads_its_copy_of_what_was_encrypted_and_writes_its_own(
    tmp_path: Path, anchors: int
) -> None:
    with simulate(seed=1) as world:
        vault = Vault(world, tmp_path, anchors=anchors)
        agent = vault.looks(2)
        fork = world.fork(agent, agent.version)
        before = fork.record.memory.compartments["people"]
        assert (vault.key, agent.zone.id) == (before.key, fork.zone.id)
        assert "5 4 4" == agent.result()
        assert "5 2 4" == fork.result(), "two of the values are its origin's"
        after = fork.record.memory.compartments["people"]
        assert len({before.root, after.root, agent.record.memory.compartments["people"].root}) == 3
        assert not in_the_clear(world)
        for anchor in vault.zone.anchors:
            [share] = anchor.shares.shares.values()
            encryption = before.encryption
            assert encryption is not None and is_share(
                share, anchor.index + 1, encryption.commitments
            )
        assert not world.broken_promises()


def test_the_canary_would_be_found(tmp_path: Path) -> None:
    """What the test above looks for is there where memory is in the clear."""
    with simulate(seed=1) as world:
        zone = world.zone("a", anchors=1)
        (tmp_path / "keeper.py").write_text(KEEPER)
        agent = world.launch(
            "keeper:Keeper",
            zone,
            folder=tmp_path,
            memory={"people": Keep(values={}), "names": None},
        )
        agent.result()
        assert ["a/anchor/0"] == in_the_clear(world)


@pytest.mark.soak
def test_section_8_17_a_fork_of_a_fork_reads_both_of_theirs(tmp_path: Path) -> None:
    with simulate(seed=2) as world:
        vault = Vault(world, tmp_path)
        agent = vault.looks(1)
        first = vault.looks(3, world.fork(agent, agent.version))
        second = world.fork(first, first.version)
        assert "5 1 4" == second.result()
        assert not in_the_clear(world)


FORBIDDING = """
permit(principal, action, resource);
forbid(principal, action == Action::"fork", resource) when { context.labels.contains("secret") };
"""


def test_section_8_17_the_labels_of_what_is_encrypted_are_asked_about(tmp_path: Path) -> None:
    with simulate(seed=3) as world:
        vault = Vault(world, tmp_path, policy=FORBIDDING, labels=("secret",))
        agent = vault.looks(1)
        with pytest.raises(Stalled) as stalled:
            world.fork(agent, agent.version)
        assert "fork" in " ".join(each.problem for each in stalled.value.declined.values())
        there = world.zone("b", anchors=1)
        with pytest.raises(Denied, match="hold its key, which travels nowhere"):
            world.fork(agent, agent.version, zone=there)


# --- whatever dies ------------------------------------------------------------------------------------


def survived(seed: int, folder: Path, after: int, *, anchors: int, mishap: str) -> None:
    """Let something die so many of the fork's versions after its genesis: it reads all it had written."""
    with simulate(seed=seed) as world:
        vault = Vault(world, folder, anchors=anchors)
        agent = vault.looks(1 + seed % 3)
        at = agent.version - seed % 2
        if mishap == "birth":
            vault.zone.anchors[seed % anchors].kill()
        fork = world.fork(agent, at, within=120)
        fork.wait(lambda each: each.version >= after or each.has_ended, "is under way", 120)
        if mishap == "host" and fork.host is not None:
            fork.host.kill()
        if mishap == "anchor":
            vault.zone.anchors[seed % anchors].kill()
        if mishap == "power":
            for anchor in vault.zone.anchors:
                anchor.power_off()
                anchor.start()
        number, own, names = fork.result(within=600).split()
        assert ("5", "4") == (number, names)
        assert 1 <= int(own) <= 4
        assert "5 4 4" == agent.result(within=600)
        assert not in_the_clear(world)
        assert not world.broken_promises()


def test_section_8_17_a_host_that_dies_takes_no_key_with_it(tmp_path: Path) -> None:
    survived(23, tmp_path, 3, anchors=1, mishap="host")


@pytest.mark.soak
@pytest.mark.parametrize("mishap", ["host", "anchor", "power", "birth"])
@pytest.mark.parametrize("after", range(14))
@pytest.mark.parametrize("seed", range(30, 33))
def test_section_8_17_wherever_it_dies_a_fork_reads_on(
    tmp_path: Path, seed: int, after: int, mishap: str
) -> None:
    survived(seed, tmp_path, after, anchors=4, mishap=mishap)


# --- where it is --------------------------------------------------------------------------------------


def gone_and_back(seed: int, folder: Path, *, dies: bool) -> None:
    """Let a fork go to another zone, where it has nothing that is encrypted, and come back to it."""
    with simulate(seed=seed) as world:
        vault = Vault(world, folder)
        there: Zone = world.zone("b", anchors=1, hosts=2)
        agent = vault.looks(2)
        fork = vault.looks(4, world.fork(agent, agent.version))
        fork.send("b")
        fork.wait(lambda each: each.zone is there, "moves", 300)
        assert vault.zone.id == fork.record.memory.compartments["people"].held_by
        if dies and fork.host is not None:
            fork.host.kill()
            fork.advances(within=120)
        fork.send("a", within=120)
        assert "5 2 4" == fork.result(within=600)
        assert fork.zone is vault.zone
        assert "5 4 4" == agent.result()
        assert not in_the_clear(world)
        assert not world.broken_promises()


def test_section_8_17_a_fork_comes_back_to_what_is_encrypted(tmp_path: Path) -> None:
    gone_and_back(40, tmp_path, dies=False)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(41, 51))
def test_section_8_17_a_fork_that_died_abroad_comes_back(tmp_path: Path, seed: int) -> None:
    gone_and_back(seed, tmp_path, dies=True)


# --- what is erased -----------------------------------------------------------------------------------


def no_shares(vault: Vault) -> bool:
    return all(vault.key not in anchor.shares.names for anchor in vault.zone.anchors)


def test_section_8_17_what_was_erased_comes_back_in_no_fork(tmp_path: Path) -> None:
    with simulate(seed=60) as world:
        vault = Vault(world, tmp_path)
        agent = vault.looks(1)
        world.order(agent, Act.ERASE, erases=["people"])
        world.run_until(lambda: no_shares(vault), lambda: "shares are left")
        fork = world.fork(agent, 1)
        assert all(each.is_erased for each in fork.record.memory.compartments.values())
        assert "erased" == fork.result()
        assert not world.broken_promises()


def test_section_8_17_what_is_erased_of_the_origin_is_readable_in_no_fork(tmp_path: Path) -> None:
    """A fork that has the key at hand ends with its officers' order, and without it executes nowhere."""
    with simulate(seed=61) as world:
        vault = Vault(world, tmp_path)
        agent = vault.looks(1)
        fork = world.fork(agent, agent.version)
        world.order(agent, Act.ERASE, erases=["people"])
        world.run_until(lambda: no_shares(vault), lambda: "shares are left")
        for host in vault.zone.hosts:
            host.kill()
            host.start()
        version = fork.version
        world.run(30)
        assert fork.version <= version + 4, "it is bound anew, and does nothing"
        assert not fork.has_ended
        world.order(fork, Act.ERASE, erases=["people"])
        fork.wait(lambda each: each.has_ended, "comes to its end", 120)
        ended = fork.journal()[-1]
        assert isinstance(ended, Raised), ended
        assert "erased" in ended.failure.message
        assert not world.broken_promises()
