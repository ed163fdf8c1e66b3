"""The command `sojourn`: its groups, loaded when they are first named, and its exit codes."""

import importlib
import os
from pathlib import Path
from typing import Final, NoReturn, cast

import click

from sojourn.cli.failures import EXIT_CODES_HELP, guarded
from sojourn.cli.help import Group

__all__ = ["main", "sojourn"]

_GROUPS: Final = {
    "agent": "Launch agents; watch, find, message, export and order them about.",
    "anchor": "Make and run one anchor of a zone.",
    "audit": "Report what an agent did, for an auditor; check such a report offline.",
    "capsule": "Verify and show exported agents, with no network.",
    "code": "Sign code, as its publisher.",
    "demo": "An agent crosses trust zones on real data, on this machine.",
    "host": "Make and run one host of a zone.",
    "keys": "Make and show keys of officers, publishers and persons.",
    "policy": "Check and sign policies.",
    "sim": "Run simulated schedules with faults and liars, and judge each.",
    "zone": "Found, start, stop and introduce zones.",
}

_HELP: Final = f"""\
Agents that govern themselves across clouds.

An agent carries six signed fields; it judges each place by its own policy; it moves, with its memory; the
place's anchors admit it by quorum. No central service knows or steers all agents.

Begin here:
  sojourn keys new acme                   a key that signs policies and launches
  sojourn zone init home --local 1        a zone on this machine
  sojourn zone up home
  sojourn zone endorse home --issuer acme --level 5
  sojourn agent launch desk.toml --zone home
  sojourn agent watch desk

{EXIT_CODES_HELP}
"""


class LazyGroup(Group):
    """A group whose commands are imported from `sojourn.cli.<name>` when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module."""
        if cmd_name not in _GROUPS:
            return None
        module = importlib.import_module(f"sojourn.cli.{cmd_name}")
        return cast("click.Command", getattr(module, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_GROUPS.items()))


@click.command(
    cls=LazyGroup,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SOJOURN_HOME",
    default=Path("~/.sojourn"),
    show_default=True,
    show_envvar=True,
    help="Folder of this person's zones, keys and address book.",
)
@click.version_option(package_name="sojourn", message="sojourn %(version)s")
@click.pass_context
def sojourn(ctx: click.Context, home: Path) -> None:
    """Tell the commands where the home folder is."""
    ctx.obj = Path(os.path.expanduser(home))  # noqa: PTH111 - pathlib's raises where there is no home


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    guarded(lambda: sojourn.main(arguments, prog_name="sojourn", standalone_mode=False))
