"""Agents' code: what is collected, how it is loaded, and what is said when it cannot be."""

import sys
from pathlib import Path

import pytest

from sojourn import Agent
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side import code
from sojourn.runtime.agent_side.code import collect_source, load_agent, relative_of

DESK = b"from sojourn import Agent\nclass Desk(Agent):\n    async def run(self, ctx): return %s\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def test_imports_are_followed_within_the_folder_and_no_further(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "desk.py": "import os\nfrom rates import today\nimport book.pages as pages\n",
            "rates.py": "import json\nfrom units import EUR\n",
            "units.py": "EUR = 1\n",
            "book/__init__.py": "from . import pages\n",
            "book/pages.py": "",
            "book/unused.py": "",
            "secrets.py": "KEY = 'x'\n",
            "test_desk.py": "import desk\n",
        },
    )
    assert list(collect_source("desk:Desk", tmp_path)) == [
        *("book/__init__.py", "book/pages.py", "book/unused.py"),
        *("desk.py", "rates.py", "units.py"),
    ]


def test_an_entry_may_lie_in_a_package(tmp_path: Path) -> None:
    write(tmp_path, {"desk/__init__.py": "", "desk/agent.py": ""})
    assert list(collect_source("desk.agent:Desk", tmp_path)) == [
        "desk/__init__.py",
        "desk/agent.py",
    ]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("desk", "'desk' is no entry point"),
        ("desk:", "'desk:' is no entry point"),
        ("../desk:Desk", "'../desk:Desk' is no entry point"),
        ("desk.py:Desk", "there is no module 'desk.py' in"),
        ("lost:Desk", "there is no module 'lost' in"),
        ("broken:Desk", "broken.py is no Python"),
    ],
)
def test_what_cannot_be_collected_is_said(tmp_path: Path, entry: str, problem: str) -> None:
    write(tmp_path, {"desk.py": "", "broken.py": "def ("})
    with pytest.raises(Misused, match="^" + problem):
        collect_source(entry, tmp_path)


def test_too_much_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "SOURCE_BYTES_MAX", 10)
    write(tmp_path, {"desk.py": "x = 12345678\n"})
    with pytest.raises(Misused, match="has 1 files and 13 bytes, more than 256 files or 10 bytes"):
        collect_source("desk:Desk", tmp_path)


def test_modules_find_each_other_by_the_names_they_have_in_their_folder() -> None:
    agent = load_agent(
        "book.desk:Desk",
        {
            "book/__init__.py": b"PAGES = 3\n",
            "book/desk.py": b"import json, units, book.pages\nfrom book import pages, PAGES\n"
            b"from . import pages as same\nfrom .pages import *\nfrom units import EUR\n"
            b"from sojourn import Agent\n"
            b"assert book.pages is pages is same and units.EUR == EUR == 7 and FIRST == 1\n"
            b"class Desk(Agent):\n    async def run(self, ctx): return PAGES\n",
            "book/pages.py": b"import book\nFIRST = 1\n",
            "units.py": b"EUR = 7\n",
        },
    )
    assert issubclass(agent, Agent)
    assert agent.__module__.endswith(".book.desk")


def test_two_versions_live_side_by_side_and_one_is_loaded_once() -> None:
    one = load_agent("desk:Desk", {"desk.py": DESK % b"1"})
    two = load_agent("desk:Desk", {"desk.py": DESK % b"2"})
    assert one is not two
    assert load_agent("desk:Desk", {"desk.py": DESK % b"1"}) is one
    assert "desk" not in sys.modules


@pytest.mark.parametrize(
    ("source", "entry", "problem"),
    [
        ({"desk.py": b""}, "desk:Desk", "module 'desk' has no class 'Desk'"),
        ({"desk.py": b"Desk = 3"}, "desk:Desk", "has another kind of thing under the name 'Desk'"),
        ({"desk.py": b"class Desk: pass"}, "desk:Desk", "another kind of thing"),
        (
            {"desk.py": b"from sojourn import Agent as Desk"},
            "desk:Desk",
            "desk:Desk has no run",
        ),
        ({"desk.py": b""}, "other:Desk", "there is no module 'other'"),
        ({"desk.py": b"import no_such_package"}, "desk:Desk", "no module 'no_such_package'"),
        ({"desk.py": b"import no.such"}, "desk:Desk", "there is no module 'no'"),
        ({"desk.py": b"1 / 0"}, "desk:Desk", "ZeroDivisionError: division by zero"),
        ({"desk.py": b"raise SystemExit(3)"}, "desk:Desk", "SystemExit: 3"),
        ({"desk.py": b"def ("}, "desk:Desk", "SyntaxError"),
        ({"desk.py": b"\xff\xfe"}, "desk:Desk", "desk:Desk cannot be loaded"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_a_sentence(
    source: dict[str, bytes], entry: str, problem: str
) -> None:
    with pytest.raises(Misused, match=problem):
        load_agent(entry, source)


def test_a_file_is_never_looked_for_outside_its_source(tmp_path: Path) -> None:
    with pytest.raises(Misused, match="is no entry point"):
        load_agent("..desk:Desk", {"../desk.py": DESK % b"1"})


FAMILY = {
    "desk.py": b"""
from sojourn import Agent, Context
from aides import Aide

class Desk(Agent):
    async def run(self, ctx: Context) -> None: ...

class Plain: ...
""",
    "aides.py": b"""
from sojourn import Agent, Context

class Aide(Agent):
    async def run(self, ctx: Context) -> None: ...
""",
}


def test_a_child_is_named_by_its_class_or_its_entry() -> None:
    desk = load_agent("desk:Desk", FAMILY)
    aide = load_agent("aides:Aide", FAMILY)
    assert ["aides:Aide"] * 2 == [relative_of(desk, aide), relative_of(desk, "aides:Aide")]
    assert "desk:Desk" == relative_of(aide, "desk:Desk")


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("Aide", "'Aide' is no entry point"),
        ("lost:Aide", "there is no module 'lost'"),
        ("aides:Lost", "module 'aides' has no class 'Lost'"),
        ("desk:Plain", "has another kind of thing under the name 'Plain'"),
        ("sojourn:Agent", "there is no module 'sojourn'"),
        (Agent, "is no agent of this agent's code"),
    ],
)
def test_a_child_that_the_code_does_not_have_is_named_at_once(named: object, problem: str) -> None:
    desk = load_agent("desk:Desk", FAMILY)
    with pytest.raises(Misused, match=problem) as raised:
        relative_of(desk, named)
    assert "modules that it imports are taken along" in raised.value.remedy


def test_of_a_class_that_a_test_has_at_hand_the_entry_has_its_shape_alone() -> None:
    assert "any:Thing" == relative_of(Agent, "any:Thing")
    with pytest.raises(Misused, match="'Thing' is no entry point"):
        relative_of(Agent, "Thing")
