"""`sojourn audit`: what an agent did, where, by which policy, as a report whose every line can be checked offline."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click
import msgspec

from sojourn.audit.page import render_page
from sojourn.audit.report import Report, proofs_in, schema
from sojourn.audit.verifying import (
    REPORT_BYTES_MAX,
    Difference,
    check_report,
    to_json,
)
from sojourn.cli.audit_erasure import erasure
from sojourn.cli.audit_view import render_audited, render_held
from sojourn.cli.auditing import audit_agent, audit_capsule, evidence_in, is_agent
from sojourn.cli.help import Group
from sojourn.cli.home import Home
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import emit, note, say
from sojourn.cli.reach import Reach, perform, reaching
from sojourn.core.base.errors import Misused, Rejected
from sojourn.runtime.processes.files import read_bounded, write_atomically

__all__ = ["Held", "audit"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_SHOWN_MAX = 20


class _Group(Group):
    """A group that takes what is none of its commands as what `report` is to be about."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `report` before arguments that name no command."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["report", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Group)
def audit() -> None:
    """Report what an agent did, for an auditor; check such a report offline.

    `sojourn audit AGENT` is short for `sojourn audit report AGENT`.
    """


@audit.command("report")
@click.argument("target", metavar="AGENT|CAPSULE")
@click.option("--html", "html_file", type=_FILE, help="Write the report as a page for people.")
@click.option("--json", "json_file", type=_FILE, help="Write the report as JSON; - prints it.")
@click.option(
    "--capsule",
    "capsule_file",
    type=_FILE,
    help="Keep the capsule that the report on an AGENT is derived from, to check it by.",
)
@click.option(
    "--exit-drill",
    "with_drill",
    is_flag=True,
    help="Also judge whether it could leave its zone and provider now; nothing is moved.",
)
@with_home
def report_command(
    home: Home,
    *,
    target: str,
    html_file: Path | None,
    json_file: Path | None,
    capsule_file: Path | None,
    with_drill: bool,
) -> None:
    """Report on an agent known here, or on the one in a capsule.

    Says where the agent and each label of its data has been, and under which law; which policy ruled each action;
    what was denied, and ordered; and registers zones, providers, hosts and publishers. An AGENT's zones are asked
    for all that they decided. A CAPSULE is read with no network: its path, with a / in it where an agent has the
    same name.

    Example:
      sojourn audit report risk-desk --html desk.html --json desk.json --capsule desk.car
      sojourn audit risk-desk --exit-drill
      sojourn audit ./desk.car
    """
    _check_parents(html_file, json_file, capsule_file)
    report = perform(_reporting(home, target, capsule_file, with_drill=with_drill))
    _write(report, html_file, json_file)
    if json_file is None or str(json_file) != "-":
        render_audited(report)
    for file in (html_file, json_file, capsule_file):
        if file is not None and str(file) != "-":
            note(f"Written: {file}")


def _reporting(
    home: Home, target: str, capsule: Path | None, *, with_drill: bool
) -> Coroutine[Any, Any, Report]:
    async def live(reach: Reach) -> Report:
        return await audit_agent(reach, home, target, capsule, with_drill=with_drill)

    async def offline(reach: Reach) -> Report:
        return await audit_capsule(reach, home, Path(target), with_drill=with_drill)

    is_live = is_agent(home, target)
    if not is_live and not Path(target).exists():
        problem = f"no agent {target!r} is in the address book, and there is no such file"
        raise Misused(problem, remedy="See `sojourn agent list`, or check the path")
    if not is_live and capsule is not None:
        problem = f"{target} is a capsule already: --capsule is for an agent"
        raise Misused(problem, remedy="Leave it out")

    async def work() -> Report:
        async with reaching() as reach:
            return await (live if is_live else offline)(reach)

    return work()


def _check_parents(*files: Path | None) -> None:
    """Raise `Misused` before any work for a place that nothing can be written to."""
    for file in files:
        if file is None or str(file) == "-":
            continue
        if file.is_dir() or not file.absolute().parent.is_dir():
            problem = f"{file} cannot be written: there is no folder {file.absolute().parent}"
            if file.is_dir():
                problem = f"{file} is a folder"
            raise Misused(problem, remedy="Choose a file in a folder that exists")


def _write(report: Report, html_file: Path | None, json_file: Path | None) -> None:
    if html_file is not None:
        write_atomically(html_file, render_page(report).encode())
    if json_file is not None and str(json_file) == "-":
        click.echo(to_json(report).decode(), nl=False)
    elif json_file is not None:
        write_atomically(json_file, to_json(report))


# --- checking ----------------------------------------------------------------------------------------


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was held against a capsule: how many lines it has, and where it differs."""

    agent: str
    lines: int
    line: str | None
    differences: tuple[Difference, ...]


@audit.command()
@click.argument("report_file", metavar="REPORT", type=_FILE)
@click.option(
    "--capsule",
    "capsule_file",
    type=_FILE,
    required=True,
    help="The capsule that the report was derived from.",
)
@click.option("--line", help="Check this line alone, and say what proves it.")
@click.option("--html", "html_file", type=_FILE, help="Write the page anew, of what holds.")
@json_option
def verify(
    report_file: Path,
    *,
    capsule_file: Path,
    line: str | None,
    html_file: Path | None,
    as_json: bool,
) -> None:
    """Derive the REPORT again from the capsule, with no network, and compare it line by line.

    Ends with exit code 4 if the capsule does not hold, or if anything in the report is not what it proves: each
    such place is named. Of an exit drill the statements about places are checked, and judged again.

    Example:
      sojourn audit verify desk.json --capsule desk.car
      sojourn audit verify desk.json --capsule desk.car --line action-v3
    """
    data = read_bounded(report_file, what="report", limit=REPORT_BYTES_MAX)
    report, found = check_report(data, evidence_in(capsule_file))
    lines = proofs_in(report)
    if line is not None and line not in lines:
        problem = f"the report has no line {line!a}"
        raise Misused(problem, remedy="Its lines are named in it: stay-1, action-v3, denial-1")
    differing = tuple(each for each in found if line in (None, each.line))
    held = Held(agent=report.agent.agent, lines=len(lines), line=line, differences=differing)
    emit(held, as_json, lambda _: render_held(report, line, differing[:_SHOWN_MAX]))
    if differing:
        raise Rejected(
            _differing(report_file, differing), reason="altered", where=differing[0].place
        )
    if html_file is not None and line is None:
        write_atomically(html_file, render_page(report).encode())


def _differing(file: Path, found: tuple[Difference, ...]) -> str:
    places = "1 place" if len(found) == 1 else f"{len(found)} places"
    return f"{file} says in {places} what the capsule does not prove"


audit.add_command(erasure)


@audit.command("schema")
def schema_command() -> None:
    """Print the JSON schema of a report.

    Example:
      sojourn audit schema > audit-report.schema.json
    """
    say(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode())
