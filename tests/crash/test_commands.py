"""Commands that write folders, killed at every change of a file, and cut off from power when they are done."""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from sojourn.anchor.folder import AnchorFolder, read_public
from sojourn.cli.address_book import entry_of, keep
from sojourn.cli.home import Home
from sojourn.core.base.errors import Misused
from sojourn.core.protocol.capsule import load_capsule
from sojourn.host.folder import HostFolder
from sojourn.runtime.processes.keyfile import Purpose, read_key, read_public_key
from tests.crash.disk import MANNERS, Disk
from tests.crash.killing import kill_at
from tests.crash.power import lay_out
from tests.crash.talk import Judge, go_on
from tests.crash.watching import Change, Watch
from tests.crash.zygote import Zygote
from tests.system.ground import agent_text, ground

Check = Callable[[Path], None]
IMAGES = 60
BEGUN = (
    "exists already",
    "known here already",
    "there is an anchor",
    "there is a host",
    "book already",
)


@dataclass(frozen=True)
class Command:
    """A command that writes below a folder, and what must be there once it is done."""

    arguments: tuple[str, ...]
    check: Check

    def at(self, folder: Path) -> list[str]:
        """Return its arguments for a folder."""
        return [argument.replace("HERE", str(folder)) for argument in self.arguments]


def a_key(folder: Path) -> None:
    private = read_key(folder / "home/keys/acme.key", Purpose.OFFICER)
    assert private.public == read_public_key(folder / "home/keys/acme.pub")


def an_anchor(folder: Path) -> None:
    made = AnchorFolder(folder / "a")
    public = read_public(made.public)
    assert (public.identity, public.vote_key) == (made.identity().public, made.vote_key().public)


def a_host(folder: Path) -> None:
    made = HostFolder(folder / "h")
    assert made.key().public == read_public_key(made.public)
    made.offer()


def a_zone(folder: Path) -> None:
    home = Home(folder / "home")
    assert home.known_zones() == ["z"]
    manifest = home.manifest("z")
    anchors, hosts = home.zone("z").anchors(), home.zone("z").hosts()
    assert (len(anchors), len(hosts)) == (2, 1)
    for path in anchors:
        anchor = AnchorFolder(path)
        assert anchor.manifest() == manifest
        anchor.index_in(manifest.manifest)
        anchor.open_store().close()
    assert HostFolder(hosts[0]).enrolment()[0] == manifest


COMMANDS = {
    "keys new": Command(("--home", "HERE/home", "keys", "new", "acme"), a_key),
    "anchor init": Command(
        ("anchor", "init", "HERE/a", "--operator", "acme", "--listen", "127.0.0.1:7400"), an_anchor
    ),
    "host init": Command(("host", "init", "HERE/h"), a_host),
    "zone init": Command(
        ("--home", "HERE/home", "zone", "init", "z", "--local", "2", "--hosts", "1"), a_zone
    ),
}


def run(
    zygote: Zygote, command: list[str], root: Path, judge: Judge, plants: Sequence[str] = ()
) -> tuple[list[Change], int, str]:
    """Run a command under watch; return its changes, its exit code, and what it said last."""
    log = root.with_name(f"{root.name}.log")
    log.write_bytes(b"")
    child = zygote.start(command, log, watched=True, plants=plants)
    assert child.listener is not None
    watch = Watch(child.listener, child.process, root, judge)
    code = child.wait()
    watch.finish()
    return watch.changes, code, (log.read_text().splitlines() or [""])[-1]


def killed_and_repeated(zygote: Zygote, command: Command, root: Path, point: int) -> bool:
    """Kill a command at a point and give it again: it is done, or says that it was begun; tell whether it was killed.

    One that was begun is done in another folder; what is there under a final name is whole.
    """
    root.mkdir()
    _, code, _ = run(zygote, command.at(root), root, kill_at(point))
    if code == 0:
        shutil.rmtree(root)
        return False
    assert code == -9
    _, code, said = run(zygote, command.at(root), root, go_on)
    if code != 0:
        assert code == 2, said
        assert any(words in said for words in BEGUN), said
        for key in root.rglob("*.key"):
            read_key(key, *Purpose)
        root = root.with_name("elsewhere")
        root.mkdir()
        _, code, said = run(zygote, command.at(root), root, go_on)
        assert code == 0, said
    command.check(root)
    for left in (root, root.with_name("root")):
        shutil.rmtree(left, ignore_errors=True)
    return True


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_killed_at_any_change_can_be_given_again(
    zygote: Zygote, tmp_path: Path, name: str
) -> None:
    command, root = COMMANDS[name], tmp_path / "root"
    points = iter(range(1, 1000))
    every = {"zone init": 13, "keys new": 1}.get(name, 3)
    killed = 0
    for point in points:
        if point % every:
            continue
        if not killed_and_repeated(zygote, command, root, point):
            break
        killed += 1
    assert killed >= 5


