"""Set-up on a machine that lacks something: a compiler is borrowed, anything else is named in one line."""

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def loaded(name: str) -> ModuleType:
    """Return a script of requirements/ as a module."""
    spec = importlib.util.spec_from_file_location(name, REQUIREMENTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Commands:
    """Commands that are written down and not run; pip's exit status is `fails`."""

    def __init__(self, fails: int = 0) -> None:
        self.run: list[tuple[list[str], dict[str, str]]] = []
        self._fails = fails

    def __call__(self, command: list[str], *, check: bool, env: dict[str, str]) -> None:
        self.run.append((command, env))
        if check and self._fails:
            raise subprocess.CalledProcessError(self._fails, command)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder of PATH: what is put there is all that this machine has."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    return tmp_path


def put(tools: Path, name: str) -> None:
    (tools / name).write_text("#!/bin/sh\n")
    (tools / name).chmod(0o755)


def installed(monkeypatch: pytest.MonkeyPatch, *, fails: int = 0) -> tuple[int, Commands]:
    """Install the codec as `make` does; return the exit status and what would have been run."""
    codec, commands = loaded("codec"), Commands(fails)
    monkeypatch.setattr(codec.subprocess, "run", commands)
    monkeypatch.setattr(codec.sys, "argv", ["codec.py", "-m", "pip", "install"])
    return codec.main(), commands


def test_the_compiler_that_python_was_built_with_is_used_as_it_is(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", {"CC": "own-cc -pthread"}.get)
    put(tools, "own-cc")
    put(tools, "cc")
    status, commands = installed(monkeypatch)
    ((command, env),) = commands.run
    assert (0, str(REQUIREMENTS / "codec.txt")) == (status, command[-1])
    assert "CC" not in env


@pytest.mark.parametrize("name", ["cc", "gcc", "clang"])
def test_another_compiler_that_is_here_is_named(
    name: str, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", {"CC": "own-cc"}.get)
    put(tools, name)
    _, commands = installed(monkeypatch)
    assert [name] == [env["CC"] for _, env in commands.run]


def test_a_compiler_that_somebody_names_is_theirs_to_have(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "theirs")
    _, commands = installed(monkeypatch)
    assert ["theirs"] == [env["CC"] for _, env in commands.run]


def test_without_a_compiler_one_is_borrowed_and_is_gone_again(
    tools: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, commands = installed(monkeypatch)
    (fetch, _), (build, env) = commands.run
    folder = Path(fetch[fetch.index("--target") + 1])
    assert 0 == status
    assert str(REQUIREMENTS / "compiler.txt") == fetch[-1]
    assert str(REQUIREMENTS / "codec.txt") == build[-1]
    assert f"{folder}/ziglang/zig cc -mcpu=baseline" == env["CC"]
    assert not folder.exists()
    assert 1 == capsys.readouterr().err.count("\n")


def test_what_pip_says_no_to_ends_the_set_up(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, commands = installed(monkeypatch, fails=3)
    assert (3, 1) == (status, len(commands.run))


def test_headers_that_are_missing_are_named_in_one_line(
    tools: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    preflight: Any = loaded("preflight")
    assert 0 == preflight.main()
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tools))
    assert 1 == preflight.main()
    said = capsys.readouterr().err
    assert "Python's C headers" in said
    assert said.endswith("apt-get install python3-dev\n") and 1 == said.count("\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")
def test_ci_installs_what_confines_and_a_set_up_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    preflight: Any = loaded("preflight")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert 0 == preflight.main()
    monkeypatch.setattr(sys, "argv", ["preflight.py", "--packages"])
    assert 0 == preflight.main()
    said = capsys.readouterr()
    assert ("bubblewrap", "") == (said.out, said.err)
