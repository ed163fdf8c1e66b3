"""`sojourn agent fork` and `agent replay --at`: an agent taken up again as it was, in a simulated world."""

from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sojourn.cli import address_book
from sojourn.cli.agent_replay import replayed_at
from sojourn.cli.agent_view import agent_shown, render_agent
from sojourn.cli.forking import ForkedAgent, ForkWish, fork_agent
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.cli.releases import Release
from sojourn.core.agent.upgrading import vouched_by
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import decode, encode_block
from sojourn.core.base.errors import Denied, Misused, Unreachable
from sojourn.core.base.limits import CAPSULE_BYTES_MAX
from sojourn.core.protocol.dossier import Dossier
from sojourn.testing import Keep, LaunchedAgent, World, simulate
from sojourn.testing.founding import ISSUER, key
from tests.unit.cli.command import Command

CODE = """
from sojourn import Agent, Context, step


class Clerk(Agent):
    @step
    def look(self, number: int) -> int:
        return number

    async def run(self, ctx: Context) -> str:
        done = ctx.memory.log("done", int)
        for number in range(4):
            done.append(await self.look(number))
            await ctx.sleep(1)
        return "old"
"""
MENDED = CODE.replace('"old"', '"mended"')
OTHER = CODE.replace("self.look(number)", "self.look(number + 1)")
STRANGER = key("stranger")