@pytest.mark.soak
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_killed_at_every_change(
    zygote: Zygote, tmp_path: Path, tell: Callable[[str], None], name: str
) -> None:
    killed = sum(1 for _ in iter_killed(zygote, COMMANDS[name], tmp_path / "root"))
    tell(f"{killed} kill points of {name}")
    assert killed > (80 if name == "zone init" else 5)


def iter_killed(zygote: Zygote, command: Command, root: Path) -> Iterator[int]:
    """Yield points, one after the other, until the command is done before."""
    for point in range(1, 1000):
        if not killed_and_repeated(zygote, command, root, point):
            return
        yield point


@pytest.mark.parametrize("name", COMMANDS)
def test_trap_5_what_a_command_has_made_outlives_a_power_cut(
    zygote: Zygote, tmp_path: Path, name: str
) -> None:
    power_fails_after(zygote, COMMANDS[name], tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_trap_5_a_name_that_is_not_synced_is_found(
    zygote: Zygote, tmp_path: Path, name: str
) -> None:
    with pytest.raises((AssertionError, Misused)):
        power_fails_after(zygote, COMMANDS[name], tmp_path, plants=["names unsynced"])


def power_fails_after(
    zygote: Zygote, command: Command, folder: Path, plants: Sequence[str] = ()
) -> None:
    """Run a command to its end, and hold what a disk may have then against what must be there."""
    root = folder / "root"
    root.mkdir()
    disk = Disk(root)
    changes, code, said = run(zygote, command.at(root), root, go_on, plants)
    assert code == 0, said
    for change in changes:
        disk.do(change)
    command.check(root)
    check_images(disk, folder / "image", command.check)


def check_images(disk: Disk, folder: Path, check: Check) -> None:
    """Hold what a disk may have against what must be there."""
    random = Random(5)
    for number in range(IMAGES):
        folder.mkdir()
        lay_out(disk.image(random, MANNERS[number % len(MANNERS)]), folder)
        check(folder)
        shutil.rmtree(folder)


# With a zone that runs


async def launched_and_exported(zygote: Zygote, folder: Path) -> int:
    """Kill `agent launch` and `agent export` at each of their changes, and give them again; return how many kills."""
    async with ground(folder) as g:
        g.found("a", anchors=1, hosts=1)
        await g.up("a")
        home, file = ["--home", str(g.home.path)], folder / "agents" / "quick.toml"
        file.write_text(agent_text("counter:Counter", {"plan": {"turns": 1}, "sums": None}))
        killed = 0
        for point in range(1, 20):
            launch = [*home, "agent", "launch", str(file), "--zone", "a", "--name", f"n{point}"]
            export = [*home, "agent", "export", f"n{point}", str(folder / f"capsule-{point}")]
            before = killed
            for command in (launch, export):
                killed += await asyncio.to_thread(done_in_the_end, zygote, command, folder, point)
            entry_of(g.home, f"n{point}")
            with (folder / f"capsule-{point}").open("rb") as capsule:
                load_capsule(capsule)
            if killed == before:
                return killed
        raise AssertionError("these commands make fewer changes than that")


def done_in_the_end(zygote: Zygote, command: list[str], root: Path, point: int) -> bool:
    """Kill a command at a point and give it again until it is done; tell whether it came to that point."""
    _, code, said = run(zygote, command, root, kill_at(point))
    assert code in (0, -9), said
    if code == -9:
        _, again, said = run(zygote, command, root, go_on)
        assert again == 0 or (again == 2 and any(words in said for words in BEGUN)), said
    return code == -9


def test_agents_launched_and_exported_under_kills(zygote: Zygote, tmp_path: Path) -> None:
    folder = tmp_path / "ground"
    folder.mkdir()
    assert asyncio.run(launched_and_exported(zygote, folder)) >= 8


def test_trap_5_a_capsule_that_was_exported_outlives_a_power_cut(
    zygote: Zygote, tmp_path: Path
) -> None:
    async def run_it(folder: Path, out: Path) -> None:
        async with ground(folder) as g:
            g.found("a", anchors=1, hosts=1)
            await g.up("a")
            follower = await g.launch("a", "counter:Counter", {"plan": {"turns": 1}, "sums": None})
            keep(g.home, "kept", follower.agent, follower.zone.zone_id)
            command = ["--home", str(g.home.path), "agent", "export", "kept", str(out / "capsule")]
            disk = Disk(out)
            changes, code, said = await asyncio.to_thread(run, zygote, command, out, go_on)
            assert code == 0, said
            for change in changes:
                disk.do(change)
            check_images(disk, folder / "image", a_capsule)

    folder, out = tmp_path / "ground", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    asyncio.run(run_it(folder, out))


def a_capsule(folder: Path) -> None:
    with (folder / "capsule").open("rb") as capsule:
        load_capsule(capsule)
