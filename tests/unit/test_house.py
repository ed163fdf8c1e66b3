"""The house keeps its own rules: locks, names, sizes, layers (CONTRIBUTING.md says why)."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sojourn"
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PYTHON = [
    file
    for folder in ("src", "tests", "benchmarks", "examples", "requirements")
    for file in sorted((ROOT / folder).rglob("*.py"))
]

FILE_LINES_MAX = 500
TEST_FUNCTION_LINES_MAX = 120
TEST_LINES_MAX = 800  # a suite is a list, and is read as one
FUNCTION_LINES_MAX = 70
LONG: dict[str, str] = {
    # "path/from/root.py": why it is longer than 500 lines,
    # "path/from/root.py:function": why it is longer than 70,
    "src/sojourn/cli/zone_init.py:init": "a command of many options; its body is short",
}
NEVER_NAMES = {"base", "common", "helpers", "manager", "misc", "utils"}
NAMED_RIGHTLY = {"src/sojourn/core/base", "tests/unit/core/base"}

PINNED = re.compile(r"^(?P<name>[a-z0-9-]+)==[^\s;]+(?: ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
COMMENT = re.compile(r"^    #(?: +(?:via|-[cr]|[\w.()/:-]+))+$")


def path_from_root(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def normal(requirement: str) -> str:
    """Return a requirement's distribution name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]).lower()


def locked(lock: Path) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for line in lock.read_text().splitlines():
        if found := PINNED.match(line):
            pins.setdefault(found["name"], set()).add(line.split()[0].partition("==")[2])
    return pins


# Locks


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_pins_and_hashes_and_names_no_registry(lock: Path) -> None:
    odd = [
        line
        for line in lock.read_text().splitlines()
        if not any(form.match(line) for form in (PINNED, HASH, COMMENT))
    ]
    assert odd == []
    assert "//" not in lock.read_text()


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    extras = project["project"]["optional-dependencies"]
    runtime = project["project"]["dependencies"]
    wanted = {
        "build": groups["build"],
        "codec": groups["codec"],
        "compiler": groups["compiler"],
        "lock": groups["lock"],
        "regions": groups["regions"],
        "run": [*runtime, *extras["demo"]],
        "dev": [*runtime, *extras["demo"], *groups["dev"]],
        "bench": [*runtime, *extras["uvloop"], *groups["bench"]],
    }
    assert set(wanted) == {lock.stem for lock in LOCKS}
    for lock in LOCKS:
        missing = {normal(name) for name in wanted[lock.stem]} - set(locked(lock))
        assert missing == set(), f"{lock.name} is out of date: make lock"


def test_no_two_locks_disagree() -> None:
    first_seen: dict[str, tuple[str, set[str]]] = {}
    for lock in LOCKS:
        for name, versions in locked(lock).items():
            seen_in, seen = first_seen.setdefault(name, (lock.name, versions))
            assert versions == seen, f"{name}: {seen_in} and {lock.name}"


# Rooms and their names


AGENTS = {SOURCE / "demo" / "risk_desk"}
"""Folders that hold an agent's own files, as its author has them: no packages of ours."""


def test_every_package_says_what_belongs_in_it() -> None:
    rooms = {file.parent for file in SOURCE.rglob("*.py")} - AGENTS
    silent = [
        path_from_root(room)
        for room in sorted(rooms)
        if not (file := room / "__init__.py").exists()
        or not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert silent == []


def test_every_module_has_a_docstring() -> None:
    silent = [
        path_from_root(file)
        for file in PYTHON
        if file.name != "__init__.py" and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert silent == []


def test_no_name_means_everything() -> None:
    named = {path.with_suffix("") for file in PYTHON for path in (file, file.parent)}
    vague = {path_from_root(path) for path in named if path.name in NEVER_NAMES}
    assert vague - NAMED_RIGHTLY == set()


def test_unit_tests_stand_where_their_source_stands() -> None:
    """`tests/unit/core/base/test_keys.py` tests `src/sojourn/core/base`, so that folder exists."""
    folders = {file.parent for file in (ROOT / "tests" / "unit").rglob("test_*.py")}
    astray = [
        path_from_root(folder)
        for folder in sorted(folders)
        if not (SOURCE / folder.relative_to(ROOT / "tests" / "unit")).is_dir()
    ]
    assert astray == []


# Sizes


def lengths() -> Iterator[tuple[str, int, int]]:
    """Yield every file and function with its length and the length that wants a reason."""
    for file in PYTHON:
        text = file.read_text()
        limit = FILE_LINES_MAX if SOURCE in file.parents else TEST_LINES_MAX
        yield path_from_root(file), text.count("\n"), limit
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                longest = FUNCTION_LINES_MAX if SOURCE in file.parents else TEST_FUNCTION_LINES_MAX
                yield f"{path_from_root(file)}:{node.name}", length, longest


def test_what_is_long_has_a_reason() -> None:
    too_long = {name: length for name, length, limit in lengths() if length > limit}
    assert set(LONG) == set(too_long), too_long


# Layers


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a copy of the source and its contracts, to plant faults in."""
    shutil.copytree(SOURCE, tmp_path / "sojourn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def lint(house: Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=house,
        env=os.environ | {"PYTHONPATH": str(house), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "kept" if done.returncode == 0 else done.stdout + done.stderr


def test_a_package_without_a_place_breaks_the_contract(house: Path) -> None:
    (house / "sojourn" / "attic").mkdir()
    (house / "sojourn" / "attic" / "__init__.py").write_text('"""Nobody knows."""\n')
    assert "sojourn.attic" in lint(house)


@pytest.mark.parametrize("module", ["time", "os.path", "asyncio", "apsw"])
def test_a_core_that_is_not_pure_breaks_the_contract(house: Path, module: str) -> None:
    (house / "sojourn" / "core" / "base" / "planted.py").write_text(f"import {module}\n")
    assert f"sojourn.core.base.planted -> {module.partition('.')[0]}" in lint(house)


def test_a_core_that_looks_up_breaks_the_contract(house: Path) -> None:
    (house / "sojourn" / "core" / "base" / "planted.py").write_text("import sojourn.core.zone\n")
    assert "sojourn.core.base is not allowed to import sojourn.core.zone" in lint(house)
