"""`sojourn agent check`: what it is pointed at, what it says, how it ends."""

from pathlib import Path

import pytest

from tests.unit.cli.command import Command

ROOT = Path(__file__).parents[3]
DESK = """\
import time
from sojourn import Agent
from prices import price


class Desk(Agent):
    async def run(self, ctx):
        print("begins")
        return price()
"""
PRICES = """\
import random


def price():
    return random.random()
"""
CALM = """\
from sojourn import Agent


class Calm(Agent):
    async def run(self, ctx):
        return ctx.random()
"""
TOML = '[agent]\nentry = "desk:Desk"\n\n[governance]\npolicies = ["rules.cedar"]\n'
SAID = """\
desk.py:8:9: warning, outside: print() goes to the host's log, again in each replay
    Write ctx.log(text, **fields)
prices.py:5:12: error, chance: random.random() comes out otherwise in a replay
    Write ctx.random(), or draw it in a step (by Desk.run > price)
1 agent, 2 files: 1 error, 1 warning
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "desk"
    made.mkdir()
    for name, text in (
        ("desk.py", DESK),
        ("prices.py", PRICES),
        ("calm.py", CALM),
        ("desk.toml", TOML),
    ):
        (made / name).write_text(text)
    monkeypatch.chdir(made)
    return made


@pytest.mark.parametrize("target", ["desk.toml", "desk.py", "desk:Desk", "./desk.toml"])
def test_it_says_where_what_and_what_instead(sojourn: Command, folder: Path, target: str) -> None:
    done = sojourn("agent", "check", target)
    assert (1, SAID, "") == (done.code, done.out, done.err)


def test_warnings_alone_and_nothing_end_well(sojourn: Command, folder: Path) -> None:
    assert (
        "1 agent, 1 file: 0 errors, 0 warnings\n" == sojourn.good("agent", "check", "calm.py").out
    )
    (folder / "prices.py").write_text("def price(): return 1\n")
    assert "0 errors, 1 warning" in sojourn.good("agent", "check", "desk.py").out


def test_a_folder_is_all_that_is_in_it_and_several_are_one_list(
    sojourn: Command, folder: Path
) -> None:
    whole = sojourn("agent", "check", folder)
    assert 1 == whole.code
    assert whole.out.startswith(f"{folder}/desk.py:8:9: warning")
    assert whole.out.endswith("2 agents, 3 files: 1 error, 1 warning\n")
    both = sojourn("agent", "check", "desk.toml", "calm.py", "desk.py")
    assert both.out == SAID.replace("1 agent, 2 files", "2 agents, 3 files")


def test_as_json_it_is_one_document(sojourn: Command, folder: Path) -> None:
    done = sojourn("agent", "check", "desk.toml", "--json")
    assert 1 == done.code
    assert (["desk:Desk"], 2, 1, 1) == tuple(
        done.json[name] for name in ("agents", "files", "errors", "warnings")
    )
    assert {
        "path": "prices.py",
        "line": 5,
        "column": 12,
        "rule": "chance",
        "severity": "error",
        "what": "random.random() comes out otherwise in a replay",
        "instead": "Write ctx.random(), or draw it in a step",
        "reached": ["Desk.run", "price"],
    } == done.json["findings"][1]


def test_nothing_of_it_is_imported_or_run(sojourn: Command, folder: Path) -> None:
    (folder / "calm.py").write_text("open('was_run', 'w')\nraise SystemExit(7)\n" + CALM)
    sojourn.good("agent", "check", "calm.py")
    assert not (folder / "was_run").exists()


@pytest.mark.parametrize(
    ("name", "data", "target", "said"),
    [
        ("bad.py", b"def", "bad.py", "bad.py is no Python: "),
        ("bad.py", b"x = '\xff'", "bad.py", "bad.py is no Python: "),
        ("bad.py", b"a\0b", "bad.py", "bad.py is no Python: "),
        ("bad.py", b"(" * 9999, "bad.py", "bad.py is no Python: "),
        ("bad.py", b"-" * 200_000 + b"1", "bad.py", "bad.py is no Python: it is nested too deeply"),
        (
            "bad.py",
            b"import other\nclass A(other.B): pass",
            "bad.py",
            "there is no agent in bad.py",
        ),
        ("bad.py", b"", "bad.py", "there is no agent in bad.py"),
        ("bad-name.py", b"", "bad-name.py", "bad-name.py has a name that no import can name"),
        ("x", b"", "none.py", "there is no file none.py"),
        ("x", b"", "none.toml", "the agent's file none.toml cannot be read"),
        ("x", b"", "none", "the agent's file none cannot be read"),
        ("bad.toml", b"\xff", "bad.toml", ""),
        ("bad.toml", TOML.replace("desk:Desk", "desk").encode(), "bad.toml", "'desk' is no entry"),
        (
            "bad.toml",
            TOML.replace(":Desk", ":Disk").encode(),
            "bad.toml",
            "'desk' has no class 'Disk'",
        ),
        ("x", b"", "disk:Desk", "there is no module 'disk'"),
        ("x", b"", "desk:Desk:", "'desk:Desk:' is no entry point"),
        ("x", b"", "", "cannot be read"),
        ("empty/x", b"", "empty", "there is no agent in empty"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    sojourn: Command, folder: Path, name: str, data: bytes, target: str, said: str
) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    done = sojourn("agent", "check", target)
    assert (2, "") == (done.code, done.out)
    assert said in done.line()
    assert ". " in done.line()  # and what to do


def test_too_many_files_are_refused(sojourn: Command, folder: Path) -> None:
    for number in range(257):
        (folder / f"part{number}.py").write_text("")
    assert "more than 256 Python files" in sojourn("agent", "check", ".").line()


@pytest.mark.parametrize(
    "path",
    [
        "src/sojourn/demo/risk_desk",
        "examples/risk_desk",
        "tests/system/agents",
        "tests/itineraries/traveller.py",
        "tests/injection/agents/clerk.py",
        "tests/unit/runtime/agents",
        "tests/unit/testing/workers.py",
        "tests/unit/testing/families.py",
    ],
)
def test_the_projects_own_agents_are_clean(sojourn: Command, path: str) -> None:
    assert "0 errors, 0 warnings" in sojourn.good("agent", "check", ROOT / path).out
