"""The command as a whole: help, start-up, exit codes."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sojourn.cli.failures import exit_code_of
from sojourn.cli.root import sojourn as root
from sojourn.core.base import errors
from sojourn.runtime.clients.zone_client import Stalled
from tests.unit.cli.command import Command

SOURCE = Path(__file__).parents[3] / "src"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


ALL = dict(commands(root))


def test_the_commands_are_the_ones_that_the_documentation_names() -> None:
    expected = {
        *(
            f"agent {c}"
            for c in ("answer", "approve", "asks", "check", "decline", "history", "replay")
        ),
        *(
            f"agent {c}"
            for c in (
                "amend",
                "export",
                "launch",
                "letters",
                "list",
                "logs",
                "query",
                "send",
                "signal",
                "update",
            )
        ),
        *("agent fork", "agent upgrade", "code sign"),
        *(f"agent {c}" for c in ("suspend", "resume", "quarantine", "lift", "retire", "revoke")),
        *(
            "agent accuse",
            "agent read",
            "agent erase",
            "agent forgive",
            "agent grant",
            "agent memory export",
        ),
        *(
            "agent history",
            "agent replay",
            "agent show",
            "agent watch",
            "anchor init",
            "anchor run",
            "anchor sign",
            "sim",
        ),
        *("audit erasure", "audit report", "audit schema", "audit verify"),
        *("capsule show", "capsule verify", "demo", "host check", "host init", "host run"),
        *("keys list", "keys new", "keys show"),
        *(
            f"policy {c}"
            for c in (
                "check",
                "corpus",
                "delegate",
                "diff",
                "get",
                "head",
                "publish",
                "revoke",
                "seal",
                "show",
                "sign",
            )
        ),
        *(f"zone {c}" for c in ("assemble", "down", "endorse", "export", "init", "list")),
        *("zone meet", "zone proofs", "zone show", "zone status", "zone up"),
    }
    assert expected == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_with_an_example(name: str) -> None:
    command = ALL[name]
    assert command.help
    assert f"sojourn {name}" in command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, (name, parameter)


def test_help_names_the_exit_codes_and_imports_no_commands(sojourn: Command) -> None:
    done = sojourn("--help")
    assert 0 == done.code
    for word in ("Exit codes:", "denied by a policy", "unreachable or stalled", "zone init"):
        assert word in done.out


def test_help_is_quick() -> None:
    """Within 300 ms at least once in a few tries: a test machine has other things to do."""

    def once() -> float:
        began = time.perf_counter()
        command = [sys.executable, "-P", "-m", "sojourn", "--help"]
        subprocess.run(command, check=True, capture_output=True, env={"PYTHONPATH": str(SOURCE)})
        return time.perf_counter() - began

    assert any(once() < 0.3 for _ in range(20))


def test_an_unknown_command_and_option_are_one_line_each(sojourn: Command) -> None:
    assert (2, "No such command 'fly'. See `sojourn --help`") == (
        sojourn("fly").code,
        sojourn("fly").line(),
    )
    assert sojourn("zone", "up").line().startswith("Missing argument 'NAME'")
    assert sojourn("keys", "new", "a", "--purpose", "evil").code == 2


def test_a_group_without_a_command_shows_its_help(sojourn: Command) -> None:
    done = sojourn("zone")
    assert 2 == done.code
    assert done.err.startswith("Usage: sojourn zone")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Failed("x"), 1),
        (errors.Misused("x", remedy="y"), 2),
        (errors.Denied("x"), 3),
        (errors.Refused("x"), 3),
        (errors.Rejected("x", reason="truncated"), 4),
        (errors.Unreachable("x"), 5),
        (Stalled("x", declined={}), 5),
        (errors.StoreFailed("x"), 74),
    ],
)
def test_every_fault_has_its_exit_code(error: errors.SojournError, code: int) -> None:
    assert code == exit_code_of(error)


def test_an_interrupted_command_ends_as_shells_expect(
    sojourn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sojourn.cli.home.Home.key_names", interrupt)
    done = sojourn("keys", "list")
    assert (130, "sojourn: interrupted") == (done.code, done.err.strip())


@pytest.mark.parametrize("name", sorted(ALL))
def test_examples_are_shown_as_they_are_written(name: str) -> None:
    shown = ALL[name].get_help(click.Context(ALL[name], info_name=name))
    assert "Example: " not in shown and "Examples: " not in shown and "\\b" not in shown
