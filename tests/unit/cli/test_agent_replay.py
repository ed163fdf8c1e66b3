"""`sojourn agent replay` and `history`: a life told again, here, from a capsule and from its zone."""

import pdb
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from sojourn.cli import address_book
from sojourn.cli.finding import Found
from sojourn.cli.history import Page, history_page
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.cli.standing_still import stands
from sojourn.core.base.errors import Misused
from sojourn.testing import World, simulate
from tests.unit.audit.scene import exported
from tests.unit.cli.command import Command
from tests.unit.testing.parters import Fickle

SOURCE = Path(__file__).parents[1] / "testing" / "parters.py"


def page_of(world: World, home: Home, first: int, limit: int) -> Page:
    reach = Reach(world._person.pool)
    return world.perform(lambda: history_page(reach, home, "fickle", first, limit), "list it")


@cache
def life() -> tuple[bytes, Page, tuple[Page, ...], str]:
    """Return an agent's capsule in the midst of its run, its history whole and in pages, and why it stands."""
    with simulate(seed=3) as world, tempfile.TemporaryDirectory() as folder:
        zone = world.zone("a", anchors=1)
        agent = world.launch(Fickle, zone)
        agent.rests()
        home = Home(Path(folder))
        home.keep_manifest(zone.founded.signed)
        address_book.keep(home, "fickle", agent.id, zone.id)
        whole = page_of(world, home, 0, 100)
        pages = tuple(page_of(world, home, at, 2) for at in range(0, agent.version + 1, 2))
        with pytest.raises(Misused, match="has no version 99"):
            page_of(world, home, 99, 1)
        capsule = exported(world, agent, with_history=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FICKLE", "changed")
            assert agent.host is not None
            host = agent.host
            host.kill()
            host.start()
            world.run(60)
        found = Found(agent.head, zone.founded.signed)
        why = world.perform(lambda: stands(Reach(world._person.pool), found), "ask why it stands")
        return capsule, whole, pages, why


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    file = tmp_path / "fickle.car"
    file.write_bytes(life()[0])
    return file


def test_history_lists_versions_with_times_and_what_the_journal_has_since_each() -> None:
    _, whole, pages, _ = life()
    assert (None, list(range(whole.newest + 1))) == (
        whole.next,
        [v.version for v in whole.versions],
    )
    assert "genesis" == whole.versions[0].kind
    assert all(a.at_ms <= b.at_ms for a, b in zip(whole.versions, whole.versions[1:], strict=False))
    records = [line for version in whole.versions for line in version.records]
    assert list(range(len(records))) == [line.index for line in records]
    assert ["began", "outcome", "outcome", "sleeping"] == [line.kind for line in records]
    assert whole.versions == tuple(version for page in pages for version in page.versions)


def test_a_capsule_is_replayed_whole(sojourn: Command, capsule: Path) -> None:
    done = sojourn.good("agent", "replay", capsule)
    assert "The code repeats records 1 to 4" in done.out
    assert "call 2: sleep is under way" in done.out
    shown = sojourn.good("agent", "replay", capsule, "--json").json
    assert (True, "", 3) == tuple(shown["result"][n] for n in ("is_whole", "parted", "replayed"))


def test_a_replay_ends_before_a_record(sojourn: Command, capsule: Path) -> None:
    assert "call 1: step old(" in sojourn.good("agent", "replay", capsule, "--until", 2).out
    for until in ("0", "9"):
        done = sojourn("agent", "replay", capsule, "--until", until)
        assert (2, True) == (done.code, f"to 4, not to {until}" in done.line())


def test_other_code_is_tried_on_the_journal_before_it_is_given_to_anybody(
    sojourn: Command, capsule: Path, tmp_path: Path
) -> None:
    text = SOURCE.read_text()
    (tmp_path / "parters.py").write_text(text.replace("self.old(2)", "self.new(2)"))
    (tmp_path / "agent.toml").write_text(
        '[agent]\nentry = "parters:Fickle"\n[governance]\npolicies = ["any.cedar"]\n'
    )
    done = sojourn("agent", "replay", capsule, "--code", tmp_path / "agent.toml")
    assert 1 == done.code
    assert (
        "differs  the step's name: 'old' in the journal, 'new' in the code, with the same"
        in done.out
    )
    assert "then     sleeping of call 2" in done.out


def test_the_debugger_stops_in_the_agents_code(
    sojourn: Command, capsule: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[str] = []

    def interaction(self: pdb.Pdb, frame: object, *_: object) -> None:
        stops.append(f"{frame.f_code.co_name}:{frame.f_lineno}")  # type: ignore[attr-defined]
        self.set_continue()

    monkeypatch.setattr(pdb.Pdb, "interaction", interaction)
    sojourn.good("agent", "replay", capsule, "--pdb")
    lines = SOURCE.read_text().splitlines()
    [(name, number)] = [stop.split(":") for stop in stops]
    assert "run" == name
    assert "second = await" in lines[int(number) - 1], "the call that the last record answers"


BAD: dict[str, tuple[Callable[[Path], None], int]] = {
    "no file": (lambda file: file.unlink(), 2),
    "a folder": (lambda file: (file.unlink(), file.mkdir())[0], 2),
    "empty": (lambda file: file.write_bytes(b"") and None, 4),
    "cut": (lambda file: file.write_bytes(life()[0][:-1]) and None, 4),
    "altered": (lambda file: file.write_bytes(life()[0].replace(b"old", b"odd")) and None, 4),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_capsule_is_said_in_one_line(sojourn: Command, capsule: Path, bad: str) -> None:
    spoil, code = BAD[bad]
    spoil(capsule)
    done = sojourn("agent", "replay", capsule)
    done.line()
    assert code == done.code


def test_show_says_why_it_stands() -> None:
    why = life()[3]
    assert "the code does not repeat what the journal says it did" in why
    assert "journal  outcome of call 0: step old(" in why


@pytest.mark.parametrize("arguments", [("--from", "-1"), ("--limit", "0"), ("--limit", "99999999")])
def test_a_page_of_nothing_is_a_usage_error(sojourn: Command, arguments: tuple[str, str]) -> None:
    assert 2 == sojourn("agent", "history", "fickle", *arguments).code


def test_the_history_of_nobody_known_is_said_in_one_line(sojourn: Command) -> None:
    done = sojourn("agent", "history", "nobody")
    assert (2, True) == (done.code, "nobody" in done.line())