class Desk:
    """An agent in a simulated world, and whoever has a command line there."""

    def __init__(
        self,
        world: World,
        folder: Path,
        code: str = CODE,
        memory: Mapping[str, Any] | None = None,
    ) -> None:
        self.world, self.home = world, Home(folder / "home")
        zone = world.zone("a", anchors=1)
        (folder / "clerk.py").write_text(code)
        self.agent = world.launch(
            "clerk:Clerk",
            zone,
            folder=folder,
            memory=memory or {"done": None},
            budgets={"steps": 50},
        )
        self.home.keep_manifest(zone.founded.signed)
        address_book.keep(self.home, "desk", self.agent.id, zone.id)
        self.reach = Reach(world._person.pool)

    def perform(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.world.perform(lambda: work, "use the command line")

    def fork(self, **wish: Any) -> ForkedAgent:
        given = {"local": "what-if", "officers": [ISSUER], "budgets": {}} | wish
        return self.perform(fork_agent(self.reach, self.home, "desk", ForkWish(**given)))

    def forked(self) -> LaunchedAgent:
        entry = address_book.entry_of(self.home, "what-if")
        anchor = self.world.anchors()[0]
        row = anchor.disk.row("dossier", entry.agent_id)
        assert row is not None
        head = decode(row, Dossier, what="dossier", limit=CAPSULE_BYTES_MAX).head
        assert head is not None
        return LaunchedAgent(self.world, "what-if", head)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with simulate(seed=1) as world:
        made = Desk(world, tmp_path)
        made.agent.wait(lambda agent: len(agent.memory("done")) == 2, "has looked twice")
        yield made


def release(text: str) -> Release:
    source = {"clerk.py": text.encode()}
    return Release(
        entry="clerk:Clerk", source=source, vouched=vouched_by(ISSUER, digest(encode_block(source)))
    )


KEEPER = CODE.replace('ctx.memory.log("done", int)', 'ctx.memory.log("kept", int)')


def test_an_agent_with_encrypted_memory_is_forked_where_its_key_is(tmp_path: Path) -> None:
    with simulate(seed=2) as world:
        kept = Keep(values=[], encrypted="ann")
        desk = Desk(world, tmp_path, KEEPER, {"kept": kept})
        desk.agent.advances(by=4)
        before = {file.name for file in tmp_path.rglob("*")}
        there = world.zone("b", anchors=1).manifest
        with pytest.raises(Denied, match="'kept' is encrypted, and the anchors of zone") as denied:
            desk.fork(zone=there)
        assert "--zone" in denied.value.remedy
        with pytest.raises(
            Misused, match="'kept' is encrypted, so that other code cannot be tried"
        ):
            desk.fork(release=release(KEEPER.replace("old", "new")))
        assert not address_book.entries(desk.home)[1:], "nothing was forked"
        at = desk.agent.version
        done = desk.fork(version=at)
        assert (at, ()) == (done.origin_version, done.doubts)
        fork = desk.forked()
        assert desk.agent.record.memory.compartments["kept"].key == (
            fork.record.memory.compartments["kept"].key
        )
        assert "old" == fork.result()
        assert {file.name for file in tmp_path.rglob("*")} - before == {"what-if.toml"}, (
            "no key came here"
        )


def test_an_agent_is_forked_at_a_version_and_replayed_there(desk: Desk) -> None:
    at = desk.agent.version
    desk.agent.result()
    done = desk.fork(version=at, budgets={"steps": 7}, reason="what if")
    assert (at, {"steps": 7}, ()) == (done.origin_version, done.budgets, done.doubts)
    assert (ISSUER.public.hex(),) == done.by
    _, replayed = desk.perform(replayed_at(desk.reach, desk.home, "desk", at))
    assert (at, "") == (replayed.version, replayed.result.parted)
    assert replayed.result.is_whole
    newest = desk.perform(replayed_at(desk.reach, desk.home, "desk", desk.agent.version))[1]
    assert newest.result.replayed > replayed.result.replayed
    fork = desk.forked()
    assert "old" == fork.result()
    assert [0, 1, 2, 3] == fork.memory("done") == desk.agent.memory("done")


def test_a_fork_may_have_other_code_that_repeats_the_journal(desk: Desk) -> None:
    at = desk.agent.version
    with pytest.raises(Misused, match="does not repeat what the journal says"):
        desk.fork(version=at, release=release(OTHER))
    assert not address_book.entries(desk.home)[1:], "nothing was forked"
    desk.fork(version=at, release=release(MENDED))
    assert "mended" == desk.forked().result()
    assert "old" == desk.agent.result()


def test_without_the_publisher_the_code_is_nobodys(desk: Desk) -> None:
    """The agent's publisher is its issuer, which signs here; a stranger can do neither."""
    with pytest.raises(Misused, match="has sealed neither it nor the fork"):
        desk.fork(officers=[STRANGER])
    with pytest.raises(Misused, match="no version 999"):
        desk.fork(version=999)
    with pytest.raises(Exception, match="no officer"):
        desk.fork(officers=[STRANGER], publisher=ISSUER)


def test_what_has_ended_is_not_forked_there(desk: Desk) -> None:
    desk.agent.result()
    with pytest.raises(Misused, match="had returned by version"):
        desk.fork()


def test_a_version_that_nobody_tells_of_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> list[object]:
        return []

    monkeypatch.setattr("sojourn.cli.versions.gather_versions", nothing)
    with pytest.raises(Unreachable, match="tells of version 1 of desk"):
        desk.fork(version=1)


BAD = (
    (("nobody",), "no agent 'nobody'"),
    (("nobody", "--at", "-1"), "--at"),
    (("nobody", "--at", "one"), "--at"),
    (("nobody", "--budget", "steps"), "'steps' says not which budget"),
    (("nobody", "--budget", "steps=-1"), "says not which budget"),
    (("nobody", "--budget", "=1"), "says not which budget"),
    (("nobody", "--budget", "a=1", "--budget", "a=2"), "says not which budget"),
    (("nobody", "--budget", f"a={2**63}"), "more than a limit"),
    (("nobody", "--name", "No Name"), "No Name"),
    (("nobody", "--zone", "nowhere"), "nowhere"),
    (("nobody", "--key", "none"), "none"),
    (("nobody", "--code", "none.toml"), "none.toml"),
    (("nobody", "--publisher", "none"), "none"),
)


@pytest.mark.parametrize(("arguments", "problem"), BAD)
def test_bad_input_is_said_in_one_line(
    sojourn: Command, arguments: tuple[str, ...], problem: str
) -> None:
    sojourn.good("keys", "new", "acme")
    done = sojourn("agent", "fork", *arguments)
    assert (2, True) == (done.code, problem in done.err), done


def test_a_replay_at_a_version_is_of_an_agent(sojourn: Command, tmp_path: Path) -> None:
    done = sojourn("agent", "replay", tmp_path / "some.car", "--at", "1")
    assert (2, True) == (done.code, "no agent known here" in done.line())


FAMILY = """
from sojourn import Agent, Context


class Grandchild(Agent):
    async def run(self, ctx: Context) -> str:
        await ctx.sleep(5)
        return "done"


class Child(Agent):
    async def run(self, ctx: Context) -> str:
        await ctx.spawn(Grandchild, budgets={"steps": 9})
        await ctx.sleep(60)
        return "done"


class Clerk(Agent):
    async def run(self, ctx: Context) -> str:
        await ctx.spawn(Child, budgets={"steps": 20})
        await ctx.sleep(60)
        return "done"
"""


def test_section_8_17_a_child_is_forked_and_shown_with_its_ancestors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulate(seed=3) as world:
        desk = Desk(world, tmp_path, FAMILY)
        desk.agent.wait(lambda it: it.children(), "has a child")
        [parent] = desk.agent.children()
        parent.wait(lambda it: it.children(), "has a child")
        [child] = parent.children()
        child.rests()
        address_book.keep(desk.home, "child", child.id, desk.agent.zone.id)
        there = world.zone("b", anchors=1)
        desk.home.keep_manifest(there.founded.signed)
        wish = {"officers": [ISSUER], "budgets": {}}
        at, far = (
            ForkWish(local="what-if", **wish),
            ForkWish(local="far", zone=there.manifest, **wish),
        )
        done = desk.perform(fork_agent(desk.reach, desk.home, "child", at))
        assert (cid_text(child.id), ()) == (done.origin, done.doubts)
        fork = desk.forked()
        ancestors = [each.agent for each in fork.record.eligibility.ancestors]
        assert [desk.agent.id, parent.id] == ancestors
        documents = [world._policies[each] for each in fork.record.governance.documents]
        render_agent(agent_shown(fork.head, documents, name="what-if", zone_name="a"))
        shown = capsys.readouterr().out
        assert f"origin's parent {cid_text(parent.id)}" in " ".join(shown.split()), shown
        desk.perform(fork_agent(desk.reach, desk.home, "child", far))
        assert "done" == fork.result()
        world.order(desk.agent, "quarantine")
        child.wait(lambda it: it.record.eligibility.is_alone, "is in quarantine", 60)
        with pytest.raises(Denied, match="an agent that it descends from is in quarantine"):
            desk.perform(fork_agent(desk.reach, desk.home, "child", ForkWish(local="no", **wish)))
        assert "no" not in address_book.entries(desk.home)
