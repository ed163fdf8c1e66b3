"""`sojourn agent replay --pdb`: a session of Python's debugger, in a process of its own, typed into over a pipe."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.test_agent_replay import SOURCE, life

SRC = Path(__file__).parents[3] / "src"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a capsule, and other code."""
    (tmp_path / "fickle.car").write_bytes(life()[0])
    text = SOURCE.read_text()
    (tmp_path / "parters.py").write_text(text.replace("self.old(2)", "self.new(2)"))
    (tmp_path / "agent.toml").write_text(
        '[agent]\nentry = "parters:Fickle"\n[governance]\npolicies = ["any.cedar"]\n'
    )
    return tmp_path


def session(folder: Path, typed: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "sojourn", "--home", str(folder / "home")]
    done = subprocess.run(
        [*command, "agent", "replay", "fickle.car", "--pdb", *arguments],
        input="".join(f"{line}\n" for line in typed),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(SRC), "FICKLE": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_variables_are_looked_at_and_the_agents_frames_alone(folder: Path) -> None:
    done = session(folder, ["w", "u", "p first, is_changed", "n", "p [first, second]", "n", "c"])
    assert 0 == done.returncode
    assert done.stdout.startswith("--Call--\n> <agent ")
    assert "second = await self.old(2)" in done.stdout
    assert "[1, 2]" in done.stdout
    assert "-> await ctx.sleep(30)" in done.stdout
    assert "Oldest frame" in done.stdout
    for hidden in ("asyncio", "click", "session.py", "Cancelled"):
        assert hidden not in done.stdout
    assert "The code repeats records 1 to 4 of version 3" in done.stdout


def test_breakpoints_are_set_in_files_of_the_agent(folder: Path) -> None:
    line = 1 + SOURCE.read_text().splitlines().index("        await ctx.sleep(30)")
    typed = [f"b {line}", f"b parters.py:{line}", "b nowhere.py:1", "c", "p second", "cl 1", "c"]
    done = session(folder, typed)
    assert {1, 2} == {n for n in range(9) if f"Breakpoint {n} at <agent" in done.stdout}
    assert "'nowhere.py' not found" in done.stdout
    assert f"parters.py({line})run()\n-> await ctx.sleep(30)\n(agent) 2\n" in done.stdout
    assert 0 == done.returncode


@pytest.mark.parametrize("typed", [["q"], ["exit"], [], ["run", "q"]])
def test_to_leave_it_is_no_difference_to_the_journal(folder: Path, typed: list[str]) -> None:
    done = session(folder, typed)
    assert (0, True) == (done.returncode, "The code repeats records 1 to 4" in done.stdout)
    assert ("leave with q" in done.stdout) is ("run" in typed)


def test_a_document_has_none_of_it(folder: Path) -> None:
    done = session(folder, ["p first", "c"], "--json")
    assert json.loads(done.stdout)["result"]["is_whole"]
    assert "(agent) " in done.stderr


def test_it_takes_over_where_other_code_is_about_to_part(folder: Path) -> None:
    done = session(folder, ["p is_changed", "n", "l .", "q"], "--code", "agent.toml")
    assert 1 == done.returncode
    assert "parts from the journal behind the record that it takes up now" in done.stderr
    assert (
        "first = await (self.new(1) if is_changed else self.old(1))\n(agent) False" in done.stdout
    )
    assert "->	        second = await self.new(2)" in done.stdout
    assert "differs  the step's name: 'old' in the journal, 'new' in the code" in done.stdout


def test_other_code_may_part_at_once(folder: Path) -> None:
    changed = (folder / "parters.py").read_text().replace("self.old(1)", "self.new(1)")
    (folder / "parters.py").write_text(changed)
    done = session(folder, ["n", "n", "n", "c"], "--code", "agent.toml")
    assert 1 == done.returncode
    assert "is_changed = os.environ" in done.stdout
    assert "differs  the step's name: 'old' in the journal, 'new' in the code" in done.stdout


def test_it_takes_over_before_a_record(folder: Path) -> None:
    done = session(folder, ["n", "p first", "c"], "--until", "2")
    assert "(agent) 1\n" in done.stdout
    assert "call 1: step old(1d71d281) is under way" in done.stdout
    assert 0 == done.returncode
